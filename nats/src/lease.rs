//! A delivery node's lease: proof of life, and the right to claim rooms.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::connect::Inner;
use crate::error::Error;
use crate::event::now;
use crate::ids::{NodeId, PresenterIdx, SessionId};
use crate::presence::{Claim, Session};
use crate::setup::{SESSIONS, is_conflict, request, write};

/// A lease is renewed so many times in its length, so that one renewal may fail.
const RENEWALS: u32 = 3;

/// Others claimed the room so often between our question and our claim: nobody means well who connects that fast.
const CLAIM_ATTEMPTS: u32 = 20;

/// Before the next attempt; a replica that answers for the leader may need a moment to know of the other claim.
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

/// A delivery node's lease, renewed in the background.
#[derive(Debug)]
pub struct Lease {
    log: Arc<Inner>,
    node: NodeId,
    /// When the last renewal that was acknowledged was sent.
    renewed: Arc<Mutex<Instant>>,
    stop: CancellationToken,
}

impl Lease {
    pub(crate) async fn start(log: &Arc<Inner>, node: NodeId) -> Result<Lease, Error> {
        let sent = Instant::now();
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
    /// that was suspended finds `false` here when it wakes up.
    pub fn is_held(&self) -> bool {
        let renewed = *self.renewed.lock().expect("nothing panics while it holds the lock");
        renewed.elapsed() < self.log.config.lease()
    }

    /// Claims the room for a session of this node: newest wins, across all nodes. The answer's revision is the fence.
    ///
    /// The claim names the one that it replaces. The client sends what it holds back during an outage after it, and a
    /// claim from then must not take the room from who came meanwhile.
    pub async fn claim(&self, presenter: PresenterIdx, session: SessionId) -> Result<Session, Error> {
        let since = now();
        let key = presenter.to_string();
        let claim = Claim { node: self.node.clone(), session, since };
        for _ in 0..CLAIM_ATTEMPTS {
            let entry = request("asking who holds a room", self.log.sessions.entry(&key)).await?;
            let replaced = entry.map_or(0, |entry| entry.revision);
            let update = || self.log.sessions.update(&key, claim.to_json(), replaced);
            match write("claiming a room", update).await? {
                Ok(revision) => {
                    return Ok(Session { presenter, id: session, node: self.node.clone(), since, revision });
                }
                Err(error) if is_conflict(&error) => sleep(CLAIM_PAUSE).await,
                Err(error) => return Err(Error::JetStream { doing: "claiming a room", source: error.into() }),
            }
        }
        Err(Error::Contended { presenter })
    }

    /// Whether no newer claim has replaced the session's, as the server says now. For a node whose lease has lapsed:
    /// what it has heard of other nodes' claims may be old.
    pub async fn holds(&self, session: &Session) -> Result<bool, Error> {
        // Asked of the bucket's leader: another member of a cluster may answer with what it knew a while ago.
        let subject = format!("$KV.{SESSIONS}.{}", session.presenter);
        let last = async {
            match self.log.sessions.stream.get_last_raw_message_by_subject(&subject).await {
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                answer => answer.map(Some),
            }
        };
        let last = request("asking who holds a room", last).await?;
        Ok(last.is_some_and(|last| last.sequence == session.revision))
    }

    /// Withdraws a claim, unless a newer one has replaced it.
    pub async fn release(&self, session: &Session) -> Result<(), Error> {
        let key = session.presenter.to_string();
        let delete = self.log.sessions.delete_expect_revision(key, Some(session.revision));
        match request("withdrawing a claim", delete).await {
            Ok(()) => Ok(()),
            // The usual reason: the revision is another one's. Then there is nothing to withdraw.
            Err(error) => match self.holds(session).await {
                Ok(false) => Ok(()),
                Ok(true) | Err(_) => Err(error),
            },
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

async fn keep(log: Arc<Inner>, node: NodeId, renewed: Arc<Mutex<Instant>>) {
    let pause = log.config.lease() / RENEWALS;
    let mut renewal = interval(pause);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        renewal.tick().await;
        let sent = Instant::now();
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
