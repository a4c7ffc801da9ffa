//! Timelines: which epoch the positions of a partition have. A log that loses its end, or is restored from a backup, gives
//! sequences out a second time. So that a position never means two events, a new epoch begins there: a timeline is the
//! list of a partition's epochs, each with the sequence from which it holds. It is recorded in the stream's metadata.
//!
//! Epochs only grow along a timeline, so positions on it are ordered as `Position` orders them.

use std::fmt;
use std::sync::Arc;

use crate::partition::partition_of;
use chat::Position;
use chat::PresenterIdx;

/// The epochs of one partition, the first one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timeline {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    epoch: u64,
    /// The first sequence of the epoch. That of the first epoch is 0: the place before every event belongs to it.
    first: u64,
}

/// Where a position stands, seen from a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the room's timeline. It may be ahead of the log's end.
    Here(Position),
    /// In a part of the log that was lost. The log is the same up to the given position.
    Lost(Position),
    /// In another log, or another partition.
    Elsewhere,
}

impl Timeline {
    /// A log whose end was never lost.
    pub(crate) fn new(epoch: u64) -> Timeline {
        Timeline { segments: vec![Segment { epoch, first: 0 }] }
    }

    /// The timeline that the metadata of a stream records, which was created at that time. A stream that was created anew
    /// with the metadata of another one has a timeline of its own.
    pub(crate) fn recorded(created: u64, metadata: Option<&String>) -> Timeline {
        let parse = |text: &String| -> Option<Vec<Segment>> {
            let segments = text.split(',').map(|segment| {
                let (epoch, first) = segment.split_once('@')?;
                Some(Segment { epoch: u64::from_str_radix(epoch, 16).ok()?, first: first.parse().ok()? })
            });
            segments.collect()
        };
        match metadata.and_then(parse) {
            Some(segments) if is_sound(&segments) && segments[0] == (Segment { epoch: created, first: 0 }) => {
                Timeline { segments }
            }
            _ => Timeline::new(created),
        }
    }

    /// The same timeline, with another epoch from that sequence on. What was ahead of it is lost.
    pub(crate) fn forked(&self, epoch: u64, first: u64) -> Timeline {
        let first = first.max(1);
        let mut segments: Vec<Segment> =
            self.segments.iter().copied().filter(|segment| segment.first < first).collect();
        segments.push(Segment { epoch: epoch.max(self.epoch() + 1), first });
        Timeline { segments }
    }

    /// The epoch of what is appended now.
    pub(crate) fn epoch(&self) -> u64 {
        self.segments.last().expect("a timeline has an epoch").epoch
    }

    /// Each epoch with its first and its last sequence. The last one has no end yet.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let ends = self.segments.iter().skip(1).map(|next| next.first - 1).chain([u64::MAX]);
        self.segments.iter().zip(ends).map(|(segment, end)| (segment.epoch, segment.first.max(1), end))
    }

    /// Whether the log has lost its end before.
    pub(crate) fn has_forks(&self) -> bool {
        self.segments.len() > 1
    }

    pub(crate) fn position(&self, sequence: u64, index: u32) -> Position {
        let segment = self.segments.iter().rev().find(|segment| segment.first <= sequence);
        Position { epoch: segment.expect("the first epoch begins at 0").epoch, sequence, index }
    }

    fn has(&self, epoch: u64) -> bool {
        self.segments.iter().any(|segment| segment.epoch == epoch)
    }

    pub(crate) fn place(&self, position: Position) -> Place {
        let Some(index) = self.segments.iter().position(|segment| segment.epoch == position.epoch) else {
            return Place::Elsewhere;
        };
        match self.segments.get(index + 1) {
            Some(next) if position.sequence >= next.first => Place::Lost(self.position(next.first - 1, u32::MAX)),
            // Before the epoch's first sequence stands what has another epoch.
            _ if position.sequence < self.segments[index].first => Place::Elsewhere,
            _ => Place::Here(position),
        }
    }
}

fn is_sound(segments: &[Segment]) -> bool {
    !segments.is_empty()
        && segments.windows(2).all(|pair| pair[0].epoch < pair[1].epoch && pair[0].first < pair[1].first)
}

/// As it is recorded: `1879f0c3a1b2c3d4@0,187a00c3a1b2c3d4@31`.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Segment { epoch, first }) in self.segments.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{epoch:x}@{first}")?;
        }
        Ok(())
    }
}

/// The timelines of all partitions. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timelines {
    partitions: Arc<[Timeline]>,
}

impl Timelines {
    pub(crate) fn new(partitions: Vec<Timeline>) -> Timelines {
        Timelines { partitions: partitions.into() }
    }

    /// Of a log with one partition that never lost its end.
    pub fn of_epoch(epoch: u64) -> Timelines {
        Timelines::new(vec![Timeline::new(epoch)])
    }

    pub(crate) fn get(&self, partition: u32) -> &Timeline {
        &self.partitions[partition as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Timeline> {
        self.partitions.iter()
    }

    /// The epochs of what is appended now, partition by partition.
    pub fn epochs(&self) -> impl Iterator<Item = u64> {
        self.partitions.iter().map(Timeline::epoch)
    }

    /// The epoch of what is appended to the room now.
    pub fn epoch(&self, presenter: PresenterIdx) -> u64 {
        self.get(self.partition_of(presenter)).epoch()
    }

    /// The place before every event of the room.
    pub fn beginning(&self, presenter: PresenterIdx) -> Position {
        self.get(self.partition_of(presenter)).position(0, u32::MAX)
    }

    /// The partition of a room.
    pub fn partition_of(&self, presenter: PresenterIdx) -> u32 {
        partition_of(presenter, u32::try_from(self.partitions.len()).expect("a log has at most 1,024 partitions"))
    }

    /// The partition of a position; none: it is of another log.
    pub fn partition(&self, position: Position) -> Option<u32> {
        (0..).zip(self.partitions.iter()).find(|(_, timeline)| timeline.has(position.epoch)).map(|(index, _)| index)
    }

    /// Where a position stands that somebody kept and shows for the room.
    pub fn place(&self, presenter: PresenterIdx, position: Position) -> Place {
        self.get(self.partition_of(presenter)).place(position)
    }

    /// Whether one stands before the other in the same partition. What is of an earlier log stands before all of this one.
    pub fn is_before(&self, one: Position, other: Position) -> bool {
        one < other && self.partition(one).is_none_or(|partition| self.partition(other) == Some(partition))
    }

    /// Which of two positions in one partition is further: one that is of this log is further than any that is not.
    pub fn further(&self, one: Position, other: Position) -> Position {
        let rank = |position: Position| (self.partition(position).is_some(), position);
        if rank(other) > rank(one) { other } else { one }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, sequence: u64) -> Position {
        Position { epoch, sequence, index: 2 }
    }

    fn timeline() -> Timeline {
        Timeline::new(10).forked(20, 49).forked(30, 60)
    }

    #[test]
    fn what_is_kept_keeps_its_epoch_and_what_comes_has_the_new_one() {
        let epochs = [0, 1, 48, 49, 59, 60, 1_000].map(|sequence| timeline().position(sequence, 0).epoch);
        assert_eq!(epochs, [10, 10, 10, 20, 20, 30, 30]);
        assert_eq!(timeline().epoch(), 30);
        assert_eq!(timeline().spans().collect::<Vec<_>>(), [(10, 1, 48), (20, 49, 59), (30, 60, u64::MAX)]);
    }

    #[test]
    fn a_position_is_here_or_was_lost_or_is_of_another_log() {
        let end = |epoch, sequence| Place::Lost(Position { epoch, sequence, index: u32::MAX });
        for (position, expected) in [
            (at(10, 1), Place::Here(at(10, 1))),
            (at(10, 48), Place::Here(at(10, 48))),
            (at(10, 49), end(10, 48)),
            (at(10, 5_000), end(10, 48)),
            (at(20, 49), Place::Here(at(20, 49))),
            (at(20, 60), end(20, 59)),
            (at(30, 60), Place::Here(at(30, 60))),
            (at(30, 9_999), Place::Here(at(30, 9_999))),
            (at(20, 48), Place::Elsewhere),
            (at(15, 20), Place::Elsewhere),
            (at(40, 70), Place::Elsewhere),
        ] {
            assert_eq!(timeline().place(position), expected, "{position}");
        }
    }

    #[test]
    fn a_log_that_loses_more_than_the_last_time_forgets_the_epochs_in_between() {
        let again = timeline().forked(40, 30);
        assert_eq!(again.to_string(), "a@0,28@30");
        assert_eq!(again.place(at(20, 55)), Place::Elsewhere);
        assert_eq!(timeline().forked(40, 49).to_string(), "a@0,28@49", "nothing is left of an epoch that began there");
        assert_eq!(again.place(at(10, 40)), Place::Lost(Position { epoch: 10, sequence: 29, index: u32::MAX }));
        // The clock that an epoch is read from may have gone back.
        assert_eq!(timeline().forked(5, 70).epoch(), 31);
        assert_eq!(Timeline::new(10).forked(20, 0).to_string(), "a@0,14@1");
    }

    #[test]
    fn a_timeline_survives_its_text_and_belongs_to_one_stream() {
        let text = timeline().to_string();
        assert_eq!(text, "a@0,14@49,1e@60");
        assert_eq!(Timeline::recorded(10, Some(&text)), timeline());
        assert_eq!(Timeline::recorded(11, Some(&text)), Timeline::new(11), "a stream that was made anew");
        assert_eq!(Timeline::recorded(10, None), Timeline::new(10));
        for text in ["", "a", "a@", "a@0,", "a@1", "x@0", "a@0,9@5", "a@0,14@0", "a@0,14@9,1e@9", "a@0,14@9,14@12"] {
            assert_eq!(Timeline::recorded(10, Some(&text.to_owned())), Timeline::new(10), "{text}");
        }
    }

    #[test]
    fn positions_are_compared_within_a_partition() {
        let other = Timeline::new(11);
        let timelines = Timelines::new(vec![timeline(), other]);
        assert!(timelines.is_before(at(10, 5), at(30, 70)));
        assert!(!timelines.is_before(at(30, 70), at(10, 5)));
        assert!(!timelines.is_before(at(10, 5), at(10, 5)), "nothing stands before itself");
        assert!(!timelines.is_before(at(11, 5), at(30, 70)), "of another partition");
        assert!(timelines.is_before(at(3, 5), at(11, 1)), "of an earlier log");
        assert_eq!(timelines.further(at(10, 7), at(30, 1)), at(30, 1));
        assert_eq!(timelines.further(at(90, 7), at(10, 1)), at(10, 1), "a log that is not this one never wins");
    }
    #[test]
    fn a_room_has_the_epoch_and_the_places_of_its_partition() {
        assert!(timeline().has_forks() && !Timeline::new(10).has_forks());
        let timelines = Timelines::new(vec![timeline(), Timeline::new(11), Timeline::new(12).forked(22, 9)]);
        assert_eq!(timelines.epochs().collect::<Vec<_>>(), [30, 11, 22]);
        assert_eq!(timelines.iter().map(Timeline::epoch).collect::<Vec<_>>(), [30, 11, 22]);
        let rooms = (1..=50).map(|room| PresenterIdx::try_from(room).unwrap());
        let mut partitions = std::collections::BTreeSet::new();
        for room in rooms {
            let partition = timelines.partition_of(room);
            partitions.insert(partition);
            assert_eq!(timelines.epoch(room), [30, 11, 22][partition as usize]);
            let beginning = timelines.beginning(room);
            assert_eq!((timelines.partition(beginning), beginning.sequence), (Some(partition), 0));
            assert_eq!(timelines.place(room, at(11, 5)) == Place::Here(at(11, 5)), partition == 1);
        }
        assert_eq!(partitions, [0, 1, 2].into(), "50 rooms are in every partition");
    }
}
