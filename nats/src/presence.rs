//! stub
use crate::*;
/// A presenter's claim to its room: of all claims the one with the highest revision holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The room.
    pub presenter: PresenterIdx,
    /// The connection.
    pub id: SessionId,
    /// Where it is connected.
    pub node: NodeId,
    /// Since when.
    pub since: jiff::Timestamp,
    /// The fence: a session that learns of a higher revision for its room closes itself.
    pub revision: u64,
}
/// Who is connected where: a local map, kept up to date. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Presence {}
impl Presence {
    /// The session that holds the room, if its node's lease lives.
    pub fn session(&self, _presenter: PresenterIdx) -> Option<Session> {
        todo!()
    }
    /// Every claim from now on as it becomes known, by whichever node. A receiver that lags must compare its sessions
    /// with [`Presence::session`].
    pub fn claims(&self) -> tokio::sync::broadcast::Receiver<Session> {
        todo!()
    }
    /// Whether the map was confirmed by the server lately.
    pub fn is_current(&self) -> bool {
        todo!()
    }
}
/// A delivery node's lease: proof of life, renewed in the background.
#[derive(Debug)]
pub struct Lease {}
impl Lease {
    /// The node.
    pub fn node(&self) -> &NodeId {
        todo!()
    }
    /// Whether the lease was renewed recently enough that no other node can have taken this one for dead.
    pub fn is_held(&self) -> bool {
        todo!()
    }
    /// Claims the room for a session of this node: newest wins, across all nodes.
    pub async fn claim(&self, _presenter: PresenterIdx, _session: SessionId) -> Result<Session, Error> {
        todo!()
    }
    /// Withdraws a claim, unless a newer one has replaced it.
    pub async fn release(&self, _session: &Session) -> Result<(), Error> {
        todo!()
    }
    /// Stops renewing and withdraws the lease, so that others need not wait for it to run out.
    pub async fn end(&self) {
        todo!()
    }
}
