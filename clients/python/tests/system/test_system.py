"""The client against a running system: `cargo test --test it clients::` starts it, and names it in the environment.

Room 1 has a played broadcast.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import secrets
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection, HTTPResponse
from itertools import islice
from pathlib import Path
from unittest import TestCase
from urllib.parse import urlsplit

from chatting_server import Archive, Gateway, Ingest, Refused, read_room

INGEST = os.environ["CHATTING_INGEST"]
DELIVERY = os.environ["CHATTING_DELIVERY"]
ARCHIVE = os.environ["CHATTING_ARCHIVE"]
SECRET = os.environ["CHATTING_SECRET"]
GATEWAY_SECRET = os.environ["CHATTING_GATEWAY_SECRET"]

# Rooms and users of this run, so that it can be repeated.
READ, LOST, MODERATED, ERASED, SIGNED, BANNED, LEAVING = range(base := 1000 + 1000 * secrets.randbelow(10**9), base + 7)

# Longer than any part of the system takes on a busy machine.
PATIENCE_S = 30.0


def token(user: int, scope: str = "") -> str:
    """A token as the platform's auth server issues it."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    claims = {"user_idx": user, "nickname": f"user{user}", "sub": f"{user}@example.com", "exp": int(time.time()) + 3600}
    header = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = part(json.dumps({**claims, **({"scope": scope} if scope else {})}).encode())
    mac = hmac.new(SECRET.encode(), f"{header}.{body}".encode(), hashlib.sha256).digest()
    return f"{header}.{body}.{part(mac)}"


def archived(archive: Archive, room: int, count: int) -> list[str]:
    """The ids of a room's messages, once that many are archived."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        ids = [message["id"] for message in archive.search(room, deleted="include")]
        if len(ids) >= count:
            return ids
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(ids)} of {count} messages are archived")
        threading.Event().wait(0.02)


class LosesItsFirstAnswer(HTTPConnection):
    """Takes the first answer from the server and throws it away."""

    lost = 0

    def getresponse(self) -> HTTPResponse:
        response = super().getresponse()
        if LosesItsFirstAnswer.lost == 0:
            LosesItsFirstAnswer.lost += 1
            response.read()
            raise http.client.RemoteDisconnected("the answer was lost (on purpose)")
        return response


class System(TestCase):
    def test_a_message_is_posted_read_and_archived(self) -> None:
        ingest, presenter = Ingest(INGEST, token(42)), token(READ)
        with read_room(DELIVERY, READ, presenter, from_="window") as reader:
            posted = [ingest.post(READ, f"안녕하세요 {number}") for number in range(20)]
            # Decisions about every room are among its events.
            read = list(islice((event for event in reader if event["type"] == "message.posted"), 20))
            position = reader.position
        ids = [message["id"] for message in posted]
        self.assertEqual([event.get("id") for event in read], ids)
        self.assertEqual(archived(Archive(ARCHIVE, presenter), READ, 20), ids)
        with read_room(DELIVERY, READ, presenter, position=position) as reader:
            self.assertEqual(next(reader).get("id"), ids[19])
            last = ingest.post(READ, "last")
            self.assertEqual(next(reader).get("id"), last["id"])

    def test_a_message_whose_answer_was_lost_stays_one_message(self) -> None:
        def connect() -> HTTPConnection:
            return LosesItsFirstAnswer(urlsplit(INGEST).netloc, timeout=30)

        reasons: list[str] = []
        ingest = Ingest(INGEST, token(42), connect=connect, on_retry=lambda error, _: reasons.append(error.detail))
        posted = ingest.post(LOST, "once", idempotency_key="once")
        self.assertEqual(reasons, ["no answer: the answer was lost (on purpose)"])
        self.assertEqual(archived(Archive(ARCHIVE, token(LOST)), LOST, 1), [posted["id"]])
        self.assertEqual(ingest.look_up(LOST, "once"), {"id": posted["id"], "position": posted["position"]})
        self.assertIsNone(ingest.look_up(LOST, "never"))

    def test_a_moderator_moderates(self) -> None:
        viewer, presenter = Ingest(INGEST, token(42)), Ingest(INGEST, token(MODERATED))
        moderator = Ingest(INGEST, token(9, "chat:moderate"))
        message = viewer.post(MODERATED, "buy my stuff")
        moderator.delete_message(MODERATED, message["id"], reason="advertising")
        presenter.ban(MODERATED, 42, seconds=600, reason="advertising")
        with self.assertRaises(Refused) as raised:
            viewer.post(MODERATED, "hello?")
        self.assertEqual(raised.exception.code, "msg_banned")
        self.assertIn("until", raised.exception.problem)
        self.assertEqual([ban["user"] for ban in presenter.bans(MODERATED)], [42])
        ban = presenter.get_ban(MODERATED, 42)
        self.assertEqual(ban and ban.get("reason"), "advertising")
        presenter.unban(MODERATED, 42)
        self.assertIsNone(presenter.get_ban(MODERATED, 42))
        with self.assertRaises(Refused) as raised:
            presenter.unban(MODERATED, 42)
        self.assertEqual((raised.exception.status, raised.exception.code), (404, "not_banned"))

        moderator.ban_everywhere(BANNED, seconds=60)
        self.assertIn(BANNED, [ban["user"] for ban in moderator.bans_everywhere()])
        self.assertIsNotNone(moderator.get_ban_everywhere(BANNED))
        moderator.unban_everywhere(BANNED, idempotency_key=f"unban-{BANNED}")
        self.assertIsNotNone(moderator.look_up_everywhere(f"unban-{BANNED}"))

        presenter.add_moderator(MODERATED, 8, reason="helps on Fridays")
        self.assertEqual([entry["user"] for entry in presenter.moderators(MODERATED)], [8])
        appointed = presenter.get_moderator(MODERATED, 8)
        self.assertEqual(appointed and appointed.get("reason"), "helps on Fridays")
        Ingest(INGEST, token(8)).clear(MODERATED)
        presenter.remove_moderator(MODERATED, 8)
        self.assertIsNone(presenter.get_moderator(MODERATED, 8))

        presenter.change_settings(MODERATED, {"slowModeSeconds": 10}, seconds=300)
        self.assertEqual(presenter.get_settings(MODERATED)["own"], {"slowModeSeconds": 10})
        presenter.change_settings(MODERATED, {"slowModeSeconds": None})
        self.assertEqual(presenter.get_settings(MODERATED)["own"], {})

        archive = Archive(ARCHIVE, token(MODERATED))
        types: list[str] = []
        deadline = time.monotonic() + PATIENCE_S
        while "moderator.removed" not in types or types.count("room.updated") < 2:
            self.assertLess(time.monotonic(), deadline, types)
            threading.Event().wait(0.02)
            types = [decision["type"] for decision in archive.decisions(MODERATED)]
        self.assertEqual(types[:3], ["message.deleted", "user.banned", "user.unbanned"])
        # A decision is listed before the messages that it is about are marked.
        while archive.get_message(MODERATED, message["id"]) is not None:
            self.assertLess(time.monotonic(), deadline)
            threading.Event().wait(0.02)
        (deleted,) = archive.search(MODERATED, deleted="only")
        self.assertEqual(deleted.get("deleted", {}).get("reason"), "advertising")

    def test_a_played_broadcast_is_searched_exported_measured_and_replayed(self) -> None:
        archive = Archive(ARCHIVE, token(7, "chat:read"))
        messages = list(archive.search(1, page_size=100))
        ids = [message["id"] for message in messages]
        self.assertGreater(len(ids), 300)
        export = archive.export(1)
        self.assertEqual([message["id"] for message in export], ids)
        self.assertEqual(export.gaps, [])
        self.assertEqual([message["id"] for message in archive.search(1, order="desc")], ids[::-1])
        author = messages[0]["user"]["idx"]
        own = [message["id"] for message in messages if message["user"]["idx"] == author]
        self.assertEqual([message["id"] for message in archive.export(user=author)], own)
        self.assertEqual(archive.get_message(1, ids[0]), messages[0])

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "room.csv")
            self.assertEqual(archive.save(file, 1, bom=True), [])
            lines = file.read_text("utf-8-sig").splitlines()
            self.assertEqual(len(lines), len(ids) + 1)
            (broadcast,) = archive.broadcasts(1)
            self.assertEqual(archive.save_broadcast(file, 1, broadcast["id"], format="webvtt"), [])
            self.assertTrue(file.read_text().startswith("WEBVTT"))
        found = archive.get_broadcast(1, broadcast["id"])
        self.assertEqual(found and found["messages"], broadcast["messages"])

        first = datetime.fromisoformat(messages[0]["sentAt"].replace("Z", "+00:00"))
        from_, to = first - timedelta(minutes=1), datetime.now(timezone.utc) + timedelta(minutes=1)
        statistics = archive.statistics(1, from_, to)
        self.assertEqual(statistics["messages"], len(ids))
        self.assertEqual(sum(bucket["messages"] for bucket in statistics["buckets"]), len(ids))
        self.assertEqual(len(archive.chatters(1, from_, to, first=3)), 3)
        self.assertEqual(len(archive.words(1, from_, to, first=5)), 5)
        self.assertEqual(archive.highlights(1, from_, to), [])

    def test_a_user_is_erased(self) -> None:
        Ingest(INGEST, token(LEAVING)).post(ERASED, "my address is …")
        archive = Archive(ARCHIVE, token(ERASED))
        archived(archive, ERASED, 1)
        privacy = Archive(ARCHIVE, token(9, "chat:erase"))
        receipt = privacy.erase(LEAVING)
        self.assertEqual(receipt["userIdx"], LEAVING)
        self.assertEqual([entry["erasure"] for entry in privacy.erasures(LEAVING)], [receipt["erasure"]])
        deadline = time.monotonic() + PATIENCE_S
        while list(archive.search(ERASED)):
            self.assertLess(time.monotonic(), deadline)
            threading.Event().wait(0.02)

    def test_a_gateway_vouches_for_its_users(self) -> None:
        ingest, gateway = Ingest(INGEST), Gateway(GATEWAY_SECRET)
        posted = ingest.with_token(gateway.user(66, "a+b@example.com", "별명 +")).post(SIGNED, "안녕")
        archive = Archive(ARCHIVE, token(SIGNED))
        self.assertEqual(archived(archive, SIGNED, 1), [posted["id"]])
        (message,) = archive.search(SIGNED)
        self.assertEqual((message["user"]["idx"], message["user"]["nickname"]), (66, "별명 +"))
        moderator = ingest.with_token(gateway.user(9, "m@example.com", "mod", scope="chat:moderate"))
        moderator.delete_message(SIGNED, posted["id"], reason="off topic & more")
        with self.assertRaises(Refused) as raised:
            ingest.with_token(Gateway("another secret, of more than 32 bytes").user(66, "a@b.c", "n")).post(SIGNED, "a")
        self.assertEqual(raised.exception.code, "token_missing")
