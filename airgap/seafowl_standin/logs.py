"""One line a message on standard output: time, level, text. Callers pass no query results, keys or tokens."""

import logging
import sys

LOG = logging.getLogger("seafowl")


def set_up() -> None:
    """Send the stand-in's and uvicorn's messages to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    logging.getLogger("uvicorn.error").addHandler(handler)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
