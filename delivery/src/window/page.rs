//! What a reader asks the window for, and what it gets.

use std::collections::VecDeque;

use chat::{Position, PresenterIdx};

use super::erasure::forget_erased;
use super::{Window, sweeps};
use crate::window::kept::{Kept, Kind};

/// How much a reader takes at once. A page has at least the first event, so that every reader makes progress. It may be
/// larger by a sweep, whose deletions are in one page.
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
pub(crate) struct StartPoint {
    /// The events after it follow. None only while nothing of the log has arrived.
    pub(crate) cursor: Option<Position>,
    /// Whether every event after the requested start follows. For [`Ask::Anything`]: whether no event of the room is
    /// known to have been evicted.
    pub(crate) whole: bool,
}

impl Window {
    /// The events after `cursor`, a position of this log, in a room of the partition. Without a cursor: all that are
    /// held.
    pub(crate) fn after(
        &self,
        presenter: PresenterIdx,
        partition: u32,
        cursor: Option<Position>,
        limit: Limit,
    ) -> Page {
        let room = self.rooms.get(&presenter);
        let gap = cursor.is_some_and(|cursor| {
            let missed = |position: Position| cursor < position;
            room.and_then(|room| room.evicted).is_some_and(missed)
                || self.extents.get(&partition).is_some_and(|extent| missed(extent.whole_after))
        });
        let own = room.map(|room| room.events.after(cursor));
        let erasures = self.everywhere.get(&partition).map(|every| &every.erasures);
        let every = self.everywhere.get(&partition).map(|every| every.events.after(cursor));
        let (mut own, mut every) = (own.into_iter().flatten().peekable(), every.into_iter().flatten().peekable());
        let mut bytes = 0;
        let mut events = Vec::new();
        let is_partial = loop {
            let of_every = match (own.peek(), every.peek()) {
                (Some(own), Some(every)) => every.position < own.position,
                (own, _) => own.is_none(),
            };
            let Some(kept) = (if of_every { every.next() } else { own.next() }) else { break false };
            bytes += kept.bytes().max(1);
            if events.len() >= limit.events || !events.is_empty() && bytes > limit.bytes {
                break true;
            }
            let mut kept = kept.clone();
            if let Some(erasures) = erasures {
                forget_erased(&mut kept, erasures);
            }
            let expands = matches!(kept.kind, Kind::Sweep | Kind::Undoing);
            match room.filter(|_| expands) {
                None => events.push(kept),
                Some(room) => {
                    let none = VecDeque::new();
                    let erasures = erasures.unwrap_or(&none);
                    for mut kept in sweeps::expanded(&kept, &room.events.kept, erasures) {
                        bytes += kept.bytes();
                        forget_erased(&mut kept, erasures);
                        events.push(kept);
                    }
                }
            }
        };
        Page { events, is_partial, gap }
    }

    /// How far a reader at `cursor` has come. Beyond the last event of its room, if only events of other rooms follow.
    pub(crate) fn reached(&self, presenter: PresenterIdx, partition: u32, cursor: Position) -> Position {
        let Page { events, gap, .. } = self.after(presenter, partition, Some(cursor), Limit { events: 1, bytes: 0 });
        match self.extents.get(&partition) {
            Some(extent) if !gap && events.is_empty() => cursor.max(extent.last),
            _ => cursor,
        }
    }
}
