"""What the client asks for is what the OpenAPI documents of the roles offer: paths, parameters, bodies and codes."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from unittest import TestCase
from urllib.parse import parse_qs, urlsplit

from fake import Reply, Request, fake

from chatting_server import Archive, Ingest, Unavailable, archive, codes, ingest, reader
from chatting_server import types as results

REFERENCE = Path(__file__).parents[4] / "docs/reference"
TIME = "2026-03-01T15:00:00.000Z"

# A value for every parameter that is not a number.
VALUES: dict[str, Any] = {
    "text": "안녕하세요", "message": "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11", "idempotency_key": "key", "reason": "raid",
    "settings": dict.fromkeys(results.SettingsChange.__annotations__), "from_": TIME, "to": TIME, "flag": "ko.abuse",
    "attribute": "color:#00C853", "attributes": {"color": "#00C853"}, "reply_to": "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11",
    "emote": "wave", "emotes": [{"id": "wave", "start": 0, "end": 5}],
    "deleted": "only", "decision": "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11", "order": "desc", "format": "csv",
    "bom": True, "separator": "semicolon", "broadcast": "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a12", "timeline": "wall",
    "type": "user.banned", "mode": "anonymise", "position": "1-2-0", "category": "spam", "state": "open",
    "note": "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11",
    "rule": {"texts": ["a"], "users": [1], "label": "ko.abuse", "firstSeenSeconds": 60}, "forward": "hold", "sweep": "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11",
}  # fmt: skip

# Not of a client: probes, the documents, the original's surface, and the replay at the server's pace.
LEFT_OUT = {
    "root", "livez", "readyz", "openapi", "send_message", "token", "get_status", "replay_events",
}  # fmt: skip


def document(role: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REFERENCE / f"openapi/{role}.json").read_text())
    return found


def operations(api: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def asked_by(api: dict[str, Any], request: Request) -> dict[str, Any]:
    """The operation that answers a request."""
    path = urlsplit(request.target).path
    for method, template, operation in operations(api):
        pattern = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in template.split("/"))
        if method == request.method and re.fullmatch(pattern, path):
            return operation
    raise AssertionError(f"no operation is {request.method} {path}")


def members(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The members that a schema names, by name."""
    for part in (schema, *schema.get("oneOf", []), *schema.get("allOf", [])):
        if "$ref" in part:
            return members(api, api["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]])
    found: dict[str, Any] = schema.get("properties", {})
    return found


def calls(role: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, method in inspect.getmembers(role, inspect.isfunction):
        if not name.startswith("_") and name not in ("with_token", "close"):
            yield name, method


class OpenApi(TestCase):
    def check(self, role: type, document_of: str) -> None:
        api, seen = document(document_of), set()
        for name, method in calls(role):
            parameters = [parameter for parameter in inspect.signature(method).parameters if parameter != "self"]
            # A room's and a user's own: only then does each path of the call appear.
            for left_out in ("", "room") if {"room", "user"} <= {*parameters} and role is Archive else ("",):
                for operation in self.requested(api, role, name, parameters, left_out):
                    seen.add(operation)
        known = {operation["operationId"] for _, _, operation in operations(api)}
        self.assertEqual(seen, known - LEFT_OUT)

    def requested(
        self, api: dict[str, Any], role: type, name: str, parameters: list[str], left_out: str
    ) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder, fake(Reply(200, PAGE)) as server:
            values = {**VALUES, "file": Path(folder, "file")}
            if name == "save_broadcast":
                values["format"] = "webvtt"
            arguments = {parameter: values.get(parameter, 1) for parameter in parameters if parameter != left_out}
            answer = getattr(role(server.url, "token", patience=0), name)(**arguments)
            if name == "export":
                # The page is no line of an export.
                self.assertRaisesRegex(Unavailable, "broke off", list, answer)
            elif isinstance(answer, Iterator):
                self.assertEqual(list(answer), [])
        self.assertTrue(server.requests, name)
        for request in server.requests:
            operation = asked_by(api, request)
            offered = {(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", [])}
            for parameter in parse_qs(urlsplit(request.target).query):
                self.assertIn(("query", parameter), offered, name)
            if "Idempotency-Key" in request.headers:
                self.assertIn(("header", "Idempotency-Key"), offered, name)
            if request.body is not None:
                content = operation["requestBody"]["content"]["application/json"]["schema"]
                allowed = members(api, content)
                self.assertLessEqual({*request.body}, {*allowed}, name)
                settings = request.body.get("settings", {})
                self.assertLessEqual({*settings}, {*members(api, allowed.get("settings", {}))}, name)
            yield operation["operationId"]

    def test_every_call_of_ingest_is_in_its_document_and_the_other_way_round(self) -> None:
        self.check(Ingest, "ingest")

    def test_every_call_of_the_archive_is_in_its_document_and_the_other_way_round(self) -> None:
        self.check(Archive, "archiver")

    def test_the_codes_are_those_of_the_documents(self) -> None:
        documented = set(document("ingest")["components"]["schemas"]["Code"]["enum"])
        for page in ("archive-api.md", "room-events.md"):
            errors = re.split(r"\n#+ ", (REFERENCE / page).read_text().partition("# Errors\n")[2])[0]
            rows = [row.split("|")[2] for row in errors.splitlines() if re.match(r"\| \d{3} ", row)]
            documented |= set(re.findall(r"`(\w+)`", " ".join(rows)))
        self.assertEqual(set(get_args(codes.Code)), documented)
        for module, names in ((ingest, ["NOT_BANNED", "NOT_MODERATOR", "NOT_WARNED", "REQUEST_NOT_FOUND"]),
                              (archive, ["MESSAGE_NOT_FOUND", "BROADCAST_NOT_FOUND"]), (reader, ["TOKEN_EXPIRED"])):
            for name in names:
                self.assertIn(getattr(module, name), documented)

    def test_the_results_have_the_members_of_the_documents(self) -> None:
        pairs: dict[str, dict[str, Any]] = {
            "ingest": {
                "AcceptedBody": results.Accepted, "DecidedBody": results.Decided, "BanBody": results.Ban,
                "HoldBody": results.Held, "SweepBody": results.Sweep, "PreviewBody": results.SweepPreview,
                "SweptBody": results.Swept, "FirstSeenBody": results.FirstSeen,
                "ModeratorBody": results.Moderator, "SettingsBody": results.Settings, "User": results.User,
                "SettingsChange": results.SettingsChange, "Rate": results.Rate, "AuthorWarning": results.AuthorWarning,
                "WarningBody": results.Warned, "NoteBody": results.Note,
            },
            "archiver": {
                "MessageBody": results.Message, "DeletionBody": results.Deletion, "BucketBody": results.Bucket,
                "StatisticsBody": results.Statistics, "ChatterBody": results.Chatter, "WordBody": results.Word,
                "HighlightBody": results.Highlight, "DecisionBody": results.Decision, "ReceiptBody": results.Receipt,
                "TraceBody": results.Trace, "ReportedMessageBody": results.ReportedMessage,
            },
        }  # fmt: skip
        for role, types in pairs.items():
            api = document(role)
            for schema, of_ours in types.items():
                offered = api["components"]["schemas"][schema]
                self.assertEqual({*of_ours.__annotations__}, {*offered["properties"]}, schema)
                if schema not in ("AcceptedBody", "SettingsChange"):
                    self.assertEqual(of_ours.__required_keys__, {*offered["required"]}, schema)


# An answer in which every call finds its member.
LISTS = "messages bans holds sweeps moderators warnings notes broadcasts decisions reports chatters words highlights erasures"
PAGE: dict[str, Any] = {name: [] for name in LISTS.split()}
