"""A gateway that has verified its users and vouches for them: signed headers in place of a token.

Ingest honours them with `ingest.gateway.mode = "signature"`; docs/reference/ingest-api.md has the signature (v2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from urllib.parse import quote_plus


@dataclass(frozen=True)
class ForwardedUser:
    """A user for whom a gateway vouches. Takes the place of a token: `ingest.with_token(gateway.user(…))`."""

    secret: bytes = field(repr=False)
    idx: int
    email: str
    nickname: str
    scope: str | None = None

    def headers(self, method: str, target: str, body: bytes | None) -> dict[str, str]:
        """The identity of this user, and the signature of this one request, valid for 300 s."""
        forwarded = {
            "x-forward-userIdx": str(self.idx),
            "x-forward-email": quote_plus(self.email),
            "x-forward-nickname": quote_plus(self.nickname),
        }
        if self.scope is not None:
            forwarded["x-forward-scope"] = quote_plus(self.scope)
        digest = ""
        if body is not None:
            digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        now = str(int(time.time()))
        lines = "\n".join(["v2", now, method, target, digest, *forwarded.values()])
        signature = hmac.new(self.secret, lines.encode(), hashlib.sha256).hexdigest()
        signed = {**forwarded, "x-forward-signature": f"t={now},v2={signature}"}
        return {**signed, "Content-Digest": digest} if digest else signed


class Gateway:
    """Holds the secret `ingest.gateway.secret`."""

    def __init__(self, secret: str | bytes) -> None:
        self._secret = secret.encode() if isinstance(secret, str) else secret

    def user(self, idx: int, email: str, nickname: str, scope: str | None = None) -> ForwardedUser:
        """A user whom the gateway has verified. `scope` is separated by blanks, such as `chat:moderate`."""
        return ForwardedUser(self._secret, idx, email, nickname, scope)
