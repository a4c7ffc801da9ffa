"""HTTP to one role: a few idle connections, and one request at a time on each. Knows nothing of retries."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Connect = Callable[[], http.client.HTTPConnection]

# Idle connections that are kept. More may be open while more threads send.
MAX_IDLE = 16


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: Any


class Stale(ConnectionError):
    """A kept connection turned out to be closed. A new one may work at once."""


class Http:
    """Sends requests to one base URL, from any number of threads."""

    def __init__(self, url: str, timeout: float, connect: Connect | None = None) -> None:
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"not a base URL such as https://chat.example.com: {url!r}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.prefix = parts.path.rstrip("/")
        self.connect: Connect = connect or (lambda: kind(parts.netloc, timeout=timeout))
        """A connection for one caller, who closes it."""

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answer:
        """Raises OSError or HTTPException without a whole answer: the request may have taken effect or not."""
        connection, is_kept = self._take()
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected) as error:
            connection.close()
            if is_kept:
                raise Stale("the server had closed an idle connection") from error
            raise
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._keep(connection)
        return Answer(response.status, response.headers, parsed(content))

    def close(self) -> None:
        """Closes the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __del__(self) -> None:
        self.close()

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        return self.connect(), False

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def parsed(content: bytes) -> Any:
    """The JSON of a body, or None: a proxy in between may answer anything."""
    try:
        return json.loads(content)
    except ValueError:
        return None
