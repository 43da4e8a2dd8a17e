"""The supervisor's log: plain lines on standard output, beside LiteFS's and Seafowl's."""


def say(message: str) -> None:
    """Log one line. No secret may be in it."""
    print(f"supervisor: {message}", flush=True)
