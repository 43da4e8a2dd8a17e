"""Clients that write to one node, as a program that runs in that node's container: see `bench.inside`.

Nothing but Python's own library is there. One argument, as JSON; one line of JSON comes out.
"""

import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PATIENCE_SECONDS = 300
_BOUNDARY = "end-of-the-rows"
_BLOCK_ROWS = 16384
_FORM_BYTES = 4096
"""More than the form takes beside the rows."""


def insert(targets: list[dict[str, Any]], clients: list[list[tuple[int, str]]]) -> dict[str, Any]:
    """Clients that send statements at the same time, each of them one after the other.

    A statement comes with the number of the target that gets it. Connections stay open as long as the target lets them.
    Returns, client by client, status and seconds of each statement; and the seconds that all of it took.
    """
    answers: list[list[tuple[int, float]]] = [[] for _ in clients]
    begin = threading.Barrier(len(clients) + 1)

    def work(number: int) -> None:
        connections = [
            http.client.HTTPConnection(one["host"], one["port"], timeout=_PATIENCE_SECONDS) for one in targets
        ]
        begin.wait()
        for target, statement in clients[number]:
            answers[number].append(_answered(connections[target], targets[target]["path"] + "/q", statement))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    begin.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    return {"seconds": time.monotonic() - began, "answers": answers}


def _answered(connection: http.client.HTTPConnection, path: str, statement: str) -> tuple[int, float]:
    """Status (0 where the connection broke) and seconds."""
    sent = time.monotonic()
    try:
        connection.request("POST", path, json.dumps({"query": statement}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        status = answer.status
    except (OSError, http.client.HTTPException):
        connection.close()
        status = 0
    return status, time.monotonic() - sent


def upload(target: dict[str, Any], table: str, mebibytes: int) -> dict[str, Any]:
    """Upload so many rows as fit into a form of that size. Returns the status, MiB of the rows, and seconds."""
    head = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="data"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\nid,text\n'
    ).encode()
    block = "".join(
        f"{number},{os.urandom(24).hex()}\n" for number in range(10_000_000, 10_000_000 + _BLOCK_ROWS)
    ).encode()
    blocks = (mebibytes * 1024 * 1024 - _FORM_BYTES) // len(block)
    end = f"\r\n--{_BOUNDARY}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(blocks):
            yield block
        yield end

    headers = {
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(len(head) + blocks * len(block) + len(end)),
    }
    connection = http.client.HTTPConnection(target["host"], target["port"], timeout=_PATIENCE_SECONDS)
    began = time.monotonic()
    connection.request("POST", f"{target['path']}/upload/public/{table}", pieces(), headers)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    return {
        "status": answer.status,
        "text": text[:200],
        "mebibytes": blocks * len(block) / 1024 / 1024,
        "seconds": time.monotonic() - began,
    }


def memory(program: str) -> dict[str, Any]:
    """The most memory that the program's processes had at any moment since they began: `VmHWM` of proc(5), in MiB."""
    highest = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            status = (process / "status").read_text()
        except OSError:  # it has ended
            continue
        if any(word.endswith(f"/{program}") for word in words[:2]):
            kibibytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
            highest = max(highest, kibibytes / 1024)
    return {"mebibytes": highest}


if __name__ == "__main__":
    asked: dict[str, Any] = json.loads(sys.argv[1])
    command = {"insert": insert, "upload": upload, "memory": memory}[asked.pop("command")]
    print(json.dumps(command(**asked)))
