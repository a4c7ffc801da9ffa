//! A delivery node's lease: proof of life, and the right to claim rooms.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::jetstream::{is_conflict, request, request_within, write, write_until};
use crate::log::Inner;
use crate::read::entry::timestamp;
use crate::setup::SESSIONS;
use crate::state::claim::{Claim, Stored};
use crate::state::presence::Session;
use chat::now;
use chat::{NodeId, PresenterIdx, SessionId};
use runtime::Moment;

/// A lease is renewed so many times in its length, so that one renewal may fail.
const RENEWALS: u32 = 3;

/// Others claimed the room so often between our question and our claim: nobody means well who connects that fast.
const CLAIM_ATTEMPTS: u32 = 20;

/// Before the next attempt; a replica that answers for the leader may need a moment to know of the other claim.
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

/// A claim that is not stored within this time never happened: a cluster elects a leader in less.
const CLAIM_LASTS: Duration = Duration::from_secs(5);

/// How much longer it is asked what became of a claim that was not answered. A page waits for 12 s.
const RESOLVE_WITHIN: Duration = Duration::from_secs(3);

/// A question about a claim that is not answered in this time is asked again: while a cluster elects a leader nobody
/// answers it.
const ASK_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The pause before the next such question.
const ASK_PAUSE: Duration = Duration::from_millis(100);

/// Nobody else changes a room's claim so often between our question and our withdrawal.
const RELEASE_ATTEMPTS: u32 = 5;

/// A delivery node's lease, renewed in the background.
#[derive(Debug)]
pub struct Lease {
    log: Arc<Inner>,
    node: NodeId,
    /// When the last renewal that was acknowledged was sent.
    renewed: Arc<Mutex<Moment>>,
    stop: CancellationToken,
}

/// A claim that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// The revision that it replaces.
    replaced: u64,
    expires: Timestamp,
    /// Its own revision, if the server said so.
    answered: Option<u64>,
}

/// What became of a claim that was sent.
enum Outcome {
    /// It was stored in time. If it was answered, a newer one may have replaced it since.
    Holds(u64),
    /// It was stored in time, and a newer one has replaced it before that was known.
    Replaced,
    /// It was stored too late, and never happened.
    Late { stored: Timestamp },
    /// It was not stored, and will not be in time.
    Nothing,
}

impl Lease {
    pub(crate) async fn start(log: &Arc<Inner>, node: NodeId) -> Result<Lease, Error> {
        let sent = Moment::now();
        renew(log, &node).await?;
        let renewed = Arc::new(Mutex::new(sent));
        let stop = log.stop.child_token();
        let work = keep(log.clone(), node.clone(), renewed.clone());
        log.tasks.spawn(stop.clone().run_until_cancelled_owned(work));
        Ok(Lease { log: log.clone(), node, renewed, stop })
    }

    /// The node.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// Whether the lease was renewed recently enough that no other node can have taken this one for dead. A process
    /// that was suspended finds `false` here when it wakes up, and so does one whose machine was.
    pub fn is_held(&self) -> bool {
        let renewed = *self.renewed.lock().expect("nothing panics while it holds the lock");
        renewed.elapsed() < self.log.config.lease()
    }

    /// How often the lease is renewed.
    pub fn renewal(&self) -> Duration {
        self.log.config.lease() / RENEWALS
    }

    /// Claims the room for a session of this node: newest wins, across all nodes. The answer's revision is the fence.
    ///
    /// A claim that was not answered is looked for until it is known what became of it. With
    /// [`Error::Unresolved`] that is not known: the room may be ours in time, and whoever does not want it then has to
    /// withdraw it as soon as [`Presence`](crate::Presence) shows it. With any other error it is not ours, and will not be.
    pub async fn claim(&self, presenter: PresenterIdx, session: SessionId) -> Result<Session, Error> {
        let (since, until) = (now(), Instant::now() + CLAIM_LASTS);
        let mut ours = Session { presenter, id: session, node: self.node.clone(), since, revision: 0 };
        // Should the clocks of the log's servers differ by more than a claim lasts: when, by the one that stores claims.
        let mut ahead = Duration::ZERO;
        for attempt in 0..CLAIM_ATTEMPTS {
            // What was the newest a while ago is refused, and then the leader is asked.
            let last = self.ask(presenter, attempt > 0, until).await?;
            let replaced = last.as_ref().map_or(0, |last| last.sequence);
            let holder = last.as_ref().and_then(|last| holder(last, presenter));
            if !self.log.is_connected() {
                // The client would keep it for the next connection.
                return Err(unavailable("claiming a room", "there is no connection"));
            }
            let (sent_at, left) = (self.log.now(), until.saturating_duration_since(Instant::now()));
            let expires = sent_at + ahead + left;
            let claim = Claim::new(&ours, expires, holder).to_json();
            let update = || self.log.sessions.update(presenter.to_string(), claim.clone(), replaced);
            let answered = match write_until(until, "claiming a room", update).await {
                Ok(Err(error)) if is_conflict(&error) => {
                    sleep(CLAIM_PAUSE).await;
                    continue;
                }
                Ok(Ok(revision)) => Some(revision),
                Ok(Err(error)) => unanswered(presenter, &error),
                Err(error) => unanswered(presenter, &error),
            };
            match self.resolve(&ours, Sent { replaced, expires, answered }, until + RESOLVE_WITHIN).await? {
                Outcome::Holds(revision) => {
                    ours.revision = revision;
                    return Ok(ours);
                }
                Outcome::Late { stored } if Instant::now() < until => {
                    ahead = Duration::try_from(stored.duration_since(sent_at)).unwrap_or_default();
                    tracing::warn!(%presenter, ?ahead, "the clocks of NATS servers differ; claiming the room once more");
                }
                Outcome::Replaced => return Err(Error::Overtaken { presenter }),
                Outcome::Late { .. } => return Err(unavailable("claiming a room", "it was stored too late")),
                Outcome::Nothing => return Err(unavailable("claiming a room", "it was not stored in time")),
            }
        }
        Err(Error::Contended { presenter })
    }

    /// The newest claim of the room, asked for until then.
    async fn ask(
        &self,
        presenter: PresenterIdx,
        of_leader: bool,
        until: Instant,
    ) -> Result<Option<StreamMessage>, Error> {
        loop {
            let asking = async { if of_leader { self.last(presenter).await } else { self.lately(presenter).await } };
            match request_within(ASK_TIMEOUT, "asking who holds a room", asking).await {
                Err(error) if Instant::now() + ASK_PAUSE < until => {
                    tracing::debug!(%presenter, %error, "asking once more who holds a room");
                    sleep(ASK_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    /// What became of a claim, asked until it is known.
    async fn resolve(&self, ours: &Session, sent: Sent, until: Instant) -> Result<Outcome, Error> {
        let presenter = ours.presenter;
        // What was answered any member may know; of what was not the leader alone can say that it is not there.
        let mut of_leader = sent.answered.is_none();
        loop {
            // Before the question: what it finds then is what there was at that time or later.
            let has_expired = self.log.now() > sent.expires;
            let asking = async { if of_leader { self.last(presenter).await } else { self.lately(presenter).await } };
            match request_within(ASK_TIMEOUT, "asking what became of a claim", asking).await {
                Ok(Some(last)) if last.sequence > sent.replaced && stored(&last).is_of(ours.id) => {
                    let is_in_time = holder(&last, presenter).is_some_and(|holder| holder.id == ours.id);
                    let late = Outcome::Late { stored: timestamp(last.time) };
                    return Ok(if is_in_time { Outcome::Holds(last.sequence) } else { late });
                }
                Ok(Some(last)) if last.sequence > sent.replaced => {
                    if let Some(revision) = sent.answered {
                        return Ok(Outcome::Holds(revision));
                    }
                    // The other one replaced it, or came first; then it is not stored any more.
                    let is_replaced = stored(&last).replaced(presenter).is_some_and(|replaced| replaced.id == ours.id);
                    return Ok(if is_replaced { Outcome::Replaced } else { Outcome::Nothing });
                }
                Ok(_) if sent.answered.is_some() && !of_leader => {
                    of_leader = true;
                    continue;
                }
                Ok(_) if has_expired && sent.answered.is_none() => return Ok(Outcome::Nothing),
                Ok(_) => {}
                Err(error) => tracing::debug!(%presenter, %error, "cannot tell what became of a claim"),
            }
            if Instant::now() + ASK_PAUSE > until {
                return Err(Error::Unresolved { presenter });
            }
            sleep(ASK_PAUSE).await;
        }
    }

    /// Whether no newer claim has replaced the session's, as the server says now. For a node whose lease has lapsed:
    /// what it has heard of other nodes' claims may be old.
    pub async fn holds(&self, session: &Session) -> Result<bool, Error> {
        let holder = self.holder(session.presenter).await?;
        Ok(holder.is_some_and(|holder| holder.revision == session.revision))
    }

    /// The session that holds the room, whether its node's lease lives or not, as the server says now.
    pub async fn holder(&self, presenter: PresenterIdx) -> Result<Option<Session>, Error> {
        let last = request("asking who holds a room", self.last(presenter)).await?;
        Ok(last.and_then(|last| holder(&last, presenter)))
    }

    /// Withdraws a claim, unless a newer one has replaced it. After an error it is not known whether it is withdrawn.
    pub async fn release(&self, session: &Session) -> Result<(), Error> {
        let (presenter, key) = (session.presenter, session.presenter.to_string());
        let mut revision = session.revision;
        for _ in 0..RELEASE_ATTEMPTS {
            if !self.log.is_connected() {
                return Err(unavailable("withdrawing a claim", "there is no connection"));
            }
            let delete = self.log.sessions.delete_expect_revision(&key, Some(revision));
            let Err(error) = request("withdrawing a claim", delete).await else { return Ok(()) };
            // The usual reason: the revision is another one's. Then there is nothing to withdraw, unless that one
            // came too late to replace anything.
            match request("asking who holds a room", self.last(presenter)).await {
                Ok(Some(last)) if is_held_by(&last, presenter, session.revision) && last.sequence != revision => {
                    revision = last.sequence
                }
                Ok(Some(last)) if is_held_by(&last, presenter, session.revision) => return Err(error),
                Ok(_) => return Ok(()),
                Err(_) => return Err(error),
            }
        }
        Err(Error::Contended { presenter })
    }

    /// A claim of the room that was the newest a while ago, asked of any member of a cluster: it costs the leader nothing.
    async fn lately(&self, presenter: PresenterIdx) -> Result<Option<StreamMessage>, Error> {
        let subject = format!("$KV.{SESSIONS}.{presenter}");
        match self.log.sessions.stream.direct_get_last_for_subject(subject).await {
            Ok(last) => Ok(Some(last)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::JetStream { doing: "asking who holds a room", source: error.into() }),
        }
    }

    /// The newest claim of the room, asked of the bucket's leader.
    async fn last(&self, presenter: PresenterIdx) -> Result<Option<StreamMessage>, Error> {
        let subject = format!("$KV.{SESSIONS}.{presenter}");
        match self.log.sessions.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(last) => Ok(Some(last)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(Error::JetStream { doing: "asking who holds a room", source: error.into() }),
        }
    }

    /// Stops renewing and withdraws the lease, so that others need not wait for it to run out.
    pub async fn end(&self) {
        self.stop.cancel();
        if let Err(error) = request("withdrawing a lease", self.log.nodes.delete(self.node.as_str())).await {
            tracing::warn!(node = %self.node, %error, "the lease was not withdrawn, it will run out");
        }
    }
}

async fn keep(log: Arc<Inner>, node: NodeId, renewed: Arc<Mutex<Moment>>) {
    let pause = log.config.lease() / RENEWALS;
    let mut renewal = interval(pause);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        renewal.tick().await;
        if !log.is_connected() {
            // The client would keep it for the next connection, and the node would seem to live then, whether it does.
            tracing::warn!(%node, "the lease was not renewed: there is no connection");
            continue;
        }
        let sent = Moment::now();
        match timeout(pause, renew(&log, &node)).await {
            Ok(Ok(())) => *renewed.lock().expect("nothing panics while it holds the lock") = sent,
            Ok(Err(error)) => tracing::warn!(%node, %error, "the lease was not renewed"),
            Err(_) => tracing::warn!(%node, "the lease was not renewed in time"),
        }
    }
}

async fn renew(log: &Inner, node: &NodeId) -> Result<(), Error> {
    let put = || log.nodes.put(node.as_str(), Timestamp::now().to_string().into());
    match write("renewing a lease", put).await? {
        Ok(_revision) => Ok(()),
        Err(error) => Err(Error::JetStream { doing: "renewing a lease", source: error.into() }),
    }
}

/// It is not known whether a claim was stored.
fn unanswered(presenter: PresenterIdx, error: &(dyn std::error::Error + 'static)) -> Option<u64> {
    tracing::info!(%presenter, error, "a claim was not answered, asking what became of it");
    None
}

fn stored(message: &StreamMessage) -> Stored<'_> {
    Stored {
        revision: message.sequence,
        at: timestamp(message.time),
        headers: Some(&message.headers),
        value: &message.payload,
    }
}

/// The session that holds the room by the newest message of its key.
fn holder(last: &StreamMessage, presenter: PresenterIdx) -> Option<Session> {
    stored(last).holder(presenter).unwrap_or_else(|error| {
        tracing::warn!(%presenter, %error, "a value of the bucket `sessions` is not a claim");
        None
    })
}

fn is_held_by(last: &StreamMessage, presenter: PresenterIdx, revision: u64) -> bool {
    holder(last, presenter).is_some_and(|holder| holder.revision == revision)
}

fn unavailable(doing: &'static str, reason: &str) -> Error {
    Error::JetStream { doing, source: reason.into() }
}
