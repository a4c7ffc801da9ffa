//! An event in the log: its position, the members that an index needs, and its line.

use async_nats::HeaderMap;
use bytes::{Buf as _, Bytes};
use chat::{Body, Event, EventId, EventKind, Head, MalformedEvent, Position, PresenterIdx};
use jiff::{SignedDuration, Timestamp};
use runtime::TraceContext;

use crate::traces;

/// One event of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its position.
    pub position: Position,
    /// Its id.
    pub id: EventId,
    /// Its kind.
    pub kind: EventKind,
    /// Its room. `None`: all rooms.
    pub presenter: Option<PresenterIdx>,
    /// When the event happened, by the clock of the node that appended it. If that is more than [`MOST_AHEAD`] after
    /// `stored`, or more than [`MOST_BEHIND`] before it, `at` is `stored`. A belated event may be any time behind.
    pub at: Timestamp,
    /// When its batch was stored, by the clock of the log's servers. If that is not known, it is `at`.
    pub stored: Timestamp,
    /// The JSON as it was appended. It shares the memory of its batch.
    pub line: Bytes,
    /// The span of its append, if its trace is sampled.
    pub trace: Option<TraceContext>,
}

/// A line of the log that is not an event of this version.
#[derive(Debug, Clone)]
pub struct Malformed {
    /// Its position.
    pub position: Position,
    /// The line.
    pub line: Bytes,
    /// The reason.
    pub reason: MalformedEvent,
}

impl Entry {
    /// Reads a line that was saved elsewhere, with its position.
    pub fn read(position: Position, line: Bytes) -> Result<Entry, Malformed> {
        Entry::read_stored(position, line, None)
    }

    /// As [`Entry::read`], with the time at which the line was stored, if known.
    fn read_stored(position: Position, line: Bytes, stored: Option<Timestamp>) -> Result<Entry, Malformed> {
        let Head { id, kind, presenter, at, belated, .. } = match Head::from_line(&line) {
            Ok(head) => head,
            Err(reason) => return Err(Malformed { position, line, reason }),
        };
        let stored = stored.unwrap_or(at);
        let at = believed(at, belated, stored);
        Ok(Entry { position, id, kind, presenter, at, stored, line, trace: None })
    }

    /// The whole event. An error if the members of a known kind are wrong.
    pub fn event(&self) -> Result<Event, MalformedEvent> {
        Event::from_line(&self.line)
    }

    /// The event's body. It fails as [`Entry::event`] does, and parses the line once instead of twice.
    pub fn body(&self) -> Result<Body, MalformedEvent> {
        Body::from_line(&self.kind, &self.line)
    }
}

/// The time of an event that says `at`, as [`Entry::at`] has it.
pub fn believed(at: Timestamp, belated: bool, stored: Timestamp) -> Timestamp {
    let is_wrong = at > stored + MOST_AHEAD || !belated && at < stored - MOST_BEHIND;
    if is_wrong { stored } else { at }
}

/// The most that an event's time may be ahead of the time at which it was stored. NTP keeps clocks within a second of
/// each other, so a larger difference is a clock error. An hour ahead would shift everything that follows in a replay.
pub const MOST_AHEAD: SignedDuration = SignedDuration::from_secs(2);

/// The most that an event's time may be behind the time at which it was stored. An event is stored within 5 s
/// (`nats.append_deadline`), so a larger difference is a clock error or a delay. Nobody would look for the event
/// there.
pub const MOST_BEHIND: SignedDuration = SignedDuration::from_secs(8);

/// The header with a batch's expiry, by the log's clock: milliseconds since 1970. Batches of older versions have none.
const EXPIRES: &str = "Chatting-Expires";

/// Sets a batch's expiry.
pub(crate) fn set_expiry(headers: &mut HeaderMap, expires: Timestamp) {
    headers.insert(EXPIRES, expires.as_millisecond().to_string());
}

/// Whether a batch was stored after its expiry. No reader lets such a batch take effect: its senders were told that it
/// is not stored, or that its outcome is unknown, and others may have decided differently since.
pub(crate) fn is_expired(stored: Timestamp, headers: Option<&HeaderMap>) -> bool {
    let expires = headers.and_then(|headers| headers.get(EXPIRES)).and_then(|expires| expires.as_str().parse().ok());
    expires.is_some_and(|expires: i64| stored.as_nanosecond() > i128::from(expires) * 1_000_000)
}

/// The events of one message of the log. Empty if it was stored after its expiry.
pub(crate) fn entries(
    epoch: u64,
    sequence: u64,
    stored: Timestamp,
    headers: Option<&HeaderMap>,
    batch: &Bytes,
) -> impl Iterator<Item = Result<Entry, Malformed>> + use<> {
    let skipped = skips(epoch, sequence, stored, headers);
    let traces = traces::of(headers);
    let lines = lines(epoch, sequence, stored, if skipped { Bytes::new() } else { batch.clone() });
    lines.map(move |line| {
        let mut entry = line?;
        // Nearly every batch has none.
        if let Ok(found) = traces.binary_search_by_key(&entry.position.index, |(index, _)| *index) {
            entry.trace = Some(traces[found].1);
        }
        Ok(entry)
    })
}

/// Whether a reader skips the batch, because it was stored after its expiry. That is logged.
pub(crate) fn skips(epoch: u64, sequence: u64, stored: Timestamp, headers: Option<&HeaderMap>) -> bool {
    let is_expired = is_expired(stored, headers);
    if is_expired {
        let position = Position { epoch, sequence, index: 0 };
        tracing::warn!(%position, %stored, "skipped a batch that came into the log after it had expired");
    }
    is_expired
}

/// The lines of one batch. Blank lines are skipped, so that a file of NDJSON is a batch too.
fn lines(
    epoch: u64,
    sequence: u64,
    stored: Timestamp,
    mut batch: Bytes,
) -> impl Iterator<Item = Result<Entry, Malformed>> {
    let lines = std::iter::from_fn(move || {
        while !batch.is_empty() {
            let line = batch.split_to(memchr::memchr(b'\n', &batch).unwrap_or(batch.len()));
            batch.advance(batch.len().min(1));
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    });
    lines.enumerate().map(move |(index, line)| {
        let index = u32::try_from(index).expect("a batch of at most 1 MB has fewer than 2^32 lines");
        Entry::read_stored(Position { epoch, sequence, index }, line, Some(stored))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_stored_after_its_expiry_has_no_effect() {
        let expires: Timestamp = "2026-03-01T15:00:00.5Z".parse().unwrap();
        let line = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805c","type":"room.cleared","presenterIdx":42,"at":"2026-03-01T15:00:00Z"}"#;
        let mut headers = HeaderMap::new();
        let read = |stored: &str, headers: Option<&HeaderMap>| {
            entries(1, 2, stored.parse().unwrap(), headers, &line.into()).count()
        };
        let late = "2026-03-01T16:00:00Z";
        assert_eq!((read(late, None), read(late, Some(&headers))), (1, 1), "older versions say nothing");
        set_expiry(&mut headers, expires);
        assert_eq!(read("2026-03-01T15:00:00Z", Some(&headers)), 1);
        assert_eq!(read("2026-03-01T15:00:00.5Z", Some(&headers)), 1);
        assert_eq!(read("2026-03-01T15:00:00.500000001Z", Some(&headers)), 0);
        assert_eq!(read(late, Some(&headers)), 0);
    }

    #[test]
    fn a_sampled_event_has_its_trace_and_the_others_of_its_batch_have_none() {
        let line = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805c","type":"room.cleared","presenterIdx":42,"at":"2026-03-01T15:00:00Z"}"#;
        let batch = Bytes::from([line; 3].join("\n"));
        let trace = |number| Some(TraceContext { trace: [number; 16], span: [number; 8] });
        let mut headers = HeaderMap::new();
        let read = |headers: &HeaderMap| -> Vec<_> {
            let entries = entries(1, 2, Timestamp::UNIX_EPOCH, Some(headers), &batch);
            entries.map(|entry| entry.expect("every line is an event").trace).collect()
        };
        assert_eq!(read(&headers), [None; 3]);
        let sampled = [trace(1), None, trace(3)];
        traces::set(&mut headers, traces::header(sampled.into_iter()).as_deref());
        assert_eq!(read(&headers), sampled);
    }

    #[test]
    fn a_blank_line_is_skipped_and_does_not_count() {
        let line = |id: u32| {
            format!(
                r#"{{"v":1,"id":"01890a5d-ac96-774b-bcce-b3020000000{id}","type":"room.cleared","presenterIdx":42,"at":"2026-03-01T15:00:00Z"}}"#
            )
        };
        let read = |batch: String| -> Vec<(u32, String)> {
            let entries = entries(1, 2, Timestamp::UNIX_EPOCH, None, &batch.into());
            let entries = entries.map(|entry| entry.expect("every line is an event"));
            entries.map(|entry| (entry.position.index, str::from_utf8(&entry.line).unwrap().to_owned())).collect()
        };
        let expected = vec![(0, line(1)), (1, line(2))];
        for (between, after) in [("\n", ""), ("\n", "\n"), ("\n\n\n", "\n\n")] {
            assert_eq!(read([line(1), between.to_owned(), line(2), after.to_owned()].concat()), expected);
        }
        assert_eq!(read(format!("\n{}", line(1))), expected[..1]);
        assert_eq!(read("\n\n".to_owned()), []);
        assert_eq!(read(String::new()), []);
    }

    #[test]
    fn a_clock_that_is_far_from_the_logs_is_not_believed() {
        let stored: Timestamp = "2026-03-01T15:00:00Z".parse().unwrap();
        for (at, belated, expected) in [
            ("2026-03-01T15:00:02Z", false, "2026-03-01T15:00:02Z"),
            ("2026-03-01T15:00:02.001Z", false, "2026-03-01T15:00:00Z"),
            ("2026-03-01T16:00:00Z", false, "2026-03-01T15:00:00Z"),
            ("2026-03-01T16:00:00Z", true, "2026-03-01T15:00:00Z"),
            ("2026-03-01T14:59:52Z", false, "2026-03-01T14:59:52Z"),
            ("2026-03-01T14:59:51.999Z", false, "2026-03-01T15:00:00Z"),
            ("2021-03-01T15:00:00Z", false, "2026-03-01T15:00:00Z"),
            ("2021-03-01T15:00:00Z", true, "2021-03-01T15:00:00Z"),
        ] {
            let line = format!(
                r#"{{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805c","type":"room.cleared","presenterIdx":42,"at":"{at}","belated":{belated}}}"#
            );
            let read: Vec<_> = entries(1, 2, stored, None, &line.into()).collect();
            let [Ok(entry)] = read.as_slice() else { panic!("{read:?}") };
            assert_eq!((entry.at, entry.stored), (expected.parse().unwrap(), stored));
        }
    }
}
