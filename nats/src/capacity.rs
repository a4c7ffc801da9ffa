//! How full the log is. A full log would refuse a ban as it refuses a message, so each partition has a reserve for
//! decisions: messages are refused first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_nats::jetstream::stream;
use chat::Body;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::epoch::timeline::Timeline;
use crate::jetstream::timestamp;

/// 1 GiB: the largest reserve, for about two million decisions.
const MAX_RESERVE: u64 = 1 << 30;

/// 1 MiB: the smallest reserve, if the log is large enough. The settings of one room may take 40 KB.
const MIN_RESERVE: u64 = 1 << 20;

/// The bytes that the server stores with each batch, approximately.
const OVERHEAD: u64 = 100;

/// The state of one partition, as its server reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// The stream.
    pub stream: String,
    /// The epoch of new appends.
    pub epoch: u64,
    /// The first sequence of that epoch.
    pub begins: u64,
    /// The earlier epochs, each with its first and last sequence.
    pub earlier: Vec<(u64, u64, u64)>,
    /// The sequence of the oldest batch. In an empty partition it is greater than `last`.
    pub first: u64,
    /// The sequence of the newest batch ever stored.
    pub last: u64,
    /// When the oldest batch was stored. `None`: the partition is empty.
    pub oldest: Option<Timestamp>,
    /// The bytes in use.
    pub bytes: u64,
    /// The limit in bytes. `None`: the server's disk is the limit.
    pub max_bytes: Option<u64>,
    /// Whether batches can be removed before `nats.max_age_hours`. A stream that an earlier version created forbids it.
    pub can_forget: bool,
}

impl Fill {
    pub(crate) fn of(info: &stream::Info) -> Fill {
        let (state, config, timeline) = (&info.state, &info.config, Timeline::of(info));
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
}

/// How full each partition is, as far as this process knows.
#[derive(Debug)]
pub(crate) struct Capacity(Vec<Usage>);

/// How full one partition is.
#[derive(Debug, Default)]
struct Usage {
    /// The server's last answer, plus the appends of this process since.
    bytes: AtomicU64,
    /// 0: unknown or unlimited.
    max_bytes: AtomicU64,
    is_short: AtomicBool,
    /// The server's last answer.
    fill: Mutex<Option<LastFill>>,
}

/// The size of a partition, as its server reported it last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastFill {
    pub(crate) bytes: u64,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) oldest: Option<Timestamp>,
}

impl Capacity {
    pub(crate) fn new(partitions: u32) -> Capacity {
        Capacity((0..partitions).map(|_| Usage::default()).collect())
    }

    /// Whether the partition accepts such an event. Messages may not use the reserve.
    pub(crate) fn admits(&self, partition: u32, body: &Body) -> bool {
        let is_message = matches!(body, Body::MessagePosted(_) | Body::MessageHeld(_) | Body::MessageReported(_));
        !is_message || !self.0[partition as usize].is_short()
    }

    /// Counts an appended event of so many bytes.
    pub(crate) fn count(&self, partition: u32, bytes: usize) {
        self.0[partition as usize].bytes.fetch_add(bytes as u64 + OVERHEAD, Ordering::Relaxed);
    }

    /// The worst shortage of all partitions.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        let full = self.0.iter().any(Usage::is_full);
        let short = self.0.iter().any(Usage::is_short);
        if full { Some(Shortage::OfAll) } else { short.then_some(Shortage::OfMessages) }
    }

    /// The server's last answer, if it has answered.
    pub(crate) fn fill(&self, partition: u32) -> Option<LastFill> {
        *self.0[partition as usize].fill.lock()
    }

    /// Takes the server's answer, and logs when messages begin or cease to be refused.
    pub(crate) fn update(&self, partition: u32, fill: &Fill) {
        let Usage { bytes, max_bytes, is_short, fill: last } = &self.0[partition as usize];
        *last.lock() = Some(LastFill { bytes: fill.bytes, max_bytes: fill.max_bytes, oldest: fill.oldest });
        bytes.store(fill.bytes, Ordering::Relaxed);
        max_bytes.store(fill.max_bytes.unwrap_or(0), Ordering::Relaxed);
        let short = self.0[partition as usize].is_short();
        match (is_short.swap(short, Ordering::Relaxed), short) {
            (false, true) => tracing::error!(
                stream = fill.stream,
                bytes = fill.bytes,
                max_bytes = fill.max_bytes,
                "{} is nearly full: messages are refused, and the rest is reserved for decisions",
                fill.stream
            ),
            (true, false) => tracing::info!(stream = fill.stream, "{} accepts messages again", fill.stream),
            _ => {}
        }
    }
}

/// What a full or nearly full log refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Messages of some rooms. Decisions are accepted.
    OfMessages,
    /// Every event of some rooms.
    OfAll,
}

impl Usage {
    fn is_short(&self) -> bool {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        max_bytes > 0 && self.bytes.load(Ordering::Relaxed) > for_messages(max_bytes)
    }

    fn is_full(&self) -> bool {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        // A batch of one event needs more than this.
        max_bytes > 0 && self.bytes.load(Ordering::Relaxed) + 2 * OVERHEAD > max_bytes
    }
}

/// The bytes below which messages are accepted. The reserve is a sixteenth, and in a small log up to a quarter.
fn for_messages(max_bytes: u64) -> u64 {
    max_bytes - (max_bytes / 16).clamp(MIN_RESERVE.min(max_bytes / 4), MAX_RESERVE)
}

/// The bytes above which archived batches may be removed. It is below [`for_messages`], so that removing them comes
/// before refusing messages.
pub(crate) fn high_water(max_bytes: u64) -> u64 {
    for_messages(max_bytes) / 8 * 7
}

/// The bytes down to which archived batches may be removed.
pub(crate) fn low_water(max_bytes: u64) -> u64 {
    for_messages(max_bytes) / 8 * 5
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
        let stream = "CHAT_1".to_owned();
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
        let message = chat::MessagePosted::new(user.clone(), String::new());
        let message = Body::MessagePosted(message);
        let decision = Body::RoomCleared(chat::RoomCleared { by: user, reason: None });
        let capacity = Capacity::new(2);
        let takes =
            |capacity: &Capacity| (capacity.admits(1, &message), capacity.admits(1, &decision), capacity.shortage());
        assert_eq!(takes(&capacity), (true, true, None), "nothing is known yet");
        capacity.count(1, 4 << 20);
        assert_eq!(takes(&capacity), (true, true, None));

        capacity.update(1, &fill(for_messages(SIZE), Some(SIZE)));
        assert_eq!(takes(&capacity), (true, true, None));
        // Own appends count before the server reports them, with the server's overhead.
        capacity.count(1, 0);
        assert_eq!(takes(&capacity), (false, true, Some(Shortage::OfMessages)));
        assert!(capacity.admits(0, &message), "the other partition has room");
        capacity.update(1, &fill(for_messages(SIZE), Some(SIZE)));
        capacity.count(1, 1_000_000);
        capacity.update(1, &fill(SIZE - 2 * OVERHEAD, Some(SIZE)));
        assert_eq!(takes(&capacity), (false, true, Some(Shortage::OfMessages)), "one more fits");
        capacity.count(1, 10);
        assert_eq!(takes(&capacity), (false, true, Some(Shortage::OfAll)));
        capacity.update(1, &fill(SIZE - 2 * OVERHEAD + 1, Some(SIZE)));
        assert_eq!(takes(&capacity), (false, true, Some(Shortage::OfAll)));

        capacity.update(1, &fill(0, Some(SIZE)));
        assert_eq!(takes(&capacity), (true, true, None));
        // A stream without a limit is never full.
        capacity.update(1, &fill(u64::MAX / 2, None));
        assert_eq!(takes(&capacity), (true, true, None));
    }
}
