"""A stand-in for Seafowl nodes behind the ingress: it notes what reaches it, and answers, or fails, as asked.

The query (a body's `query`, X-Seafowl-Query, or the path behind /q/) is a word and its argument: `sleep 3` runs for
that many seconds (or `sleep 100ms`), `plan 2` is planned for as many, the answer of `stream 3` begins at once and takes
that long, `fail end` is answered with a row and an error's text behind it, `fail between` with another row behind that,
`fail first` with the text alone, all three with status 200, `rows 1000` with that many,
`status 500` is answered with that status, `drop` closes the connection without an answer, `half` in the middle of one,
`columns 300` is answered with a schema that wide. They may stand in a comment of an SQL query, such as
`SELECT 1 /* sleep 3 */`. Anything else is answered too; no two answers are the same, and each says when it was made.

As with Seafowl, an answer has an ETag, and a GET whose If-None-Match still holds is planned and not run. It holds as
long as the tables are the same: for ever, but for a query with `changing` in it, whose tables change all the time.

`GET /notes` tells what reached it, from when until when; `GET /heads` of which requests the head did. After `GET /ill`
it answers every query with status 400, as Seafowl does that reaches no object store, and after `GET /well` as before.
"""

import json
import re
import sys
import threading
import time
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

HEADS: list[str] = []
NOTES: list[dict[str, Any]] = []
LOCK = threading.Lock()
ILL = threading.Event()
TABLES = "e2e0"
ERROR = b"Arrow error: Divide by zero error"


def seconds(text: str) -> float:
    """`3`, or `100ms`: a dot in the path would end the query, as at Seafowl."""
    return float(text.removesuffix("ms")) / 1000 if text.endswith("ms") else float(text)


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._send(200, b"fake\n")
        elif self.path == "/notes":
            self._send(200, json.dumps(NOTES).encode())
        elif self.path == "/heads":
            self._send(200, json.dumps(HEADS).encode())
        elif self.path in ("/ill", "/well"):
            (ILL.set if self.path == "/ill" else ILL.clear)()
            self._send(200, b"true")
        else:
            self._query(unquote(self.headers.get("X-Seafowl-Query", self.path.rpartition("/q/")[2])))

    def do_POST(self) -> None:
        HEADS.append(self.path)
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else b""
        if length is None:
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        try:
            query = json.loads(body)["query"]
        except (ValueError, KeyError):
            query = f"{len(body)} bytes"
        self._query(query)

    def _query(self, query: str) -> None:
        note: dict[str, Any] = {
            "request": f"{self.command} {self.path}",
            "query": query,
            "id": self.headers.get("X-Request-Id", ""),
            "authorization": self.headers.get("Authorization", ""),
            "if-none-match": self.headers.get("If-None-Match", ""),
            "from": time.time(),
        }
        with LOCK:
            NOTES.append(note)
        try:
            self._answer(query)
        finally:
            note["until"] = time.time()

    def _answer(self, query: str) -> None:
        if ILL.is_set():
            self._send(400, b"no object store\n")
            return
        commented = re.search(r"/\* (.*) \*/", query)
        word, _, argument = (commented[1] if commented else query).partition(" ")
        number = argument.partition(" ")[0]
        if word == "plan":
            time.sleep(seconds(number))
        headers = {"ETag": str(uuid.uuid4()) if "changing" in query else TABLES}
        if self.headers.get("If-None-Match") == headers["ETag"]:
            self._send(304, b"")
            return
        if word == "sleep":
            time.sleep(seconds(number))
        answer = f'{{"n":"{uuid.uuid4()}","at":{time.time()}}}\n'.encode()
        match word:
            case "stream":
                self._send(200, answer[:10], headers, length=len(answer))
                time.sleep(seconds(number))
                self.wfile.write(answer[10:])
            case "fail":
                rows = {"end": answer + ERROR, "between": answer + ERROR + answer, "first": ERROR}
                self._send(200, rows[number], headers)
            case "rows":
                self._send(200, answer * int(number), headers)
            case "status":
                self._send(int(number), b"as asked\n")
            case "drop":
                self.close_connection = True
            case "half":
                self._send(200, answer, headers, length=1000)
                self.close_connection = True
            case "columns":
                schema = "c" * (180 * int(number))
                self._send(200, answer, {**headers, "Content-Type": f"application/json; arrow-schema={schema}"})
            case _:
                self._send(200, answer, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        # fact: http.rs names the schema in each answer's type, and JSON lines are what it sends.
        kind = "application/json; arrow-schema=%7B%7D" if status == HTTPStatus.OK else "text/plain"
        for key, value in {"Cache-Control": "no-cache", "Content-Type": kind, **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    for port in sys.argv[1:]:
        threading.Thread(target=Server(("0.0.0.0", int(port)), Node).serve_forever).start()
