//! Trimming: a partition that is nearly full removes archived batches before their age. It never removes a batch that
//! is not archived.

use std::sync::Arc;

use async_nats::jetstream::stream;
use chat::Position;
use jiff::Timestamp;

use crate::capacity::{Fill, high_water, low_water};
use crate::context::Context;
use crate::epoch::continuity::same_stream;
use crate::error::Error;
use crate::jetstream::{next_message, request, timestamp};
use crate::partition;
use crate::state::decisions::Decisions;

/// How full the partition is, as its server reports.
pub(crate) async fn fill(context: &Context, partition: u32) -> Result<Fill, Error> {
    let stream =
        request("asking for a stream of the log", context.jetstream.get_stream(partition::stream(partition))).await?;
    Ok(Fill::of(stream.cached_info()))
}

/// Removes the oldest batches of a partition that is nearly full. A removed batch stands at or before `archived`, is
/// older than `nats.min_age_minutes`, and precedes the checkpoint of the bucket `decisions`. Returns the number
/// removed.
pub(crate) async fn trim(context: &Arc<Context>, partition: u32, archived: Position) -> Result<u64, Error> {
    let name = partition::stream(partition);
    // A log that went back has other batches at archived positions.
    let stream = same_stream(context, partition).await?;
    let fill = Fill::of(stream.cached_info());
    let Some(max_bytes) = fill.max_bytes.filter(|max_bytes| fill.bytes > high_water(*max_bytes)) else { return Ok(0) };
    if !fill.can_forget || archived.epoch != fill.epoch {
        return Ok(0);
    }
    // A ban that no bucket holds yet must stay, and so must the keys of retries.
    let Some(kept) = Decisions::new(context).checkpoint(partition).await? else { return Ok(0) };
    if kept.epoch != fill.epoch {
        return Ok(0);
    }
    let batches = fill.last.saturating_sub(fill.first).saturating_add(1);
    let surplus = u128::from(fill.bytes - low_water(max_bytes)) * u128::from(batches) / u128::from(fill.bytes);
    let enough = fill.first.saturating_add(u64::try_from(surplus).unwrap_or(u64::MAX));
    // Batches before this one may be removed.
    let allowed = enough.min(archived.sequence.saturating_add(1)).min(kept.sequence);
    let young = context.now().checked_sub(context.config.min_age()).unwrap_or(Timestamp::MIN);
    let until = first_since(&stream, fill.first, allowed, young).await?;
    if until <= fill.first {
        return Ok(0);
    }
    request("removing archived batches", stream.purge().sequence(until)).await?;
    tracing::info!(
        stream = name,
        batches = until - fill.first,
        "{name} was nearly full: removed {} archived batches",
        until - fill.first
    );
    Ok(until - fill.first)
}

/// The first batch in `from..to` that was stored at that time or later; otherwise `to`. The stream may have holes.
async fn first_since(stream: &stream::Stream, from: u64, to: u64, time: Timestamp) -> Result<u64, Error> {
    let (mut low, mut high) = (from, to);
    // Usually all of them are old enough.
    let mut middle = to.saturating_sub(1);
    while low < high {
        match next_message(stream, middle).await? {
            Some(batch) if batch.sequence < high && timestamp(batch.time) < time => low = batch.sequence + 1,
            _ => high = middle,
        }
        middle = low.midpoint(high);
    }
    Ok(low)
}
