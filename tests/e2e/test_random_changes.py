"""Random changes of a running stack: whatever a user sets, it comes to a good end, and no row is lost.

`make fuzz-stack` takes more steps, and other ones each time. Seafowl may be the kit's stand-in here; LiteFS, Consul,
NGINX, MinIO, Docker and the engine are the real ones.
"""

import os
import time
from collections.abc import Callable
from random import Random

from tests.e2e.changes import Living, other_tags, random_change, shown
from tests.e2e.stack import Stack, local_images

STEPS = int(os.environ.get("STEPS") or 3)
# This one begins with other journal modes of a catalog that exists, then more readers, and tokens.
SEED = os.environ.get("SEED") or "53"


def test_any_change_comes_to_a_good_end_and_loses_nothing(new_stack: Callable[[str], Stack]) -> None:
    print(f"\nSEED={SEED} STEPS={STEPS}")
    rng = Random(SEED)
    stack = new_stack("changes")
    with other_tags(stack.engine, local_images()) as images:
        living = Living(stack, images)
        living.begin()
        for step in range(STEPS):
            change = random_change(rng)
            print(f"step {step} of SEED={SEED}: {shown(change)}", end=" ", flush=True)
            began = time.monotonic()
            came_to = living.change(change)
            print(f"→ {came_to}, {time.monotonic() - began:.0f} s", flush=True)
        living.end()
