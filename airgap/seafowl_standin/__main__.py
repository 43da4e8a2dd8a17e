"""`python -m seafowl_standin`: the command line of the original."""

import os
import sys

from .main import main

code = main(sys.argv[1:])
sys.stdout.flush()
# Ends at once: a query that outlives the drain is not waited for.
os._exit(code)
