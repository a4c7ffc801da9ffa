//! Broadcasts, made of a presenter's sessions. Sessions without a long pause between them are one broadcast. Its
//! segments are the times during which the presenter was connected. Pure: it does not know where sessions come from.
//!
//! The newest session of a presenter wins, on every node, so a session ends at the latest when the room's next one
//! begins. Sessions therefore do not overlap, and only neighbours need to be compared.

use mongodb::bson::DateTime;
use serde::Deserialize;

/// 2 minutes: by then a presenter is back after a page reload or a network outage.
const LONGEST_PAUSE_MS: i64 = 2 * 60 * 1_000;

/// 15 minutes: a session without a recorded end lasted to the room's next session if the room was not quiet for longer
/// before that. Otherwise it ended with its last message.
pub(crate) const LONGEST_QUIET_MS: i64 = 15 * 60 * 1_000;

/// 3 hours: a session without a recorded end was over before a silence longer than this, whatever is said later. A
/// small room can be quiet for an hour or two while its presenter is connected.
pub(crate) const LONGEST_SILENCE_MS: i64 = 3 * 60 * 60 * 1_000;

/// The reasons for which the server ends a session while the presenter's page stays open. Delivery records them.
const SERVERS_DOING: [&str; 4] = ["drain", "replaced", "lapsed", "cut_off"];

/// An archived session that has a start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) connected_at: DateTime,
    pub(crate) disconnected_at: Option<DateTime>,
    pub(crate) reason: Option<String>,
}

/// A session with its end, as far as it is known. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) began: i64,
    /// None: it is the room's latest session, and is running or has no recorded end.
    pub(crate) ended: Option<i64>,
    /// Whether the presenter's page stayed open at its end.
    stayed: bool,
}

/// A time during which the presenter was connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: i64,
    /// None: it continues.
    pub(crate) end: Option<i64>,
}

/// A broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broadcast {
    /// The id of its first session.
    pub(crate) id: String,
    /// At least one, in the order of time, without overlaps.
    pub(crate) segments: Vec<Segment>,
}

impl SessionDocument {
    pub(crate) fn began(&self) -> i64 {
        self.connected_at.timestamp_millis()
    }

    /// Determines the end. `next`: when the room's next session began. `said`: the time of the last message before
    /// that, and before a long silence; it matters only for a session without a recorded end.
    pub(crate) fn settled(self, next: Option<i64>, said: Option<i64>) -> Session {
        let began = self.began();
        let noted = self.disconnected_at.map(|at| at.timestamp_millis());
        let ended = match (noted, next) {
            (Some(end), next) => Some(next.map_or(end, |next| end.min(next))),
            (None, Some(next)) => {
                let said = said.map_or(began, |said| said.max(began));
                Some(if next - said <= LONGEST_QUIET_MS { next } else { said })
            }
            (None, None) => None,
        };
        Session {
            id: self.id,
            began,
            // The start and the end may come from the clocks of two nodes.
            ended: ended.map(|end| end.max(began)),
            stayed: self.reason.is_some_and(|reason| SERVERS_DOING.contains(&reason.as_str())),
        }
    }
}

impl Session {
    /// Whether a session that begins then belongs to the same broadcast.
    pub(crate) fn leads_to(&self, next: i64) -> bool {
        self.ended.is_none_or(|end| next - end <= LONGEST_PAUSE_MS)
    }
}

impl Broadcast {
    /// The broadcast of these sessions, in the order of time, each of which leads to the next. None: there are none.
    pub(crate) fn new(sessions: &[Session]) -> Option<Broadcast> {
        let first = sessions.first()?;
        let mut segments = vec![Segment { start: first.began, end: first.ended }];
        for pair in sessions.windows(2) {
            let [before, session] = pair else { continue };
            let segment = segments.last_mut()?;
            // A presenter whose page stayed open was not away, even if reconnecting took a moment.
            if before.stayed || before.ended.is_none_or(|end| end >= session.began) {
                segment.end = session.ended;
            } else {
                segments.push(Segment { start: session.began, end: session.ended });
            }
        }
        Some(Broadcast { id: first.id.clone(), segments })
    }

    pub(crate) fn started(&self) -> i64 {
        self.segments.first().map_or(0, |segment| segment.start)
    }

    /// None: it is running, or its end is unknown.
    pub(crate) fn ended(&self) -> Option<i64> {
        self.segments.last().and_then(|segment| segment.end)
    }
}

#[cfg(test)]
mod tests;
