"""Exports across broken connections, and files that are complete or not there."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from unittest import TestCase

from fake import Reply, fake, problem

from chatting_server import Archive, Unavailable

GAP = {"stream": "CHAT_0", "batches": 20, "before": "2026-03-01T15:05:00.000Z"}


def line(second: int) -> bytes:
    sent_at = f"2026-03-01T15:00:{second:02}.000Z"
    return json.dumps({"id": f"id{second}", "text": "a", "sentAt": sent_at}).encode() + b"\n"


def ndjson(*chunks: bytes, is_whole: bool = True) -> Reply:
    return Reply(200, chunks=list(chunks), is_whole=is_whole)


class Exports(TestCase):
    def test_messages_come_once_although_the_connection_breaks(self) -> None:
        gap = json.dumps({"gap": GAP}).encode() + b"\n"
        broken = ndjson(gap, *map(line, range(20)), line(20)[:5], is_whole=False)
        with fake(broken, ndjson(gap, *map(line, range(9, 30)))) as role:
            export = Archive(role.url, "token").export(42)
            found = [message["id"] for message in export]
        self.assertEqual(found, [f"id{second}" for second in range(30)])
        self.assertEqual(export.gaps, [GAP])
        self.assertIn("from=2026-03-01T15%3A00%3A09Z", role.requests[1].target)

    def test_a_break_between_two_lines_is_noticed_too(self) -> None:
        with fake(ndjson(line(1), is_whole=False), ndjson(line(1), line(2))) as role:
            found = [message["id"] for message in Archive(role.url, "token").export(user=7)]
        self.assertEqual(found, ["id1", "id2"])

    def test_an_export_that_does_not_get_on_gives_up(self) -> None:
        with fake(problem(503, "overloaded", Retry_After="5")) as role:
            with self.assertRaises(Unavailable) as raised:
                list(Archive(role.url, "token", patience=1).export(42))
        self.assertEqual(raised.exception.code, "overloaded")

    def test_a_file_is_complete_or_not_there(self) -> None:
        headers = {"Archive-Gaps": '20;after="2026-03-01T15:00:00.000Z";before="2026-03-01T15:05:00.000Z", 1'}
        whole = Reply(200, headers=headers, chunks=[b"id,text\n", b"id1,a\n"])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "room.csv")
            with fake(ndjson(b"id,te", is_whole=False)) as role, self.assertRaises(Unavailable):
                Archive(role.url, "token", patience=0).save(file, 42)
            self.assertEqual(list(Path(folder).iterdir()), [])
            with fake(ndjson(b"id,te", is_whole=False), whole) as role:
                since = datetime(2026, 3, 1, tzinfo=timezone.utc)
                gaps = Archive(role.url, "token").save(file, 42, bom=True, from_=since)
            self.assertEqual(file.read_bytes(), b"id,text\nid1,a\n")
            self.assertEqual(list(Path(folder).iterdir()), [file])
        named = {"batches": 20, "after": "2026-03-01T15:00:00.000Z", "before": "2026-03-01T15:05:00.000Z"}
        self.assertEqual(gaps, [named, {"batches": 1}])
        self.assertIn("format=csv&bom=true&separator=comma", role.requests[0].target)
        self.assertIn("from=2026-03-01T00%3A00%3A00Z", role.requests[0].target)

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            list(Archive("http://127.0.0.1:1", "token").search(42, from_=datetime(2026, 3, 1)))
