//! Broadcasts, made of a presenter's sessions: sessions with no long pause between them are one broadcast, and its segments
//! are the times in which the presenter was there. Pure: where the sessions come from is not known here.
//!
//! The newest session of a presenter wins, on every node, so a session is over at the latest when the room's next one
//! begins: sessions do not overlap, and whether a pause is long is between two neighbours.

use mongodb::bson::DateTime;
use serde::Deserialize;

/// 2 minutes: a presenter whose page was loaded anew, or whose network was away, is back by then.
const LONGEST_PAUSE_MS: i64 = 2 * 60 * 1_000;

/// 15 minutes: a session whose node was killed is taken to have lasted to the room's next one if the room was not quiet
/// for longer before that. Otherwise it ended with the last that was said in it.
pub(crate) const LONGEST_QUIET_MS: i64 = 15 * 60 * 1_000;

/// 3 hours: where nobody says anything for longer and no session begins, a session whose node was killed was over before
/// that, whatever is said later. A small room is quiet for an hour or two while its presenter is there.
pub(crate) const LONGEST_SILENCE_MS: i64 = 3 * 60 * 60 * 1_000;

/// Why sessions end while the presenter's page stays where it is: the server's doing. See `delivery/src/close.rs`.
const SERVERS_DOING: [&str; 4] = ["drain", "replaced", "lapsed", "cut_off"];

/// A session as it is archived, with its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionDocument {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) connected_at: DateTime,
    pub(crate) disconnected_at: Option<DateTime>,
    pub(crate) reason: Option<String>,
}

/// A session with its end. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) began: i64,
    /// None: it is the room's latest, and runs, or was never heard of again.
    pub(crate) ended: Option<i64>,
    /// Whether the presenter's page was there all along.
    stayed: bool,
}

/// A time in which the presenter was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: i64,
    /// None: it goes on.
    pub(crate) end: Option<i64>,
}

/// What a presenter would call a broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broadcast {
    /// The id of its first session.
    pub(crate) id: String,
    /// In the order of time, apart from each other; at least one.
    pub(crate) segments: Vec<Segment>,
}

impl SessionDocument {
    pub(crate) fn began(&self) -> i64 {
        self.connected_at.timestamp_millis()
    }

    /// `next`: when the room's next session began. `said`: when the last was said before that, and before the room fell
    /// silent for long; it counts only for a session without an end.
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
            // Its two ends may come from the clocks of two nodes.
            ended: ended.map(|end| end.max(began)),
            stayed: self.reason.is_some_and(|reason| SERVERS_DOING.contains(&reason.as_str())),
        }
    }
}

impl Session {
    /// Whether a session that begins then is of the same broadcast.
    pub(crate) fn leads_to(&self, next: i64) -> bool {
        self.ended.is_none_or(|end| next - end <= LONGEST_PAUSE_MS)
    }
}

impl Broadcast {
    /// Of sessions in the order of time, each of which leads to the next. None: there are none.
    pub(crate) fn new(sessions: &[Session]) -> Option<Broadcast> {
        let first = sessions.first()?;
        let mut segments = vec![Segment { start: first.began, end: first.ended }];
        for pair in sessions.windows(2) {
            let [before, session] = pair else { continue };
            let segment = segments.last_mut()?;
            // Somebody whose page was there all along was not away, even if it took a moment to connect again.
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

    /// None: it runs, or its end is not known.
    pub(crate) fn ended(&self) -> Option<i64> {
        self.segments.last().and_then(|segment| segment.end)
    }
}

#[cfg(test)]
mod tests;
