"""Reads a room beside its presenter: every event once and in order, across lost connections and restarted servers."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, cast

from ._http import Answer, Connect, parsed
from ._role import TOKEN_EXPIRED, Role, Token, backoff, refusal
from ._server_sent_events import Block, blocks
from .errors import ChattingError, Refused, Unavailable
from .types import Event, Gap

EVENTS = "/v1/rooms/{presenterIdx}/events"

# Remembered ids, to recognise events that come again after a reconnect.
MAX_SEEN = 20_000

# From the request to the first event.
WELCOME_TIMEOUT_S = 12.0

# The keepalive interval if the welcome has none.
KEEPALIVE_S = 20.0


def read_room(
    url: str,
    room: int,
    token: Token | None = None,
    *,
    position: str | None = None,
    from_: str = "now",
    on_retry: Callable[[ChattingError, float], object] | None = None,
    connect: Connect | None = None,
) -> Reader:
    """Follows a room at a delivery node, until `close()`.

    It begins after `position`, such as `reader.position` of an earlier run. Without one it begins with the next event,
    or with `from_="window"` with the oldest event that the server holds in memory (ten minutes by default).

    It reconnects by itself; `on_retry` is called before each pause with the reason and the seconds. `Refused` is raised
    where a reconnect is of no use.
    """
    return Reader(Role(url, token, patience=0, on_retry=on_retry, connect=connect), room, position, from_)


class Reader:
    """An iterator over the events of a room. Where events may be missing it has `{"type": "gap", "after": …}`."""

    def __init__(self, role: Role, room: int, position: str | None, from_: str) -> None:
        self._role, self._room, self._from = role, room, from_
        self._position = position
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._failures = 0
        self._is_expired = False
        self._closed = threading.Event()
        self._socket: socket.socket | None = None
        self._events = self._read()

    @property
    def position(self) -> str | None:
        """Every event up to here was handled: the loop came back for the next. Store it to go on later."""
        return self._position

    def __iter__(self) -> Iterator[Event | Gap]:
        return self._events

    def __next__(self) -> Event | Gap:
        return next(self._events)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the iteration, also from another thread."""
        self._closed.set()
        if self._socket:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was not connected any more

    def _read(self) -> Iterator[Event | Gap]:
        while not self._closed.is_set():
            wait: float | None = None
            try:
                for block in self._stream():
                    if self._closed.is_set():
                        return
                    if block.event == "message":
                        event = json.loads(block.data)
                        if event["id"] not in self._seen:
                            self._remember(event["id"])
                            yield cast(Event, event)
                    elif block.event == "welcome" and json.loads(block.data).get("recovered") is False:
                        yield {"type": "gap", "after": self._position}
                    elif block.event == "reconnect":
                        wait = (block.retry or 0) / 1000
                    elif block.event == "expired":
                        self._is_expired, wait = True, 0.0
                    elif block.event == "closed":
                        raise Refused("the room does not admit this reader any more")
                    self._position = block.id or self._position
                error: ChattingError = Unavailable("the stream ended")
            except Refused:
                if not self._closed.is_set():
                    raise
            except Unavailable as unavailable:
                error = unavailable
                if error.retry_after:
                    # Spread, so that readers do not come back all at once.
                    wait = error.retry_after * random.uniform(1, 2)
            except (OSError, http.client.HTTPException, ValueError) as cause:
                error = Unavailable(f"the stream broke off: {cause or type(cause).__name__}")
            if not self._closed.is_set():
                self._pause(error, wait)

    def _stream(self) -> Iterator[Block]:
        """The blocks of one connection. Raises for an answer other than 200."""
        target = self._role._target(EVENTS, {"presenterIdx": self._room}, {"from": self._from})
        was_expired, self._is_expired = self._is_expired, False
        headers = self._role._headers("GET", target, None, was_expired)
        if self._position:
            headers["Last-Event-ID"] = self._position
        connection = self._role._http.connect()
        try:
            connection.timeout = WELCOME_TIMEOUT_S
            connection.connect()
            self._socket = connection.sock
            connection.request("GET", target, headers={**headers, "Accept": "text/event-stream"})
            answer = connection.getresponse()
            if answer.status != 200:
                error = refusal(Answer(answer.status, answer.headers, parsed(answer.read())))
                if error.code == TOKEN_EXPIRED and callable(self._role._token) and not was_expired:
                    self._is_expired = True
                    raise Unavailable("the token has expired")
                raise error
            for block in blocks(answer):
                if block.event == "welcome":
                    self._failures = 0
                    self._socket.settimeout(2 * keepalive(json.loads(block.data)))
                yield block
        finally:
            connection.close()

    def _remember(self, id: str) -> None:
        self._seen[id] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)

    def _pause(self, error: ChattingError, wait: float | None) -> None:
        self._failures += 1
        pause = backoff(self._failures) if wait is None else wait
        if self._role._on_retry:
            self._role._on_retry(error, pause)
        self._closed.wait(pause)


def keepalive(welcome: dict[str, Any]) -> float:
    """The interval in which the server sends something, in seconds."""
    seconds = welcome.get("keepaliveSeconds")
    return float(seconds) if isinstance(seconds, (int, float)) and seconds > 0 else KEEPALIVE_S
