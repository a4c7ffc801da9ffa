"""The archive: search messages, export them, replay and measure broadcasts, read the audit, erase users."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from ._role import Role, Time, Token
from .exports import Export, save
from .types import (
    Broadcast,
    Chatter,
    Decision,
    Highlight,
    Message,
    Receipt,
    ReplayMessage,
    ReportedMessage,
    Statistics,
    Trace,
    Word,
)

ROOM_MESSAGES = "/v1/rooms/{presenterIdx}/messages"
USER_MESSAGES = "/v1/users/{userIdx}/messages"
MESSAGE = "/v1/rooms/{presenterIdx}/messages/{messageId}"
TRACE = "/v1/rooms/{presenterIdx}/messages/{messageId}/trace"
ROOM_EXPORT = "/v1/rooms/{presenterIdx}/export"
USER_EXPORT = "/v1/users/{userIdx}/export"
BROADCASTS = "/v1/rooms/{presenterIdx}/broadcasts"
BROADCAST = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}"
REPLAY = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/replay"
BROADCAST_EXPORT = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/export"
STATISTICS = "/v1/rooms/{presenterIdx}/statistics"
CHATTERS = "/v1/rooms/{presenterIdx}/statistics/chatters"
WORDS = "/v1/rooms/{presenterIdx}/statistics/words"
HIGHLIGHTS = "/v1/rooms/{presenterIdx}/statistics/highlights"
ROOM_AUDIT = "/v1/rooms/{presenterIdx}/moderation"
REPORTS = "/v1/rooms/{presenterIdx}/reports"
AUDIT = "/v1/moderation"
USER = "/v1/users/{userIdx}"
ERASURES = "/v1/users/{userIdx}/erasures"

MESSAGE_NOT_FOUND = "message_not_found"
BROADCAST_NOT_FOUND = "broadcast_not_found"

# The end of a running broadcast is asked for again after so long.
LIVE_S = 5.0

Order = Literal["asc", "desc"]
Deleted = Literal["include", "only"]
Timeline = Literal["segments", "wall"]


class Archive(Role):
    """Reads the archive as the token's user. docs/reference/archive-api.md says who may read what."""

    def with_token(self, token: Token) -> Archive:
        """The same address and connections for another user."""
        return cast(Archive, self._with_token(token))

    def search(
        self,
        room: int | None = None,
        *,
        user: int | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        text: str | None = None,
        flag: str | None = None,
        attribute: str | None = None,
        emote: str | None = None,
        deleted: Deleted | None = None,
        decision: str | None = None,
        order: Order = "asc",
        page_size: int = 1000,
    ) -> Iterator[Message]:
        """The messages of a room in its order, or with `user` alone a user's in every room by time.

        Pages are fetched as the iterator goes. `text` is contained literally, whatever its case and width. `from_` is
        included, `to` is not.
        """
        template, path, query = place(ROOM_MESSAGES, USER_MESSAGES, room, user)
        query |= {"from": from_, "to": to, "text": text, "flag": flag, "attribute": attribute, "emote": emote, "deleted": deleted, "decision": decision}
        return self._pages(template, path, {**query, "order": order, "first": page_size}, "messages")

    def get_message(self, room: int, message: str) -> Message | None:
        """A message by its id. None also if it is deleted, or not this user's to see."""
        found = self._get_or_none(MESSAGE, {"presenterIdx": room, "messageId": message}, MESSAGE_NOT_FOUND)
        return cast("Message | None", found)

    def trace(self, room: int, message: str, position: str | None = None) -> Trace | None:
        """Where a message is: stored, acknowledged by the presenter's page, archived, deleted. Its author may ask too.

        `position` is the one that `post` returned. It finds a message that is not archived yet at once.
        """
        path, query = {"presenterIdx": room, "messageId": message}, {"position": position}
        return cast("Trace | None", self._get_or_none(TRACE, path, MESSAGE_NOT_FOUND, query))

    def export(
        self,
        room: int | None = None,
        *,
        user: int | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        text: str | None = None,
        flag: str | None = None,
        attribute: str | None = None,
        emote: str | None = None,
        deleted: Deleted | None = None,
        decision: str | None = None,
    ) -> Export:
        """The same messages as one stream: the fastest way to read many, with constant memory.

        After a broken connection it goes on where it was. `Export.gaps` says what the archive misses of the time span.
        """
        template, path, query = place(ROOM_EXPORT, USER_EXPORT, room, user)
        query |= {"from": from_, "to": to, "text": text, "flag": flag, "attribute": attribute, "emote": emote, "deleted": deleted, "decision": decision}
        return Export(self, template, path, query)

    def save(
        self,
        file: str | Path,
        room: int | None = None,
        *,
        user: int | None = None,
        format: Literal["ndjson", "csv"] = "csv",
        from_: Time | None = None,
        to: Time | None = None,
        text: str | None = None,
        flag: str | None = None,
        attribute: str | None = None,
        emote: str | None = None,
        deleted: Deleted | None = None,
        decision: str | None = None,
        order: Order = "asc",
        bom: bool = False,
        separator: Literal["comma", "semicolon"] = "comma",
    ) -> list[dict[str, Any]]:
        """Saves an export as a file, complete or not at all. Returns the gaps of the archive in it, if any.

        For Excel use `bom=True`, and where its lists are separated by semicolons, `separator="semicolon"`.
        """
        template, path, query = place(ROOM_EXPORT, USER_EXPORT, room, user)
        query |= {"from": from_, "to": to, "text": text, "flag": flag, "attribute": attribute, "emote": emote, "deleted": deleted, "decision": decision}
        query |= {"order": order, "format": format}
        if format == "csv":
            query |= {"bom": bom, "separator": separator}
        return save(self, template, path, query, Path(file))

    def broadcasts(
        self, room: int, *, from_: Time | None = None, to: Time | None = None, page_size: int = 100
    ) -> Iterator[Broadcast]:
        """The broadcasts of a room, newest first."""
        query = {"from": from_, "to": to, "first": page_size}
        return self._pages(BROADCASTS, {"presenterIdx": room}, query, "broadcasts")

    def get_broadcast(self, room: int, broadcast: str) -> Broadcast | None:
        """A broadcast by the id of any of its sessions, or None."""
        found = self._get_or_none(BROADCAST, {"presenterIdx": room, "broadcastId": broadcast}, BROADCAST_NOT_FOUND)
        return cast("Broadcast | None", found)

    def replay(
        self,
        room: int,
        broadcast: str,
        *,
        from_: int | str = 0,
        timeline: Timeline = "segments",
        page_size: int = 1000,
    ) -> Iterator[ReplayMessage]:
        """The messages from a time in the recording on: milliseconds, or `"01:02:03"`.

        While the broadcast runs, the iterator waits for more.
        """
        path = {"presenterIdx": room, "broadcastId": broadcast}
        query: dict[str, object] = {"from": from_, "timeline": timeline, "first": page_size}
        while True:
            page = self._request("GET", REPLAY, path, query=query)
            yield from page["messages"]
            if "next" not in page:
                return
            if not page["messages"]:
                time.sleep(LIVE_S)
            query["after"] = page["next"]

    def save_broadcast(
        self,
        file: str | Path,
        room: int,
        broadcast: str,
        *,
        format: Literal["ndjson", "twitchdownloader", "webvtt"] = "ndjson",
        timeline: Timeline = "segments",
    ) -> list[dict[str, Any]]:
        """Saves the chat of a broadcast, for players and tools. Returns as `save` does."""
        path = {"presenterIdx": room, "broadcastId": broadcast}
        return save(self, BROADCAST_EXPORT, path, {"format": format, "timeline": timeline}, Path(file))

    def statistics(self, room: int, from_: Time, to: Time, *, bucket_seconds: int = 60) -> Statistics:
        """Messages, chatters and new chatters of a time span of at most 31 days, in total and by bucket."""
        query = {"from": from_, "to": to, "bucketSeconds": bucket_seconds}
        return cast(Statistics, self._request("GET", STATISTICS, {"presenterIdx": room}, query=query))

    def chatters(self, room: int, from_: Time, to: Time, *, first: int = 10) -> list[Chatter]:
        """Who wrote most."""
        query = {"from": from_, "to": to, "first": first}
        return cast("list[Chatter]", self._measure(CHATTERS, "chatters", room, query))

    def words(self, room: int, from_: Time, to: Time, *, first: int = 50) -> list[Word]:
        """The words that are in most messages."""
        query = {"from": from_, "to": to, "first": first}
        return cast("list[Word]", self._measure(WORDS, "words", room, query))

    def highlights(
        self, room: int, from_: Time, to: Time, *, bucket_seconds: int = 10, first: int = 10
    ) -> list[Highlight]:
        """The moments that stand out, the clearest first."""
        query = {"from": from_, "to": to, "bucketSeconds": bucket_seconds, "first": first}
        return cast("list[Highlight]", self._measure(HIGHLIGHTS, "highlights", room, query))

    def decisions(
        self,
        room: int | None = None,
        *,
        type: str | None = None,
        user: int | None = None,
        by: int | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        order: Order = "asc",
        page_size: int = 1000,
    ) -> Iterator[Decision]:
        """The audit log of a room, or of all rooms: what moderators decided, by time."""
        template, path = (AUDIT, {}) if room is None else (ROOM_AUDIT, {"presenterIdx": room})
        query = {"type": type, "user": user, "by": by, "from": from_, "to": to, "order": order, "first": page_size}
        return self._pages(template, path, query, "decisions")

    def reports(
        self, room: int, *, state: Literal["open", "closed"] | None = None, page_size: int = 100
    ) -> Iterator[ReportedMessage]:
        """The reported messages of a room, the one that was reported last first. For its moderators."""
        query = {"state": state, "first": page_size}
        return self._pages(REPORTS, {"presenterIdx": room}, query, "reports")

    def erase(self, user: int, *, mode: Literal["remove", "anonymise"] = "remove") -> Receipt:
        """Erases what a user has written until now, everywhere. Needs the scope `chat:erase`.

        The receipt's `state` is `running` if it takes longer; `erasures` tells when it is done. A retry is another
        erasure, of what was written since.
        """
        return cast(Receipt, self._request("DELETE", USER, {"userIdx": user}, query={"mode": mode}))

    def erasures(self, user: int) -> list[Receipt]:
        """The receipts of a user's erasures, newest first."""
        return cast("list[Receipt]", self._request("GET", ERASURES, {"userIdx": user})["erasures"])

    def _measure(self, template: str, member: str, room: int, query: Mapping[str, object]) -> object:
        return self._request("GET", template, {"presenterIdx": room}, query=query)[member]


def place(
    of_room: str, of_user: str, room: int | None, user: int | None
) -> tuple[str, dict[str, object], dict[str, object]]:
    """The path of a room's messages, filtered by user, or of a user's messages in every room; and the query so far."""
    if room is not None:
        return of_room, {"presenterIdx": room}, {"user": user}
    if user is None:
        raise ValueError("name a room, a user, or both")
    return of_user, {"userIdx": user}, {}
