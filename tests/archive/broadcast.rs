//! Broadcasts for the tests: the presenter's sessions, the messages, and an independent recount of the replay.

use chat::{Body, Event, EventId, PresenterConnected, PresenterDisconnected, SessionId};
use serde_json::Value;

use super::presenter;
use super::reading::{Reader, evening};

/// A presenter's session. Times are in milliseconds of the evening.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Session {
    pub(super) fn new(from: i64, to: i64) -> Session {
        Session { id: SessionId::new(), from, to }
    }

    pub(super) fn begins(&self, room: i64) -> Event {
        let body = Body::PresenterConnected(PresenterConnected { session: self.id });
        Event::now(presenter(room), body).recorded_at(evening(self.from))
    }

    pub(super) fn ends(&self, room: i64, reason: &str) -> Event {
        let reason = reason.to_owned();
        let body = Body::PresenterDisconnected(PresenterDisconnected { session: self.id, reason });
        Event::now(presenter(room), body).recorded_at(evening(self.to))
    }
}

/// A message of a broadcast, in log order.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) id: EventId,
    pub(super) ms: i64,
    pub(super) deleted: bool,
}

/// What the recording holds.
pub(super) const TIMELINES: [&str; 2] = ["segments", "wall"];

/// The expected replay: the offset and id of each message, computed from the definition. An offset is the part of the
/// segments before the latest time so far.
pub(super) fn recount(segments: &[(i64, i64)], messages: &[Told], timeline: &str) -> Vec<(i64, String)> {
    let (start, end) = (segments[0].0, segments[segments.len() - 1].1);
    let mut latest = start;
    let mut replay = Vec::new();
    for Told { id, ms, deleted } in messages.iter().filter(|told| (start..=end).contains(&told.ms)) {
        latest = latest.max(*ms);
        let offset = match timeline {
            "wall" => latest - start,
            _ => segments.iter().map(|(from, to)| (latest - from).clamp(0, to - from)).sum(),
        };
        if !deleted {
            replay.push((offset, id.to_string()));
        }
    }
    replay
}

/// The offset and id of each message of an answer.
pub(super) fn offsets(messages: &[Value]) -> Vec<(i64, String)> {
    let pairs = messages
        .iter()
        .map(|message| (message["offsetMs"].as_i64().unwrap(), message["id"].as_str().unwrap().to_owned()));
    pairs.collect()
}

/// The whole replay, with pages of `first` messages.
pub(super) async fn replay(reader: &Reader<'_>, path: &str, timeline: &str, first: usize) -> Vec<(i64, String)> {
    let path = format!("{path}/replay");
    offsets(&reader.all(&path, &[("timeline", timeline)], "messages", first).await)
}
