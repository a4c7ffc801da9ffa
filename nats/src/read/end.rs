//! Where a stream ends: its last message, and whether a reader has come that far.

use std::collections::HashSet;

use async_nats::jetstream::stream::{self, LastRawMessageErrorKind, Stream};

use crate::error::Error;
use crate::jetstream::request;
use crate::read::item::ReadFrom;

/// The sequence of the last message that exists. The stream's own last sequence may be greater: after a clean stop a
/// server remembers where a file ended, and counts messages that the file has lost since as deleted.
pub(crate) async fn last_there(stream: &Stream, state: &stream::State) -> Result<u64, Error> {
    let last = state.last_sequence;
    if state.messages == 0 || state.deleted_count.unwrap_or(0) == 0 {
        return Ok(last);
    }
    let asking = async {
        match stream.get_raw_message(last).await {
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
            found => found.map(|_| true),
        }
    };
    if request("asking for the last message of a stream", asking).await? {
        return Ok(last);
    }
    let details = stream.info_builder().with_deleted(true).fetch();
    let details = request("asking what a stream has lost", details).await?;
    let deleted: HashSet<u64> = details.info.state.deleted.into_iter().flatten().collect();
    Ok((state.first_sequence..=last).rev().find(|sequence| !deleted.contains(sequence)).unwrap_or(last))
}

/// Whether the stream has nothing after the last message that was handed out. An empty consumer is no evidence: in a
/// cluster it may run on a member that lags behind the stream. Continuing from the stream's end would then skip what
/// that member hands out later.
pub(crate) fn nothing_is_left(state: &stream::State, last_there: u64, last: Option<u64>, from: ReadFrom) -> bool {
    let holds_nothing = state.messages == 0;
    holds_nothing
        || match (last, from) {
            (Some(last), _) => last >= last_there,
            (None, ReadFrom::Sequence(first)) => first > last_there,
            (None, ReadFrom::Since(time)) => state.last_timestamp.unix_timestamp_nanos() < time.as_nanosecond(),
            (None, ReadFrom::Oldest | ReadFrom::LastPerSubject) => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(messages: u64, first: u64, last: u64) -> stream::State {
        let state = serde_json::json!({
            "messages": messages, "bytes": 0, "consumer_count": 1,
            "first_seq": first, "first_ts": "2026-11-22T12:00:00Z",
            "last_seq": last, "last_ts": "2026-11-22T12:34:56Z",
        });
        serde_json::from_value(state).unwrap()
    }

    #[test]
    fn a_consumer_that_has_nothing_does_not_mean_that_nothing_is_left() {
        let check = |state: &stream::State, last, from, expected| {
            assert_eq!(
                nothing_is_left(state, state.last_sequence, last, from),
                expected,
                "{state:?} after {last:?}, {from:?}"
            );
        };
        let at = |time: &str| ReadFrom::Since(time.parse().unwrap());
        let grown = state(778, 1, 778);
        check(&grown, Some(774), ReadFrom::Oldest, false);
        check(&grown, Some(778), ReadFrom::Oldest, true);
        check(&grown, None, ReadFrom::Oldest, false);
        check(&grown, None, ReadFrom::LastPerSubject, false);
        check(&grown, None, ReadFrom::Sequence(778), false);
        check(&grown, None, ReadFrom::Sequence(779), true);
        check(&grown, None, at("2026-11-22T12:34:56Z"), false);
        check(&grown, None, at("2026-11-22T12:34:57Z"), true);
        // Every message has left the stream.
        check(&state(0, 779, 778), Some(774), ReadFrom::Oldest, true);
        check(&state(0, 0, 0), None, ReadFrom::Oldest, true);
    }
}
