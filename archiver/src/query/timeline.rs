//! Converts between player time (milliseconds into a recording) and time of day. Pure arithmetic in whole milliseconds:
//! each segment starts exactly where the previous one ends, so cuts cause no drift.

use super::broadcasts::Broadcast;

/// How the recording treats the presenter's absences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimelineKind {
    /// It has the segments, one after the other: it was cut while the presenter was away.
    Segments,
    /// It ran on.
    Wall,
}

/// A broadcast's player time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timeline {
    pieces: Vec<Piece>,
}

/// A part of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Milliseconds since 1970.
    pub(crate) start: i64,
    /// None: it continues.
    pub(crate) end: Option<i64>,
    /// The offset of its start in the recording.
    pub(crate) offset: i64,
}

impl Timeline {
    pub(crate) fn new(broadcast: &Broadcast, kind: TimelineKind) -> Timeline {
        let mut pieces = Vec::new();
        match kind {
            TimelineKind::Wall => pieces.push(Piece { start: broadcast.started(), end: broadcast.ended(), offset: 0 }),
            TimelineKind::Segments => {
                let mut offset = 0;
                for segment in &broadcast.segments {
                    pieces.push(Piece { start: segment.start, end: segment.end, offset });
                    offset += segment.end.map_or(0, |end| end - segment.start);
                }
            }
        }
        Timeline { pieces }
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The offset of a time in the recording. Times during an absence are at the cut. It never decreases.
    pub(crate) fn offset(&self, at: i64) -> i64 {
        let next = self.pieces.partition_point(|piece| piece.start <= at);
        let Some(piece) = next.checked_sub(1).and_then(|last| self.pieces.get(last)) else { return 0 };
        // A cursor may have any time.
        piece.offset.saturating_add(piece.end.map_or(at, |end| end.min(at)).saturating_sub(piece.start))
    }

    /// The earliest time at that offset or later. None: the recording is shorter.
    pub(crate) fn at(&self, offset: i64) -> Option<i64> {
        let reached = self
            .pieces
            .partition_point(|piece| piece.end.is_some_and(|end| piece.offset + (end - piece.start) < offset));
        let piece = self.pieces.get(reached)?;
        Some(piece.start.saturating_add(offset.saturating_sub(piece.offset).max(0)))
    }

    /// The length of the recording. None: it continues.
    pub(crate) fn duration(&self) -> Option<i64> {
        let last = self.pieces.last()?;
        last.end.map(|end| last.offset + end - last.start)
    }
}

#[cfg(test)]
mod tests {
    use super::super::broadcasts::Segment;
    use super::*;

    /// 0 to 100, 150 to 170, 300 to the end.
    fn broadcast(end: Option<i64>) -> Broadcast {
        let segments = [(0, Some(100)), (150, Some(170)), (300, end)];
        let segments =
            segments.map(|(start, end)| Segment { start: 1_000_000 + start, end: end.map(|end| 1_000_000 + end) });
        Broadcast { id: String::new(), segments: segments.into() }
    }

    #[test]
    fn a_time_has_its_offset_and_what_is_between_segments_is_at_the_cut() {
        let timeline = Timeline::new(&broadcast(Some(350)), TimelineKind::Segments);
        for (at, offset) in [
            (-5, 0),
            (0, 0),
            (99, 99),
            (100, 100),
            (120, 100),
            (149, 100),
            (150, 100),
            (151, 101),
            (170, 120),
            (299, 120),
            (300, 120),
            (350, 170),
            (400, 170),
        ] {
            assert_eq!(timeline.offset(1_000_000 + at), offset, "{at}");
        }
        assert_eq!(timeline.duration(), Some(170));
        let timeline = Timeline::new(&broadcast(None), TimelineKind::Segments);
        assert_eq!((timeline.offset(1_001_300), timeline.duration()), (1_120, None));
        let timeline = Timeline::new(&broadcast(Some(350)), TimelineKind::Wall);
        assert_eq!((timeline.offset(1_000_120), timeline.duration()), (120, Some(350)));
    }

    #[test]
    fn times_and_offsets_of_a_forged_cursor_are_at_the_ends() {
        let timeline = Timeline::new(&broadcast(None), TimelineKind::Segments);
        assert_eq!((timeline.offset(i64::MIN), timeline.at(i64::MIN)), (0, Some(1_000_000)));
        assert_eq!((timeline.offset(i64::MAX), timeline.at(i64::MAX)), (i64::MAX - 1_000_180, Some(i64::MAX)));
    }

    #[test]
    fn an_offset_is_sought_at_the_earliest_time_that_has_it() {
        let timeline = Timeline::new(&broadcast(Some(350)), TimelineKind::Segments);
        for (offset, at) in [
            (0, Some(0)),
            (99, Some(99)),
            (100, Some(100)),
            (101, Some(151)),
            (120, Some(170)),
            (121, Some(301)),
            (170, Some(350)),
            (171, None),
        ] {
            assert_eq!(timeline.at(offset), at.map(|at: i64| 1_000_000 + at), "{offset}");
        }
        assert_eq!(Timeline::new(&broadcast(None), TimelineKind::Segments).at(10_120), Some(1_010_300));
    }

    #[test]
    fn ten_thousand_cuts_do_not_drift() {
        let segments: Vec<Segment> =
            (0..10_000).map(|number| Segment { start: number * 1_001, end: Some(number * 1_001 + 333) }).collect();
        let broadcast = Broadcast { id: String::new(), segments };
        let timeline = Timeline::new(&broadcast, TimelineKind::Segments);
        assert_eq!(timeline.duration(), Some(3_330_000));
        assert_eq!(timeline.offset(9_999 * 1_001 + 7), 9_999 * 333 + 7);
        // The two are each other's inverse, everywhere.
        for offset in (0..=3_330_000).step_by(37) {
            let at = timeline.at(offset).unwrap();
            assert_eq!(timeline.offset(at), offset);
            assert!(offset == 0 || timeline.offset(at - 1) < offset, "{offset} is there before");
        }
    }
}
