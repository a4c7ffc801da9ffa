//! The stored documents: formats that analysts and later versions depend on, described in `docs/reference/archive-schema.md` and pinned
//! by snapshots. Conversions to and from events are by hand, and here.

use chat::{ErasureMode, EventId, Position, Role, User};
use mongodb::bson::{Binary, Bson, DateTime, Document, spec::BinarySubtype};
use serde::{Deserialize, Serialize};

/// `chatting_log`: one message, whatever became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageDocument {
    /// The id of the event, as text: the form in which answers, logs and exports show it, so that it can be pasted.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) presenter_idx: i64,
    /// Negative: the pseudonym of somebody who was erased.
    pub(crate) user_idx: i64,
    pub(crate) nickname: String,
    pub(crate) role: Role,
    /// None: it was deleted so long ago that the text is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// The text as searches compare it; none where an earlier version wrote it, or the text is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) folded: Option<String>,
    pub(crate) sent_at: DateTime,
    pub(crate) position: PositionDocument,
    pub(crate) flags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deleted: Option<DeletedDocument>,
}

impl MessageDocument {
    /// What it says; nothing where its text has gone.
    pub(crate) fn text(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }
}

/// Where an event stands in the log. MongoDB compares embedded documents member by member in this order, so the field
/// sorts, ranges and is indexed as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PositionDocument {
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
    pub(crate) index: i64,
}

/// The decision that took a message away: the first of those that stand after it in the log.
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

/// A person, as known when the event happened; with a negative number and without a name: somebody who was erased.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserDocument {
    pub(crate) user_idx: i64,
    pub(crate) nickname: String,
    pub(crate) role: Role,
}

/// `moderation_log`: one decision about a room. It is also the tombstone: a message that is archived after the
/// decision that deletes it finds it here.
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
    /// The message of a `message.deleted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// The user of a `user.banned` or `user.unbanned`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_idx: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<DateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Document>,
    /// Which settings were decided on; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) settings_changed: Vec<String>,
    /// Of the settings that end by themselves, when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings_until: Option<Document>,
}

/// What one event says about a presenter's session; its two ends make one document of `broadcasts`.
#[derive(Debug, Clone)]
pub(crate) struct SessionEnd {
    pub(crate) session: String,
    pub(crate) presenter_idx: i64,
    pub(crate) at: DateTime,
    pub(crate) position: PositionDocument,
    /// Why it ended; none for its beginning.
    pub(crate) disconnected: Option<String>,
}

/// `quarantine`: a line of the log that has no place in the other collections, kept whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuarantineDocument {
    /// The position of the line, as text.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) cause: Cause,
    /// For people: what exactly is wrong.
    pub(crate) reason: String,
    /// When it was put here.
    pub(crate) at: DateTime,
    /// Text, or binary where it is not UTF-8.
    pub(crate) line: Bson,
    /// Whom the line names, as far as that can be seen in it: so that it is found if one of them is erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) users: Vec<i64>,
}

/// `erasures`: a user's erasure as tombstone, job and receipt. It is there for longer than the log has anything from before
/// it, and then goes too: it is what connects the user with the pseudonym.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureDocument {
    /// The id of the event `user.erased`.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) user_idx: i64,
    pub(crate) mode: ErasureMode,
    pub(crate) at: DateTime,
    pub(crate) by: UserDocument,
    /// What stands in the place of the user's number: negative, and exact in JavaScript.
    pub(crate) pseudonym: i64,
    /// The epochs of the log's partitions: in each of them a copy of the event has its place.
    pub(crate) epochs: Vec<i64>,
    /// Where those copies stand that are known: what the user wrote before is erased.
    pub(crate) positions: Vec<PositionDocument>,
    pub(crate) state: ErasureState,
    /// What was found and erased; it adds up whoever did it, and however often it was interrupted.
    pub(crate) counts: ErasureCounts,
    /// How many pages are erased and counted.
    pub(crate) pages: i64,
    /// The page in hand: whoever finds it finishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<PageDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<DateTime>,
    /// When the last of the copies became known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recorded_at: Option<DateTime>,
    /// From then on the log holds nothing from before the erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_held_until: Option<DateTime>,
    /// When this document goes: never while the erasure runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<DateTime>,
}

/// `log_marks`: what was seen of a partition of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MarkDocument {
    /// The partition.
    #[serde(rename = "_id")]
    pub(crate) partition: i64,
    pub(crate) epoch: i64,
    /// The last sequence of the samples.
    pub(crate) last: i64,
    pub(crate) samples: Vec<SampleDocument>,
}

/// A message of the log.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SampleDocument {
    pub(crate) sequence: i64,
    /// Nanoseconds since 1970: MongoDB's dates have milliseconds only.
    pub(crate) stored: i64,
}

/// Documents that are being erased.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PageDocument {
    /// So many pages came before it.
    pub(crate) number: i64,
    /// What is done with them: the member of the counts.
    pub(crate) step: String,
    /// Their `_id`s.
    pub(crate) ids: Vec<String>,
}

/// `erased_ids`: the id of a message that was removed, for as long as the log may hold something about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasedIdDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<DateTime>,
}

/// How far an erasure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ErasureState {
    /// Not all of its copies are known yet, or not everything before them is erased.
    Running,
    /// Everything before all of its copies is erased.
    Done,
}

/// What an erasure has erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureCounts {
    /// Messages that were removed, or anonymised.
    pub(crate) messages: i64,
    /// Decisions of the user, which now have a pseudonym's name under them.
    pub(crate) decided: i64,
    /// Decisions about the user: bans, which are now about a pseudonym, and deletions of the user's messages.
    pub(crate) decisions_about: i64,
    /// Messages of others that the user deleted: who did it is a pseudonym now.
    pub(crate) deleted: i64,
    /// Lines in quarantine that named the user and were removed.
    pub(crate) quarantined: i64,
}

/// Why a line is in quarantine, in a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It is not an event of this version.
    Malformed,
    /// An event of a type that this version does not know.
    UnknownType,
    /// An event whose values MongoDB cannot hold.
    Unmappable,
    /// MongoDB refused the document, by a validator for example.
    Refused,
}

impl Cause {
    /// Every cause there is.
    pub const ALL: [Cause; 4] = [Cause::Malformed, Cause::UnknownType, Cause::Unmappable, Cause::Refused];

    /// The word, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Malformed => "malformed",
            Cause::UnknownType => "unknown_type",
            Cause::Unmappable => "unmappable",
            Cause::Refused => "refused",
        }
    }
}

/// A value that MongoDB cannot hold.
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

impl PositionDocument {
    /// The position, if this log wrote it.
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

impl From<User> for UserDocument {
    fn from(user: User) -> UserDocument {
        UserDocument { user_idx: user.idx.get(), nickname: user.nickname, role: user.role }
    }
}

/// The numbers of the people that a line names in the members where events have them, whether or not it is JSON.
pub(crate) fn people(line: &[u8]) -> Vec<i64> {
    let text = String::from_utf8_lossy(line);
    let mut people = Vec::new();
    for name in [r#""idx""#, r#""user""#, r#""userIdx""#] {
        for (start, _) in text.match_indices(name) {
            let value = text[start + name.len()..].trim_start().strip_prefix(':').map(str::trim_start);
            let value = value.unwrap_or_default();
            let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            people.extend(value[..digits].parse::<i64>().ok().filter(|idx| *idx > 0));
        }
    }
    people.sort_unstable();
    people.dedup();
    people.truncate(MOST_PEOPLE);
    people
}

/// The message that a line is about, as a deletion names it, whether or not it is JSON.
pub(crate) fn target(line: &[u8]) -> Option<String> {
    const NAME: &str = r#""target""#;
    let text = String::from_utf8_lossy(line);
    let value = text[text.find(NAME)? + NAME.len()..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split('"').next()?.parse::<EventId>().ok().map(|id| id.to_string())
}

/// An event names two at most; what is not one could name a batch full.
const MOST_PEOPLE: usize = 100;

/// A line as it can be read: text if it is UTF-8.
pub(crate) fn readable(line: &[u8]) -> Bson {
    match std::str::from_utf8(line) {
        Ok(text) => Bson::String(text.to_owned()),
        Err(_) => Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: line.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_people_that_a_line_names_are_found_in_events_and_in_what_is_none() {
        for (line, expected) in [
            (r#"{"user":{"idx":7,"nickname":"a"},"by":{"idx": 42}}"#, vec![7, 42]),
            (r#"{"user" : 9,"by":{"idx":42,"nickname":"\"idx\":8"},"presenterIdx":1}"#, vec![9, 42]),
            (r#"{"userIdx":5,"user":{"idx":5"#, vec![5]),
            (r#"garbage "idx":12x"#, vec![12]),
            (r#"{"idx":"7","user":null,"idx":-7,"idx":99999999999999999999,"user":0}"#, vec![]),
            ("", vec![]),
        ] {
            assert_eq!(people(line.as_bytes()), expected, "{line}");
        }
        assert_eq!(people(b"\xff\"user\":3"), [3]);
    }

    #[test]
    fn the_message_that_a_line_is_about_is_found_in_events_and_in_what_is_none() {
        let id = "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3";
        for (line, expected) in [
            (format!(r#"{{"v":99,"target":"{id}","reason":"x"}}"#), Some(id)),
            (format!(r#"garbage "target" : "{id}"#), Some(id)),
            (r#"{"target":"me"}"#.to_owned(), None),
            (r#"{"target":7}"#.to_owned(), None),
            (r#"{"reason":"target"}"#.to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(target(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_cause_is_stored_as_its_word() {
        for cause in Cause::ALL {
            let stored = mongodb::bson::serialize_to_bson(&cause).unwrap();
            assert_eq!(stored, Bson::String(cause.as_str().to_owned()));
        }
    }
}
