//! What this process has seen of a stream. A log that lost its end and was filled again looks whole. Only a memory of
//! which message stood where reveals that another one stands there now.

use std::collections::BTreeMap;

use async_nats::jetstream::stream::{self, Stream};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::error::Error;
use crate::jetstream::{message_at, request, timestamp};

/// This many of the latest messages are remembered, and ever fewer of the older ones: one in two, in four, in eight.
/// For a log of a thousand million messages that is about 6,000, or 300 KB.
const NEAR: u64 = 256;

/// As [`NEAR`], for samples that are saved elsewhere and written again and again.
const FEW: u64 = 16;

/// 8: the messages that [`first_look`] requests at once.
const LOOKS_AT_ONCE: usize = 8;

/// What was seen of a stream.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    state: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The last sequence that was read, or that an acknowledgement named.
    last: u64,
    /// When messages were stored, by sequence.
    seen: BTreeMap<u64, Timestamp>,
    since_thinned: u64,
}

impl Memory {
    /// Records a message that was read. Returns false if another message was read with that sequence before.
    #[must_use]
    pub(crate) fn see(&self, sequence: u64, stored: Timestamp) -> bool {
        let mut state = self.state();
        if let Some(before) = state.seen.get(&sequence) {
            return *before == stored;
        }
        let newest = state.seen.last_key_value().map_or(sequence, |(newest, _)| sequence.max(*newest));
        if is_kept(sequence, newest, NEAR) {
            state.seen.insert(sequence, stored);
            state.since_thinned += 1;
            if state.since_thinned == NEAR {
                state.since_thinned = 0;
                state.seen.retain(|older, _| is_kept(*older, newest, NEAR));
            }
        }
        state.last = state.last.max(sequence);
        true
    }

    /// Records an acknowledgement.
    pub(crate) fn acknowledged(&self, sequence: u64) {
        let mut state = self.state();
        state.last = state.last.max(sequence);
    }

    /// The last sequence that is known to be in the stream. 0: none.
    pub(crate) fn last(&self) -> u64 {
        self.state().last
    }

    /// The remembered messages, in stream order.
    pub(crate) fn samples(&self) -> Vec<(u64, Timestamp)> {
        let state = self.state();
        state.seen.iter().map(|(sequence, stored)| (*sequence, *stored)).collect()
    }

    /// A smaller selection of them, at most about 500.
    pub(crate) fn few_samples(&self) -> Vec<(u64, Timestamp)> {
        let state = self.state();
        let Some((last, _)) = state.seen.last_key_value() else { return Vec::new() };
        let few = state.seen.iter().filter(|(sequence, _)| *sequence == last || is_kept(**sequence, *last, FEW));
        few.map(|(sequence, stored)| (*sequence, *stored)).collect()
    }

    /// Whether the last message that is known to have been in the stream is there, as it was read. A message that was
    /// only acknowledged cannot be compared.
    pub(crate) async fn is_confirmed_by(&self, stream: &Stream, info: &stream::Info) -> Result<bool, Error> {
        let last = self.last();
        match self.newest_sample() {
            Some((sequence, stored)) if sequence == last => {
                Ok(compare(stream, info, sequence, stored).await? == Compared::Same)
            }
            _ => Ok(false),
        }
    }

    fn newest_sample(&self) -> Option<(u64, Timestamp)> {
        let state = self.state();
        state.seen.last_key_value().map(|(sequence, stored)| (*sequence, *stored))
    }

    fn state(&self) -> MutexGuard<'_, Seen> {
        self.state.lock()
    }

    /// Why the stream is not the one that was seen, although it reaches as far. `None`: nothing contradicts it.
    pub(crate) async fn contradiction(&self, stream: &Stream, info: &stream::Info) -> Result<Option<String>, Error> {
        let Some((sequence, stored)) = self.newest_sample() else { return Ok(None) };
        Ok(match compare(stream, info, sequence, stored).await? {
            // This process read the message after it asked the stream.
            Compared::Different if sequence > info.state.last_sequence => None,
            Compared::Different => Some(other_message(sequence)),
            Compared::Same | Compared::Gone => None,
        })
    }
}

/// Looks at some messages that a stream has when a process starts: the last one, and ever fewer before it. Without them
/// that process could not tell how far back a loss goes, and the whole log would get a new epoch.
pub(crate) async fn first_look(memory: &Memory, stream: &Stream) -> Result<(), Error> {
    let state = &stream.cached_info().state;
    let samples = looked_at(state.first_sequence, state.last_sequence);
    let mut messages = futures_util::stream::iter(samples)
        .map(|sequence| async move {
            let message = message_at(stream, sequence).await?;
            Ok::<_, Error>(message.map(|message| (sequence, timestamp(message.time))))
        })
        .buffered(LOOKS_AT_ONCE);
    while let Some(message) = messages.next().await {
        if let Some((sequence, stored)) = message? {
            // Nothing was seen before.
            let _ = memory.see(sequence, stored);
        }
    }
    Ok(())
}

/// The sequences of [`first_look`], the last one first. The memory keeps them.
fn looked_at(first: u64, last: u64) -> Vec<u64> {
    let distances = std::iter::once(0).chain((0..u64::BITS).map(|bit| 1 << bit));
    let before = |distance: u64| {
        let sequence = last.checked_sub(distance)?;
        // A sequence that is kept at twice the distance is kept at this one.
        let step = 2 * (distance / NEAR).max(1).next_power_of_two();
        Some(if distance < NEAR { sequence } else { sequence - sequence % step })
    };
    distances.map_while(before).take_while(|sequence| *sequence >= first.max(1)).collect()
}

/// Why a stream that should reach the sequence `last` went back. `None`: it reaches that far.
pub(crate) fn went_back(info: &stream::Info, last: u64) -> Option<String> {
    let now = info.state.last_sequence;
    (now < last).then(|| format!("it went back from sequence {last} to {now}"))
}

/// Why a stream with another message at that sequence is another stream.
pub(crate) fn other_message(sequence: u64) -> String {
    format!("it went back: another message has the sequence {sequence} now")
}

/// Whether a message is still remembered when the stream has reached `last`, if `near` of the latest are.
fn is_kept(sequence: u64, last: u64, near: u64) -> bool {
    sequence.is_multiple_of(((last - sequence) / near).max(1).next_power_of_two())
}

/// What a stream holds where a message was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Same,
    Different,
    /// The message has left the stream.
    Gone,
}

async fn compare(stream: &Stream, info: &stream::Info, sequence: u64, stored: Timestamp) -> Result<Compared, Error> {
    if sequence < info.state.first_sequence {
        return Ok(Compared::Gone);
    }
    if sequence > info.state.last_sequence {
        return Ok(Compared::Different);
    }
    Ok(match message_at(stream, sequence).await? {
        Some(message) if timestamp(message.time) == stored => Compared::Same,
        Some(_) => Compared::Different,
        // Messages leave the log only at its beginning. If the beginning has not passed this one, the server has lost
        // it. A bucket denies deletions too, but drops old values.
        None if info.config.deny_delete && info.config.max_messages_per_subject <= 0 => {
            let now = request("asking for a stream of the log", stream.get_info()).await?;
            if sequence < now.state.first_sequence { Compared::Gone } else { Compared::Different }
        }
        None => Compared::Gone,
    })
}

/// The first sequence from which on the stream may differ from what was seen. `samples`: what was seen, in stream
/// order.
pub(crate) async fn divergence(
    stream: &Stream,
    info: &stream::Info,
    samples: &[(u64, Timestamp)],
) -> Result<u64, Error> {
    let same = count_same(stream, info, samples).await?;
    Ok(info.state.last_sequence.saturating_add(1).min(after(info, samples, same)))
}

/// As [`divergence`]. `None`: the stream has everything that was seen.
pub(crate) async fn first_difference(
    stream: &Stream,
    info: &stream::Info,
    samples: &[(u64, Timestamp)],
) -> Result<Option<u64>, Error> {
    let same = count_same(stream, info, samples).await?;
    Ok((same < samples.len()).then(|| after(info, samples, same)))
}

/// The number of the first samples that the stream has. Everything that differs comes after everything that is the
/// same, so a binary search finds the border.
async fn count_same(stream: &Stream, info: &stream::Info, samples: &[(u64, Timestamp)]) -> Result<usize, Error> {
    let (mut same, mut different) = (0, samples.len());
    while same < different {
        let middle = same.midpoint(different);
        let (sequence, stored) = samples[middle];
        match compare(stream, info, sequence, stored).await? {
            Compared::Different => different = middle,
            Compared::Same | Compared::Gone => same = middle + 1,
        }
    }
    Ok(same)
}

/// The first sequence that is not known to be the same. Without any sample that is the same, each message may be
/// another one.
fn after(info: &stream::Info, samples: &[(u64, Timestamp)], same: usize) -> u64 {
    same.checked_sub(1).map_or(info.state.first_sequence.max(1), |last_same| samples[last_same].0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second as i64).unwrap()
    }

    #[test]
    fn another_message_with_a_sequence_that_was_seen_is_noticed() {
        let memory = Memory::default();
        assert!((1..=66).all(|sequence| memory.see(sequence, at(sequence))));
        assert!(memory.see(50, at(50)), "it comes again");
        assert!(!memory.see(50, at(51)));
        memory.acknowledged(70);
        memory.acknowledged(69);
        assert_eq!(memory.last(), 70);
    }

    #[test]
    fn a_first_look_is_denser_near_the_end_and_what_it_saw_is_kept() {
        assert_eq!(looked_at(1, 20), [20, 19, 18, 16, 12, 4]);
        assert_eq!(looked_at(15, 20), [20, 19, 18, 16]);
        assert_eq!(looked_at(1, 1), [1]);
        assert_eq!(looked_at(0, 0), [0; 0], "an empty log");
        assert_eq!(looked_at(21, 20), [0; 0], "an empty log that had messages");
        for last in [1_000_000, 1_234_567, u64::from(u32::MAX)] {
            let looks = looked_at(1, last);
            assert!(looks.len() < 40 && looks.is_sorted_by(|later, earlier| later > earlier), "{looks:?}");
            assert!(looks.iter().all(|sequence| is_kept(*sequence, last, NEAR)), "{looks:?}");
            for (later, earlier) in looks.iter().zip(&looks[1..]) {
                assert!(last - earlier <= 2 * (last - later) + 1 + last / 64, "{earlier} after {later} of {last}");
            }
        }
    }

    #[test]
    fn what_is_read_after_a_first_look_is_remembered_too() {
        let memory = Memory::default();
        for sequence in looked_at(1, 5_000) {
            assert!(memory.see(sequence, at(sequence)));
        }
        for sequence in 1..=5_000 {
            assert!(memory.see(sequence, at(sequence)));
        }
        let near = memory.samples().iter().filter(|(sequence, _)| *sequence > 5_000 - NEAR).count();
        assert_eq!(near, NEAR as usize);
    }

    #[test]
    fn of_a_long_log_some_of_each_part_is_remembered() {
        let memory = Memory::default();
        for sequence in 1..=1_000_000 {
            assert!(memory.see(sequence, at(sequence)));
        }
        let samples = memory.samples();
        assert!((3 * NEAR as usize..12 * NEAR as usize).contains(&samples.len()), "{}", samples.len());
        assert_eq!(samples.last(), Some(&(1_000_000, at(1_000_000))));
        let few = memory.few_samples();
        assert!((64..500).contains(&few.len()) && few.last() == samples.last(), "{}", few.len());
        let of = |range: std::ops::Range<u64>| samples.iter().filter(|(sequence, _)| range.contains(sequence)).count();
        for (range, at_least) in
            [(1..500_000, 64), (500_000..750_000, 64), (999_000..999_700, 128), (999_800..1_000_001, 201)]
        {
            let count = of(range.clone());
            assert!(count >= at_least, "{range:?}: {count}");
        }
    }
}
