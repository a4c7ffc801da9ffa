//! Readers: any number of clients that read a room beside its presenter, each a cursor into the window. A reader claims
//! nothing, acknowledges nothing, and never counts as the presenter. What a page of events looks like is computed once
//! for all readers of a room that see the same ([`broadcast`]). A reader that falls behind reads the window by itself,
//! and costs the others nothing ([`stream`]).

pub(crate) mod broadcast;
pub(crate) mod stream;
pub(crate) mod view;

use std::sync::Arc;

use tokio::sync::watch;
use web::{UserPermit, UserPermits};

use crate::readers::broadcast::Broadcasts;

/// The readers of this node.
#[derive(Debug)]
pub(crate) struct Readers {
    permits: Arc<UserPermits>,
    pub(crate) broadcasts: Arc<Broadcasts>,
    /// Counts how often all readers were sent to other nodes.
    sent_away: watch::Sender<u64>,
}

impl Readers {
    /// `most` readers on this node, `most_of_one` of them with tokens of one user.
    pub(crate) fn new(most: usize, most_of_one: usize) -> Readers {
        Readers {
            permits: UserPermits::new(most, most_of_one),
            broadcasts: Arc::default(),
            sent_away: watch::Sender::new(0),
        }
    }

    /// A permit for one more reader. None: this node, or this user, has as many as may be.
    pub(crate) fn permit(&self, user: i64) -> Option<UserPermit> {
        self.permits.take(user)
    }

    /// Asks all readers to reconnect: this node is cut off from the log, and another one may not be.
    pub(crate) fn send_away(&self) {
        self.sent_away.send_modify(|times| *times += 1);
    }

    /// Changes when the readers are sent away.
    pub(crate) fn sent_away(&self) -> watch::Receiver<u64> {
        self.sent_away.subscribe()
    }
}
