//! Timelines: which epoch the positions of a partition have. A log that loses its end, or is restored from a backup,
//! assigns the same sequences a second time. A new epoch begins there, so that a position never names two events. A
//! timeline lists a partition's epochs, each with its first sequence. The stream's metadata records it.
//!
//! Epochs only grow along a timeline, so `Position` orders positions as the timeline does.

use std::fmt;
use std::sync::Arc;

use async_nats::jetstream::stream;
use chat::{Position, PresenterIdx};

use crate::partition::partition_of;

/// The member of a stream's metadata that records its timeline, once the log has lost its end.
pub(crate) const TIMELINE: &str = "chatting-server.timeline";

/// The reason why a stream with another timeline is another stream.
pub(crate) const TIMELINE_CHANGED: &str = "its creation time or its timeline has changed";

/// The epochs of one partition, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timeline {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    epoch: u64,
    /// The epoch's first sequence. It is 0 for the first epoch, which includes the position before every event.
    first: u64,
}

/// Where a position stands relative to a room's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// On the timeline. The position may be beyond the log's present end.
    Here(Position),
    /// In a part of the log that was lost. The log is unchanged up to the given position.
    Lost(Position),
    /// In another log, or in another partition.
    Elsewhere,
}

impl Timeline {
    /// The timeline of a log that never lost its end.
    pub(crate) fn new(epoch: u64) -> Timeline {
        Timeline { segments: vec![Segment { epoch, first: 0 }] }
    }

    /// The timeline of a partition's stream.
    pub(crate) fn of(info: &stream::Info) -> Timeline {
        let created = u64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(0);
        Timeline::recorded(created, info.config.metadata.get(TIMELINE))
    }

    /// The timeline that a stream's metadata records. `created`: when the stream was created, in nanoseconds since
    /// 1970. A stream that was recreated with the metadata of another one has its own timeline.
    ///
    /// A cluster that restores a stream gives it another creation time when its servers restart. A loss that was recorded
    /// after the creation is of this stream in any case, so its timeline stays.
    pub(crate) fn recorded(created: u64, metadata: Option<&String>) -> Timeline {
        let parse = |text: &String| -> Option<Vec<Segment>> {
            let segments = text.split(',').map(|segment| {
                let (epoch, first) = segment.split_once('@')?;
                Some(Segment { epoch: u64::from_str_radix(epoch, 16).ok()?, first: first.parse().ok()? })
            });
            segments.collect()
        };
        match metadata.and_then(parse) {
            Some(segments) if is_sound(&segments) && segments[0].first == 0 && is_of(created, &segments) => {
                Timeline { segments }
            }
            _ => Timeline::new(created),
        }
    }

    /// The same timeline with a new epoch from that sequence on. Everything from there on is lost.
    pub(crate) fn forked(&self, epoch: u64, first: u64) -> Timeline {
        let first = first.max(1);
        let mut segments: Vec<Segment> =
            self.segments.iter().copied().filter(|segment| segment.first < first).collect();
        segments.push(Segment { epoch: epoch.max(self.epoch() + 1), first });
        Timeline { segments }
    }

    /// Where this timeline leaves an earlier one of the same log: the first sequence whose epoch is another one.
    /// `None`: it does not, or the two are of different logs.
    pub(crate) fn forked_at(&self, earlier: &Timeline) -> Option<u64> {
        let common = self.segments.iter().zip(&earlier.segments).take_while(|(one, other)| one == other).count();
        let next = self.segments.get(common).filter(|_| common > 0)?;
        // The earlier one may have had an epoch that begins before.
        let dropped = earlier.segments.get(common).map_or(u64::MAX, |segment| segment.first);
        Some(next.first.min(dropped))
    }

    /// The epoch of new appends.
    pub(crate) fn epoch(&self) -> u64 {
        self.segments.last().expect("a timeline has an epoch").epoch
    }

    /// Each epoch with its first and last sequence. The last epoch is open, and ends at `u64::MAX`.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let ends = self.segments.iter().skip(1).map(|next| next.first - 1).chain([u64::MAX]);
        self.segments.iter().zip(ends).map(|(segment, end)| (segment.epoch, segment.first.max(1), end))
    }

    /// The timelines before each loss, the latest first, each with the first sequence that was lost.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = (Timeline, u64)> {
        let before = |length: usize| Timeline { segments: self.segments[..length].to_vec() };
        (1..self.segments.len()).rev().map(move |length| (before(length), self.segments[length].first))
    }

    /// Whether the log has lost its end at least once.
    pub(crate) fn has_forks(&self) -> bool {
        self.segments.len() > 1
    }

    pub(crate) fn position(&self, sequence: u64, index: u32) -> Position {
        let segment = self.segments.iter().rev().find(|segment| segment.first <= sequence);
        Position { epoch: segment.expect("the first epoch begins at 0").epoch, sequence, index }
    }

    /// Whether an epoch begins with the sequence, so that what stood there before is lost.
    pub(crate) fn begins_at(&self, sequence: u64) -> bool {
        self.segments.iter().skip(1).any(|segment| segment.first == sequence)
    }

    fn has(&self, epoch: u64) -> bool {
        self.segments.iter().any(|segment| segment.epoch == epoch)
    }

    pub(crate) fn standing(&self, position: Position) -> Standing {
        let Some(index) = self.segments.iter().position(|segment| segment.epoch == position.epoch) else {
            return Standing::Elsewhere;
        };
        match self.segments.get(index + 1) {
            Some(next) if position.sequence >= next.first => Standing::Lost(self.position(next.first - 1, u32::MAX)),
            // Positions before the epoch's first sequence have another epoch.
            _ if position.sequence < self.segments[index].first => Standing::Elsewhere,
            _ => Standing::Here(position),
        }
    }
}

/// Whether the stream with that creation time has the recorded epochs.
fn is_of(created: u64, segments: &[Segment]) -> bool {
    segments[0].epoch == created || segments.get(1).is_some_and(|loss| created < loss.epoch)
}

fn is_sound(segments: &[Segment]) -> bool {
    !segments.is_empty()
        && segments.windows(2).all(|pair| pair[0].epoch < pair[1].epoch && pair[0].first < pair[1].first)
}

/// The recorded form: `1879f0c3a1b2c3d4@0,187a00c3a1b2c3d4@31`.
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

    /// The timelines of a log with one partition that never lost its end.
    pub fn of_epoch(epoch: u64) -> Timelines {
        Timelines::new(vec![Timeline::new(epoch)])
    }

    pub(crate) fn get(&self, partition: u32) -> &Timeline {
        &self.partitions[partition as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Timeline> {
        self.partitions.iter()
    }

    /// The epochs of new appends, partition by partition.
    pub fn epochs(&self) -> impl Iterator<Item = u64> {
        self.partitions.iter().map(Timeline::epoch)
    }

    /// The epoch of new appends to the room.
    pub fn epoch(&self, presenter: PresenterIdx) -> u64 {
        self.get(self.partition_of(presenter)).epoch()
    }

    /// The position before every event of the room.
    pub fn beginning(&self, presenter: PresenterIdx) -> Position {
        self.get(self.partition_of(presenter)).position(0, u32::MAX)
    }

    /// The partition of a room.
    pub fn partition_of(&self, presenter: PresenterIdx) -> u32 {
        partition_of(presenter, u32::try_from(self.partitions.len()).expect("a log has at most 1,024 partitions"))
    }

    /// The partition of a position. `None`: the position is of another log.
    pub fn partition(&self, position: Position) -> Option<u32> {
        (0..).zip(self.partitions.iter()).find(|(_, timeline)| timeline.has(position.epoch)).map(|(index, _)| index)
    }

    /// Where a saved position stands relative to the room's timeline.
    pub fn standing(&self, presenter: PresenterIdx, position: Position) -> Standing {
        self.get(self.partition_of(presenter)).standing(position)
    }

    /// Whether each partition has one of these positions, as far as its timeline tells. No: it lost them with its end,
    /// or they are of another log.
    pub fn have_everywhere(&self, positions: &[Position]) -> bool {
        let is_here = |timeline: &Timeline, position| matches!(timeline.standing(position), Standing::Here(_));
        self.iter().all(|timeline| positions.iter().any(|position| is_here(timeline, *position)))
    }

    /// Whether `one` precedes `other` in the same partition. A position of an earlier log precedes all of this one.
    pub fn is_before(&self, one: Position, other: Position) -> bool {
        one < other && self.partition(one).is_none_or(|partition| self.partition(other) == Some(partition))
    }

    /// The later of two positions in one partition. A position of this log is later than one of any other log.
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
    fn kept_events_keep_their_epoch_and_new_ones_have_the_new_epoch() {
        let epochs = [0, 1, 48, 49, 59, 60, 1_000].map(|sequence| timeline().position(sequence, 0).epoch);
        assert_eq!(epochs, [10, 10, 10, 20, 20, 30, 30]);
        assert_eq!(timeline().epoch(), 30);
        assert_eq!(timeline().spans().collect::<Vec<_>>(), [(10, 1, 48), (20, 49, 59), (30, 60, u64::MAX)]);
        let begin: Vec<u64> = (0..100).filter(|sequence| timeline().begins_at(*sequence)).collect();
        assert_eq!(begin, [49, 60]);
    }

    #[test]
    fn the_timelines_before_each_loss_are_known() {
        let earlier: Vec<(String, u64)> = timeline().earlier().map(|(one, lost)| (one.to_string(), lost)).collect();
        assert_eq!(earlier, [("a@0,14@49".to_owned(), 60), ("a@0".to_owned(), 49)]);
        assert_eq!(Timeline::new(10).earlier().count(), 0);
    }

    #[test]
    fn a_position_is_here_or_was_lost_or_is_of_another_log() {
        let end = |epoch, sequence| Standing::Lost(Position { epoch, sequence, index: u32::MAX });
        for (position, expected) in [
            (at(10, 1), Standing::Here(at(10, 1))),
            (at(10, 48), Standing::Here(at(10, 48))),
            (at(10, 49), end(10, 48)),
            (at(10, 5_000), end(10, 48)),
            (at(20, 49), Standing::Here(at(20, 49))),
            (at(20, 60), end(20, 59)),
            (at(30, 60), Standing::Here(at(30, 60))),
            (at(30, 9_999), Standing::Here(at(30, 9_999))),
            (at(20, 48), Standing::Elsewhere),
            (at(15, 20), Standing::Elsewhere),
            (at(40, 70), Standing::Elsewhere),
        ] {
            assert_eq!(timeline().standing(position), expected, "{position}");
        }
    }

    #[test]
    fn a_log_that_loses_more_than_the_last_time_forgets_the_epochs_in_between() {
        let again = timeline().forked(40, 30);
        assert_eq!(again.to_string(), "a@0,28@30");
        assert_eq!(again.standing(at(20, 55)), Standing::Elsewhere);
        assert_eq!(timeline().forked(40, 49).to_string(), "a@0,28@49", "nothing is left of an epoch that began there");
        assert_eq!(again.standing(at(10, 40)), Standing::Lost(Position { epoch: 10, sequence: 29, index: u32::MAX }));
        // The clock that epochs come from may have been set back.
        assert_eq!(timeline().forked(5, 70).epoch(), 31);
        assert_eq!(Timeline::new(10).forked(20, 0).to_string(), "a@0,14@1");
    }

    #[test]
    fn a_creation_time_that_a_restart_changes_before_the_first_loss_changes_no_position() {
        let text = timeline().to_string();
        for created in [9, 11, 19] {
            assert_eq!(Timeline::recorded(created, Some(&text)), timeline());
        }
    }

    #[test]
    fn a_timeline_survives_its_text_and_belongs_to_one_stream() {
        let text = timeline().to_string();
        assert_eq!(text, "a@0,14@49,1e@60");
        assert_eq!(Timeline::recorded(10, Some(&text)), timeline());
        for made_anew in [20, 25, 31] {
            assert_eq!(Timeline::recorded(made_anew, Some(&text)), Timeline::new(made_anew));
        }
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
            assert_eq!(timelines.standing(room, at(11, 5)) == Standing::Here(at(11, 5)), partition == 1);
        }
        assert_eq!(partitions, [0, 1, 2].into(), "50 rooms are in every partition");
    }

    #[test]
    fn a_later_timeline_of_the_same_log_tells_where_it_leaves_the_earlier_one() {
        let known = Timeline::new(10).forked(20, 50);
        for (later, expected) in [
            (known.clone(), None),
            (known.forked(30, 80), Some(80)),
            (known.forked(30, 40), Some(40)),
            (known.forked(30, 80).forked(40, 60), Some(60)),
            // The epoch that began at 50 is gone.
            (Timeline::new(10).forked(30, 70), Some(50)),
            (Timeline::new(11).forked(30, 70), None),
        ] {
            assert_eq!(later.forked_at(&known), expected, "{later}");
        }
    }
}
