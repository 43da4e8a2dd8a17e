"""A stand-in for Seafowl nodes behind the ingress: it notes what reaches it, and answers, or fails, as asked.

The query (a body's `query`, X-Seafowl-Query, or the path behind /q/) is a word and its argument: `sleep 3` answers
after that many seconds, `status 500` with that status, `drop` closes the connection without an answer, `half` in the
middle of one, `tag x` answers with that ETag, `columns 300` with a schema that wide. Anything else is answered too; no
two answers are the same. `GET /notes` tells what reached it, `GET /heads` of which requests the head did.
"""

import json
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

HEADS: list[str] = []
NOTES: list[dict[str, str]] = []
LOCK = threading.Lock()


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._send(200, b"fake\n")
        elif self.path == "/notes":
            self._send(200, json.dumps(NOTES).encode())
        elif self.path == "/heads":
            self._send(200, json.dumps(HEADS).encode())
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
        with LOCK:
            NOTES.append(
                {
                    "request": f"{self.command} {self.path}",
                    "query": query,
                    "id": self.headers.get("X-Request-Id", ""),
                    "authorization": self.headers.get("Authorization", ""),
                    "if-none-match": self.headers.get("If-None-Match", ""),
                }
            )
        word, _, argument = query.partition(" ")
        answer = f'{{"n":"{uuid.uuid4()}"}}\n'.encode()
        match word:
            case "sleep":
                time.sleep(float(argument))
                self._send(200, answer)
            case "status":
                self._send(int(argument), b"as asked\n")
            case "drop":
                self.close_connection = True
            case "half":
                self._send(200, answer, length=1000)
                self.close_connection = True
            case "columns":
                schema = "c" * (180 * int(argument))
                self._send(200, answer, {"Content-Type": f"application/json; arrow-schema={schema}"})
            case "tag" if self.headers.get("If-None-Match") == argument:
                self._send(304, b"")
            case "tag":
                self._send(200, answer, {"ETag": argument})
            case _:
                self._send(200, answer)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for key, value in {"Cache-Control": "no-cache", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    Server(("0.0.0.0", int(sys.argv[1])), Node).serve_forever()
