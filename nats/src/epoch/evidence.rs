//! The evidence that a batch carries: how far its writer knew the partition to reach. A batch that does not stand after
//! that end shows that the log has lost its end, or has an epoch that the reader does not know. A process that started
//! after the loss has no memory of its own that could show it.

use async_nats::HeaderMap;
use chat::Position;

use crate::epoch::timeline::Timeline;

/// The header with the end of the partition that the writer knew: its epoch, and the last sequence that it had read or
/// that an acknowledgement had named. It is written as a position. Batches of older versions have none.
const KNOWN_END: &str = "Chatting-Known-End";

/// What a batch shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The sequence of the batch, which is not before the loss, with the epoch in which its writer appended.
    pub(crate) at_most: Position,
    pub(crate) reason: String,
}

/// The end of a partition of which the last known sequence is `last`.
pub(crate) fn known_end(timeline: &Timeline, last: u64) -> Position {
    Position { epoch: timeline.epoch(), sequence: last, index: 0 }
}

pub(crate) fn set_known_end(headers: &mut HeaderMap, end: Position) {
    headers.insert(KNOWN_END, end.to_string());
}

/// The epoch in which the writer of a batch appended. `None`: an older version wrote it.
pub(crate) fn epoch_of_writer(headers: Option<&HeaderMap>) -> Option<u64> {
    known_by_writer(headers).map(|known| known.epoch)
}

fn known_by_writer(headers: Option<&HeaderMap>) -> Option<Position> {
    headers?.get(KNOWN_END)?.as_str().parse().ok()
}

/// The evidence against `timeline` in a batch with that sequence. `None`: nothing contradicts it. A loss that the
/// timeline has is no contradiction: the batch is of a later epoch then.
pub(crate) fn against(timeline: &Timeline, sequence: u64, headers: Option<&HeaderMap>) -> Option<Evidence> {
    let known = known_by_writer(headers)?;
    let place = timeline.position(sequence, 0);
    let Position { epoch, sequence: last, .. } = known;
    (place <= known).then(|| Evidence {
        at_most: Position { epoch, ..place },
        reason: format!("it went back: the writer of batch {sequence} knew sequence {last} of epoch {epoch:x}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn against_known(timeline: &Timeline, sequence: u64, known: Position) -> Option<Position> {
        let mut headers = HeaderMap::new();
        set_known_end(&mut headers, known);
        against(timeline, sequence, Some(&headers)).map(|evidence| evidence.at_most)
    }

    fn at(epoch: u64, sequence: u64) -> Position {
        Position { epoch, sequence, index: 0 }
    }

    #[test]
    fn a_batch_that_stands_where_its_writer_knew_another_one_shows_a_loss() {
        let timeline = Timeline::new(10);
        assert_eq!(known_end(&timeline, 60), at(10, 60));
        for (sequence, known, expected) in
            [(61, 60, None), (1, 0, None), (60, 60, Some(at(10, 60))), (49, 60, Some(at(10, 49)))]
        {
            assert_eq!(against_known(&timeline, sequence, at(10, known)), expected, "{sequence} after {known}");
        }
        assert_eq!(against(&timeline, 7, None), None);
        assert_eq!(against(&timeline, 7, Some(&HeaderMap::new())), None, "older versions say nothing");
    }

    #[test]
    fn a_loss_that_the_timeline_has_is_no_contradiction_and_an_unknown_epoch_is_one() {
        let timeline = Timeline::new(10).forked(20, 49);
        assert_eq!(known_end(&timeline, 48), at(20, 48));
        // A writer that had not heard of the loss yet.
        assert_eq!(against_known(&timeline, 50, at(10, 60)), None);
        assert_eq!(against_known(&timeline, 49, at(20, 48)), None);
        assert_eq!(against_known(&timeline, 50, at(20, 50)), Some(at(20, 50)));
        // The log lost more, and the epoch's beginning with it.
        assert_eq!(against_known(&timeline, 40, at(20, 48)), Some(at(20, 40)));
        assert_eq!(against_known(&timeline.forked(30, 40), 40, at(20, 48)), None);
        assert_eq!(against_known(&timeline, 70, at(30, 69)), Some(at(30, 70)));
    }
}
