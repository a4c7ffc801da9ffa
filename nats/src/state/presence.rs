//! Presence: which session holds which room, and which nodes live. The bucket `sessions` has the newest claim of every
//! room, `nodes` the leases; both are watched into a local map, so that a question costs no request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc};

use crate::error::Error;
use crate::log::Inner;
use crate::read::reader;
use crate::read::reader::{From, Item, Record, Status};
use crate::setup::{NODES, SESSIONS};
use crate::state::claim::{Stored, is_deleted};
use chat::{NodeId, PresenterIdx, SessionId};
use runtime::Moment;

/// Claims that a receiver may be behind before it is told that it lags: a storm of reconnects fits.
const CLAIMS: usize = 8_192;

/// A presenter's claim to its room: of all that were stored in time the one with the highest revision holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The room.
    pub presenter: PresenterIdx,
    /// The connection.
    pub id: SessionId,
    /// Where it is connected.
    pub node: NodeId,
    /// Since when.
    pub since: Timestamp,
    /// The fence: a session that learns of a higher revision for its room closes itself.
    pub revision: u64,
}

/// Who is connected where: a local map, kept up to date. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Presence {
    log: Arc<Inner>,
    state: Arc<Mutex<State>>,
    claims: broadcast::Sender<Session>,
    sessions: Status,
    nodes: Status,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<PresenterIdx, Session>,
    /// For each node when its lease was last seen to be renewed.
    nodes: HashMap<NodeId, Moment>,
}

/// From which bucket an item comes.
enum Change {
    Session(Result<Item, Error>),
    Node(Result<Item, Error>),
}

impl Presence {
    pub(crate) async fn start(log: &Arc<Inner>) -> Result<Presence, Error> {
        // A full channel slows the readers down, nothing is lost.
        let (sink, changes) = mpsc::channel(256);
        let stream = |bucket: &str| format!("KV_{bucket}");
        let stop = log.stop.clone();
        let sessions =
            reader::read(log, &stream(SESSIONS), From::LastPerSubject, stop.clone(), sink.clone(), Change::Session);
        let nodes = reader::read(log, &stream(NODES), From::LastPerSubject, stop.clone(), sink, Change::Node);
        let presence = Presence {
            log: log.clone(),
            state: Arc::default(),
            claims: broadcast::Sender::new(CLAIMS),
            sessions,
            nodes,
        };
        log.tasks.spawn(stop.run_until_cancelled_owned(presence.clone().follow(changes)));
        presence.sessions.caught_up().await;
        presence.nodes.caught_up().await;
        Ok(presence)
    }

    /// The session that holds the room, if its node's lease lives.
    pub fn session(&self, presenter: PresenterIdx) -> Option<Session> {
        let state = self.state.lock().expect("nothing panics while it holds the lock");
        let session = state.sessions.get(&presenter)?;
        let renewed = state.nodes.get(&session.node)?;
        (renewed.elapsed() < self.log.config.lease()).then(|| session.clone())
    }

    /// The session that holds the room, whether its node's lease lives or not.
    pub fn claim(&self, presenter: PresenterIdx) -> Option<Session> {
        self.state.lock().expect("nothing panics while it holds the lock").sessions.get(&presenter).cloned()
    }

    /// Every session of that node that holds its room.
    pub fn claims_of(&self, node: &NodeId) -> Vec<Session> {
        let state = self.state.lock().expect("nothing panics while it holds the lock");
        state.sessions.values().filter(|session| session.node == *node).cloned().collect()
    }

    /// Every claim from now on as it becomes known, by whichever node. A receiver that lags must compare its sessions
    /// with [`Presence::session`].
    pub fn claims(&self) -> broadcast::Receiver<Session> {
        self.claims.subscribe()
    }

    /// Whether the map was confirmed by the server lately.
    pub fn is_current(&self) -> bool {
        self.sessions.is_current() && self.nodes.is_current()
    }

    async fn follow(self, mut changes: mpsc::Receiver<Change>) {
        while let Some(change) = changes.recv().await {
            match change {
                Change::Session(Ok(Item::Record(record))) => self.apply_session(&record),
                Change::Node(Ok(Item::Record(record))) => self.apply_node(&record),
                Change::Session(Ok(Item::CaughtUp(_))) => self.sessions.set_caught_up(),
                Change::Node(Ok(Item::CaughtUp(_))) => self.nodes.set_caught_up(),
                Change::Session(Ok(Item::Resumed)) => {}
                // Renewals were missed. A node that has died meanwhile counts as alive for one more lease.
                Change::Node(Ok(Item::Resumed)) => {
                    let mut state = self.state.lock().expect("nothing panics while it holds the lock");
                    state.nodes.values_mut().for_each(|renewed| *renewed = Moment::now());
                }
                Change::Session(Err(error)) | Change::Node(Err(error)) => self.log.fail(error),
            }
        }
    }

    fn apply_session(&self, record: &Record) {
        let Some(presenter) = key(record).and_then(|key| key.parse().ok()) else {
            tracing::warn!(subject = record.subject, "a key of the bucket `sessions` is not a presenterIdx");
            return;
        };
        let stored = Stored {
            revision: record.sequence,
            at: record.stored,
            headers: record.headers.as_ref(),
            value: &record.payload,
        };
        let holder = match stored.holder(presenter) {
            Ok(holder) => holder,
            Err(error) => {
                tracing::warn!(%presenter, %error, "a value of the bucket `sessions` is not a claim");
                return;
            }
        };
        let mut state = self.state.lock().expect("nothing panics while it holds the lock");
        let Some(session) = holder else {
            state.sessions.remove(&presenter);
            return;
        };
        // Also the one that an expired claim replaced: its own record may have gone before it came here.
        let before = state.sessions.insert(presenter, session.clone());
        drop(state);
        if before.as_ref() != Some(&session) {
            // Without a receiver there is nobody to tell.
            let _ = self.claims.send(session);
        }
    }

    /// How long ago the message was stored, by the clock of the log's servers.
    fn age(&self, record: &Record) -> Duration {
        Duration::try_from(self.log.now().duration_since(record.stored)).unwrap_or_default()
    }

    fn apply_node(&self, record: &Record) {
        let Some(node) = key(record).map(|key| NodeId::from(key.to_owned())) else { return };
        let mut state = self.state.lock().expect("nothing panics while it holds the lock");
        if is_deleted(record.headers.as_ref()) {
            state.nodes.remove(&node);
        } else {
            let lease = self.log.config.lease();
            // A renewal that is found at the start may be older than it is new here. Later ones come as they are stored.
            let age = if self.nodes.is_caught_up() { Duration::ZERO } else { self.age(record).min(lease) };
            state.nodes.insert(node, Moment::now().before(age));
            // Nodes that died long ago would otherwise stay for ever.
            state.nodes.retain(|_, renewed| renewed.elapsed() < lease * 10);
        }
    }
}

/// The key of a bucket's message: its subject is `$KV.<bucket>.<key>`.
fn key(record: &Record) -> Option<&str> {
    record.subject.splitn(3, '.').nth(2)
}
