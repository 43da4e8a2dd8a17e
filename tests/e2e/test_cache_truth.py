"""Kept answers beside answers that are not kept, of random queries over changing tables: none is older than promised.

What this does not prove: that the original's ETag knows the tables that the stand-in's knows (its README says what was
tried), and anything of functions of a user's own, which the stand-in does not have.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

import pytest
import requests

from tests.e2e.load import cached
from tests.e2e.random_queries import TABLES, RandomQueries, created
from tests.e2e.stack import Stack

SEED = os.environ.get("SEED") or "14"
QUERIES = int(os.environ.get("QUERIES") or 25)
"""In a round: so many are asked, then tables change, then they are asked again."""

ROUNDS = int(os.environ.get("ROUNDS") or 8)

PROMISED = 1 + 1 + 1
"""Seconds: the ttl, the one in which one visitor's request asks anew, and one for the replication and this machine."""

REFUSED = "refused"


@dataclass
class Asked:
    """A query that is asked with and without the cache."""

    stack: Stack
    query: str
    seen: Counter[str] = field(default_factory=Counter[str])
    """What the cache did, how often."""

    has_etag: bool = False

    def kept(self) -> str:
        """The answer to a GET."""
        _, path, _, headers = cached("", self.query)
        answer = requests.get(f"{self.stack.url}{path}", headers=headers, timeout=60)
        self.seen[answer.headers.get("X-Cache", "none")] += 1
        self.has_etag = "ETag" in answer.headers
        return rows(answer)

    def now(self) -> str:
        """The answer to a POST."""
        return rows(requests.post(f"{self.stack.url}/q", json={"query": self.query}, timeout=60))

    def differs(self) -> tuple[float, str, str] | None:
        """When it was asked, and both answers, where they are not the same."""
        asked_at = time.monotonic()
        kept = self.kept()
        now = self.now()
        return None if kept == now else (asked_at, kept, now)


def rows(answer: requests.Response) -> str:
    """An answer's rows, in an order of their own."""
    return "\n".join(sorted(answer.text.splitlines())) if answer.status_code == 200 else REFUSED


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[str], Stack]) -> Stack:
    made = new_stack("cache-truth")
    made.up()
    for number, table in enumerate(TABLES):
        made.write(created(table, ", ".join(f"({number + n}, '{'abcdef'[number + n]}')" for n in range(3))))
    return made


def older_than_promised(asked: Iterable[Asked], changed_at: float) -> list[str]:
    """Those whose kept answer is another one than that of now, when so much time has passed that it must not be."""
    failures: list[str] = []
    left = list(asked)
    with ThreadPoolExecutor(4) as threads:
        while left:
            found = list(threads.map(Asked.differs, left))
            again: list[Asked] = []
            for one, difference in zip(left, found, strict=True):
                if difference is None:
                    continue
                asked_at, kept, now = difference
                if asked_at < changed_at + PROMISED:
                    again.append(one)
                else:
                    failures.append(f"{one.query}\nkept: {kept}\nnow: {now}\n{dict(one.seen)}, ETag: {one.has_etag}")
            left = again
    return failures


def test_no_kept_answer_is_older_than_promised_whatever_the_query(stack: Stack) -> None:
    print(f"\nSEED={SEED} QUERIES={QUERIES} ROUNDS={ROUNDS}")
    queries = RandomQueries(Random(SEED))
    everything: list[Asked] = []
    changed = 0
    for _ in range(ROUNDS):
        asked = [Asked(stack, queries.query()) for _ in range(QUERIES)]
        with ThreadPoolExecutor(4) as threads:
            before = list(threads.map(Asked.kept, asked))
        answered = [one for one, text in zip(asked, before, strict=True) if text != REFUSED]
        change = queries.change()
        stack.write(change)
        failures = older_than_promised(asked, time.monotonic())
        assert failures == [], f"after {change}, with SEED={SEED}:\n" + "\n\n".join(failures)
        with ThreadPoolExecutor(4) as threads:
            after = list(threads.map(Asked.now, asked))
        changed += sum(text not in (REFUSED, now) for text, now in zip(before, after, strict=True))
        everything += answered
    seen = sum((one.seen for one in everything), Counter[str]())
    lasting = sum(one.has_etag for one in everything)
    print(f"{len(everything)} queries answered, {changed} answers changed, {lasting} with an ETag; {dict(seen)}")
    assert changed > len(everything) / 10, "or the changes are none to most queries"
    assert 0 < lasting < len(everything), "both ways to keep an answer are tried"
    assert seen["EXPIRED"] + seen["UPDATING"] + seen["STALE"] > 0, "the cache is what answers"
