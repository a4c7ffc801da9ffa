"""What a call raises. Branch on the class and on `code`; `detail` is for people and may change."""

from __future__ import annotations

from typing import Any, Literal

Outcome = Literal["not_stored", "unknown"]


class ChattingError(Exception):
    """A call failed. The members that do not apply are None."""

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        outcome: Outcome | None = None,
        idempotency_key: str | None = None,
        problem: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        """The HTTP status of the last answer."""
        self.code = code
        """The error, for programs: one of `chatting_server.codes.Code`, or a code of a later server."""
        self.retry_after = retry_after
        """The server asks to wait for so many seconds before the next attempt."""
        self.outcome = outcome
        """Of a post or a decision: `unknown` if an attempt may have taken effect. `Ingest.look_up` tells later."""
        self.idempotency_key = idempotency_key
        """The key of the post or the decision. A further attempt under it cannot store a second one."""
        self.problem = problem or {}
        """The whole body of the answer, such as `until` of a ban."""

    def __str__(self) -> str:
        if self.status is None:
            return self.detail
        outcome = f", outcome {self.outcome}" if self.outcome else ""
        return f"{self.status} {self.code or ''}".rstrip() + f"{outcome}: {self.detail}"


class Refused(ChattingError):
    """The server refused the request. The same request gets the same answer."""


class RateLimited(Refused):
    """Too much in a short time (429). The request is possible again after `retry_after` seconds."""


class Unavailable(ChattingError):
    """No answer, or answers that say to come again, for as long as `patience`. `status` is None without an answer."""
