//! Looks up single events, at a position or by id. It is for questions of people: a reader of many events tails the
//! log.

use chat::{EventId, Position, PresenterIdx};
use futures_util::{StreamExt as _, stream};

use crate::context::Context;
use crate::epoch::evidence;
use crate::error::Error;
use crate::jetstream::{find_stream, message_at, request, timestamp};
use crate::node_name::{self, NodeName};
use crate::partition;
use crate::read::entry::{Entry, entries};

/// 16: the batches that are requested at once.
const AT_ONCE: usize = 16;

/// An event, with what its batch says beside it.
#[derive(Debug, Clone)]
pub struct LookedUp {
    /// The event.
    pub entry: Entry,
    /// The node that appended it. None: it had no name, or ran an earlier version.
    pub node: Option<NodeName>,
}

/// The result of a search for an event.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// The event, at its first position after the requested one.
    Found(Box<LookedUp>),
    /// The log does not have it after the requested position.
    Missing,
    /// More batches than permitted would have to be read.
    TooFar,
}

/// See [`crate::Log::event_at`].
pub(crate) async fn at(context: &Context, position: Position) -> Result<Option<LookedUp>, Error> {
    let Some(partition) = context.timelines.partition(position) else { return Ok(None) };
    let place = context.timelines.get(partition).position(position.sequence, position.index);
    if place != position {
        return Ok(None);
    }
    batch(context, partition, position.sequence, |entry| entry.position == position).await
}

/// See [`crate::Log::find_event`].
pub(crate) async fn find(
    context: &Context,
    presenter: PresenterIdx,
    id: EventId,
    after: u64,
    most: usize,
) -> Result<Lookup, Error> {
    let partition = context.timelines.partition_of(presenter);
    let Some(info) = find_stream(&context.jetstream, &partition::stream(partition)).await? else {
        return Ok(Lookup::Missing);
    };
    let (first, last) = (info.state.first_sequence.max(after.saturating_add(1)), info.state.last_sequence);
    let batches = stream::iter((first..=last).take(most)).map(|sequence| {
        batch(context, partition, sequence, |entry| entry.id == id && entry.presenter == Some(presenter))
    });
    let mut batches = batches.buffered(AT_ONCE);
    while let Some(batch) = batches.next().await {
        if let Some(found) = batch? {
            return Ok(Lookup::Found(Box::new(found)));
        }
    }
    let is_short = last.saturating_sub(first) >= u64::try_from(most).unwrap_or(u64::MAX);
    Ok(if is_short { Lookup::TooFar } else { Lookup::Missing })
}

/// The first such event of a batch. None also if the log no longer has the batch, if it was stored after its expiry, or
/// if it shows that the log has lost its end: then its positions are not known yet.
async fn batch(
    context: &Context,
    partition: u32,
    sequence: u64,
    is_it: impl Fn(&Entry) -> bool,
) -> Result<Option<LookedUp>, Error> {
    let asking = context.jetstream.get_stream_no_info(partition::stream(partition));
    let stream = request("asking for a stream of the log", asking).await?;
    let Some(message) = message_at(&stream, sequence).await? else { return Ok(None) };
    let timeline = context.timelines.get(partition);
    if evidence::against(timeline, sequence, Some(&message.headers)).is_some() {
        return Ok(None);
    }
    let epoch = timeline.position(sequence, 0).epoch;
    let stored = timestamp(message.time);
    let headers = Some(&message.headers);
    let entry = entries(epoch, sequence, stored, headers, &message.payload).filter_map(Result::ok).find(is_it);
    Ok(entry.map(|entry| LookedUp { entry, node: node_name::of(headers) }))
}
