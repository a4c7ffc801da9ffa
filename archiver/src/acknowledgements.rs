//! Whether a presenter's page has acknowledged an event, by the cursors that delivery saves in the stream `CURSORS`.
//! The archiver reads that stream from the first question on. It keeps the latest cursor of each room in memory, and
//! never writes one.

use std::sync::OnceLock;
use std::time::Duration;

use chat::{Position, PresenterIdx};
use jiff::Timestamp;
use nats::{Cursors, Log, SavedCursor, Standing};
use tokio::time::timeout;

/// 3 s: the wait for the present state of the stream, which is read once, at the first question.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(3);

/// The acknowledgements of all presenters.
#[derive(Debug)]
pub(crate) struct Acknowledgements {
    log: Log,
    cursors: OnceLock<Cursors>,
}

/// What is known of an event's way to the presenter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The presenter's page received it and acknowledged it, or a later one of the same unbroken stream.
    Acknowledged(SavedCursor),
    /// Delivery has passed it, for a page that does not acknowledge.
    Written(SavedCursor),
    /// The saved cursor is before it. None: no cursor of the room is saved.
    NotYet(Option<SavedCursor>),
    /// No statement is possible.
    Unknown,
}

impl Acknowledgements {
    pub(crate) fn new(log: Log) -> Acknowledgements {
        Acknowledgements { log, cursors: OnceLock::new() }
    }

    /// How far an event of the room has come, which was sent at that time.
    pub(crate) async fn of(&self, room: PresenterIdx, position: Position, sent: Timestamp) -> Shown {
        let cursors = self.cursors.get_or_init(|| self.log.follow_cursors());
        let is_caught_up = timeout(CAUGHT_UP_WITHIN, cursors.caught_up()).await.is_ok();
        let timelines = self.log.timelines();
        let stands = |position| timelines.standing(room, position) == Standing::Here(position);
        if !is_caught_up || !cursors.is_current() || !stands(position) {
            return Shown::Unknown;
        }
        let Some(saved) = cursors.find(room) else {
            // Cursors leave the stream at the age of the log.
            let age = Duration::try_from(self.log.now().duration_since(sent)).unwrap_or_default();
            return if age < self.log.max_age() { Shown::NotYet(None) } else { Shown::Unknown };
        };
        let cursor = saved.cursor;
        // A cursor ahead of the log is of a log that lost its end, or it was forged.
        let reached = async { self.log.has_reached(room, cursor.position).await.unwrap_or(false) };
        if !stands(cursor.position) || !reached.await {
            return Shown::Unknown;
        }
        match cursor.acknowledged_after {
            _ if position > cursor.position => Shown::NotYet(Some(saved)),
            Some(after) if position > after => Shown::Acknowledged(saved),
            // Before the stream that the page acknowledges now, from which a gap may divide it.
            Some(_) => Shown::Unknown,
            None => Shown::Written(saved),
        }
    }
}
