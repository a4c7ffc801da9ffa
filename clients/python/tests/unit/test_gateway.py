"""The gateway's signature, by the lines that the reference shows."""

from __future__ import annotations

import hashlib
import hmac
import re
from unittest import TestCase

from chatting_server import Gateway


class Signature(TestCase):
    def test_it_covers_the_request_and_the_identity(self) -> None:
        user = Gateway("secret").user(42, "a@b.c", "가 +", scope="chat:moderate")
        headers = user.headers("POST", "/v1/rooms/42/messages?a=b", b"{}")
        signature = re.fullmatch(r"t=(\d+),v2=([0-9a-f]{64})", headers["x-forward-signature"])
        assert signature
        # printf '{}' | openssl dgst -sha256 -binary | base64
        digest = "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"
        lines = (
            f"v2\n{signature[1]}\nPOST\n/v1/rooms/42/messages?a=b\n{digest}\n42\na%40b.c\n%EA%B0%80+%2B\nchat%3Amoderate"
        )
        self.assertEqual(headers["Content-Digest"], digest)
        self.assertEqual(signature[2], hmac.new(b"secret", lines.encode(), hashlib.sha256).hexdigest())

    def test_without_a_body_and_a_scope_there_is_no_digest_and_no_line(self) -> None:
        headers = Gateway(b"secret").user(42, "a@b.c", "nick").headers("GET", "/v1/requests", None)
        time = re.fullmatch(r"t=(\d+),v2=.*", headers["x-forward-signature"])
        assert time
        lines = f"v2\n{time[1]}\nGET\n/v1/requests\n\n42\na%40b.c\nnick"
        mac = hmac.new(b"secret", lines.encode(), hashlib.sha256).hexdigest()
        self.assertEqual(headers["x-forward-signature"], f"t={time[1]},v2={mac}")
        self.assertEqual({*headers} & {"Content-Digest", "x-forward-scope"}, set())

    def test_the_secret_is_in_no_output(self) -> None:
        self.assertNotIn("secret", repr(Gateway("secret").user(42, "a@b.c", "nick")))
