"""`make chaos`: the stack under a load whose every acknowledgement is kept, one fault after another."""
