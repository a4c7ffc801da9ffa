"""When a request is sent again, under which key, and what an error says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from unittest import TestCase

from fake import ACCEPTED, LOST, Reply, fake, problem

from chatting_server import Archive, Ingest, RateLimited, Refused, Unavailable

ACCEPT = Reply(202, ACCEPTED)
KEY = "Idempotency-Key"


class Retries(TestCase):
    def test_a_lost_answer_is_asked_for_again_under_the_same_key(self) -> None:
        with fake(LOST, ACCEPT) as role:
            posted = Ingest(role.url, "token").post(1, "안녕하세요")
        self.assertEqual(posted, ACCEPTED)
        self.assertEqual(len(role.requests), 2)
        self.assertEqual(role.requests[0].headers[KEY], role.requests[1].headers[KEY])
        self.assertEqual([request.body for request in role.requests], [{"text": "안녕하세요"}] * 2)

    def test_each_message_has_a_key_of_its_own_unless_it_is_given(self) -> None:
        with fake(ACCEPT) as role:
            ingest = Ingest(role.url, "token")
            ingest.post(1, "a")
            ingest.post(1, "a")
            ingest.post(1, "a", idempotency_key="mine")
        keys = [request.headers[KEY] for request in role.requests]
        self.assertEqual(len(set(keys)), 3)
        self.assertEqual(keys[2], "mine")

    def test_a_kept_connection_that_was_closed_costs_no_pause(self) -> None:
        pauses: list[float] = []
        with fake(ACCEPT, LOST, ACCEPT) as role:
            ingest = Ingest(role.url, "token", on_retry=lambda _, pause: pauses.append(pause))
            ingest.post(1, "a")
            ingest.post(1, "b")
        self.assertEqual(pauses, [0.0])

    def test_it_does_not_come_back_before_retry_after(self) -> None:
        pauses: list[float] = []
        with fake(problem(503, "log_unavailable", outcome="not_stored", Retry_After="1"), ACCEPT) as role:
            Ingest(role.url, "token", on_retry=lambda _, pause: pauses.append(pause)).post(1, "a")
        self.assertEqual(len(pauses), 1)
        self.assertGreaterEqual(pauses[0], 1.0)

    def test_it_gives_up_when_the_patience_is_at_its_end_and_says_what_became_of_the_message(self) -> None:
        with fake(problem(503, "log_unavailable", outcome="not_stored", Retry_After="7")) as role:
            with self.assertRaises(Unavailable) as raised:
                Ingest(role.url, "token", patience=2).post(1, "a", idempotency_key="mine")
        error = raised.exception
        self.assertEqual((error.status, error.code, error.retry_after), (503, "log_unavailable", 7.0))
        self.assertEqual((error.outcome, error.idempotency_key), ("not_stored", "mine"))
        self.assertEqual(len(role.requests), 1)

    def test_after_a_lost_answer_the_outcome_stays_unknown(self) -> None:
        with fake(LOST, problem(503, "log_full", outcome="not_stored", Retry_After="7")) as role:
            with self.assertRaises(Unavailable) as raised:
                Ingest(role.url, "token", patience=2).post(1, "a")
        self.assertEqual(raised.exception.outcome, "unknown")

    def test_a_proxys_page_is_not_taken_for_an_acceptance(self) -> None:
        with fake(Reply(200, b"<html>welcome to the hotel</html>"), ACCEPT) as role:
            self.assertEqual(Ingest(role.url, "token").post(1, "a"), ACCEPTED)
        self.assertEqual(len(role.requests), 2)

    def test_a_refusal_is_final(self) -> None:
        with fake(problem(409, "room_not_live")) as role:
            with self.assertRaises(Refused) as raised:
                Ingest(role.url, "token").post(1, "a")
        self.assertEqual((raised.exception.code, raised.exception.outcome), ("room_not_live", None))
        self.assertEqual(str(raised.exception), "409 room_not_live: room_not_live.")
        self.assertEqual(len(role.requests), 1)

    def test_a_refusal_after_a_lost_answer_is_looked_up(self) -> None:
        found = {"id": ACCEPTED["id"], "position": "1-1-0"}
        with fake(LOST, problem(429, "msg_slow_mode", Retry_After="9"), Reply(200, found)) as role:
            self.assertEqual(Ingest(role.url, "token").post(1, "a", idempotency_key="mine"), found)
        self.assertEqual((role.requests[2].method, role.requests[2].target), ("GET", "/v1/rooms/1/requests"))
        self.assertEqual(role.requests[2].headers[KEY], "mine")

    def test_a_refusal_whose_message_is_not_there_stands(self) -> None:
        with fake(LOST, problem(403, "msg_banned"), problem(404, "request_not_found")) as role:
            with self.assertRaises(Refused) as raised:
                Ingest(role.url, "token").post(1, "a")
        self.assertEqual((raised.exception.code, raised.exception.outcome), ("msg_banned", None))

    def test_a_look_up_that_fails_leaves_the_outcome_unknown(self) -> None:
        with fake(LOST, problem(403, "msg_banned"), problem(429, "read_rate_limited", Retry_After="1")) as role:
            with self.assertRaises(Refused) as raised:
                Ingest(role.url, "token").post(1, "a")
        self.assertEqual((raised.exception.code, raised.exception.outcome), ("msg_banned", "unknown"))

    def test_a_decision_about_every_room_is_looked_up_there(self) -> None:
        with fake(LOST, problem(409, "too_many_bans"), Reply(200, ACCEPTED)) as role:
            self.assertEqual(Ingest(role.url, "token").ban_everywhere(7), ACCEPTED)
        self.assertEqual(role.requests[2].target, "/v1/requests")

    def test_a_rate_limit_is_raised_or_waited_for(self) -> None:
        with fake(problem(429, "msg_rate_limited", Retry_After="1")) as role:
            with self.assertRaises(RateLimited) as raised:
                Ingest(role.url, "token").post(1, "a")
        self.assertEqual(raised.exception.retry_after, 1.0)
        with fake(problem(429, "msg_rate_limited", Retry_After="1"), ACCEPT) as role:
            self.assertEqual(Ingest(role.url, "token", retry_rate_limits=True).post(1, "a"), ACCEPTED)

    def test_an_expired_token_is_renewed_once(self) -> None:
        asked: list[bool] = []

        def token(is_expired: bool) -> str:
            asked.append(is_expired)
            return "new" if is_expired else "old"

        with fake(problem(401, "token_expired"), ACCEPT) as role:
            Ingest(role.url, token).post(1, "a")
        self.assertEqual([request.headers["Authorization"] for request in role.requests], ["Bearer old", "Bearer new"])
        with fake(problem(401, "token_expired")) as role:
            with self.assertRaises(Refused):
                Ingest(role.url, token).post(1, "a")
        self.assertEqual(len(role.requests), 2)

    def test_a_token_function_that_fails_ends_the_call(self) -> None:
        def token(_: bool) -> str:
            raise ConnectionError("signed out")

        with fake(ACCEPT) as role:
            with self.assertRaisesRegex(ConnectionError, "signed out"):
                Ingest(role.url, token).post(1, "a")
        self.assertEqual(role.requests, [])

    def test_a_gateway_asks_for_many_users_over_the_same_connections(self) -> None:
        with fake(ACCEPT) as role:
            ingest = Ingest(role.url)
            ingest.with_token("a").post(1, "a")
            ingest.with_token("b").post(1, "b")
        self.assertEqual([request.headers["Authorization"] for request in role.requests], ["Bearer a", "Bearer b"])

    def test_threads_share_it(self) -> None:
        with fake(ACCEPT) as role, ThreadPoolExecutor(8) as threads:
            ingest = Ingest(role.url, "token")
            posted = list(threads.map(lambda number: ingest.post(1, str(number)), range(80)))
        self.assertEqual(posted, [ACCEPTED] * 80)
        self.assertEqual(sorted(int(request.body["text"]) for request in role.requests), list(range(80)))

    def test_pages_are_followed_also_through_an_empty_one(self) -> None:
        pages = [{"messages": [{"id": "a"}], "next": "x"}, {"messages": [], "next": "y"}, {"messages": [{"id": "b"}]}]
        with fake(*(Reply(200, page) for page in pages)) as role:
            found = list(Archive(role.url, "token").search(42, text="ㅋㅋ &"))
        self.assertEqual([message["id"] for message in found], ["a", "b"])
        self.assertIn("text=%E3%85%8B%E3%85%8B+%26", role.requests[0].target)
        self.assertTrue(role.requests[2].target.endswith("after=y"), role.requests[2].target)

    def test_what_cannot_be_right_is_refused_before_it_is_sent(self) -> None:
        for url in ("chat.example.com", "ftp://chat.example.com", "https://chat.example.com/?a=b"):
            with self.assertRaises(ValueError):
                Ingest(url)
        with self.assertRaises(ValueError):
            Ingest("https://chat.example.com", patience=601)
        with self.assertRaises(ValueError):
            Archive("https://chat.example.com").search()
