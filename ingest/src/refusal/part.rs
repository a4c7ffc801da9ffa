//! The parts of a request, by which the OpenAPI document finds the refusals of an operation.

/// The parts of a request by which it can be refused. An operation lists its parts; its refusals follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The token.
    Token,
    /// The other headers, and the number of requests.
    Head,
    /// The path.
    Path,
    Room,
    User,
    Message,
    Query,
    Reason,
    Seconds,
    /// How far back a ban deletes messages.
    Purge,
    /// The same, of a ban from every room.
    PurgeEverywhere,
    Body,
    /// Members that only the original's body has.
    OriginalBody,
    /// The permission to moderate.
    Moderator,
    /// The deletion in question.
    Deletion,
    /// The held message in question.
    Held,
    /// The ban in question.
    Ban,
    /// The user to be banned.
    Banning,
    /// The number of bans.
    NewBan,
    /// The permission to appoint and remove moderators.
    Appointing,
    /// The user to become a moderator, and the number of moderators.
    NewModerator,
    /// The moderator in question.
    Appointment,
    /// The user to be warned, and the number of warnings.
    NewWarning,
    /// The warning in question.
    Warning,
    /// The number of notes.
    NewNote,
    /// The note in question.
    Note,
    /// The report: its category, and the rate of reports.
    Report,
    /// The rate of decisions.
    Decision,
    /// The rate of reads.
    Read,
    Settings,
    /// The text of a message or a notice.
    Text,
    /// The post: the room's rules for the message, its room, its sender.
    Posting,
    /// The pinned message.
    Pin,
    /// What a post says beside its text.
    Extras,
    /// The earlier request that a lookup is about.
    Lookup,
    /// The append to the log.
    Append,
    /// The rule of a sweep, how far back it reaches, and the number of sweeps.
    NewSweep,
    /// The sweep in question.
    Sweep,
    /// The method: no operation has it.
    Method,
}
