"""Ingest: post messages, moderate rooms, and find out what became of a request."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

from ._role import Role, Token
from .errors import ChattingError, Refused
from .types import (
    Accepted,
    Ban,
    Decided,
    Emote,
    Held,
    Moderator,
    Note,
    Pin,
    ReportCategory,
    Settings,
    SettingsChange,
    Sweep,
    SweepPreview,
    SweepRule,
    Swept,
    Warned,
)

MESSAGES = "/v1/rooms/{presenterIdx}/messages"
MESSAGE = "/v1/rooms/{presenterIdx}/messages/{messageId}"
DELETION = "/v1/rooms/{presenterIdx}/messages/{messageId}/deletion"
NOTICES = "/v1/rooms/{presenterIdx}/notices"
PIN = "/v1/rooms/{presenterIdx}/pin"
REPORTS = "/v1/rooms/{presenterIdx}/messages/{messageId}/reports"
CLOSE_REPORTS = "/v1/rooms/{presenterIdx}/reports/{messageId}/close"
REQUESTS = "/v1/rooms/{presenterIdx}/requests"
REQUESTS_EVERYWHERE = "/v1/requests"
HOLDS = "/v1/rooms/{presenterIdx}/holds"
RELEASE = "/v1/rooms/{presenterIdx}/holds/{messageId}/release"
DENIAL = "/v1/rooms/{presenterIdx}/holds/{messageId}/deny"
SWEEPS = "/v1/rooms/{presenterIdx}/sweeps"
SWEEP = "/v1/rooms/{presenterIdx}/sweeps/{sweepId}"
BANS = "/v1/rooms/{presenterIdx}/bans"
BAN = "/v1/rooms/{presenterIdx}/bans/{userIdx}"
BANS_EVERYWHERE = "/v1/bans"
BAN_EVERYWHERE = "/v1/bans/{userIdx}"
MODERATORS = "/v1/rooms/{presenterIdx}/moderators"
MODERATOR = "/v1/rooms/{presenterIdx}/moderators/{userIdx}"
WARNINGS = "/v1/rooms/{presenterIdx}/warnings"
WARNING = "/v1/rooms/{presenterIdx}/warnings/{userIdx}"
NOTES = "/v1/rooms/{presenterIdx}/users/{userIdx}/notes"
NOTE = "/v1/rooms/{presenterIdx}/users/{userIdx}/notes/{noteId}"
SETTINGS = "/v1/rooms/{presenterIdx}/settings"

NOT_BANNED = "not_banned"
NOT_MODERATOR = "not_moderator"
NOT_PINNED = "not_pinned"
NOT_WARNED = "not_warned"
REQUEST_NOT_FOUND = "request_not_found"


class Ingest(Role):
    """Posts and decides as the token's user.

    Every post and every decision has an `Idempotency-Key`, made up unless given, and is retried under it: it takes
    effect once. A return means that it is in the log, fsynced. Raises `RateLimited`, `Refused` or `Unavailable`.
    """

    def with_token(self, token: Token) -> Ingest:
        """The same address and connections for another user: a gateway makes one for each request."""
        return cast(Ingest, self._with_token(token))

    def post(
        self,
        room: int,
        text: str,
        *,
        reply_to: str | None = None,
        attributes: dict[str, Any] | None = None,
        emotes: list[Emote] | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Posts a message of 1 to 500 characters to a room. A room has its presenter's number.

        `reply_to` is the id of the message that this one answers. `attributes` need the scope `chat:attributes`.
        `emotes` are ranges of the text, so that `text[start:end]` is an emote. They need that scope, or the token names
        them.
        """
        path = {"presenterIdx": room}
        body = given(text=text, replyTo=reply_to, attributes=attributes, emotes=emotes)
        return cast(Accepted, self._submit("POST", MESSAGES, path, body=body, key=idempotency_key))

    def look_up(self, room: int, idempotency_key: str) -> Decided | None:
        """What became of a request of this user about a room.

        None: it is not in the log and never will be. The answer can take 5 s, while appends are under way. Ingest
        remembers a key for at least 10 minutes.
        """
        return self._look_up(REQUESTS, {"presenterIdx": room}, idempotency_key)

    def look_up_everywhere(self, idempotency_key: str) -> Decided | None:
        """The same for a decision about every room."""
        return self._look_up(REQUESTS_EVERYWHERE, {}, idempotency_key)

    def delete_message(
        self, room: int, message: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Deletes a message by its id. Ingest does not check whether there is one."""
        return self._submit("DELETE", MESSAGE, {"presenterIdx": room, "messageId": message}, reason, idempotency_key)

    def restore_message(
        self, room: int, message: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Undoes the deletion of a message. Raises `Refused` with the code `not_deleted` if it was undone already."""
        return self._submit("DELETE", DELETION, {"presenterIdx": room, "messageId": message}, reason, idempotency_key)

    def holds(self, room: int, *, page_size: int = 1000) -> Iterator[Held]:
        """The messages of a room that wait for a moderator, the oldest first."""
        return self._pages(HOLDS, {"presenterIdx": room}, {"first": page_size}, "holds")

    def release(
        self, room: int, message: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Lets a held message into the room. Raises `Refused` with the code `already_denied` or `not_held`."""
        return self._submit("POST", RELEASE, {"presenterIdx": room, "messageId": message}, reason, idempotency_key)

    def deny(
        self, room: int, message: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Keeps a held message out of the room. Raises `Refused` with the code `already_released` or `not_held`."""
        return self._submit("POST", DENIAL, {"presenterIdx": room, "messageId": message}, reason, idempotency_key)

    def post_notice(self, room: int, text: str, *, idempotency_key: str | None = None) -> Decided:
        """Posts a notice to everybody in the room. It is deleted and restored as a message is."""
        return self._submit("POST", NOTICES, {"presenterIdx": room}, body={"text": text}, key=idempotency_key)

    def pin(self, room: int, message: str, *, idempotency_key: str | None = None) -> Decided:
        """Pins a message by its id, in place of the room's pinned message. A deletion of the message unpins it."""
        return self._submit("PUT", PIN, {"presenterIdx": room}, body={"messageId": message}, key=idempotency_key)

    def unpin(self, room: int, *, idempotency_key: str | None = None) -> Decided:
        """Unpins the room's pinned message. Raises `Refused` with the code `not_pinned` if there is none."""
        return self._submit("DELETE", PIN, {"presenterIdx": room}, key=idempotency_key)

    def get_pin(self, room: int) -> Pin | None:
        """The room's pinned message. None: there is none."""
        return cast("Pin | None", self._get_or_none(PIN, {"presenterIdx": room}, NOT_PINNED))

    def report(self, room: int, message: str, category: ReportCategory, *, reason: str | None = None) -> Decided:
        """Reports a message to the room's moderators, once: another report of this user gets the first's answer."""
        path, body = {"presenterIdx": room, "messageId": message}, given(category=category, reason=reason)
        return cast(Decided, self._request("POST", REPORTS, path, body=body))

    def close_reports(
        self, room: int, message: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Closes the reports of a message so far. A later one opens them again."""
        path = {"presenterIdx": room, "messageId": message}
        return self._submit("POST", CLOSE_REPORTS, path, body=given(reason=reason), key=idempotency_key)

    def clear(self, room: int, *, reason: str | None = None, idempotency_key: str | None = None) -> Decided:
        """Deletes every message of the room so far."""
        return self._submit("DELETE", MESSAGES, {"presenterIdx": room}, reason, idempotency_key)

    def sweep(
        self,
        room: int,
        rule: SweepRule,
        seconds_back: int,
        *,
        seconds_forward: int | None = None,
        forward: Literal["refuse", "hold"] | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Swept:
        """Deletes what a raid wrote: the messages of the last `seconds_back` (to 3600) seconds that match the rule.

        It is one decision. `undo_sweep` shows the messages again. For `seconds_forward` (to 600) seconds from now on,
        viewers' posts that match are refused, or held for a moderator.
        """
        body = given(
            rule=rule, secondsBack=seconds_back, secondsForward=seconds_forward, forward=forward, reason=reason
        )
        return cast("Swept", self._submit("POST", SWEEPS, {"presenterIdx": room}, body=body, key=idempotency_key))

    def preview_sweep(self, room: int, rule: SweepRule, seconds_back: int) -> SweepPreview:
        """What a sweep would delete now. Nothing is deleted."""
        body = given(rule=rule, secondsBack=seconds_back, dryRun=True)
        return cast("SweepPreview", self._request("POST", SWEEPS, {"presenterIdx": room}, body=body))

    def undo_sweep(
        self, room: int, sweep: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Shows again exactly what a sweep deleted. Raises `Refused` with the code `not_swept` if it cannot be undone."""
        return self._submit("DELETE", SWEEP, {"presenterIdx": room, "sweepId": sweep}, reason, idempotency_key)

    def sweeps(self, room: int) -> list[Sweep]:
        """The sweeps of a room that can be undone, the latest first."""
        return cast("list[Sweep]", self._request("GET", SWEEPS, {"presenterIdx": room})["sweeps"])

    def ban(
        self,
        room: int,
        user: int,
        *,
        seconds: int | None = None,
        purge_seconds: int | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Decided:
        """Keeps a user from posting in a room: for 1 second to 14 days, or without `seconds` for good.

        With `purge_seconds` (to 3600) it also deletes what the user wrote in the room in this time before.
        """
        path = {"presenterIdx": room, "userIdx": user}
        body = given(seconds=seconds, purgeSeconds=purge_seconds, reason=reason)
        return self._submit("PUT", BAN, path, body=body, key=idempotency_key)

    def unban(
        self, room: int, user: int, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Ends a ban. Raises `Refused` with the code `not_banned` if there is none."""
        return self._submit("DELETE", BAN, {"presenterIdx": room, "userIdx": user}, reason, idempotency_key)

    def bans(self, room: int, *, page_size: int = 1000) -> Iterator[Ban]:
        """The bans of a room that apply now, by user."""
        return self._pages(BANS, {"presenterIdx": room}, {"first": page_size}, "bans")

    def get_ban(self, room: int, user: int) -> Ban | None:
        """The ban of a user in a room, or None."""
        return cast("Ban | None", self._get_or_none(BAN, {"presenterIdx": room, "userIdx": user}, NOT_BANNED))

    def ban_everywhere(
        self,
        user: int,
        *,
        seconds: int | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Decided:
        """Keeps a user from posting in every room. Needs the scope `chat:moderate`, as the next three do."""
        body = given(seconds=seconds, reason=reason)
        return self._submit("PUT", BAN_EVERYWHERE, {"userIdx": user}, body=body, key=idempotency_key)

    def unban_everywhere(
        self, user: int, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Ends a ban in every room. Bans in single rooms stay."""
        return self._submit("DELETE", BAN_EVERYWHERE, {"userIdx": user}, reason, idempotency_key)

    def bans_everywhere(self, *, page_size: int = 1000) -> Iterator[Ban]:
        """The bans in every room that apply now, by user."""
        return self._pages(BANS_EVERYWHERE, {}, {"first": page_size}, "bans")

    def get_ban_everywhere(self, user: int) -> Ban | None:
        """The ban of a user in every room, or None."""
        return cast("Ban | None", self._get_or_none(BAN_EVERYWHERE, {"userIdx": user}, NOT_BANNED))

    def add_moderator(
        self, room: int, user: int, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Makes a user a moderator of a room. The room's presenter may, and the scope `chat:moderate`."""
        path = {"presenterIdx": room, "userIdx": user}
        return self._submit("PUT", MODERATOR, path, body=given(reason=reason), key=idempotency_key)

    def remove_moderator(
        self, room: int, user: int, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Ends the role. Raises `Refused` with the code `not_moderator` if the user has none."""
        return self._submit("DELETE", MODERATOR, {"presenterIdx": room, "userIdx": user}, reason, idempotency_key)

    def moderators(self, room: int, *, page_size: int = 1000) -> Iterator[Moderator]:
        """The moderators of a room, by user."""
        return self._pages(MODERATORS, {"presenterIdx": room}, {"first": page_size}, "moderators")

    def get_moderator(self, room: int, user: int) -> Moderator | None:
        """The appointment of a moderator, or None."""
        found = self._get_or_none(MODERATOR, {"presenterIdx": room, "userIdx": user}, NOT_MODERATOR)
        return cast("Moderator | None", found)

    def warn(self, room: int, user: int, reason: str, *, idempotency_key: str | None = None) -> Decided:
        """Tells a user `reason` in the answer to one of their next posts to the room."""
        path = {"presenterIdx": room, "userIdx": user}
        return self._submit("PUT", WARNING, path, body={"reason": reason}, key=idempotency_key)

    def withdraw_warning(
        self, room: int, user: int, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Withdraws a warning. Raises `Refused` with the code `not_warned` if there is none."""
        return self._submit("DELETE", WARNING, {"presenterIdx": room, "userIdx": user}, reason, idempotency_key)

    def warnings(self, room: int, *, page_size: int = 1000) -> Iterator[Warned]:
        """The warnings of a room, by user. Those with `sentAt` were in an answer to the user."""
        return self._pages(WARNINGS, {"presenterIdx": room}, {"first": page_size}, "warnings")

    def get_warning(self, room: int, user: int) -> Warned | None:
        """The warning of a user, or None."""
        found = self._get_or_none(WARNING, {"presenterIdx": room, "userIdx": user}, NOT_WARNED)
        return cast("Warned | None", found)

    def add_note(self, room: int, user: int, text: str, *, idempotency_key: str | None = None) -> Decided:
        """Writes a note on a user, for the moderators of the room. Its id is that of the decision."""
        path = {"presenterIdx": room, "userIdx": user}
        return self._submit("POST", NOTES, path, body={"text": text}, key=idempotency_key)

    def delete_note(
        self, room: int, user: int, note: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Decided:
        """Deletes a note. Raises `Refused` with the code `note_not_found` if there is none."""
        path = {"presenterIdx": room, "userIdx": user, "noteId": note}
        return self._submit("DELETE", NOTE, path, reason, idempotency_key)

    def notes(self, room: int, user: int) -> list[Note]:
        """The notes on a user, the oldest first."""
        return cast("list[Note]", self._request("GET", NOTES, {"presenterIdx": room, "userIdx": user})["notes"])

    def get_settings(self, room: int) -> Settings:
        """The settings in effect, those that the room has set itself, and when they end."""
        return cast(Settings, self._request("GET", SETTINGS, {"presenterIdx": room}))

    def change_settings(
        self,
        room: int,
        settings: SettingsChange,
        *,
        seconds: int | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Decided:
        """Changes the named settings, such as `{"slowModeSeconds": 10}`. None returns one to the default.

        With `seconds` (to 14 days) they end by themselves, and the default applies again.
        """
        body = given(settings=settings, seconds=seconds, reason=reason)
        return self._submit("PATCH", SETTINGS, {"presenterIdx": room}, body=body, key=idempotency_key)

    def _submit(
        self,
        method: str,
        template: str,
        path: Mapping[str, int | str],
        reason: str | None = None,
        key: str | None = None,
        *,
        body: Mapping[str, object] | None = None,
    ) -> Decided:
        key = key or str(uuid.uuid4())
        try:
            query = {"reason": reason}
            return cast(Decided, self._request(method, template, path, query=query, body=body, key=key))
        except Refused as refused:
            if refused.outcome != "unknown":
                raise
            # An earlier attempt had no answer, and may have been accepted before this one was refused.
            place = {"presenterIdx": path["presenterIdx"]} if "presenterIdx" in path else {}
            try:
                found = self._look_up(REQUESTS if place else REQUESTS_EVERYWHERE, place, key)
            except ChattingError as error:
                # The refusal still says that the outcome is unknown.
                raise refused from error
            if found is None:
                refused.outcome = None
                raise
            return found

    def _look_up(self, template: str, path: Mapping[str, object], key: str) -> Decided | None:
        try:
            return cast(Decided, self._request("GET", template, path, key=key))
        except Refused as refused:
            if refused.code == REQUEST_NOT_FOUND:
                return None
            raise


def given(**members: object) -> dict[str, object]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}
