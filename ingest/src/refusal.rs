//! Every reason for which ingest refuses a request. [`table`] has the answers on both surfaces: status, stable code and
//! sentence on `/v1`, status and Korean sentence on the original's. The answers, the OpenAPI document and the tests are
//! made from the table, and a test checks `docs/reference/ingest-api.md` against it. Nothing here answers over HTTP: a
//! status is a number.

mod part;
mod row;
mod table;
mod tokens;

use chat::settings::InvalidSetting;
use chat::{InvalidAttributes, InvalidEmotes};
use jiff::Timestamp;
use nats::AppendError;
use web::auth::TokenError;

use crate::http::gateway::ForwardError;
use crate::moderation::sweep_order::{InvalidForward, InvalidRule};
use crate::posting::admission::Overloaded;
use crate::posting::limits::{Limited, Quota, Spent};
use crate::posting::text::InvalidText;
use crate::posting::word_filter::Disallowed;

pub(crate) use self::part::Part;
pub(crate) use self::row::Row;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Token(TokenError),
    Forwarded(ForwardError),
    PresenterIdxMissing,
    PresenterIdxInvalid,
    UserTypeInvalid,
    UserIdxInvalid,
    MessageIdInvalid,
    /// With a sentence that names the parameter.
    QueryInvalid(String),
    IdempotencyKeyInvalid,
    /// The endpoint requires a key.
    IdempotencyKeyMissing,
    /// No request was accepted under the key.
    NothingUnderKey,
    /// Another request was accepted under the key.
    IdempotencyKeyReused,
    UnsupportedMediaType,
    /// `Content-Encoding` names a compression.
    UnsupportedEncoding,
    BodyMalformed(Malformed),
    /// The body ended early.
    BodyBroken,
    /// The body differs from its `Content-Digest`.
    BodyAltered,
    BodyTooLarge,
    BodyTimeout,
    Text(InvalidText),
    /// The member that holds the text is missing or null.
    TextMissing(&'static str),
    /// The room allows this many characters.
    TextTooLongHere(usize),
    ReplyToInvalid,
    Attributes(InvalidAttributes),
    /// The token may not give attributes.
    AttributesForbidden,
    Emotes(InvalidEmotes),
    /// The token allows no emotes.
    EmotesForbidden,
    /// The token does not allow the emote.
    EmoteForbidden(String),
    /// A moderator's reason is not a valid text.
    ReasonInvalid,
    SecondsInvalid,
    PurgeSecondsInvalid,
    PurgeEverywhere,
    /// A report names no known category.
    CategoryInvalid,
    Setting(InvalidSetting),
    /// The change names no setting.
    SettingMissing,
    /// The rule of a sweep is invalid.
    Rule(InvalidRule),
    SecondsBackInvalid,
    /// The span forward of a sweep is invalid.
    Forward(InvalidForward),
    /// The log does not reach back far enough to tell which users are new.
    FirstSeenUnknown,
    SweepIdInvalid,
    /// No such sweep of the room can be undone.
    NotSwept,
    /// The room has this many sweeps that can be undone.
    TooManySweeps(usize),
    NotDeleted,
    /// No such message waits for a moderator in the room.
    NotHeld,
    /// The held message was released before.
    AlreadyReleased,
    /// The held message was denied before.
    AlreadyDenied,
    /// The room has no pinned message.
    NotPinned,
    Forbidden,
    /// The sender may not appoint and remove moderators.
    NotOverModerators,
    /// A presenter cannot be banned from their own room.
    PresenterBanned,
    /// A moderator of the room cannot ban another one.
    ModeratorProtected,
    NotBanned,
    /// A presenter cannot be a moderator of their own room.
    PresenterNotAppointable,
    /// A banned user cannot become a moderator.
    BannedNotAppointable,
    /// The room has this many moderators already.
    TooManyModerators(usize),
    NotModerator,
    /// A warning has no reason.
    ReasonMissing,
    /// A presenter cannot be warned in their own room.
    PresenterNotWarnable,
    /// A moderator of the room cannot warn another one.
    ModeratorNotWarnable,
    NotWarned,
    /// The room has this many warnings already.
    TooManyWarnings(usize),
    NoteIdInvalid,
    /// There is no such note on the user in the room.
    NoteNotFound,
    /// There are this many notes on the user already, or in the room.
    TooManyNotes(usize),
    /// The room, or every room together, has this many bans already.
    TooManyBans(usize),
    /// A moderator exceeds the rate of decisions.
    TooManyDecisions(Spent),
    /// A user reports too often.
    TooManyReports(Spent),
    /// A user reads too often.
    TooManyReads(Spent),
    Banned {
        /// None: permanently.
        until: Option<Timestamp>,
    },
    PresenterOnly,
    /// The room takes nothing but emoji from viewers.
    EmojiOnly,
    /// The room takes no links from viewers.
    LinkForbidden,
    Limited(Limited),
    /// A sweep refuses messages like this one.
    Swept,
    /// The word filter rejected the text.
    Rejected,
    /// The review hook denied the message.
    Denied {
        /// The hook's reason, for the sender.
        reason: Option<String>,
    },
    ReviewUnavailable,
    /// The message would have to wait for a moderator, and too many do.
    HoldQueueFull,
    RoomNotLive,
    RoomServerUnavailable,
    Overloaded,
    Append(AppendError),
    NotFound,
    MethodNotAllowed,
}

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// A sentence that says what is wrong, and names the member if one is wrong.
    pub(crate) what: String,
    /// The page under `docs/` that describes the body.
    pub(crate) page: &'static str,
}

impl Refusal {
    /// An example of each row, and of each reason to refuse a token.
    pub(crate) fn all() -> Vec<Refusal> {
        let others = Refusal::examples().into_iter().filter(|refusal| !matches!(refusal, Refusal::Token(_)));
        TokenError::ALL.map(Refusal::Token).into_iter().chain(others).collect()
    }

    /// The `outcome` of a request that an outage refuses: whether it took effect.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Refusal::Append(AppendError::Unknown) => "unknown",
            _ => "not_stored",
        }
    }

    /// The used-up quota, if a rate is the reason.
    pub(crate) fn quota(&self) -> Option<Quota> {
        match self {
            Refusal::Limited(Limited::Rate { quota, .. })
            | Refusal::TooManyDecisions(Spent { quota, .. })
            | Refusal::TooManyReports(Spent { quota, .. })
            | Refusal::TooManyReads(Spent { quota, .. }) => Some(*quota),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($error:ty => $variant:ident),+) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Refusal {
                Refusal::$variant(error)
            }
        })+
    };
}

from! {
    TokenError => Token,
    ForwardError => Forwarded,
    InvalidText => Text,
    Limited => Limited,
    InvalidAttributes => Attributes,
    InvalidEmotes => Emotes,
    InvalidRule => Rule,
    InvalidForward => Forward,
    InvalidSetting => Setting,
    AppendError => Append,
    Malformed => BodyMalformed
}

impl From<Overloaded> for Refusal {
    fn from(Overloaded: Overloaded) -> Refusal {
        Refusal::Overloaded
    }
}

impl From<Disallowed> for Refusal {
    fn from(Disallowed: Disallowed) -> Refusal {
        Refusal::Rejected
    }
}
