//! Erases users: through the log, so that every delivery window applies it, and at once in the archive, however far the
//! log is archived. An erasure that has begun is finished, by this archiver or by another one.

use std::time::Duration;

use chat::{Body, ErasureMode, Event, EventId, Position, User, UserErased, UserIdx};
use mongodb::bson::DateTime;
use nats::Log;
use runtime::for_same_request;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{receipt, sweep};
use crate::mongo::database::Database;
use crate::mongo::documents::{ErasureDocument, PositionDocument};
use crate::mongo::failure::Failure;
use crate::work::{Erasure, LogFacts};

/// Erases users. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Eraser {
    database: Database,
    log: Log,
    /// An erasure goes on when its client disconnects. One that panics is finished by the next sweep, so it does not
    /// end the role.
    tasks: TaskTracker,
    stop: CancellationToken,
    /// How long a request waits for the erasure to be done.
    patience: Duration,
}

impl Eraser {
    pub(crate) fn new(database: Database, log: Log, stop: CancellationToken, patience: Duration) -> Eraser {
        Eraser { database, log, tasks: TaskTracker::new(), stop, patience }
    }

    /// Erases the user's messages up to now. Once this returns, the erasure is certain to finish; if it takes long, the
    /// receipt says that it is still running. An error means that MongoDB did not answer. Nothing has begun, or its
    /// outcome is unknown.
    pub(crate) async fn erase(&self, user: UserIdx, mode: ErasureMode, by: User) -> Result<ErasureDocument, Failure> {
        let event = Event::of_every_room(Body::UserErased(UserErased { user, mode, by: by.clone() }));
        let at = DateTime::from_millis(event.at.as_millisecond());
        let erasure = Erasure { id: event.id.to_string(), user, mode, at, by, log: LogFacts::of(&self.log) };
        let begun = receipt::record(&self.database, &erasure, &[]).await?;
        tracing::info!(erasure = erasure.id, "erasing a user");
        let (database, log, stop) = (self.database.clone(), self.log.clone(), self.stop.clone());
        let carry_out = async move {
            match carry_out(&database, &log, &erasure, &event).await {
                Ok(done) => Some(done),
                Err(reason) => {
                    tracing::warn!(
                        erasure = erasure.id,
                        "an erasure is not finished yet, the next sweep retries it: {reason}"
                    );
                    None
                }
            }
        };
        let work = async move { stop.run_until_cancelled(carry_out).await.flatten() };
        let work = self.tasks.spawn(for_same_request(work));
        match timeout(self.patience, work).await {
            Ok(Ok(Some(done))) => Ok(done),
            // It takes longer, or it waits for the log or for another archiver.
            _ => Ok(receipt::find(&self.database, &begun.id).await?.unwrap_or(begun)),
        }
    }

    /// The receipts of the user, the latest first.
    pub(crate) async fn receipts(&self, user: UserIdx) -> Result<Vec<ErasureDocument>, Failure> {
        receipt::of_user(&self.database, user).await
    }

    /// Waits for the erasures in progress, which end soon after the stop.
    pub(crate) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Finishes erasures that began so long ago and are not done: their archiver died, or the log was unreachable.
pub(crate) async fn finish_left(database: &Database, log: &Log, ago: Duration) -> Result<(), Failure> {
    let millis = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    let before = DateTime::from_millis(DateTime::now().timestamp_millis() - millis);
    for left in receipt::running_since(database, before).await? {
        let Some((erasure, event)) = event_of(&left, log) else {
            tracing::error!(erasure = left.id, "the document of an erasure is invalid and is skipped");
            continue;
        };
        tracing::info!(erasure = left.id, "finishing an abandoned erasure");
        if left.is_complete() {
            sweep::enforce(database, left).await?;
        } else {
            // Another copy in the log is harmless: the last one in each partition counts.
            carry_out(database, log, &erasure, &event).await.map_err(Failure::Unavailable)?;
        }
    }
    Ok(())
}

/// Carries out again the erasures whose events the log has lost with its end. The log still has messages from before
/// them, and would show these to presenters and readers.
pub(crate) async fn repeat_lost(database: &Database, log: &Log) -> Result<(), Failure> {
    for known in receipt::held_by_the_log(database).await? {
        let positions: Option<Vec<Position>> = known.positions.iter().map(|position| position.position()).collect();
        if positions.is_some_and(|positions| log.timelines().have_everywhere(&positions)) {
            continue;
        }
        let Some((erasure, event)) = event_of(&known, log) else { continue };
        // One archiver repeats it. If that one dies, the erasure is one of those that are left.
        if receipt::reopen(database, &known, &erasure.log.epochs).await? {
            tracing::warn!(erasure = known.id, "the log has lost the event of an erasure: erasing the user again");
            carry_out(database, log, &erasure, &event).await.map_err(Failure::Unavailable)?;
        }
    }
    Ok(())
}

/// Appends the erasure to every partition of the log, and erases everything before it.
async fn carry_out(
    database: &Database,
    log: &Log,
    erasure: &Erasure,
    event: &Event,
) -> Result<ErasureDocument, String> {
    let positions = log.append_everywhere(event).await.map_err(|error| error.to_string())?;
    let positions: Result<Vec<PositionDocument>, _> = positions.into_iter().map(PositionDocument::try_from).collect();
    let positions = positions.map_err(|error| error.to_string())?;
    let recorded = receipt::place(database, erasure, &positions).await.map_err(|failure| failure.to_string())?;
    sweep::enforce(database, recorded).await.map_err(|failure| failure.to_string())
}

/// The erasure as it was requested.
fn event_of(document: &ErasureDocument, log: &Log) -> Option<(Erasure, Event)> {
    let id: EventId = document.id.parse().ok()?;
    let user = UserIdx::stored(document.user_idx).ok()?;
    let at = jiff::Timestamp::from_millisecond(document.at.timestamp_millis()).ok()?;
    let by = &document.by;
    let by = User { idx: UserIdx::stored(by.user_idx).ok()?, nickname: by.nickname.clone(), role: by.role };
    let mode = document.mode;
    let erased = UserErased { user, mode, by: by.clone() };
    let event = Event { id, presenter: None, at, belated: true, request: None, body: Body::UserErased(erased) };
    let erasure = Erasure { id: document.id.clone(), user, mode, at: document.at, by, log: LogFacts::of(log) };
    Some((erasure, event))
}
