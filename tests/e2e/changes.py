"""Random changes of a running stack's config, and what a user may rely on after each of them."""

import hashlib
import itertools
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

import docker
import requests
import urllib3

from config.journal_modes import READER_MODES, WRITER_MODES, misfit
from config.secret_keys import SECRET_KEYS
from config.settings import ImageSettings, Settings
from tests.e2e.routes import wait
from tests.e2e.stack import Outcome, Stack, free_port

Change = dict[str, Any]
"""What is set: a key as `pulumi config set --path` takes it → its value; None removes the key."""

TABLE = "acknowledged"
_TAG = "e2e-changes"
_REFUSED = (401, 403)
_OWN_KEYS = {str(field.alias) for field in Settings.model_fields.values()} | SECRET_KEYS.keys()

# The certificate is made by the stack, for trying things out.
urllib3.disable_warnings()


def _maybe(rng: Random, *values: Any) -> Any:
    """One of `values`, or nothing, so that the default holds."""
    return rng.choice([None, *values])


def _journal_modes(rng: Random) -> Change:
    pairs = [(writer, reader) for writer in WRITER_MODES for reader in READER_MODES]
    fitting = [pair for pair in pairs if misfit(*pair) is None]
    # One that does not fit is refused, and teaches little.
    return dict(zip(("writerJournalMode", "readerJournalMode"), rng.choice([*pairs, *4 * fitting]), strict=True))


def _ports(rng: Random) -> Change:
    return {
        "ingress.port": free_port(),
        "ingress.tls": _maybe(rng, {"selfSigned": True}, {"selfSigned": True, "redirectPort": free_port()}),
    }


def _serving(rng: Random) -> Change:
    choices: Change = {
        "ingress.uploadLimit": _maybe(rng, "1MiB", "1GiB"),
        "ingress.readTimeout": _maybe(rng, "30s", "1500ms"),
        "ingress.writeTimeout": _maybe(rng, "90s"),
        "ingress.retryInterval": _maybe(rng, "1s", "5s"),
        "ingress.cache": _maybe(rng, {"ttl": "0s"}, {"ttl": "1h"}, {"ttl": "2s", "staleWhenDown": "0s"}),
        "ingress.cache.size": _maybe(rng, "1MiB"),
        "ingress.limits": _maybe(rng, {"requestsPerSecond": 1000, "burst": 1000}, {"connections": 200}, {"burst": 5}),
    }
    return {key: choices[key] for key in rng.sample(sorted(choices), 2)}


def _access(rng: Random) -> Change:
    kinds = ("any", "token", "token", "off")
    return {"access.read": rng.choice(kinds[:3]), "access.write": rng.choice(kinds)}


def _tokens(rng: Random) -> Change:
    kind = rng.choice(["read", "write"])
    return {
        f"access.{kind}": "token",
        # A new one each time: it is what makes the cache forget, also where the token is the user's own.
        "access.tokenGeneration": rng.randrange(1, 10_000),
        f"{kind}Token": _maybe(rng, secrets.token_urlsafe(24)),
    }


def _lease(rng: Random) -> Change:
    choices: Change = {
        "lease": rng.choice(["static", "consul", "consul"]),
        "writerCandidates": rng.randrange(1, 4),
        "standbyReads": rng.random() < 0.5,
        "consul.ttl": _maybe(rng, "2s", "5s"),
        "consul.servers": _maybe(rng, 1, 3),
    }
    return {key: choices[key] for key in ("lease", *rng.sample(sorted(choices), 2))}


def _resources(rng: Random) -> Change:
    limits: dict[str, list[Any]] = {
        "writer": [None, {"memory": "1GiB"}, {"memory": "768MiB", "cpus": 1.5}],
        "reader": [None, {"memory": "1GiB"}, {"cpus": 1}],
        "objectStore": [None, {"memory": "1GiB"}, {"memory": "512MiB"}],
        "ingress": [None, {"memory": "32MiB"}, {"cpus": 0.5}],
        "consul": [None, {"memory": "128MiB"}],
    }
    return {f"resources.{role}": rng.choice(limits[role]) for role in rng.sample(sorted(limits), 2)}


def _wrong(rng: Random) -> Change:
    """What cannot be: each is refused, and changes nothing."""
    return rng.choice(
        [
            {"objectStore.minio": {"bucket": "another"}},
            {"objectStore": {"minio": {"volume": "another"}}},
            {"ingress.bindAddress": "192.0.2.7"},
            {"resources.reader": {"cpus": 1000}},
            {"consulToken": "a-token-that-nothing-reads"},
            {"ingress.limits": {"requestPerSecond": 5}},
            {"images": {"nginx": "nginx"}},
        ]
    )


KINDS: dict[str, Callable[[Random], Change]] = {
    "readers": lambda rng: {"readers": rng.randrange(1, 4)},
    "journal modes": _journal_modes,
    "ports": _ports,
    "serving": _serving,
    "access": _access,
    "tokens": _tokens,
    "lease": _lease,
    "resources": _resources,
    "image": lambda rng: {f"images.{rng.choice(['seafowl', 'litefs', 'minio', 'consul', 'nginx'])}": _TAG},
    "passwords": lambda rng: {"objectStore.minio": _maybe(rng, {"passwordGeneration": rng.randrange(1, 4)})},
    "retained data": lambda rng: {"retainData": rng.random() < 0.5},
    "nothing": lambda rng: {},
    "wrong": _wrong,
}


def random_change(rng: Random) -> Change:
    """One to three changes of different kinds, made together."""
    together: Change = {}
    for kind in rng.sample(sorted(KINDS), rng.choice([1, 1, 2, 3])):
        together |= KINDS[kind](rng)
    return together


def shown(change: Change) -> Change:
    """A change without its secrets."""
    return {key: "…" if key in SECRET_KEYS and value is not None else value for key, value in change.items()}


@contextmanager
def other_tags(engine: docker.DockerClient, images: dict[str, str]) -> Iterator[dict[str, str]]:
    """A second tag of each image that a stack may run: part → its name."""
    defaults = ImageSettings()
    made: dict[str, str] = {}
    try:
        for part in ("seafowl", "litefs", "minio", "consul", "nginx"):
            name = images.get(part, getattr(defaults, part))
            repository = name.rpartition(":")[0]
            found = engine.images.list(filters={"reference": name}) or [engine.images.pull(name)]
            found[0].tag(repository, _TAG)
            made[part] = f"{repository}:{_TAG}"
        yield made
    finally:
        for name in made.values():
            engine.images.remove(name)


@dataclass
class Living:
    """A stack that runs, what its config is, and every row that it has acknowledged."""

    stack: Stack
    other_images: dict[str, str]
    """Another name of the image of each part."""

    rows: set[int] = field(default_factory=set[int])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def begin(self) -> None:
        """Bring it up, with a table of rows."""
        self.stack.up()
        self._look()
        self._acknowledged(f"CREATE TABLE {TABLE} AS SELECT CAST(-1 AS BIGINT) AS n")
        self.rows.add(-1)
        self.check()

    def change(self, change: Change) -> str:
        """Make a change, and see that it came to a good end: `done`, or `refused` with the cluster as it was."""
        kept = self._every_row()
        self.write()
        before, config, old = self._ids(), self.stack.config_file.read_text(), self.outputs
        for path, value in change.items():
            self._set(path, value)
        outcome = self.stack.try_up()
        if outcome.code != 0:
            self._assert_refused(outcome, before)
            self.stack.config_file.write_text(config)
            # Images and credentials, which nobody runs with yet, may have come before the refusal: they go again.
            self.stack.up()
            assert self._ids() == before, "the way back changes something"
        self._look()
        self.write()
        self.check()
        self._assert_revoked(old, kept)
        return "done" if outcome.code == 0 else "refused"

    def check(self) -> None:
        """See that the cluster has every row, and that nothing is left to do."""
        assert self.stack.steps() == {}, "a second preview has something to do"
        if self._access("read") == "off":
            assert self._post("/q", "SELECT 1", {}).status_code in _REFUSED
            return
        query = self._every_row()
        for _ in range(2 * int(self.outputs["readers"])):
            wait(lambda: self._rows(self._post("/q", query, self._header("read"))) == self.rows, "rows are missing")
        wait(lambda: self._rows(self._get(query, self._header("read"))) == self.rows, "the cache has other rows")

    def write(self) -> None:
        """Write a row into the table, and one into the catalog; and change the latter, which only LiteFS replicates."""
        if self._access("write") == "off":
            assert self._post("/w/q", "SELECT 1", {}).status_code in _REFUSED
            return
        number = next(self._numbers)
        self._acknowledged(f"INSERT INTO {TABLE} VALUES ({number})")
        self.rows.add(number)
        self._acknowledged(f"CREATE TABLE of_{number} AS SELECT {number} AS n")
        self._acknowledged(f"DROP TABLE of_{number}")

    def end(self) -> None:
        """Remove everything."""
        if self.stack.configuration("retainData"):
            self.stack.configure(retainData=None)
            self.stack.up()
        self.stack.destroy()
        left = (self.stack.everything(), self.stack.volumes(), self.stack.networks())
        assert left == ([], [], []), "destroy leaves something"

    def _set(self, path: str, value: Any) -> None:
        top, *below = path.split(".")
        if top in SECRET_KEYS and value is not None:
            stored = self.stack.set_secret(top, value)
            assert stored.code == 0, stored.text
            return
        if top == "images" and value == _TAG:
            value = self.other_images[below[0]]
        document = {top: deepcopy(self.stack.configuration(top))}
        place = document
        for key, inner in zip([top, *below], below, strict=False):
            place[key] = place.get(key) or {}
            place = place[key]
            if value is None and inner == below[-1]:
                place.pop(inner, None)
        if value is not None or not below:
            place[(below or [top])[-1]] = value
        self.stack.configure(**document)

    def _access(self, kind: str) -> str:
        return (self.stack.configuration("access") or {}).get(kind, "any")

    def _look(self) -> None:
        shown = self.stack.pulumi("stack", "output", "--json", "--show-secrets", config=False)
        assert shown.code == 0, shown.text
        self.outputs = json.loads(shown.text)

    def _ids(self) -> dict[str, Any]:
        return {
            "containers": {container.id: container.status for container in self.stack.everything()},
            "volumes": self.stack.volumes(),
            "networks": self.stack.networks(),
        }

    def _assert_refused(self, outcome: Outcome, before: dict[str, Any]) -> None:
        keys = set(re.findall(r"seafowl:(\w+)", outcome.text)) & _OWN_KEYS
        assert keys, f"no key is named:\n{outcome.text}"
        assert "Traceback" not in outcome.text, outcome.text
        assert self._ids() == before, f"something was changed all the same:\n{outcome.text}"

    def _every_row(self) -> str:
        """A query for every row: another one with each row, for the cache may keep an answer for an hour."""
        return f"SELECT n FROM {TABLE} WHERE n < {max(self.rows) + 1}"

    def _assert_revoked(self, old: dict[str, Any], kept: str) -> None:
        """What a client had before, and has no more, opens nothing; nor does no token where one is asked for.

        `kept`: a query that the cache may have an answer of.
        """
        if self._access("read") != "token":
            return
        stale = [header for header in ({}, _bearer(old.get("readToken"))) if header != self._header("read")]
        for header in stale:
            assert self._post("/q", kept, header).status_code in _REFUSED
            wait(lambda header=header: self._get(kept, header).status_code in _REFUSED, "the cache lets it in")

    def _acknowledged(self, statement: str) -> None:
        answer = self._post("/w/q", statement, self._header("write"))
        assert answer.status_code == 200, f"{answer.status_code} for {statement}: {answer.text}"

    def _header(self, kind: str) -> dict[str, str]:
        return _bearer(self.outputs.get(f"{kind}Token"))

    def _post(self, path: str, query: str, header: dict[str, str]) -> requests.Response:
        url = self.outputs["queryUrl"].removesuffix("/q") + path
        return requests.post(url, json={"query": query}, headers=header, verify=False, timeout=60)

    def _get(self, query: str, header: dict[str, str]) -> requests.Response:
        url = f"{self.outputs['queryUrl']}/{hashlib.sha256(query.encode()).hexdigest()}"
        return requests.get(url, headers={**header, "X-Seafowl-Query": quote(query)}, verify=False, timeout=60)

    @staticmethod
    def _rows(answer: requests.Response) -> set[int] | str:
        if answer.status_code != 200:
            return f"{answer.status_code}: {answer.text}"
        return {json.loads(line)["n"] for line in answer.text.splitlines()}


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
