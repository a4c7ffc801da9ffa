//! Warnings: who may be warned, and how a user is told. The answer to a post carries the user's warning, through any
//! node, until one of them has recorded in the log that it was sent. A node records it a moment after its answer, so a
//! node that dies in between has recorded nothing, and another answer carries the warning: it is sent at least once.
//! This file does not know HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chat::{Body, Event, EventId, PresenterIdx, UserIdx, UserWarned, Warning, WarningSent, now};
use jiff::Timestamp;
use nats::Subject;
use parking_lot::Mutex;
use runtime::Moment;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::moderation::rights::Right;
use crate::posting::event_id::AssignedId;
use crate::refusal::Refusal;
use crate::state::Ingest;

/// 10,000 users of a room with a warning in force, as many as bans.
const MOST_WARNINGS: usize = 10_000;

/// 1 s: an answer is on its way by then. Meanwhile further answers carry the warning too.
const RECORDED_AFTER: Duration = Duration::from_secs(1);

/// 500 ms to read what a warning says. It takes milliseconds. A post does not wait longer: the next one carries the
/// warning.
const READ_WITHIN: Duration = Duration::from_millis(500);

/// 1,000 warnings that this node has sent and not recorded yet, about 10 MB if each is as long as allowed. More wait for
/// the user's next post.
const MOST_UNRECORDED: usize = 1_000;

/// A warning, as an answer carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WarningText {
    /// The id of the decision.
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
    /// What the user is told.
    pub(crate) reason: String,
}

/// The warnings that this node has sent and not recorded yet.
#[derive(Debug)]
pub(crate) struct SentWarnings {
    unrecorded: Mutex<HashMap<EventId, Arc<WarningText>>>,
    queue: mpsc::Sender<Sent>,
}

/// A warning that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    warning: EventId,
    room: PresenterIdx,
    user: UserIdx,
    record_at: Instant,
}

impl SentWarnings {
    /// With the queue for [`record`].
    pub(crate) fn new() -> (SentWarnings, mpsc::Receiver<Sent>) {
        // Beyond the bound a warning is not sent: see `begin`.
        let (queue, sent) = mpsc::channel(MOST_UNRECORDED);
        (SentWarnings { unrecorded: Mutex::default(), queue }, sent)
    }

    /// None: too many are unrecorded.
    fn begin(&self, room: PresenterIdx, user: UserIdx, text: WarningText) -> Option<Arc<WarningText>> {
        let mut unrecorded = self.unrecorded.lock();
        // Another answer may have begun meanwhile.
        if let Some(text) = unrecorded.get(&text.id) {
            return Some(text.clone());
        }
        let sent = Sent { warning: text.id, room, user, record_at: Instant::now() + RECORDED_AFTER };
        self.queue.try_send(sent).ok()?;
        let text = Arc::new(text);
        unrecorded.insert(text.id, text.clone());
        Some(text)
    }
}

impl Ingest {
    /// Each node that warns at the same moment may exceed the bound by one.
    pub(super) fn check_may_warn(
        &self,
        right: Right,
        room: PresenterIdx,
        user: UserIdx,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let rules = &self.replay.rules;
        match () {
            () if room.as_user() == user => Err(Refusal::PresenterNotWarnable),
            () if rules.appointment(room, user).is_some() && !right.is_over_moderators() => {
                Err(Refusal::ModeratorNotWarnable)
            }
            () if rules.warning(room, user, now).is_some() => Ok(()),
            () if rules.warnings(room, None, MOST_WARNINGS, now).len() >= MOST_WARNINGS => {
                Err(Refusal::TooManyWarnings(MOST_WARNINGS))
            }
            () => Ok(()),
        }
    }

    /// The warning that the answer to the user's post to the room must carry. None: there is none, or it cannot be read
    /// now, and the next answer carries it.
    pub(crate) async fn warning_to_send(&self, room: PresenterIdx, user: UserIdx) -> Option<Arc<WarningText>> {
        // A node that is starting refuses the post. It may not know yet that the warning was sent or withdrawn.
        if !self.replay.is_caught_up() {
            return None;
        }
        let Warning { id, position, .. } = self.replay.rules.unsent_warning(room, user, now())?;
        if let Some(text) = self.sent_warnings.unrecorded.lock().get(&id) {
            return Some(text.clone());
        }
        let words = self.replay.decision_keeper.words(Subject::Warning(room, user), position);
        let warned = match timeout(READ_WITHIN, words).await {
            Ok(Ok(warned)) => warned?,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot read a warning, and tell the user: {error}");
                return None;
            }
            Err(_) => {
                tracing::warn!("cannot read a warning, and tell the user: the bucket `decisions` does not answer");
                return None;
            }
        };
        match warned {
            Event { id, at, body: Body::UserWarned(UserWarned { reason: Some(reason), .. }), .. } => {
                self.sent_warnings.begin(room, user, WarningText { id, at, reason })
            }
            // It was withdrawn or erased a moment ago.
            _ => None,
        }
    }
}

/// Records each warning that this node has sent, a moment later. Dropped at any point, it leaves warnings unrecorded, and
/// they are sent again.
pub(crate) async fn record(ingest: Arc<Ingest>, mut queue: mpsc::Receiver<Sent>) {
    while let Some(Sent { warning, room, user, record_at }) = queue.recv().await {
        sleep_until(record_at).await;
        let unsent = ingest.replay.rules.unsent_warning(room, user, now());
        if unsent.is_some_and(|unsent| unsent.id == warning) {
            let (id, body) = (EventId::of_sent(warning), Body::WarningSent(WarningSent { user, target: warning }));
            let assigned = AssignedId { id, request: None, end: None, assigned_at: Moment::now() };
            match ingest.append(&assigned, Some(room), now(), body).await {
                Ok(position) => ingest.replay.reaches(position).await,
                Err(refusal) => {
                    let code = refusal.row().code;
                    tracing::warn!(code, "cannot record that a warning was sent, it will be sent again: {code}");
                }
            }
        }
        ingest.sent_warnings.unrecorded.lock().remove(&warning);
    }
}
