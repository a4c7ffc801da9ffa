//! The claims that this node keeps: those of its sessions, and of newcomers that are claiming a room.
//! [`crate::session::reconcile`] withdraws every other claim of this node.

use std::collections::HashSet;
use std::sync::Arc;

use chat::SessionId;
use parking_lot::Mutex;

/// The sessions that have a claim, or are making one.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<SessionId>>);

/// Keeps a session's claim until it is dropped.
#[derive(Debug)]
pub(crate) struct ClaimGuard {
    claims: Arc<Claims>,
    session: SessionId,
}

impl Claims {
    /// From now on nothing withdraws the session's claim.
    pub(crate) fn keep(self: &Arc<Claims>, session: SessionId) -> ClaimGuard {
        self.0.lock().insert(session);
        ClaimGuard { claims: self.clone(), session }
    }

    pub(crate) fn keeps(&self, session: SessionId) -> bool {
        self.0.lock().contains(&session)
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        self.claims.0.lock().remove(&self.session);
    }
}
