//! A delivery node's lease: its proof of life, and its right to claim rooms.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use chat::{NodeId, PresenterIdx, SessionId, now};
use jiff::Timestamp;
use parking_lot::Mutex;
use runtime::Moment;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::error::Error;
use crate::jetstream::{is_conflict, request, request_within, timestamp, write, write_until};
use crate::state::claim::{Claim, ClaimRecord, StoredClaim};
use crate::state::presence::{Newest, Presence};
use crate::streams::SESSIONS;

/// How often a lease is renewed within its length, so that one renewal may fail.
const RENEWALS: u32 = 3;

/// The attempts to claim a room that others claim at the same time. Only an abuser reconnects this fast.
const CLAIM_ATTEMPTS: u32 = 20;

/// The pause before the next attempt. A replica that answers for the leader may learn of the other claim a moment
/// later.
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

/// A claim that is not stored within this time never holds. A cluster elects a leader in less.
const CLAIM_LASTS: Duration = Duration::from_secs(5);

/// How much longer the outcome of an unanswered claim is asked for. A page waits for 12 s.
const RESOLVE_WITHIN: Duration = Duration::from_secs(3);

/// How long an acknowledged claim may take to arrive in presence. It comes within a millisecond of the acknowledgement,
/// unless a member of a cluster lags.
const HEARD_WITHIN: Duration = Duration::from_millis(50);

/// A question about a claim that is not answered in this time is retried: nobody answers it during an election.
const ASK_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The pause before such a retry.
const ASK_PAUSE: Duration = Duration::from_millis(100);

/// The attempts to withdraw a claim that others change at the same time.
const RELEASE_ATTEMPTS: u32 = 5;

/// A delivery node's lease, renewed in the background.
#[derive(Debug)]
pub struct Lease {
    context: Arc<Context>,
    node: NodeId,
    presence: Option<Presence>,
    /// When the last acknowledged renewal was sent.
    renewed: Arc<Mutex<Moment>>,
    stop: CancellationToken,
}

/// A claim that was sent.
#[derive(Debug, Clone, Copy)]
struct SentClaim {
    /// The revision that it replaces.
    replaced: u64,
    expires: Timestamp,
    /// Its own revision, if the server acknowledged it.
    answered: Option<u64>,
}

/// The outcome of a claim that was sent.
enum ClaimOutcome {
    /// It was stored in time. If it was acknowledged, a newer one may have replaced it since.
    Holds(u64),
    /// It was stored in time, and a newer one replaced it before its outcome was known.
    Replaced,
    /// It was stored too late, and never holds.
    Late { stored: Timestamp },
    /// It was not stored, and will not be in time.
    Nothing,
}

impl Lease {
    pub(crate) async fn start(context: &Arc<Context>, node: NodeId) -> Result<Lease, Error> {
        let sent = Moment::now();
        renew(context, &node).await?;
        let renewed = Arc::new(Mutex::new(sent));
        let stop = context.tasks.stop().child_token();
        let work = keep(context.clone(), node.clone(), renewed.clone());
        context.tasks.spawn("lease renewal", {
            let stop = stop.clone();
            async move {
                stop.run_until_cancelled(work).await;
            }
        });
        Ok(Lease { context: context.clone(), node, presence: None, renewed, stop })
    }

    /// Claims are sent on what presence knows. The server is asked only where that is old.
    #[must_use]
    pub fn with_presence(self, presence: &Presence) -> Lease {
        Lease { presence: Some(presence.clone()), ..self }
    }

    /// The node.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// Whether the lease was renewed recently enough that no other node can consider this one dead. After a suspension
    /// of the process or the machine this is `false`.
    pub fn is_held(&self) -> bool {
        let renewed = *self.renewed.lock();
        renewed.elapsed() < self.context.lease
    }

    /// The interval of renewals.
    pub fn renewal(&self) -> Duration {
        self.context.lease / RENEWALS
    }

    /// Claims the room for a session of this node. The newest session wins, across all nodes; the returned revision is
    /// the fence.
    ///
    /// An unanswered claim is resolved until its outcome is known. After [`Error::Unresolved`] the outcome is unknown:
    /// the claim may still hold later, and a caller that does not want it must withdraw it as soon as
    /// [`Presence`](crate::Presence) shows it. After any other error the claim does not hold, and never will.
    pub async fn claim(&self, presenter: PresenterIdx, session: SessionId) -> Result<Claim, Error> {
        let (since, until) = (now(), Instant::now() + CLAIM_LASTS);
        let mut ours = Claim { presenter, id: session, node: self.node.clone(), since, revision: 0 };
        // How far the clock of the server that stores claims is ahead, if the servers' clocks differ by more than a
        // claim lasts.
        let mut ahead = Duration::ZERO;
        let mut known = self.presence.as_ref().map(|presence| presence.newest(presenter));
        for attempt in 0..CLAIM_ATTEMPTS {
            // Replacing a claim that is no longer the newest is refused, and then the leader is asked.
            let is_known = known.is_some();
            let Newest { revision: replaced, holder } = match known.take() {
                Some(newest) => newest,
                None => {
                    let last = self.ask(presenter, attempt > 0, until).await?;
                    let holder = last.as_ref().and_then(|last| holder(last, presenter));
                    Newest { revision: last.map_or(0, |last| last.sequence), holder }
                }
            };
            if !self.context.is_connected() {
                // The client would buffer the claim for the next connection.
                return Err(unavailable("claiming a room", "there is no connection"));
            }
            let (sent_at, left) = (self.context.now(), until.saturating_duration_since(Instant::now()));
            let expires = sent_at + ahead + left;
            let claim = ClaimRecord::new(&ours, expires, holder).to_json();
            let update = || self.context.sessions.update(presenter.to_string(), claim.clone(), replaced);
            let answered = match write_until(until, "claiming a room", update).await {
                Ok(Err(error)) if is_conflict(&error) => {
                    if !is_known {
                        sleep(CLAIM_PAUSE).await;
                    }
                    continue;
                }
                Ok(Ok(revision)) => Some(revision),
                Ok(Err(error)) => unanswered(presenter, &error),
                Err(error) => unanswered(presenter, &error),
            };
            match self.resolve(&ours, SentClaim { replaced, expires, answered }, until + RESOLVE_WITHIN).await? {
                ClaimOutcome::Holds(revision) => {
                    ours.revision = revision;
                    return Ok(ours);
                }
                ClaimOutcome::Late { stored } if Instant::now() < until => {
                    ahead = Duration::try_from(stored.duration_since(sent_at)).unwrap_or_default();
                    tracing::warn!(%presenter, ?ahead, "the clocks of NATS servers differ; claiming the room again");
                }
                ClaimOutcome::Replaced => return Err(Error::Overtaken { presenter }),
                ClaimOutcome::Late { .. } => return Err(unavailable("claiming a room", "it was stored too late")),
                ClaimOutcome::Nothing => return Err(unavailable("claiming a room", "it was not stored in time")),
            }
        }
        Err(Error::Contended { presenter })
    }

    /// The newest claim of the room, asked for until the given time.
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
                    tracing::debug!(%presenter, %error, "asking again who holds a room");
                    sleep(ASK_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    /// Asks for the outcome of a claim until it is known.
    async fn resolve(&self, ours: &Claim, sent: SentClaim, until: Instant) -> Result<ClaimOutcome, Error> {
        let presenter = ours.presenter;
        if let (Some(revision), Some(presence)) = (sent.answered, &self.presence)
            && presence.hears(revision, HEARD_WITHIN).await
        {
            let Newest { revision: newest, holder } = presence.newest(presenter);
            // Presence judges what is stored by the same rule. A claim that came too late is asked about below.
            let is_in_time = newest == revision && holder.is_some_and(|holder| holder.id == ours.id);
            if is_in_time || newest > revision {
                return Ok(ClaimOutcome::Holds(revision));
            }
        }
        // Any member may know an acknowledged claim. Only the leader can say that an unacknowledged one is missing.
        let mut of_leader = sent.answered.is_none();
        loop {
            // Read before the question: the answer shows the state at that time or later.
            let has_expired = self.context.now() > sent.expires;
            let asking = async { if of_leader { self.last(presenter).await } else { self.lately(presenter).await } };
            match request_within(ASK_TIMEOUT, "resolving a claim", asking).await {
                Ok(Some(last)) if last.sequence > sent.replaced && stored(&last).is_of(ours.id) => {
                    let is_in_time = holder(&last, presenter).is_some_and(|holder| holder.id == ours.id);
                    let late = ClaimOutcome::Late { stored: timestamp(last.time) };
                    return Ok(if is_in_time { ClaimOutcome::Holds(last.sequence) } else { late });
                }
                Ok(Some(last)) if last.sequence > sent.replaced => {
                    if let Some(revision) = sent.answered {
                        return Ok(ClaimOutcome::Holds(revision));
                    }
                    // Either the other claim replaced ours, or it came first, and ours can no longer be stored.
                    let is_replaced = stored(&last).replaced(presenter).is_some_and(|replaced| replaced.id == ours.id);
                    return Ok(if is_replaced { ClaimOutcome::Replaced } else { ClaimOutcome::Nothing });
                }
                Ok(_) if sent.answered.is_some() && !of_leader => {
                    of_leader = true;
                    continue;
                }
                Ok(_) if has_expired && sent.answered.is_none() => return Ok(ClaimOutcome::Nothing),
                Ok(_) => {}
                Err(error) => tracing::debug!(%presenter, %error, "the outcome of a claim is not known yet"),
            }
            if Instant::now() + ASK_PAUSE > until {
                return Err(Error::Unresolved { presenter });
            }
            sleep(ASK_PAUSE).await;
        }
    }

    /// Asks the server whether no newer claim has replaced this one. A node whose lease has lapsed needs this: its own
    /// view of other nodes' claims may be old.
    pub async fn holds(&self, claim: &Claim) -> Result<bool, Error> {
        let holder = self.holder(claim.presenter).await?;
        Ok(holder.is_some_and(|holder| holder.revision == claim.revision))
    }

    /// Asks the server which claim holds the room, whether its node's lease is alive or not.
    pub async fn holder(&self, presenter: PresenterIdx) -> Result<Option<Claim>, Error> {
        let last = request("asking who holds a room", self.last(presenter)).await?;
        Ok(last.and_then(|last| holder(&last, presenter)))
    }

    /// Withdraws a claim, unless a newer one has replaced it. After an error it may be withdrawn or not.
    pub async fn release(&self, claim: &Claim) -> Result<(), Error> {
        let (presenter, key) = (claim.presenter, claim.presenter.to_string());
        let mut revision = claim.revision;
        for _ in 0..RELEASE_ATTEMPTS {
            if !self.context.is_connected() {
                return Err(unavailable("withdrawing a claim", "there is no connection"));
            }
            let delete = self.context.sessions.delete_expect_revision(&key, Some(revision));
            let Err(error) = request("withdrawing a claim", delete).await else { return Ok(()) };
            // Usually the revision is another claim's. Then there is nothing to withdraw, unless that claim came too
            // late to replace anything.
            match request("asking who holds a room", self.last(presenter)).await {
                Ok(Some(last)) if is_held_by(&last, presenter, claim.revision) && last.sequence != revision => {
                    revision = last.sequence
                }
                Ok(Some(last)) if is_held_by(&last, presenter, claim.revision) => return Err(error),
                Ok(_) => return Ok(()),
                Err(_) => return Err(error),
            }
        }
        Err(Error::Contended { presenter })
    }

    /// A recent claim of the room from any member of a cluster, which costs the leader nothing. A newer one may exist.
    async fn lately(&self, presenter: PresenterIdx) -> Result<Option<StreamMessage>, Error> {
        let subject = format!("$KV.{SESSIONS}.{presenter}");
        match self.context.sessions.stream.direct_get_last_for_subject(subject).await {
            Ok(last) => Ok(Some(last)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::JetStream { doing: "asking who holds a room", source: error.into() }),
        }
    }

    /// The newest claim of the room, from the bucket's leader.
    async fn last(&self, presenter: PresenterIdx) -> Result<Option<StreamMessage>, Error> {
        let subject = format!("$KV.{SESSIONS}.{presenter}");
        match self.context.sessions.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(last) => Ok(Some(last)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(Error::JetStream { doing: "asking who holds a room", source: error.into() }),
        }
    }

    /// Stops renewing and withdraws the lease, so that others need not wait for its end.
    pub async fn end(&self) {
        self.stop.cancel();
        if let Err(error) = request("withdrawing a lease", self.context.nodes.delete(self.node.as_str())).await {
            tracing::warn!(node = %self.node, %error, "the lease was not withdrawn, and will expire");
        }
    }
}

async fn keep(context: Arc<Context>, node: NodeId, renewed: Arc<Mutex<Moment>>) {
    let pause = context.lease / RENEWALS;
    let mut renewal = interval(pause);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        renewal.tick().await;
        if !context.is_connected() {
            // The client would buffer the renewal for the next connection, and the node would look alive then even if
            // it is dead.
            tracing::warn!(%node, "the lease was not renewed: there is no connection");
            continue;
        }
        let sent = Moment::now();
        match timeout(pause, renew(&context, &node)).await {
            Ok(Ok(())) => *renewed.lock() = sent,
            Ok(Err(error)) => tracing::warn!(%node, %error, "the lease was not renewed"),
            Err(_) => tracing::warn!(%node, "the lease was not renewed in time"),
        }
    }
}

async fn renew(context: &Context, node: &NodeId) -> Result<(), Error> {
    let put = || context.nodes.put(node.as_str(), Timestamp::now().to_string().into());
    match write("renewing a lease", put).await? {
        Ok(_revision) => Ok(()),
        Err(error) => Err(Error::JetStream { doing: "renewing a lease", source: error.into() }),
    }
}

/// Logs that the outcome of a claim is unknown.
fn unanswered(presenter: PresenterIdx, error: &(dyn std::error::Error + 'static)) -> Option<u64> {
    tracing::info!(%presenter, error, "a claim was not answered, resolving its outcome");
    None
}

fn stored(message: &StreamMessage) -> StoredClaim<'_> {
    StoredClaim {
        revision: message.sequence,
        at: timestamp(message.time),
        headers: Some(&message.headers),
        value: &message.payload,
    }
}

/// The claim that holds the room by the newest message of its key.
fn holder(last: &StreamMessage, presenter: PresenterIdx) -> Option<Claim> {
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
