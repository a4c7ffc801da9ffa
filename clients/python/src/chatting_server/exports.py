"""Exports: a stream of any size that is known to be complete, and goes on after a broken connection."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ._http import Answer, parsed
from ._role import TOKEN_EXPIRED, Role, backoff, refusal
from .errors import ChattingError, Unavailable
from .types import Message

# A room comes in the order of the log, and times are of the ingest nodes' clocks. The archive keeps every time within
# 2 s after and 8 s before the message was stored, so a message is at most 10 s older than any message before it.
OVERLAP = timedelta(seconds=10)

CHUNK_BYTES = 64 * 1024


class Export:
    """The messages of an export, each once. Iterate it once.

    `gaps` holds what left the log before it was archived, of the time span, known after the first message. Empty: the
    archive misses nothing that it noticed.
    """

    def __init__(self, role: Role, template: str, path: Mapping[str, object], query: Mapping[str, object]) -> None:
        self.gaps: list[dict[str, Any]] = []
        self._messages = self._read(Source(role, template, path), query)

    def __iter__(self) -> Iterator[Message]:
        return self._messages

    def __next__(self) -> Message:
        return next(self._messages)

    def _read(self, source: Source, query: Mapping[str, object]) -> Iterator[Message]:
        latest: datetime | None = None
        # The ids of the last seconds: what comes again after a resume.
        recent: OrderedDict[str, datetime] = OrderedDict()
        is_complete = False
        while not is_complete:
            since = {"from": latest - OVERLAP} if latest else {}
            try:
                with source.open({**query, **since, "format": "ndjson"}) as answer:
                    for line in lines(answer):
                        message = json.loads(line)
                        if "gap" in message:
                            # After a resume they come again.
                            if message["gap"] not in self.gaps:
                                self.gaps.append(message["gap"])
                            continue
                        if message["id"] in recent:
                            continue
                        source.has_progressed()
                        sent_at = datetime.fromisoformat(message["sentAt"].replace("Z", "+00:00"))
                        latest = max(latest or sent_at, sent_at)
                        recent[message["id"]] = sent_at
                        while next(iter(recent.values())) < latest - 2 * OVERLAP:
                            recent.popitem(last=False)
                        yield message
                    is_complete = True
            except Unavailable as error:
                source.pause_after(error)


def save(
    role: Role, template: str, path: Mapping[str, object], query: Mapping[str, object], file: Path
) -> list[dict[str, Any]]:
    """Streams an export into a file that appears when it is complete. A broken one begins anew."""
    source = Source(role, template, path)
    while True:
        unfinished = file.with_name(f".{file.name}.{uuid.uuid4()}")
        try:
            with open(unfinished, "xb") as written, source.open(query) as answer:
                written.writelines(chunks(answer))
            unfinished.replace(file)
            return gaps_of(answer.headers.get("Archive-Gaps"))
        except Unavailable as error:
            source.pause_after(error)
        finally:
            unfinished.unlink(missing_ok=True)


class Source:
    """Where an export comes from: asked again, after pauses, until `patience` has passed without progress."""

    def __init__(self, role: Role, template: str, path: Mapping[str, object]) -> None:
        self._role, self._template, self._path = role, template, path
        self._is_expired = False
        self.has_progressed()

    def has_progressed(self) -> None:
        """The patience begins anew."""
        self._progressed, self._failures = time.monotonic(), 0

    def pause_after(self, error: Unavailable) -> None:
        """Waits before the next attempt, or raises the error."""
        self._failures += 1
        pause = max(backoff(self._failures), error.retry_after or 0.0)
        if time.monotonic() - self._progressed + pause > self._role._patience:
            raise error
        if self._role._on_retry:
            self._role._on_retry(error, pause)
        time.sleep(pause)

    @contextmanager
    def open(self, query: Mapping[str, object]) -> Iterator[http.client.HTTPResponse]:
        """A 200, unread. Raises `Unavailable` where another attempt may help."""
        connection, answer, error = self._ask(query)
        if error.code == TOKEN_EXPIRED and callable(self._role._token) and not self._is_expired:
            self._is_expired = True
            connection, answer, error = self._ask(query)
        try:
            if answer.status != 200:
                raise error
            self._is_expired = False
            yield answer
        finally:
            connection.close()

    def _ask(
        self, query: Mapping[str, object]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse, ChattingError]:
        target = self._role._target(self._template, self._path, query)
        headers = self._role._headers("GET", target, None, self._is_expired)
        connection = self._role._http.connect()
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            body = None if answer.status == 200 else parsed(answer.read())
        except (OSError, http.client.HTTPException) as cause:
            connection.close()
            raise broken(cause) from cause
        return connection, answer, refusal(Answer(answer.status, answer.headers, body))


def chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body, as it comes. Raises `Unavailable` if it does not end as HTTP says: then it is not complete."""
    try:
        while content := answer.read1(CHUNK_BYTES):
            yield content
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
    except (OSError, http.client.HTTPException) as cause:
        raise broken(cause) from cause


def lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The lines of the body, as they come."""
    rest = b""
    for content in chunks(answer):
        *whole, rest = (rest + content).split(b"\n")
        yield from whole
    if rest:
        raise broken(http.client.IncompleteRead(rest))


def broken(cause: BaseException) -> Unavailable:
    """A connection that was lost on the way."""
    return Unavailable(f"the export broke off: {cause or type(cause).__name__}")


def gaps_of(header: str | None) -> list[dict[str, Any]]:
    """The header `Archive-Gaps` (RFC 9651): `20;after="…";before="…"`, separated by commas."""
    gaps = []
    for item in header.split(",") if header else []:
        batches, *parameters = item.strip().split(";")
        pairs = (parameter.strip().split("=", 1) for parameter in parameters)
        gaps.append({"batches": int(batches), **{name: value.strip('"') for name, value in pairs}})
    return gaps
