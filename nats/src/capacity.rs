//! How full the log is. A full log would refuse a ban as it refuses a message, so the last part of each partition is kept
//! for decisions; and what is archived may leave before its age where room is needed, never what is not.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::stream;
use jiff::Timestamp;
use tokio::time::sleep;

use crate::epoch::continuity::same_stream;
use crate::error::Error;
use crate::jetstream::request;
use crate::log::Inner;
use crate::partition;
use crate::read::entry::timestamp;
use crate::setup::timeline;
use crate::state::decisions::Decisions;
use chat::Body;
use chat::Position;

/// How often the server is asked. What this process appends meanwhile is counted here; what others append is far less
/// than is kept.
const INTERVAL: Duration = Duration::from_secs(1);

/// The largest part that is kept for decisions: some two million of them.
const MOST_KEPT: u64 = 1 << 30;

/// The smallest, where the log has the room: a room's settings may take 40 KB.
const LEAST_KEPT: u64 = 1 << 20;

/// What the server stores with a batch, about.
const OVERHEAD: u64 = 100;

/// One partition as its server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// The stream.
    pub stream: String,
    /// Of the positions of what is appended now.
    pub epoch: u64,
    /// The first sequence of that epoch.
    pub begins: u64,
    /// The epochs before, each with its first and its last sequence.
    pub earlier: Vec<(u64, u64, u64)>,
    /// The first batch that it holds; beyond the last where it holds none.
    pub first: u64,
    /// The last batch that it was given.
    pub last: u64,
    /// When the first was stored; none where it holds none.
    pub oldest: Option<Timestamp>,
    /// Bytes that it holds.
    pub bytes: u64,
    /// Bytes that it may hold; none: as many as its server's disk takes.
    pub max_bytes: Option<u64>,
    /// Whether it can give room before its age; a stream that an earlier version made cannot.
    pub can_forget: bool,
}

/// How full each partition is, as far as this process knows.
#[derive(Debug)]
pub(crate) struct Room(Vec<Partition>);

#[derive(Debug, Default)]
struct Partition {
    /// As the server said last, and what was appended here since.
    bytes: AtomicU64,
    /// 0: not known, or without limit.
    max_bytes: AtomicU64,
    is_short: AtomicBool,
}

impl Room {
    pub(crate) fn new(partitions: u32) -> Room {
        Room((0..partitions).map(|_| Partition::default()).collect())
    }

    /// Whether an event may still be appended: a message only where it leaves what is kept for decisions.
    pub(crate) fn is_for(&self, partition: u32, body: &Body) -> bool {
        !matches!(body, Body::MessagePosted(_)) || !self.0[partition as usize].is_short()
    }

    /// The event was appended, and takes so many bytes.
    pub(crate) fn took(&self, partition: u32, bytes: usize) {
        self.0[partition as usize].bytes.fetch_add(bytes as u64 + OVERHEAD, Ordering::Relaxed);
    }

    /// Whether some partition refuses messages, and whether one refuses everything.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        let full = self.0.iter().any(Partition::is_full);
        let short = self.0.iter().any(Partition::is_short);
        if full { Some(Shortage::OfAll) } else { short.then_some(Shortage::OfMessages) }
    }

    fn heard(&self, partition: u32, fill: &Fill) {
        let Partition { bytes, max_bytes, is_short } = &self.0[partition as usize];
        bytes.store(fill.bytes, Ordering::Relaxed);
        max_bytes.store(fill.max_bytes.unwrap_or(0), Ordering::Relaxed);
        let short = self.0[partition as usize].is_short();
        match (is_short.swap(short, Ordering::Relaxed), short) {
            (false, true) => tracing::error!(
                stream = fill.stream,
                bytes = fill.bytes,
                max_bytes = fill.max_bytes,
                "{} is nearly full: messages are refused, and what is left is kept for decisions",
                fill.stream
            ),
            (true, false) => tracing::info!(stream = fill.stream, "{} has room for messages again", fill.stream),
            _ => {}
        }
    }
}

/// What the log has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Messages of some rooms are refused; decisions are not.
    OfMessages,
    /// Everything in some rooms is refused.
    OfAll,
}

impl Partition {
    fn is_short(&self) -> bool {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        max_bytes > 0 && self.bytes.load(Ordering::Relaxed) > for_messages(max_bytes)
    }

    fn is_full(&self) -> bool {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        // Less than that is left by a batch of one event.
        max_bytes > 0 && self.bytes.load(Ordering::Relaxed) + 2 * OVERHEAD > max_bytes
    }
}

/// Up to so many bytes messages are taken: all but a sixteenth, and in a small log all but a quarter at most.
fn for_messages(max_bytes: u64) -> u64 {
    max_bytes - (max_bytes / 16).clamp(LEAST_KEPT.min(max_bytes / 4), MOST_KEPT)
}

/// Above this what is archived may go; it is below [`for_messages`], so that none is refused where that helps.
fn high_water(max_bytes: u64) -> u64 {
    for_messages(max_bytes) / 8 * 7
}

/// Down to this it goes.
fn low_water(max_bytes: u64) -> u64 {
    for_messages(max_bytes) / 8 * 5
}

/// Asks every partition how full it is, again and again. Never ends while the log lives.
pub(crate) async fn watch(log: Weak<Inner>) {
    loop {
        let Some(inner) = log.upgrade() else { return };
        for partition in 0..inner.config.partitions {
            // An outage: whoever appends says so.
            if let Ok(fill) = fill(&inner, partition).await {
                inner.room.heard(partition, &fill);
            }
        }
        drop(inner);
        sleep(INTERVAL).await;
    }
}

/// How full the partition is.
pub(crate) async fn fill(log: &Inner, partition: u32) -> Result<Fill, Error> {
    let stream =
        request("asking for a stream of the log", log.context.get_stream(partition::stream(partition))).await?;
    Ok(fill_of(stream.cached_info()))
}

fn fill_of(info: &stream::Info) -> Fill {
    let (state, config, timeline) = (&info.state, &info.config, timeline(info));
    let mut earlier: Vec<(u64, u64, u64)> = timeline.spans().collect();
    let (epoch, begins, _) = earlier.pop().expect("a timeline has an epoch");
    Fill {
        stream: config.name.clone(),
        epoch,
        begins,
        earlier,
        first: state.first_sequence,
        last: state.last_sequence,
        oldest: (state.messages > 0).then(|| timestamp(state.first_timestamp)),
        bytes: state.bytes,
        max_bytes: u64::try_from(config.max_bytes).ok().filter(|bytes| *bytes > 0),
        can_forget: !config.deny_purge,
    }
}

/// Where a partition is nearly full, lets go of what is archived up to `archived`, the oldest first: only what is also
/// kept by `decisions` and older than `nats.min_age`. How many batches went.
pub(crate) async fn make_room(log: &std::sync::Arc<Inner>, partition: u32, archived: Position) -> Result<u64, Error> {
    let name = partition::stream(partition);
    // A log that has gone back has other batches at places that were archived.
    let stream = same_stream(log, partition).await?;
    let fill = fill_of(stream.cached_info());
    let Some(max_bytes) = fill.max_bytes.filter(|max_bytes| fill.bytes > high_water(*max_bytes)) else { return Ok(0) };
    if !fill.can_forget || archived.epoch != fill.epoch {
        return Ok(0);
    }
    // A ban that is nowhere else yet must stay, and so must the keys of retries.
    let Some(kept) = Decisions::new(log).checkpoint(partition).await? else { return Ok(0) };
    if kept.epoch != fill.epoch {
        return Ok(0);
    }
    let batches = fill.last.saturating_sub(fill.first).saturating_add(1);
    let surplus = u128::from(fill.bytes - low_water(max_bytes)) * u128::from(batches) / u128::from(fill.bytes);
    let enough = fill.first.saturating_add(u64::try_from(surplus).unwrap_or(u64::MAX));
    // Batches before this one may go.
    let allowed = enough.min(archived.sequence.saturating_add(1)).min(kept.sequence);
    let young = log.now().checked_sub(log.config.min_age()).unwrap_or(Timestamp::MIN);
    let until = first_since(&stream, fill.first, allowed, young).await?;
    if until <= fill.first {
        return Ok(0);
    }
    request("letting go of what is archived", stream.purge().sequence(until)).await?;
    tracing::info!(
        stream = name,
        batches = until - fill.first,
        "{name} was nearly full: it let go of {} batches that are archived",
        until - fill.first
    );
    Ok(until - fill.first)
}

/// The first batch from `from` on, before `to`, that was stored at that time or later; else `to`.
async fn first_since(stream: &stream::Stream, from: u64, to: u64, time: Timestamp) -> Result<u64, Error> {
    let (mut low, mut high) = (from, to);
    // Mostly all of them are old enough.
    let mut middle = to.saturating_sub(1);
    while low < high {
        let batch = request("asking for a batch of the log", stream.get_raw_message(middle)).await?;
        if timestamp(batch.time) < time {
            low = middle + 1;
        } else {
            high = middle;
        }
        middle = low.midpoint(high);
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_kept_for_decisions_and_a_small_log_still_takes_messages() {
        for (max_bytes, expected) in [
            (512 << 10, 384 << 10),
            (1 << 20, 768 << 10),
            (1 << 30, (1 << 30) - (64 << 20)),
            (16 << 30, 15 << 30),
            (1 << 40, (1 << 40) - (1 << 30)),
        ] {
            assert_eq!(for_messages(max_bytes), expected, "{max_bytes}");
            assert!(low_water(max_bytes) < high_water(max_bytes) && high_water(max_bytes) < expected, "{max_bytes}");
            assert!(low_water(max_bytes) > max_bytes / 3, "{max_bytes}: the log is not emptied to make room");
        }
    }

    fn fill(bytes: u64, max_bytes: Option<u64>) -> Fill {
        let stream = partition::stream(1);
        Fill {
            stream,
            epoch: 1,
            begins: 1,
            earlier: Vec::new(),
            first: 1,
            last: 9,
            oldest: None,
            bytes,
            max_bytes,
            can_forget: true,
        }
    }

    #[test]
    fn a_partition_refuses_first_messages_then_everything_and_takes_them_again_when_it_has_room() {
        const SIZE: u64 = 1 << 30;
        let user = chat::User { idx: 7.try_into().unwrap(), nickname: String::new(), role: chat::Role::Viewer };
        let message = chat::MessagePosted { user: user.clone(), text: String::new(), flags: Vec::new() };
        let message = Body::MessagePosted(message);
        let decision = Body::RoomCleared(chat::RoomCleared { by: user, reason: None });
        let room = Room::new(2);
        let takes = |room: &Room| (room.is_for(1, &message), room.is_for(1, &decision), room.shortage());
        assert_eq!(takes(&room), (true, true, None), "nothing is known yet");
        room.took(1, 4 << 20);
        assert_eq!(takes(&room), (true, true, None));

        room.heard(1, &fill(for_messages(SIZE), Some(SIZE)));
        assert_eq!(takes(&room), (true, true, None));
        // What is appended here counts before the server says so, with what the server needs beside it.
        room.took(1, 0);
        assert_eq!(takes(&room), (false, true, Some(Shortage::OfMessages)));
        assert!(room.is_for(0, &message), "the other partition has room");
        room.heard(1, &fill(for_messages(SIZE), Some(SIZE)));
        room.took(1, 1_000_000);
        room.heard(1, &fill(SIZE - 2 * OVERHEAD, Some(SIZE)));
        assert_eq!(takes(&room), (false, true, Some(Shortage::OfMessages)), "one more fits");
        room.took(1, 10);
        assert_eq!(takes(&room), (false, true, Some(Shortage::OfAll)));
        room.heard(1, &fill(SIZE - 2 * OVERHEAD + 1, Some(SIZE)));
        assert_eq!(takes(&room), (false, true, Some(Shortage::OfAll)));

        room.heard(1, &fill(0, Some(SIZE)));
        assert_eq!(takes(&room), (true, true, None));
        // A stream without a limit is never full.
        room.heard(1, &fill(u64::MAX / 2, None));
        assert_eq!(takes(&room), (true, true, None));
    }
}
