"""A role behind its address: who asks, when a request is sent again, and what its errors mean."""

from __future__ import annotations

import copy
import http.client
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from ._http import Answer, Connect, Http, Stale
from .errors import ChattingError, RateLimited, Refused, Unavailable
from .gateway import ForwardedUser

Token = str | Callable[[bool], str] | ForwardedUser
"""A token, a function that returns one, or a user for whom a gateway vouches.

The function is called before every request, so it caches the token. Its argument says that the server refused the last
one as expired.
"""

OnRetry = Callable[[ChattingError, float], object]
"""Called before a request is sent again: why, and in how many seconds."""

Time = str | datetime
"""RFC 3339, or a datetime with a time zone."""

# A role answers within 25 s (`http.request_timeout`). A longer silence is a lost answer.
ANSWER_TIMEOUT_S = 30.0

# Ingest remembers an `Idempotency-Key` for at least 10 minutes. A later retry could store a second message.
MAX_PATIENCE_S = 9 * 60

BACKOFF_FIRST_S = 0.25
BACKOFF_MOST_S = 10.0

TOKEN_EXPIRED = "token_expired"

# 408: the body came too slowly. 5xx: the server, or a proxy before it. 2xx: without a JSON object it is a proxy's.
RETRIED = (*range(200, 300), 408, *range(500, 600))


class Role:
    """The address of a role, and who asks there."""

    def __init__(
        self,
        url: str,
        token: Token | None = None,
        *,
        patience: float = 60.0,
        retry_rate_limits: bool = False,
        on_retry: OnRetry | None = None,
        connect: Connect | None = None,
    ) -> None:
        """`url` is the role's address, such as `https://chat.example.com`.

        A call that gets no answer, or a 5xx, is sent again until `patience` seconds have passed (540 at most).
        `retry_rate_limits` does the same after a 429, for bots that can wait. `connect` makes connections in place of
        the default, for example with an `ssl.SSLContext` or through a proxy.
        """
        if not 0 <= patience <= MAX_PATIENCE_S:
            raise ValueError(f"patience is 0 to {MAX_PATIENCE_S} seconds, not {patience}")
        self._http = Http(url, ANSWER_TIMEOUT_S, connect)
        self._token = token
        self._patience = patience
        self._retries_limits = retry_rate_limits
        self._on_retry = on_retry

    def _with_token(self, token: Token) -> Any:
        other = copy.copy(self)
        other._token = token
        return other

    def close(self) -> None:
        """Closes the idle connections. A later call opens new ones."""
        self._http.close()

    def _target(self, template: str, path: Mapping[str, object], query: Mapping[str, object] | None) -> str:
        names = {name: quote(str(value), safe="") for name, value in path.items()}
        given = [(name, text(value)) for name, value in (query or {}).items() if value is not None]
        return self._http.prefix + template.format(**names) + (f"?{urlencode(given)}" if given else "")

    def _headers(self, method: str, target: str, body: bytes | None, is_expired: bool) -> dict[str, str]:
        if isinstance(self._token, ForwardedUser):
            return self._token.headers(method, target, body)
        token = self._token(is_expired) if callable(self._token) else self._token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _request(
        self,
        method: str,
        template: str,
        path: Mapping[str, object],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> Any:
        """Sends a request until its outcome is known, and returns the body of a 2xx."""
        target = self._target(template, path, query)
        content = None if body is None else json.dumps(body).encode()
        own = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            own["Idempotency-Key"] = key
        started = time.monotonic()
        may_be_stored, is_expired, attempt = False, False, 0
        while True:
            attempt += 1
            wait = backoff(attempt)
            # What a token function raises is its caller's.
            headers = {**own, **self._headers(method, target, content, is_expired)}
            try:
                answer = self._http.send(method, target, headers, content)
            except (OSError, http.client.HTTPException) as cause:
                error: ChattingError = Unavailable(f"no answer: {cause or type(cause).__name__}")
                error.__cause__ = cause
                may_be_stored = True
                wait = 0.0 if isinstance(cause, Stale) else wait
            else:
                if answer.status < 300 and isinstance(answer.body, dict):
                    return answer.body
                error = refusal(answer)
                if error.code == TOKEN_EXPIRED and callable(self._token) and not is_expired:
                    is_expired = True
                    continue
                may_be_stored |= isinstance(error, Unavailable) and error.outcome != "not_stored"
                wait = max(wait, error.retry_after or 0.0)
            error.idempotency_key = key
            error.outcome = ("unknown" if may_be_stored else error.outcome) if key is not None else None
            is_final = isinstance(error, Refused) and not (self._retries_limits and isinstance(error, RateLimited))
            if is_final or time.monotonic() - started + wait > self._patience:
                raise error
            if self._on_retry:
                self._on_retry(error, wait)
            time.sleep(wait)

    def _get_or_none(
        self, template: str, path: Mapping[str, object], absent: str, query: Mapping[str, object] | None = None
    ) -> Any:
        """A GET whose 404 with that code is an answer: None."""
        try:
            return self._request("GET", template, path, query=query)
        except Refused as refused:
            if refused.code == absent:
                return None
            raise

    def _pages(
        self, template: str, path: Mapping[str, object], query: Mapping[str, object], member: str
    ) -> Iterator[Any]:
        """The entries of all pages. A page may be empty and still have a next."""
        while True:
            page = self._request("GET", template, path, query=query)
            yield from page[member]
            if "next" not in page:
                return
            query = {**query, "after": page["next"]}


def backoff(attempt: int) -> float:
    """Seconds. Full jitter: clients that failed together do not come back together."""
    return random.uniform(0, min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2.0 ** min(attempt, 10)))


def refusal(answer: Answer) -> ChattingError:
    """The error that an answer stands for."""
    problem = answer.body if isinstance(answer.body, dict) else {}
    after = answer.headers.get("Retry-After", "")
    kind = RateLimited if answer.status == 429 else Unavailable if answer.status in RETRIED else Refused
    return kind(
        problem.get("detail") or f"the server answered {answer.status}",
        status=answer.status,
        code=problem.get("code"),
        retry_after=float(after) if after.isdigit() else None,
        outcome=problem.get("outcome"),
        problem=problem,
    )


def text(value: object) -> str:
    """A value as a query has it."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"a time needs a time zone, such as datetime.timezone.utc: {value!r}")
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
