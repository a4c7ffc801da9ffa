"""A role that answers as a test says, over real connections."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

ACCEPTED = {"id": "8d2b6f6e-0f6f-5a5e-9d65-0d8f4a2c1b10", "position": "1-1-0", "presenter": "connected"}


@dataclass
class Request:
    """What came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """What goes out. `chunks` are sent one by one; without `is_whole` the connection breaks after them."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] | None = None
    is_whole: bool = True


def problem(status: int, code: str, **headers: str) -> Reply:
    """An error of the server; `outcome` is a member of the body."""
    outcome = {"outcome": headers.pop("outcome")} if "outcome" in headers else {}
    body = {"status": status, "code": code, "detail": f"{code}.", **outcome}
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


LOST = Reply(status=0)
"""The request is taken, and the connection breaks."""


class Fake:
    """Answers with the replies in turn, and the last one for ever."""

    def __init__(self, replies: list[Reply]) -> None:
        self.requests: list[Request] = []
        self.replies = replies
        self.url = ""

    def reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def fake(*replies: Reply) -> Iterator[Fake]:
    """A running server with these replies."""
    role = Fake(list(replies))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(content) if content else None
            role.requests.append(Request(self.command, self.path, dict(self.headers.items()), body))
            reply = role.reply()
            if reply.status == 0:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.chunks is None:
                text = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in reply.chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if reply.is_whole:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = not reply.is_whole

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    role.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield role
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
