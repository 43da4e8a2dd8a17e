"""What holds for every test."""

import signal

# A shell that runs these in the background has them ignore Ctrl-C, and so all that they start: some tests send it.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
