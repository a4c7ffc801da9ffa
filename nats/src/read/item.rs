//! What a reader of a stream takes and hands out: where it begins, its items, and its status.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use runtime::Moment;
use tokio::sync::watch;

/// A reader that has not heard from its stream for this long is not current: three answers of the watchdog are missing.
const CURRENT_WITHIN: Duration = Duration::from_secs(10);

/// Where a reader starts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadFrom {
    /// At the oldest message in the stream.
    Oldest,
    /// At the first message stored at or after that time.
    Since(Timestamp),
    /// With the last message of every subject: the present state of a bucket.
    LastPerSubject,
    /// At that sequence.
    Sequence(u64),
}

/// What a reader hands out.
#[derive(Debug)]
pub(crate) enum Item {
    /// The next message.
    Record(Record),
    /// Everything that was in the stream when reading began, or went on with another consumer, up to this sequence,
    /// came before this item.
    CaughtUp(u64),
    /// There was an outage: conclusions from silence no longer hold.
    Resumed,
}

/// A message of a stream.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) subject: Subject,
    pub(crate) sequence: u64,
    /// When the message was stored, by the server's clock.
    pub(crate) stored: Timestamp,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) payload: Bytes,
}

/// The state of a reader. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    caught_up: Arc<watch::Sender<bool>>,
    heard: Arc<Mutex<Option<Moment>>>,
}

impl Status {
    pub(crate) fn new() -> Status {
        Status { caught_up: Arc::new(watch::Sender::new(false)), heard: Arc::default() }
    }

    /// Whether [`Status::set_caught_up`] was called.
    pub(crate) fn is_caught_up(&self) -> bool {
        *self.caught_up.borrow()
    }

    pub(crate) async fn caught_up(&self) {
        let mut caught_up = self.caught_up.subscribe();
        caught_up.wait_for(|caught_up| *caught_up).await.expect("self keeps the sender");
    }

    /// Whether the stream was heard from recently.
    pub(crate) fn is_current(&self) -> bool {
        let heard = *self.heard.lock();
        heard.is_some_and(|heard| heard.elapsed() < CURRENT_WITHIN)
    }

    pub(crate) fn hear(&self) {
        *self.heard.lock() = Some(Moment::now());
    }

    /// The receiver calls this after processing [`Item::CaughtUp`].
    pub(crate) fn set_caught_up(&self) {
        self.caught_up.send_if_modified(|caught_up| !std::mem::replace(caught_up, true));
    }
}
