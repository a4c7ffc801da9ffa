//! The collection `quarantine`, and how lines are searched for users and messages that may be no valid events.

use chat::EventId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime};
use serde::{Deserialize, Serialize};

/// `quarantine`: a whole line of the log that has no place in the other collections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuarantineDocument {
    /// The position of the line, as text.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) cause: Cause,
    /// What exactly is wrong, for people.
    pub(crate) reason: String,
    /// When it was put into quarantine.
    pub(crate) at: DateTime,
    /// Text, or binary if it is not UTF-8.
    pub(crate) line: Bson,
    /// The users that the line names, as far as can be seen: an erasure of one of them finds the line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) users: Vec<i64>,
}

/// Why a line is in quarantine, as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It is no event of this version.
    Malformed,
    /// It is an event of a type that this version does not know.
    UnknownType,
    /// It is an event with values that MongoDB cannot store.
    Unmappable,
    /// MongoDB refused the document, by a validator for example.
    Refused,
}

impl Cause {
    /// All causes.
    pub const ALL: [Cause; 4] = [Cause::Malformed, Cause::UnknownType, Cause::Unmappable, Cause::Refused];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Malformed => "malformed",
            Cause::UnknownType => "unknown_type",
            Cause::Unmappable => "unmappable",
            Cause::Refused => "refused",
        }
    }
}

/// The numbers of the users that a line names, in the members where events have them, whether or not the line is JSON.
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

/// The message that a line deletes, whether or not the line is JSON.
pub(crate) fn target(line: &[u8]) -> Option<String> {
    const NAME: &str = r#""target""#;
    let text = String::from_utf8_lossy(line);
    let value = text[text.find(NAME)? + NAME.len()..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split('"').next()?.parse::<EventId>().ok().map(|id| id.to_string())
}

/// 100: an event names at most two users, but another line could name thousands.
const MOST_PEOPLE: usize = 100;

/// The line as text if it is UTF-8, else as binary.
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
