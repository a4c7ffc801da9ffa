//! Tickets as NATS stores them. Nodes of other versions depend on the format: a snapshot pins it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chat::UserIdx;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use web::auth::{Identity, Pass};

use crate::readers::rights::READ;
use crate::visibility::{ERASE, MODERATE};

/// Which view a ticket shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShownView {
    /// That of the token that asked for the ticket.
    Own,
    /// What viewers see.
    Viewer,
}

/// Why a user could make a long-lived ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grantor {
    /// The room is the user's own.
    Presenter,
    /// The user was a moderator of the room. The ticket ends with the role.
    Moderator,
    /// The user's token had the scope `chat:moderate`.
    Scope,
}

/// A long-lived ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LongLived {
    pub(crate) id: Uuid,
    /// Of the secret.
    pub(crate) hash: String,
    pub(crate) name: String,
    pub(crate) view: ShownView,
    pub(crate) by: UserIdx,
    pub(crate) grantor: Grantor,
    pub(crate) at: Timestamp,
}

/// The long-lived tickets of a room.
#[derive(Debug, Default, Serialize, Deserialize)]
struct RoomTickets {
    tickets: Vec<LongLived>,
}

/// A one-use ticket: the token that asked for it, as far as it matters to a reader.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OneUse {
    user: i64,
    scopes: Vec<String>,
    /// Seconds since 1970: when the token expires, leeway included.
    until: u64,
    view: ShownView,
}

impl OneUse {
    pub(super) fn of(pass: &Pass, view: ShownView) -> OneUse {
        let scopes = [READ, MODERATE, ERASE].into_iter().filter(|scope| pass.identity.has_scope(scope));
        OneUse {
            user: pass.identity.user_idx,
            scopes: scopes.map(str::to_owned).collect(),
            until: pass.until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            view,
        }
    }

    pub(super) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("a ticket has string keys and no failing serializer").into()
    }

    pub(super) fn from_json(json: &[u8]) -> Result<OneUse, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The token, and which view its ticket shows.
    pub(super) fn into_pass(self) -> (Pass, ShownView) {
        let identity = Identity {
            user_idx: self.user,
            nickname: String::new(),
            email: String::new(),
            scopes: self.scopes,
            attributes: None,
            emotes: None,
        };
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(self.until)).unwrap_or(SystemTime::UNIX_EPOCH);
        (Pass { identity, until }, self.view)
    }
}

/// The long-lived tickets of a value. An empty one: none.
pub(super) fn tickets(value: &[u8]) -> Result<Vec<LongLived>, serde_json::Error> {
    if value.is_empty() {
        Ok(Vec::new())
    } else {
        serde_json::from_slice::<RoomTickets>(value).map(|room| room.tickets)
    }
}

pub(super) fn to_json(tickets: &[LongLived]) -> Bytes {
    let room = RoomTickets { tickets: tickets.to_vec() };
    serde_json::to_vec(&room).expect("a ticket has string keys and no failing serializer").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_formats_are_pinned() {
        let ticket = LongLived {
            id: Uuid::from_u128(7),
            hash: "hash".to_owned(),
            name: "OBS".to_owned(),
            view: ShownView::Viewer,
            by: UserIdx::try_from(42).unwrap(),
            grantor: Grantor::Moderator,
            at: "2026-11-29T11:00:00.123Z".parse().unwrap(),
        };
        let json = to_json(std::slice::from_ref(&ticket));
        insta::assert_snapshot!(std::str::from_utf8(&json).unwrap(), @r#"{"tickets":[{"id":"00000000-0000-0000-0000-000000000007","hash":"hash","name":"OBS","view":"viewer","by":42,"grantor":"moderator","at":"2026-11-29T11:00:00.123Z"}]}"#);
        assert_eq!(tickets(&json).unwrap(), [ticket]);
        assert_eq!(tickets(b"").unwrap(), []);

        let scopes = ["other", READ, MODERATE].map(str::to_owned).to_vec();
        let identity = Identity {
            user_idx: 7,
            nickname: "mina".to_owned(),
            email: "mail".to_owned(),
            scopes,
            attributes: None,
            emotes: None,
        };
        let pass = Pass { identity, until: UNIX_EPOCH + Duration::from_secs(1_764_456_000) };
        let json = OneUse::of(&pass, ShownView::Own).to_json();
        insta::assert_snapshot!(std::str::from_utf8(&json).unwrap(), @r#"{"user":7,"scopes":["chat:read","chat:moderate"],"until":1764456000,"view":"own"}"#);
        let (read, view) = OneUse::from_json(&json).unwrap().into_pass();
        assert_eq!((read.until, view, read.identity.user_idx), (pass.until, ShownView::Own, 7));
        assert!(read.identity.has_scope(MODERATE) && !read.identity.has_scope("other"));
    }
}
