//! How much of a partition the window knows, in positions.

use chat::Position;

/// How far back the window knows a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Every event after it has arrived, and no event of every room after it was evicted.
    pub(super) whole_after: Position,
    /// No event after it was evicted from a forgotten room.
    pub(super) forgotten: Position,
    /// The end of the last batch that arrived.
    pub(super) last: Position,
}

pub(super) fn just_before(position: Position) -> Position {
    match position.index.checked_sub(1) {
        Some(index) => Position { index, ..position },
        None => Position { sequence: position.sequence.saturating_sub(1), index: u32::MAX, ..position },
    }
}

/// No event of the position's batch stands after this.
pub(super) fn end_of_batch(position: Position) -> Position {
    Position { index: u32::MAX, ..position }
}
