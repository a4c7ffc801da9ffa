//! The stored documents. Analysts and later versions depend on these formats: `docs/reference/archive-schema.md`
//! describes them, and snapshots pin them. They are converted to and from events by hand.

use chat::{Emote, Position, Role, SweepRule, User};
use mongodb::bson::{Bson, DateTime, Document};
use serde::{Deserialize, Serialize};

mod erasure;
mod log;
mod quarantine;
mod text_index;

pub(crate) use erasure::{ErasedIdDocument, ErasureCounts, ErasureDocument, ErasureState, PageDocument};
pub(crate) use log::{GapDocument, MarkDocument, ProgressDocument, RunDocument, SampleDocument};
pub use quarantine::Cause;
pub(crate) use quarantine::{QuarantineDocument, people, readable, target};
pub(crate) use text_index::{GramsDocument, PartDocument, PartState, TEXT_INDEX_VERSION};

/// `chatting_log`: a message or a notice, deleted or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageDocument {
    /// The id of the event, as text: the form of answers, logs and exports, so that it can be pasted.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) presenter_idx: i64,
    /// A negative number is the pseudonym of an erased user.
    pub(crate) user_idx: i64,
    pub(crate) nickname: String,
    pub(crate) role: Role,
    /// None: the message was deleted and its text has been removed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// The folded text, for searches. None: an earlier version wrote the message, or the text has been removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) folded: Option<String>,
    /// [`TEXT_INDEX_VERSION`]: who stored the message keeps the text index right. None: an earlier version or another
    /// program did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text_index: Option<i32>,
    pub(crate) sent_at: DateTime,
    pub(crate) position: PositionDocument,
    pub(crate) flags: Vec<String>,
    /// The `_id` of the message that this one answers. It may not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<String>,
    /// What the platform says about the message or its author. None: nothing, or it has been removed with the text or
    /// the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attributes: Option<Document>,
    /// The emotes in the text. None: there are none, or they have been removed with the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) emotes: Option<Vec<EmoteDocument>>,
    /// Whether it is a notice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) notice: bool,
    /// Whether it waited for a moderator, who released it: an earlier sweep is not about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) released: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<DeletedDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restored: Option<RestoredDocument>,
    /// When an archiver stored it, by that archiver's clock. None: an earlier version did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) archived_at: Option<DateTime>,
}

impl MessageDocument {
    /// The text. Empty if it has been removed.
    pub(crate) fn text(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// The emotes in the text.
    pub(crate) fn emotes(&self) -> Vec<Emote> {
        self.emotes.iter().flatten().filter_map(EmoteDocument::emote).collect()
    }
}

/// A range of the text, in code points. It has those from `start`, and not `end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EmoteDocument {
    pub(crate) id: String,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// An event's position in the log. MongoDB compares embedded documents member by member in this order, so the field can
/// be sorted, ranged and indexed as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PositionDocument {
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
    pub(crate) index: i64,
}

/// The decision that deleted a message: the first one after it, and after its latest restoration, in the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeletedDocument {
    /// The `_id` of the decision in `moderation_log`.
    pub(crate) decision: String,
    pub(crate) at: DateTime,
    pub(crate) by: UserDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    pub(crate) position: PositionDocument,
}

/// The latest decision that restored a message. Deletions before it do not count.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RestoredDocument {
    /// The `_id` of the decision in `moderation_log`.
    pub(crate) decision: String,
    pub(crate) position: PositionDocument,
}

/// A person, as of the event. With a negative number and without a name: the pseudonym of an erased user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserDocument {
    pub(crate) user_idx: i64,
    pub(crate) nickname: String,
    pub(crate) role: Role,
}

/// The type of a report. Its reason goes with the user who wrote it: it is no decision that others must understand.
pub(crate) const REPORTED: &str = "message.reported";

/// The type of a sweep.
pub(crate) const SWEPT: &str = "room.swept";

/// `moderation_log`: a decision, or a report of a message. A decision is also the tombstone: a message that is archived
/// after the decision that deletes it finds it here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DecisionDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    /// The type of the event, such as `message.deleted`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// None: every room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) presenter_idx: Option<i64>,
    pub(crate) at: DateTime,
    pub(crate) position: PositionDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<UserDocument>,
    /// Of decisions about a message, and of `message.held`: the message. Of a notice: itself. `sweep.undone`,
    /// `warning.sent` and `note.deleted`: the sweep, the warning or the note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// Of bans, moderators, warnings and notes: the user. About held messages: the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_idx: Option<i64>,
    /// `user.banned`: the end of the ban. `message.held`: the end of the hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<DateTime>,
    /// `user.banned`: the ban deletes the user's messages in the room that were sent from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) purge_from: Option<DateTime>,
    /// `room.swept`: only messages that were sent from then on are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) swept_from: Option<DateTime>,
    /// `room.swept` with a span forward: what became of later posts, `refuse` or `hold`. `refuse` deletes those that
    /// match, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forward: Option<String>,
    /// Only those that were sent before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forward_until: Option<DateTime>,
    /// `room.swept`: which messages are deleted. None: retention has removed the rule, once nothing needed it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<RuleDocument>,
    /// Of `note.added`: the note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// `message.reported`: what is wrong with the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Document>,
    /// The settings that the decision changed. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) settings_changed: Vec<String>,
    /// When settings that expire do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings_until: Option<Document>,
}

/// The value of `forward` for a sweep that deletes later posts.
pub(crate) const REFUSE: &str = "refuse";

impl DecisionDocument {
    /// The users that it names.
    pub(crate) fn people(&self) -> impl Iterator<Item = i64> {
        let of_rule = self.rule.iter().filter_map(|rule| rule.users.as_ref()).flatten().copied();
        self.by.as_ref().map(|by| by.user_idx).into_iter().chain(self.user_idx).chain(of_rule)
    }
}

/// The rule of a sweep. A message must meet each condition that is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RuleDocument {
    /// The text is one of these, which are folded, or similar to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) texts: Option<Vec<String>>,
    /// How similar it has to be, in percent. None: equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) similarity: Option<i32>,
    /// The author is one of these. Negative numbers are the pseudonyms of erased users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) users: Option<Vec<i64>>,
    /// The message has this flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
}

/// The start or the end of a presenter's session. The two make one document of `broadcasts`.
#[derive(Debug, Clone)]
pub(crate) struct SessionEnd {
    pub(crate) session: String,
    pub(crate) presenter_idx: i64,
    pub(crate) at: DateTime,
    pub(crate) position: PositionDocument,
    /// Why it ended. None: this is its start.
    pub(crate) disconnected: Option<String>,
}

/// A value that MongoDB cannot store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not fit into 63 bits")]
pub(crate) struct TooLarge(&'static str);

impl TryFrom<Position> for PositionDocument {
    type Error = TooLarge;

    fn try_from(position: Position) -> Result<PositionDocument, TooLarge> {
        Ok(PositionDocument {
            epoch: i64::try_from(position.epoch).map_err(|_| TooLarge("the epoch"))?,
            sequence: i64::try_from(position.sequence).map_err(|_| TooLarge("the sequence"))?,
            index: i64::from(position.index),
        })
    }
}

impl From<&SweepRule> for RuleDocument {
    fn from(rule: &SweepRule) -> RuleDocument {
        let users = rule.users.as_ref().map(|users| users.iter().map(|user| user.get()).collect());
        let similarity = rule.similarity.map(|similarity| similarity.percent().into());
        RuleDocument { texts: rule.folded_texts(), similarity, users, label: rule.label.clone() }
    }
}

impl PositionDocument {
    /// The position. None if something else changed it.
    pub(crate) fn position(self) -> Option<Position> {
        Some(Position {
            epoch: u64::try_from(self.epoch).ok()?,
            sequence: u64::try_from(self.sequence).ok()?,
            index: u32::try_from(self.index).ok()?,
        })
    }
}

impl From<PositionDocument> for Bson {
    fn from(position: PositionDocument) -> Bson {
        let PositionDocument { epoch, sequence, index } = position;
        Bson::Document(mongodb::bson::doc! { "epoch": epoch, "sequence": sequence, "index": index })
    }
}

impl From<&Emote> for EmoteDocument {
    fn from(Emote { id, start, end }: &Emote) -> EmoteDocument {
        EmoteDocument { id: id.clone(), start: i64::from(*start), end: i64::from(*end) }
    }
}

impl EmoteDocument {
    /// The emote. None if something else changed it.
    pub(crate) fn emote(&self) -> Option<Emote> {
        let EmoteDocument { id, start, end } = self;
        Some(Emote { id: id.clone(), start: u32::try_from(*start).ok()?, end: u32::try_from(*end).ok()? })
    }
}

impl From<User> for UserDocument {
    fn from(user: User) -> UserDocument {
        UserDocument { user_idx: user.idx.get(), nickname: user.nickname, role: user.role }
    }
}
