"""Constant load of reads through the ingress, that counts what fails."""

import hashlib
import http.client
import itertools
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote

CONNECTIONS = 8


@dataclass(frozen=True)
class Answer:
    """What one read came to."""

    sent_at: float
    seconds: float
    outcome: str
    """The status, with the answer's first words unless it is 200, or the error that was met instead.

    "wrong" where the answer was not the expected one.
    """


@dataclass
class Load:
    """Reads over eight connections that stay open, until it is left: half POST, half GET, of these half ever new.

    Nothing is tried again: an error of the connection is a failed read.
    """

    port: int
    query: str
    expected: str
    """The answer's text."""

    tls: ssl.SSLContext | None = None
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._read, args=(index,)) for index in range(CONNECTIONS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait(lambda: len(self.answers) > 5 * CONNECTIONS)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> dict[str, int]:
        """What failed: outcome → how often."""
        return dict(Counter(answer.outcome for answer in self.answers if answer.outcome != "200"))

    def wait(self, until: Callable[[], bool], seconds: float = 30) -> None:
        """Let it go on until something is so."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, f"not within {seconds} seconds; {self.failed or 'no read failed'}"
            time.sleep(0.05)

    def some_more(self) -> None:
        """Let every connection get some more answers."""
        wanted = len(self.answers) + 10 * CONNECTIONS
        self.wait(lambda: len(self.answers) >= wanted)

    def _read(self, index: int) -> None:
        connection = self._connect()
        while not self._end.is_set():
            sent_at = time.monotonic()
            try:
                connection.request(*self._request(index))
                answer = connection.getresponse()
                text = answer.read().decode()
                outcome = str(answer.status)
                if answer.status != 200:
                    outcome += f": {text[:200]}"
                elif text != self.expected:
                    outcome = "wrong"
            except (OSError, http.client.HTTPException) as error:
                outcome = f"{type(error).__name__}: {error}"
                connection.close()
                connection = self._connect()
            self.answers.append(Answer(sent_at, time.monotonic() - sent_at, outcome))
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self.tls is not None:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def _request(self, index: int) -> tuple[str, str, bytes | None, dict[str, str]]:
        if index % 2:
            body = json.dumps({"query": self.query}).encode()
            return "POST", "/q", body, {"Content-Type": "application/json"}
        query = self.query if index % 4 else f"{self.query} -- {next(self._numbers)}"
        return cached("", query)


def cached(database: str, query: str) -> tuple[str, str, None, dict[str, str]]:
    """The request `GET /q/<hash>` for a query."""
    digest = hashlib.sha256(query.encode()).hexdigest()
    return "GET", f"{database}/q/{digest}", None, {"X-Seafowl-Query": quote(query)}
