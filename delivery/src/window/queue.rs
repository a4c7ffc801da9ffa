//! The events of one room, or of every room of a partition, oldest first.

use std::collections::VecDeque;
use std::mem::size_of;
use std::time::Instant;

use chat::Position;

use crate::window::kept::Kept;

/// The bytes of an event beside its line: its entry in the index, and the overhead of the allocator and of the line's
/// reference count.
pub(super) const INDEX_BYTES: usize = size_of::<Kept>() + size_of::<Instant>() + 48;

/// 8: nearly every reader has read all but the last event or two. A search from the other end would read memory that
/// nobody has used for minutes.
const NEAR_THE_END: usize = 8;

/// Events in order, with their arrival times.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) kept: VecDeque<Kept>,
    pub(super) came: VecDeque<Instant>,
    pub(super) bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, kept: Kept, now: Instant) {
        self.bytes += kept.bytes() + INDEX_BYTES;
        self.kept.push_back(kept);
        self.came.push_back(now);
    }

    /// The events after the position, or all of them.
    pub(super) fn after(&self, position: Option<Position>) -> impl Iterator<Item = &Kept> {
        let first = position.map_or(0, |position| {
            let is_after = |kept: &&Kept| kept.position > position;
            let near_the_end = self.kept.iter().rev().take(NEAR_THE_END).take_while(is_after).count();
            if near_the_end < NEAR_THE_END {
                self.kept.len() - near_the_end
            } else {
                self.kept.partition_point(|kept| kept.position <= position)
            }
        });
        self.kept.range(first..)
    }

    /// Takes out the oldest event. There must be one.
    pub(super) fn pop(&mut self) -> (Kept, Instant) {
        let kept = self.kept.pop_front().expect("an eviction takes from a queue with events");
        let came = self.came.pop_front().expect("every event has an arrival time");
        self.bytes -= kept.bytes() + INDEX_BYTES;
        shrink(&mut self.kept);
        shrink(&mut self.came);
        (kept, came)
    }
}

/// Frees memory after a burst, each time three quarters are unused, so that the cost per event stays constant.
pub(super) fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() {
        queue.shrink_to_fit();
    } else if queue.capacity() > 64 && queue.len() < queue.capacity() / 4 {
        queue.shrink_to(queue.capacity() / 2);
    }
}
