"""What calls return, as the server's JSON has it: plain dicts, ready for `pandas.DataFrame`.

Times are RFC 3339 in UTC with milliseconds. A position is a place in a room's order: opaque, to store and send back.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

RoleName = Literal["presenter", "moderator", "viewer"]

ReportCategory = Literal[
    "spam", "scam", "harassment", "hate", "sexual", "violence", "self_harm", "privacy", "other",
]  # fmt: skip


class User(TypedDict):
    """A user, as a message shows them."""

    idx: int
    nickname: str
    role: RoleName


class Decided(TypedDict):
    """A decision that is in the log."""

    id: str
    position: str


class AuthorWarning(TypedDict):
    """What a moderator of the room tells the author of a message. Several answers may carry the same one, by its id."""

    id: str
    at: str
    reason: str


class Accepted(Decided, total=False):
    """A message that is in the log."""

    presenter: Literal["connected", "reconnecting"]
    """Absent if an earlier attempt had stored the message, and its answer was lost."""
    held: bool
    """True: it waits for a moderator, and the position is that of its hold. Absent: it does not."""
    warning: AuthorWarning
    """Show it to the author. A refusal has it in its `problem`."""


class _Ban(TypedDict):
    user: int
    at: str
    by: User


class Ban(_Ban, total=False):
    """A ban that applies."""

    until: str
    """Absent: permanent."""
    reason: str


class Emote(TypedDict):
    """A part of a message's text, `text[start:end]`, that pages show as a picture."""

    id: str
    """The platform's id of the emote."""
    start: int
    end: int


class _Held(TypedDict):
    id: str
    position: str
    at: str
    until: str
    user: User
    text: str


class Held(_Held, total=False):
    """A message that waits for a moderator until that time."""

    flags: list[str]
    replyTo: str
    attributes: dict[str, Any]
    emotes: list[Emote]


class _Moderator(TypedDict):
    user: int
    at: str
    by: User


class Moderator(_Moderator, total=False):
    """A moderator of a room."""

    reason: str


class _Warned(AuthorWarning):
    user: int
    by: User


class Warned(_Warned, total=False):
    """A warning of a user, whom an answer has told at `sentAt`."""

    sentAt: str


class Note(TypedDict):
    """A note on a user, for the moderators of a room."""

    id: str
    at: str
    by: User
    text: str


class SweepRule(TypedDict, total=False):
    """Which messages a sweep deletes: those that meet every condition. Without `users`, only viewers' messages."""

    texts: list[str]
    """The text is one of these 1 to 16, whatever the case."""
    similarity: float
    """0.5 to 1, with `texts`: how similar the text has to be to one of them. Without it, equal."""
    users: list[int]
    """The author is one of these 1 to 1,000."""
    firstSeenSeconds: int
    """1 to 3,600: the author is a viewer whose first message in the room is at most so many seconds old."""
    label: str
    """The message has this flag."""


class FirstSeen(TypedDict):
    """The users that `firstSeenSeconds` was resolved into."""

    users: int
    since: str
    """From then on, none of them wrote anything in the room before their first message."""
    complete: bool
    """False: there are more than 1,000, and these came last."""


class Swept(Decided, total=False):
    """A sweep."""

    firstSeen: FirstSeen
    """With `firstSeenSeconds`, but not in the answer to a retry."""


class _SweepPreview(TypedDict):

    messages: int
    users: int
    complete: bool
    """False: the time has too many events to read, and the sweep would delete more."""
    latest: list[dict[str, Any]]
    authors: list[dict[str, Any]]


class SweepPreview(_SweepPreview, total=False):
    """What a sweep would delete: how many messages of how many users, and the latest and the authors, up to 100 each."""

    firstSeen: FirstSeen
    """With `firstSeenSeconds`."""


class _Sweep(TypedDict):
    id: str
    at: str
    rule: SweepRule
    secondsBack: int
    undoableUntil: str
    by: User


class Sweep(_Sweep, total=False):
    """A sweep that can be undone until that time."""

    forward: Literal["refuse", "hold"]
    """What becomes of later posts of viewers that match."""
    forwardUntil: str
    reason: str


class Pin(TypedDict):
    """The pinned message of a room."""

    messageId: str
    at: str
    by: User


class Rate(TypedDict):
    """So many messages at once, which come back evenly within so many seconds."""

    messages: int
    seconds: int


class SettingsChange(TypedDict, total=False):
    """Settings of a room to change. None: the deployment's default."""

    slowModeSeconds: int | None
    uniqueChat: bool | None
    presenterOnly: bool | None
    emojiOnly: bool | None
    links: Literal["everyone", "trusted"] | None
    wordPolicy: Literal["off", "flag", "mask", "hold", "reject"] | None
    words: list[str] | None
    maxLength: int | None
    messageRate: Rate | None
    readers: Literal["off", "members", "anyone"] | None


class Settings(TypedDict):
    """The settings of a room: in effect, of its own, and when its own end."""

    settings: dict[str, Any]
    own: dict[str, Any]
    until: dict[str, str]


class _Deletion(TypedDict):
    decision: str
    at: str
    by: User


class Deletion(_Deletion, total=False):
    """Why a message is deleted. For moderators and the room's presenter."""

    reason: str


class _Message(TypedDict):
    id: str
    position: str
    presenterIdx: int
    user: User
    sentAt: str
    flags: list[str]


class Message(_Message, total=False):
    """An archived message."""

    text: str
    """Absent if it was deleted and its text is not kept any more."""
    replyTo: str
    """The id of the message that this one answers. It may not exist."""
    attributes: dict[str, Any]
    """What the platform says about the message or its author."""
    emotes: list[Emote]
    """Which parts of the text are emotes, in its order."""
    notice: bool
    """It is a notice, which a moderator posted to everybody in the room."""
    deleted: Deletion
    """Only with `deleted` or `decision` in the search."""


class ReplayMessage(Message):
    """A message of a broadcast."""

    offsetMs: int
    """Milliseconds into the recording. It never decreases from one message to the next."""


class _Trace(TypedDict):
    id: str
    presenterIdx: int
    accepted: dict[str, str]
    presenter: dict[str, str]
    archived: dict[str, str]


class Trace(_Trace, total=False):
    """Where a message is, as far as it is known. It is `acknowledged` only if the presenter's page acknowledged it."""

    deleted: dict[str, str]
    decisions: list[dict[str, Any]]
    """For moderators."""


class _Broadcast(TypedDict):
    id: str
    startedAt: str
    endedAt: str | None
    durationMs: int | None
    segments: list[dict[str, Any]]
    messages: int


class Broadcast(_Broadcast, total=False):
    """A broadcast: the presenter's sessions with at most two minutes between them."""

    chatters: int
    """The number of people who wrote. Of a single broadcast only."""
    deleted: int


class Bucket(TypedDict):
    """A part of a time span."""

    at: str
    messages: int
    chatters: int
    newChatters: int


Statistics = TypedDict(
    "Statistics",
    {"from": str, "to": str, "messages": int, "chatters": int, "newChatters": int, "buckets": list[Bucket]},
)


class Chatter(TypedDict):
    """Who wrote, how much."""

    user: User
    messages: int
    firstAt: str
    lastAt: str


class Word(TypedDict):
    """A word, how many messages have it, and how often."""

    word: str
    messages: int
    uses: int


class Highlight(TypedDict):
    """A moment in which more people wrote than before."""

    at: str
    until: str
    messages: int
    peakAt: str
    chatters: int
    chattersBefore: float
    score: float
    samples: list[Message]


class _Decision(TypedDict):
    id: str
    type: str
    at: str


class Decision(_Decision, total=False):
    """A decision of a moderator, in the audit log."""

    presenterIdx: int
    by: User
    reason: str
    target: str
    message: Message
    reports: int
    """How many users had reported the message before."""
    user: int
    until: str
    purgeFrom: str
    """The ban deleted the user's messages in the room that were sent from then on."""
    sweptFrom: str
    forward: Literal["refuse", "hold"]
    forwardUntil: str
    """The sweep deleted messages that were sent from then on."""
    settings: dict[str, Any]
    settingsChanged: list[str]
    settingsUntil: dict[str, str]


class _ReportedMessage(TypedDict):
    message: Message
    state: Literal["open", "closed"]
    count: int
    firstAt: str
    lastAt: str
    categories: dict[str, int]
    reports: list[dict[str, Any]]


class ReportedMessage(_ReportedMessage, total=False):
    """A message that users reported. `count` and `categories` count users, `reports` are the latest 20."""

    closed: dict[str, Any]
    """The decision that closed the reports."""


class _Receipt(TypedDict):
    erasure: str
    userIdx: int
    mode: Literal["remove", "anonymise"]
    state: Literal["running", "done"]
    at: str
    by: User
    erased: dict[str, int]
    stays: list[dict[str, str]]


class Receipt(_Receipt, total=False):
    """An erasure: what went, and what stays."""

    finishedAt: str
    logHeldUntil: str
    keptUntil: str


class _Event(TypedDict):
    position: str
    v: int
    id: str
    type: str
    at: str


class Event(_Event, total=False):
    """An event of a room. Handle the types that you know and ignore the rest: a later server may send more.

    `user` is a `User` in `message.posted`, and a number in the others.
    """

    presenterIdx: int
    user: User | int
    text: str
    flags: list[str]
    replyTo: str
    attributes: dict[str, Any]
    emotes: list[Emote]
    deleted: bool
    target: str
    by: User
    reason: str
    until: Any
    purgeSeconds: int
    sweep: str
    secondsBack: int
    settings: dict[str, Any]
    changed: list[str]
    mode: str


class Gap(TypedDict):
    """Stands in its place among the events: events after `after` may be missing. The archive has them."""

    type: Literal["gap"]
    after: str | None
