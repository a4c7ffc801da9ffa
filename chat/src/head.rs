//! The head of a line: the members that every event has. It is enough to index a line without reading the rest.

use jiff::Timestamp;
use serde::Deserialize;

use crate::ids::{EventId, KeyId, PresenterIdx, RequestDigest};
use crate::kind::EventKind;
use crate::malformed::{MalformedEvent, parse};
use crate::posted::PostedLine;
use crate::time::millis;

/// The version of the format, member `v`.
pub(crate) const VERSION: u32 = 1;

/// The members that every event has.
#[derive(Debug, Clone, Deserialize)]
pub struct Head {
    v: u32,
    /// The event's id.
    pub id: EventId,
    /// The member `type`.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The room. `None`: the event applies to all rooms.
    #[serde(rename = "presenterIdx", default)]
    pub presenter: Option<PresenterIdx>,
    /// When the event happened, by the clock of the node that appended it.
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// Whether the event is from a recording, so that `at` is long past.
    #[serde(default)]
    pub belated: bool,
    #[serde(rename = "requestKey", default)]
    pub(crate) key: Option<KeyId>,
    #[serde(default)]
    pub(crate) request: Option<RequestDigest>,
}

impl Head {
    /// Reads the head of a line and skips the rest.
    ///
    /// # Errors
    /// The line is not an event of this version.
    pub fn from_line(line: &[u8]) -> Result<Head, MalformedEvent> {
        match PostedLine::scan(line) {
            Some(posted) => Ok(Head::posted(&posted)),
            None => Head::parsed(line),
        }
    }

    pub(crate) fn posted(posted: &PostedLine<'_>) -> Head {
        let PostedLine { id, presenter, at, belated, key, request, .. } = *posted;
        Head { v: VERSION, id, kind: EventKind::MessagePosted, presenter: Some(presenter), at, belated, key, request }
    }

    /// Reads a head in any form of JSON.
    pub(crate) fn parsed(line: &[u8]) -> Result<Head, MalformedEvent> {
        let head: Head = parse(line)?;
        if head.v != VERSION {
            return Err(MalformedEvent(format!("version {} is not {VERSION}", head.v)));
        }
        if head.presenter.is_none() && !head.kind.may_apply_to_all_rooms() {
            return Err(MalformedEvent(format!("{} without presenterIdx: it must be about a room", head.kind)));
        }
        if head.presenter.is_some() && head.kind == EventKind::UserErased {
            return Err(MalformedEvent("user.erased with presenterIdx: it must be about every room".to_owned()));
        }
        Ok(head)
    }
}
