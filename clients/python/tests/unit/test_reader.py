"""A reader of a room, against streams that break, repeat and refuse."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any
from unittest import TestCase

from fake import Reply, fake, problem

from chatting_server import Reader, Refused, read_room


def block(data: dict[str, Any], id: str | None = None, event: str | None = None, retry: int | None = None) -> bytes:
    lines = [f"retry: {retry}"] if retry is not None else []
    lines += [f"event: {event}"] if event else []
    lines += [f"id: {id}"] if id else []
    return "\n".join([*lines, f"data: {json.dumps(data)}", "", ""]).encode()


def welcome(recovered: bool = True) -> bytes:
    return block({"position": "1-0-0", "recovered": recovered, "keepaliveSeconds": 20}, "1-0-0", "welcome")


def message(number: int) -> bytes:
    return block({"id": f"id{number}", "type": "message.posted", "text": "a"}, f"1-{number}-0")


def stream(*chunks: bytes) -> Reply:
    return Reply(200, headers={"Content-Type": "text/event-stream"}, chunks=list(chunks), is_whole=False)


def ids(reader: Reader, count: int) -> list[str]:
    return [str(event.get("id", event["type"])) for event in islice(reader, count)]


class Reading(TestCase):
    def test_events_come_once_and_in_order_across_a_break(self) -> None:
        half = message(3)
        with fake(stream(welcome(), message(1), message(2), half[:20]), stream(welcome(), message(2), half)) as role:
            with read_room(role.url, 42, "token", from_="window") as reader:
                self.assertEqual(ids(reader, 3), ["id1", "id2", "id3"])
        self.assertEqual(role.requests[0].target, "/v1/rooms/42/events?from=window")
        self.assertNotIn("Last-Event-ID", role.requests[0].headers)
        self.assertEqual(role.requests[1].headers["Last-Event-ID"], "1-2-0")

    def test_the_position_is_that_of_what_was_handled(self) -> None:
        with fake(stream(welcome(), message(1), message(2))) as role:
            with read_room(role.url, 42, position="1-0-0") as reader:
                next(reader)
                self.assertEqual(reader.position, "1-0-0")
                next(reader)
                self.assertEqual(reader.position, "1-1-0")
        self.assertEqual(role.requests[0].headers["Last-Event-ID"], "1-0-0")

    def test_a_gap_is_in_its_place_among_the_events(self) -> None:
        with fake(stream(welcome(), message(1)), stream(welcome(recovered=False), message(9))) as role:
            with read_room(role.url, 42) as reader:
                events = list(islice(reader, 3))
        self.assertEqual([event["type"] for event in events], ["message.posted", "gap", "message.posted"])
        self.assertEqual(events[1], {"type": "gap", "after": "1-1-0"})

    def test_an_expired_token_is_renewed_without_a_pause(self) -> None:
        pauses: list[float] = []
        expired = block({}, event="expired")
        with fake(stream(welcome(), expired), stream(welcome(), message(1))) as role:
            with read_room(
                role.url, 42, lambda is_expired: str(is_expired), on_retry=lambda _, pause: pauses.append(pause)
            ) as reader:
                self.assertEqual(ids(reader, 1), ["id1"])
        self.assertEqual([r.headers["Authorization"] for r in role.requests], ["Bearer False", "Bearer True"])
        self.assertEqual(pauses, [0.0])

    def test_a_node_that_stops_says_when_to_come_back(self) -> None:
        pauses: list[float] = []
        stopping = block({"withinMs": 2000}, "1-5-0", "reconnect", retry=30)
        with fake(stream(welcome(), stopping), stream(welcome(), message(6))) as role:
            with read_room(role.url, 42, on_retry=lambda _, pause: pauses.append(pause)) as reader:
                self.assertEqual(ids(reader, 1), ["id6"])
        self.assertEqual(pauses, [0.03])
        self.assertEqual(role.requests[1].headers["Last-Event-ID"], "1-5-0")

    def test_a_refusal_ends_it(self) -> None:
        for last in (problem(403, "forbidden"), stream(welcome(), block({"reason": "x"}, event="closed"))):
            with fake(problem(503, "not_ready"), last) as role:
                with read_room(role.url, 42) as reader, self.assertRaises(Refused):
                    next(reader)
            self.assertEqual(len(role.requests), 2)

    def test_close_ends_the_iteration(self) -> None:
        with fake(stream(welcome(), message(1))) as role:
            reader = read_room(role.url, 42)
            next(reader)
            reader.close()
            self.assertEqual(list(reader), [])
