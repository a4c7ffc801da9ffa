//! Reads the partition of a room from a time to the present end, once, within bounds. It is for questions of people: a
//! reader of all events tails the log.

use std::sync::Arc;

use chat::PresenterIdx;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::error::Error;
use crate::jetstream::{find_stream, timestamp};
use crate::partition;
use crate::read::entry::{Entry, entries};
use crate::read::item::{Item, ReadFrom};
use crate::read::reader;
use crate::read::recent::Recent;

/// How many batches may wait to be taken before reading pauses.
const BATCHES: usize = 64;

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEnd {
    /// At the end that the log had when the scan began, or after it.
    Complete,
    /// At the permitted number of events.
    TooMany,
}

/// See [`crate::Log::whole_since`].
pub(crate) async fn whole_since(context: &Context, presenter: PresenterIdx) -> Result<Timestamp, Error> {
    let partition = context.timelines.partition_of(presenter);
    let info = find_stream(&context.jetstream, &partition::stream(partition)).await?;
    Ok(info.map_or(Timestamp::MIN, |info| match info.state {
        state if state.first_sequence <= 1 => Timestamp::MIN,
        state if state.messages == 0 => Timestamp::MAX,
        state => timestamp(state.first_timestamp),
    }))
}

/// See [`crate::Log::scan`].
pub(crate) async fn scan(
    context: &Arc<Context>,
    presenter: PresenterIdx,
    since: Timestamp,
    most: usize,
    mut take: impl FnMut(Entry),
) -> Result<ScanEnd, Error> {
    let partition = context.timelines.partition_of(presenter);
    let (sink, mut items) = mpsc::channel(BATCHES);
    let stop = context.tasks.stop().child_token();
    let _reading = CancellationToken::drop_guard(stop.clone());
    reader::read_partition(context, partition, ReadFrom::Since(since), stop, sink, |item| item);
    let (mut recent, mut read) = (Recent::default(), 0);
    loop {
        match items.recv().await.ok_or(Error::Closed)?? {
            Item::Record(record) => {
                let (sequence, headers) = (record.sequence, record.headers.as_ref());
                let epoch = context.timelines.get(partition).position(sequence, 0).epoch;
                for entry in entries(epoch, sequence, record.stored, headers, &record.payload).flatten() {
                    if read == most {
                        return Ok(ScanEnd::TooMany);
                    }
                    read += 1;
                    let is_here = entry.presenter.is_none_or(|room| room == presenter);
                    if is_here && recent.insert(entry.id) {
                        take(entry);
                    }
                }
            }
            Item::CaughtUp(_) => return Ok(ScanEnd::Complete),
            Item::Resumed => {}
        }
    }
}
