//! What a reader asks the window for, and what it gets.

use chat::Position;

use crate::window::kept::Kept;

/// How much a reader takes at once. A page has at least the first event, so that every reader makes progress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) events: usize,
    /// Bytes of lines.
    pub(crate) bytes: usize,
}

/// The events after a reader's position.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) events: Vec<Kept>,
    /// Whether more events follow those of the page.
    pub(crate) is_partial: bool,
    /// Whether events after the reader's position were evicted.
    pub(crate) gap: bool,
}

/// The start that a reader asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Everything that is held.
    Anything,
    /// The events after a position of this log.
    After(Position),
    /// The events after a position at which the log lost its end. What was lost after it is missing.
    Lost(Position),
    /// The events after something that is not a position of this log.
    Unknown,
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// The events after it follow. None only while nothing of the log has arrived.
    pub(crate) cursor: Option<Position>,
    /// Whether every event after the requested start follows. For [`Ask::Anything`]: whether no event of the room is
    /// known to have been evicted.
    pub(crate) whole: bool,
}
