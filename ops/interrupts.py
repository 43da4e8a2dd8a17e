"""Ctrl-C, for programs that run pulumi."""

import signal


def take_interrupts() -> None:
    """Have SIGINT interrupt this program, and whatever it starts from now on.

    A shell without job control (`make bench &` in a script) starts what runs in the background with SIGINT ignored, and
    what that starts inherits it. pulumi ends its plugins with this signal, and waits five seconds for each that does
    not hear it: every command would take so much longer, and a Ctrl-C would not reach it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
