//! `chatting-server log status`: a row for each stream of the log and each bucket beside it.

use jiff::{SignedDuration, Timestamp};
use nats::{Fill, ReaderState, StreamState};
use serde_json::{Value, json};

use crate::cli::TableFormat;
use crate::operator::{print, print_table};

/// The connection's name in NATS' monitoring.
const NAME: &str = "chatting-server log status";

const HEADER: [&str; 8] = ["STREAM", "BATCHES", "BYTES", "FULL", "OLDEST", "EPOCH", "UNREAD", "IN HAND"];

/// Prints the table. Err: NATS does not answer, or not for this login.
pub(super) async fn print_status(config: &nats::Config, format: TableFormat) -> anyhow::Result<()> {
    let state = nats::inspect(config, NAME, archiver::READER).await?;
    match format {
        TableFormat::Text => print_table(HEADER, state.streams.iter().map(|stream| row(stream, Timestamp::now()))),
        TableFormat::Json => {
            let streams: Vec<Value> = state.streams.iter().map(object).collect();
            print(format_args!("{:#}\n", Value::Array(streams)))
        }
    }
}

/// A dash stands for what does not apply or is not known.
fn row(state: &StreamState, now: Timestamp) -> [String; 8] {
    let dash = || "-".to_owned();
    let Some(fill) = &state.fill else {
        let mut row = std::array::from_fn(|_| dash());
        row[0] = state.stream.clone();
        row[1] = "missing".to_owned();
        return row;
    };
    let (unread, in_hand) = unread(state);
    [
        state.stream.clone(),
        batches(fill).to_string(),
        fill.bytes.to_string(),
        full(fill).map_or_else(dash, |percent| format!("{percent} %")),
        fill.oldest.map_or_else(dash, |oldest| age(now.duration_since(oldest))),
        if state.reader.is_some() { format!("{:x}", fill.epoch) } else { dash() },
        unread.map_or_else(dash, |unread| unread.to_string()),
        in_hand.map_or_else(dash, |in_hand| in_hand.to_string()),
    ]
}

fn object(state: &StreamState) -> Value {
    let (unread, in_hand) = unread(state);
    json!({
        "stream": state.stream,
        "exists": state.fill.is_some(),
        "batches": state.fill.as_ref().map(batches),
        "first": state.fill.as_ref().map(|fill| fill.first),
        "last": state.fill.as_ref().map(|fill| fill.last),
        "oldest": state.fill.as_ref().and_then(|fill| fill.oldest),
        "bytes": state.fill.as_ref().map(|fill| fill.bytes),
        "maxBytes": state.fill.as_ref().and_then(|fill| fill.max_bytes),
        "epoch": state.fill.as_ref().map(|fill| format!("{:x}", fill.epoch)),
        "unread": unread,
        "inHand": in_hand,
        "lateReplicas": state.late_replicas,
    })
}

/// Batches that the archivers have not been given, and batches that they have not acknowledged.
fn unread(state: &StreamState) -> (Option<u64>, Option<u64>) {
    match &state.reader {
        Some(ReaderState::Present { waiting, unacknowledged, .. }) => (Some(*waiting), Some(*unacknowledged as u64)),
        // Nothing was read yet.
        Some(ReaderState::Missing) => (state.fill.as_ref().map(batches), Some(0)),
        Some(ReaderState::Unknown(_)) | None => (None, None),
    }
}

fn batches(fill: &Fill) -> u64 {
    // An empty stream that never held anything has the sequences 0 and 0.
    fill.oldest.map_or(0, |_| (fill.last + 1).saturating_sub(fill.first))
}

/// In whole seconds: `2h 5m 9s`.
fn age(age: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_secs(age.as_secs()))
}

fn full(fill: &Fill) -> Option<u64> {
    fill.max_bytes.map(|max_bytes| (u128::from(fill.bytes) * 100 / u128::from(max_bytes)) as u64)
}
