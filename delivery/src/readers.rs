//! Readers: any number of clients that read a room beside its presenter, each a cursor into the window. A reader claims
//! nothing, acknowledges nothing, and never counts as the presenter. What a page of events looks like is computed once
//! for all readers of a room that see the same ([`broadcast`]). A reader that falls behind reads the window by itself,
//! and costs the others nothing ([`stream`]).

pub(crate) mod access;
pub(crate) mod beginning;
pub(crate) mod broadcast;
pub(crate) mod rights;
mod roles;
pub(crate) mod stream;
pub(crate) mod tickets;
pub(crate) mod view;

use std::sync::Arc;

use nats::Log;
use tokio::sync::watch;
use web::fair_slots::Source;
use web::{UserPermit, UserPermits};

use crate::config::Config;
use crate::readers::access::Access;
use crate::readers::broadcast::Broadcasts;
use crate::readers::tickets::Tickets;

/// The readers of this node.
#[derive(Debug)]
pub(crate) struct Readers {
    permits: Arc<UserPermits<Source>>,
    most_of_address: usize,
    pub(crate) broadcasts: Arc<Broadcasts>,
    pub(crate) access: Arc<Access>,
    pub(crate) tickets: Tickets,
    /// Counts how often all readers were sent to other nodes.
    sent_away: watch::Sender<u64>,
}

impl Readers {
    pub(crate) fn new(config: &Config, access: Arc<Access>, log: &Log) -> Readers {
        Readers {
            permits: UserPermits::new(config.max_readers, config.max_readers_of_user),
            most_of_address: config.max_readers_of_address,
            broadcasts: Arc::default(),
            access,
            tickets: Tickets::new(log, config.ticket_rate),
            sent_away: watch::Sender::new(0),
        }
    }

    /// A permit for one more reader. None: this node, this user, or without a token this address, has as many as may
    /// be.
    pub(crate) fn permit(&self, source: Source) -> Option<UserPermit<Source>> {
        match source {
            Source::User(_) => self.permits.take(source),
            Source::Network(_) => self.permits.take_of(source, self.most_of_address),
            Source::Unknown => self.permits.take_of(source, usize::MAX),
        }
    }

    /// The number of readers.
    pub(crate) fn count(&self) -> usize {
        self.permits.in_use()
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
