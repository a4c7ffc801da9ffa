//! An event as it stands in the log: its position, what an index needs of it, and the bytes as they came.

use async_nats::HeaderMap;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use chat::Position;
use chat::{Body, Event, Head, MalformedEvent};
use chat::{EventId, PresenterIdx};

/// One event of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// Its identity.
    pub id: EventId,
    /// Its type, such as `message.posted`.
    pub kind: String,
    /// Its room; none: every room.
    pub presenter: Option<PresenterIdx>,
    /// When it was decided, by the clock of whoever did. Where that is more than [`MOST_AHEAD`] after it was stored, or more
    /// than [`MOST_BEHIND`] before, it is when it was stored; a belated event may be as far behind as it says.
    pub at: Timestamp,
    /// When its batch was stored, by the clock of the log's servers; where that is not known, `at`.
    pub stored: Timestamp,
    /// The JSON as it was appended, sharing the memory of its batch.
    pub line: Bytes,
}

/// A line of the log that is not an event of this version.
#[derive(Debug, Clone)]
pub struct Malformed {
    /// Where it stands.
    pub position: Position,
    /// The bytes as they came.
    pub line: Bytes,
    /// Why it is not an event.
    pub reason: MalformedEvent,
}

impl Entry {
    /// Reads the line that stands at that position, wherever it was kept.
    pub fn read(position: Position, line: Bytes) -> Result<Entry, Malformed> {
        Entry::stored(position, line, None)
    }

    /// The same, where it is known when it was stored.
    fn stored(position: Position, line: Bytes, stored: Option<Timestamp>) -> Result<Entry, Malformed> {
        let Head { id, kind, presenter, at, belated, .. } = match Head::from_line(&line) {
            Ok(head) => head,
            Err(reason) => return Err(Malformed { position, line, reason }),
        };
        let stored = stored.unwrap_or(at);
        let is_wrong = at > stored + MOST_AHEAD || !belated && at < stored - MOST_BEHIND;
        Ok(Entry { position, id, kind, presenter, at: if is_wrong { stored } else { at }, stored, line })
    }

    /// The whole event. It fails where the members of a known type are not as they must be.
    pub fn event(&self) -> Result<Event, MalformedEvent> {
        Event::from_line(&self.line)
    }

    /// What happened. It fails as [`Entry::event`] does, and reads the line once where that reads it twice.
    pub fn body(&self) -> Result<Body, MalformedEvent> {
        Body::from_line(&self.kind, &self.line)
    }
}

/// A time of the server's, as the client has it.
pub(crate) fn timestamp(time: async_nats::datetime::DateTime) -> Timestamp {
    Timestamp::from_nanosecond(time.unix_timestamp_nanos()).unwrap_or(Timestamp::MAX)
}

/// Clocks that are set by NTP are within a second of each other: a time that is further ahead of when it was stored is of
/// a clock that is wrong. An hour ahead would move whatever follows in a replay.
pub const MOST_AHEAD: SignedDuration = SignedDuration::from_secs(2);

/// An event is stored within 5 s (`nats.append_deadline`) of the time that it bears: one that is further behind is of
/// a clock that is wrong, or waited. It would be where nobody looks for it.
pub const MOST_BEHIND: SignedDuration = SignedDuration::from_secs(8);

/// The header of a batch that says until when it may be stored, by the log's clock: milliseconds since 1970. Batches of
/// older versions have none.
const EXPIRES: &str = "Chatting-Expires";

/// Sets the time after which the batch is not to be stored.
pub(crate) fn set_expiry(headers: &mut HeaderMap, expires: Timestamp) {
    headers.insert(EXPIRES, expires.as_millisecond().to_string());
}

/// Whether a batch came into the log too late. Then it never happened, for any reader: its senders were told that it is
/// not stored, or that its outcome is unknown, and others may have decided otherwise since.
pub(crate) fn is_expired(stored: Timestamp, headers: Option<&HeaderMap>) -> bool {
    let expires = headers.and_then(|headers| headers.get(EXPIRES)).and_then(|expires| expires.as_str().parse().ok());
    expires.is_some_and(|expires: i64| stored.as_nanosecond() > i128::from(expires) * 1_000_000)
}

/// The events of one message of the log: none where it came too late.
pub(crate) fn entries(
    epoch: u64,
    sequence: u64,
    stored: Timestamp,
    headers: Option<&HeaderMap>,
    batch: &Bytes,
) -> Vec<Result<Entry, Malformed>> {
    if is_expired(stored, headers) {
        let position = Position { epoch, sequence, index: 0 };
        tracing::warn!(%position, %stored, "skipped a batch that came into the log after it had expired");
        return Vec::new();
    }
    lines(epoch, sequence, stored, batch)
}

/// The lines of one batch. Blank lines do not count as lines, so that a file of NDJSON is a batch too.
fn lines(epoch: u64, sequence: u64, stored: Timestamp, batch: &Bytes) -> Vec<Result<Entry, Malformed>> {
    let lines = batch.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .enumerate()
        .map(|(index, line)| {
            let index = u32::try_from(index).expect("a batch of at most 1 MB has fewer than 2^32 lines");
            Entry::stored(Position { epoch, sequence, index }, batch.slice_ref(line), Some(stored))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_after_its_expiry_never_happened() {
        let expires: Timestamp = "2026-03-01T15:00:00.5Z".parse().unwrap();
        let line = r#"{"v":1,"id":"01890a5d-ac96-774b-bcce-b302099a805c","type":"room.cleared","presenterIdx":42,"at":"2026-03-01T15:00:00Z"}"#;
        let mut headers = HeaderMap::new();
        let read = |stored: &str, headers: Option<&HeaderMap>| {
            entries(1, 2, stored.parse().unwrap(), headers, &line.into()).len()
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
            let read = entries(1, 2, stored, None, &line.into());
            let [Ok(entry)] = read.as_slice() else { panic!("{read:?}") };
            assert_eq!((entry.at, entry.stored), (expected.parse().unwrap(), stored));
        }
    }
}
