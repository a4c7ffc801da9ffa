//! A caller's role as a moderator of a room. It is read from the saved decisions when it is needed, so the archiver
//! keeps no state of it, and knows of an appointment as soon as an ingest node has saved it: milliseconds after its
//! 202.

use std::time::Duration;

use chat::{PresenterIdx, UserIdx};
use nats::Decisions;
use tokio::time::{Instant, sleep};

/// 2 s: how often the role of a caller whose stream is in progress is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// 10 s without an answer: the role may have ended by now.
const BELIEVED_FOR: Duration = Duration::from_secs(10);

/// The role by which a user may read a room.
#[derive(Debug, Clone)]
pub(super) struct RoomRole {
    pub(super) decisions: Decisions,
    pub(super) room: PresenterIdx,
    pub(super) user: UserIdx,
}

impl RoomRole {
    /// Whether the user acts as a moderator of the room.
    pub(super) async fn holds(&self) -> Result<bool, nats::Error> {
        self.decisions.moderates(self.room, self.user).await
    }

    /// Waits until the role has ended, or can no longer be assumed.
    pub(super) async fn ended(&self) {
        let mut confirmed = Instant::now();
        loop {
            sleep(LOOK).await;
            match self.holds().await {
                Ok(true) => confirmed = Instant::now(),
                Ok(false) => return,
                Err(error) if confirmed.elapsed() > BELIEVED_FOR => {
                    tracing::warn!(%error, "cannot read the moderators of a room, ending a stream: {error}");
                    return;
                }
                Err(_) => {}
            }
        }
    }
}
