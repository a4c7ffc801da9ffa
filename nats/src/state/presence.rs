//! Presence: which session holds each room, and which nodes are alive. The bucket `sessions` has the newest claim of
//! every room, and `nodes` the leases. A local map follows both, so that a lookup needs no request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chat::{NodeId, PresenterIdx};
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use runtime::Moment;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use crate::context::Context;
use crate::error::Error;
use crate::read::item::{Item, ReadFrom, Record, Status};
use crate::read::reader;
use crate::state::claim::{Claim, StoredClaim, is_deleted};
use crate::streams;
use crate::streams::{NODES, SESSIONS};

/// How many claims a receiver may fall behind before it is told that it lags. A reconnect storm fits.
const CLAIMS: usize = 8_192;

/// How many withdrawn claims are remembered, about 2 MB. A room that is forgotten costs its next claim one more
/// request.
const WITHDRAWN: usize = 65_536;

/// The claims and leases of all nodes, in a local map. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Presence {
    context: Arc<Context>,
    state: Arc<Mutex<Known>>,
    claims: broadcast::Sender<Claim>,
    sessions: Status,
    nodes: Status,
}

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<PresenterIdx, Held, RandomState>,
    /// For rooms that nobody holds, the revision of the newest record.
    withdrawn: HashMap<PresenterIdx, u64, RandomState>,
    /// The last revision of the bucket `sessions` that was heard of.
    heard: u64,
    /// Who waits to hear of a revision.
    awaited: HashMap<u64, oneshot::Sender<()>, RandomState>,
    /// For each node, when its lease was last renewed.
    nodes: HashMap<NodeId, Moment, RandomState>,
}

/// A room that is claimed.
#[derive(Debug)]
struct Held {
    claim: Claim,
    /// The revision of the key's newest record. It is the claim's own, unless a later claim came too late to hold.
    newest: u64,
}

/// The newest record of a room's key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Its revision. 0: there is none.
    pub(crate) revision: u64,
    /// The claim that holds the room by it.
    pub(crate) holder: Option<Claim>,
}

/// An item, by its bucket.
enum Update {
    Session(Result<Item, Error>),
    Node(Result<Item, Error>),
}

impl Known {
    /// The claim that holds the room, if its node's lease is alive.
    fn session(&self, presenter: PresenterIdx, lease: Duration) -> Option<&Claim> {
        let session = &self.sessions.get(&presenter)?.claim;
        let renewed = self.nodes.get(&session.node)?;
        (renewed.elapsed() < lease).then_some(session)
    }
}

impl Presence {
    pub(crate) async fn start(context: &Arc<Context>) -> Result<Presence, Error> {
        // A full channel slows the readers down. Nothing is lost.
        let (sink, changes) = mpsc::channel(256);
        let stop = context.tasks.stop().clone();
        let sessions = reader::read(
            context,
            &streams::of_bucket(SESSIONS),
            ReadFrom::LastPerSubject,
            stop.clone(),
            sink.clone(),
            Update::Session,
        );
        let nodes = reader::read(
            context,
            &streams::of_bucket(NODES),
            ReadFrom::LastPerSubject,
            stop.clone(),
            sink,
            Update::Node,
        );
        let presence = Presence {
            context: context.clone(),
            state: Arc::default(),
            claims: broadcast::Sender::new(CLAIMS),
            sessions,
            nodes,
        };
        context.tasks.spawn_until_stop("presence", presence.clone().follow(changes));
        presence.sessions.caught_up().await;
        presence.nodes.caught_up().await;
        Ok(presence)
    }

    /// The claim that holds the room, if its node's lease is alive.
    pub fn session(&self, presenter: PresenterIdx) -> Option<Claim> {
        self.state.lock().session(presenter, self.context.lease).cloned()
    }

    /// Whether a session whose node's lease is alive holds the room.
    pub fn is_held(&self, presenter: PresenterIdx) -> bool {
        self.state.lock().session(presenter, self.context.lease).is_some()
    }

    /// The claim that holds the room, whether its node's lease is alive or not.
    pub fn claim(&self, presenter: PresenterIdx) -> Option<Claim> {
        self.state.lock().sessions.get(&presenter).map(|held| held.claim.clone())
    }

    /// The revision of the claim that holds the room, whether its node's lease is alive or not.
    pub fn revision(&self, presenter: PresenterIdx) -> Option<u64> {
        self.state.lock().sessions.get(&presenter).map(|held| held.claim.revision)
    }

    /// Every claim of that node that holds its room.
    pub fn claims_of(&self, node: &NodeId) -> Vec<Claim> {
        let state = self.state.lock();
        let claims = state.sessions.values().map(|held| &held.claim);
        claims.filter(|claim| claim.node == *node).cloned().collect()
    }

    /// Every claim that holds its room, and whether its node's lease is alive.
    pub fn all_claims(&self) -> Vec<(Claim, bool)> {
        let state = self.state.lock();
        let is_alive = |held: &Held| state.session(held.claim.presenter, self.context.lease).is_some();
        state.sessions.values().map(|held| (held.claim.clone(), is_alive(held))).collect()
    }

    /// The newest record of the room's key, as far as this process has heard. There may be a newer one.
    pub(crate) fn newest(&self, presenter: PresenterIdx) -> Newest {
        let state = self.state.lock();
        match state.sessions.get(&presenter) {
            Some(Held { claim, newest }) => Newest { revision: *newest, holder: Some(claim.clone()) },
            None => Newest { revision: state.withdrawn.get(&presenter).copied().unwrap_or(0), holder: None },
        }
    }

    /// Waits until this process has heard of everything up to the revision of the bucket `sessions`. Returns false if
    /// that takes longer than `limit`.
    pub(crate) async fn hears(&self, revision: u64, limit: Duration) -> bool {
        let heard = {
            let mut state = self.state.lock();
            if state.heard >= revision {
                return true;
            }
            let (sender, heard) = oneshot::channel();
            state.awaited.insert(revision, sender);
            heard
        };
        let is_heard = timeout(limit, heard).await.is_ok();
        if !is_heard {
            self.state.lock().awaited.remove(&revision);
        }
        is_heard
    }

    /// Every claim from now on, by any node. A receiver that lags must compare its sessions with [`Presence::session`].
    pub fn claims(&self) -> broadcast::Receiver<Claim> {
        self.claims.subscribe()
    }

    /// Whether the server confirmed the map recently.
    pub fn is_current(&self) -> bool {
        self.sessions.is_current() && self.nodes.is_current()
    }

    async fn follow(self, mut changes: mpsc::Receiver<Update>) {
        while let Some(change) = changes.recv().await {
            match change {
                Update::Session(Ok(Item::Record(record))) => self.apply_session(&record),
                Update::Node(Ok(Item::Record(record))) => self.apply_node(&record),
                Update::Session(Ok(Item::CaughtUp(_))) => self.sessions.set_caught_up(),
                Update::Node(Ok(Item::CaughtUp(_))) => self.nodes.set_caught_up(),
                Update::Session(Ok(Item::Resumed)) => {}
                // Renewals were missed. A node that died meanwhile counts as alive for one more lease.
                Update::Node(Ok(Item::Resumed)) => {
                    let mut state = self.state.lock();
                    state.nodes.values_mut().for_each(|renewed| *renewed = Moment::now());
                }
                Update::Session(Err(error)) | Update::Node(Err(error)) => self.context.fail(error),
            }
        }
    }

    fn apply_session(&self, record: &Record) {
        let Some(presenter) = key(record).and_then(|key| key.parse().ok()) else {
            tracing::warn!(subject = %record.subject, "a key of the bucket `sessions` is not a presenterIdx");
            return;
        };
        let stored = StoredClaim {
            revision: record.sequence,
            at: record.stored,
            headers: record.headers.as_ref(),
            value: &record.payload,
        };
        let heard = |state: &mut Known| {
            state.heard = state.heard.max(record.sequence);
            // Nobody listens if the wait has timed out.
            state.awaited.remove(&record.sequence).map(|awaiting| awaiting.send(()))
        };
        let holder = match stored.holder(presenter) {
            Ok(holder) => holder,
            Err(error) => {
                tracing::warn!(%presenter, %error, "a value of the bucket `sessions` is not a claim");
                return;
            }
        };
        let mut state = self.state.lock();
        let Some(session) = holder else {
            state.sessions.remove(&presenter);
            if state.withdrawn.len() < WITHDRAWN {
                state.withdrawn.insert(presenter, record.sequence);
            } else if let Some(withdrawn) = state.withdrawn.get_mut(&presenter) {
                *withdrawn = record.sequence;
            }
            heard(&mut state);
            return;
        };
        // This includes a claim that an expired one replaced: its own record may have left the bucket before it came
        // here.
        let before = state.sessions.insert(presenter, Held { claim: session.clone(), newest: record.sequence });
        state.withdrawn.remove(&presenter);
        heard(&mut state);
        drop(state);
        if before.is_none_or(|before| before.claim != session) {
            // Without a receiver there is nobody to tell.
            let _ = self.claims.send(session);
        }
    }

    /// How long ago the message was stored, by the clock of the log's servers.
    fn age(&self, record: &Record) -> Duration {
        Duration::try_from(self.context.now().duration_since(record.stored)).unwrap_or_default()
    }

    fn apply_node(&self, record: &Record) {
        let Some(node) = key(record).map(|key| NodeId::from(key.to_owned())) else { return };
        let mut state = self.state.lock();
        if is_deleted(record.headers.as_ref()) {
            state.nodes.remove(&node);
        } else {
            let lease = self.context.lease;
            // A renewal that is found at the start may be old. Later ones arrive as they are stored.
            let age = if self.nodes.is_caught_up() { Duration::ZERO } else { self.age(record).min(lease) };
            state.nodes.insert(node, Moment::now().before(age));
            // Without this, nodes that died long ago would stay in the map.
            state.nodes.retain(|_, renewed| renewed.elapsed() < lease * 10);
        }
    }
}

/// The key of a bucket's message, whose subject is `$KV.<bucket>.<key>`.
fn key(record: &Record) -> Option<&str> {
    record.subject.splitn(3, '.').nth(2)
}
