//! What is observed of warnings of users, and of notes on them.

use chat::EventId;
use serde::{Deserialize, Serialize};

/// One observation about a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "person", rename_all = "snake_case")]
pub enum PersonObservation {
    /// An answer to a post has a warning. It follows that answer.
    Told {
        /// The post.
        post: u64,
        /// The attempt.
        attempt: u32,
        /// The warning.
        warning: EventId,
        /// What it says.
        reason: String,
    },
    /// The warnings of a room, according to an ingest node at the end of the run.
    Warnings {
        /// The room.
        room: i64,
        /// The ingest node.
        node: String,
        /// In the order of the users.
        warnings: Vec<ListedWarning>,
    },
    /// The notes on a user in a room are requested.
    AsksForNotes {
        /// The request, unique within the run.
        list: u64,
        /// The room.
        room: i64,
        /// The user.
        user: i64,
        /// The ingest node.
        node: String,
        /// Whether it is the end of the run.
        at_the_end: bool,
    },
    /// They were listed. Without this line the request has failed.
    Notes {
        /// The request.
        list: u64,
        /// The oldest first.
        notes: Vec<ListedNote>,
    },
}

/// A warning in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedWarning {
    /// The warning.
    pub id: EventId,
    /// The warned user.
    pub user: i64,
    /// What it says.
    pub reason: String,
    /// Whether an answer to the user has had it, according to the list.
    pub is_sent: bool,
}

/// A note in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedNote {
    /// The note.
    pub id: EventId,
    /// Its text.
    pub text: String,
}

impl From<PersonObservation> for super::Observation {
    fn from(observed: PersonObservation) -> super::Observation {
        super::Observation::Person(observed)
    }
}
