//! The state of the model: the bucket, the nodes, the sessions, and the requests in flight.

use super::LEASE;

/// The state of the whole system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) now: u8,
    pub(super) faults: u8,
    pub(super) newest: Record,
    pub(super) nodes: Vec<Node>,
    pub(super) sessions: Vec<Session>,
    /// Requests that may still reach the bucket, sorted.
    pub(super) in_flight: Vec<Request>,
    /// Whether a claim was stored after its expiry.
    pub(super) late: bool,
}

/// The bucket's newest record. Revision 0: the bucket is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) revision: u8,
    /// The session that claimed, in time or not. None: a withdrawal.
    pub(super) of: Option<usize>,
    pub(super) replaces: Option<Holder>,
    /// The holder of the room after this record.
    pub(super) holder: Option<Holder>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) session: usize,
    pub(super) revision: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// The newest claim that the node has heard of.
    pub(super) heard: u8,
    /// The newest record that the node has heard of: its revision, and who holds the room by it. None: no session of
    /// the node would claim on it.
    pub(super) known: Option<(u8, Option<Holder>)>,
    pub(super) renewed: u8,
    pub(super) is_alive: bool,
    pub(super) is_paused: bool,
    pub(super) is_partitioned: bool,
    /// It was out of touch: its sessions verify their claim before they write.
    pub(super) must_verify: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) phase: Phase,
    pub(super) revision: u8,
    /// Its claim was refused because of another record: the next one names the bucket's record, not the node's.
    pub(super) asks: bool,
    /// When the session last stopped holding the room.
    pub(super) lost_at: Option<u8>,
    /// Ticks for which it was listed as connected although it was not.
    pub(super) listed_wrongly: u8,
    /// Ticks for which it was not listed although it was served by a healthy node.
    pub(super) unlisted: u8,
    /// Whether its claim took the room after the session had been refused.
    pub(super) took_after_refusal: bool,
    /// Whether a newer session has held the room since.
    pub(super) superseded: bool,
    /// Whether it was ended without a newer session.
    pub(super) ended_wrongly: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Absent,
    Claiming {
        sent: u8,
        replaces: u8,
    },
    Resolving {
        sent: u8,
        replaces: u8,
    },
    Served,
    /// The room could not be claimed, or the claim is gone.
    Refused,
    Replaced,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Request {
    Claim { session: usize, expected: u8, expires: u8, replaces: Option<Holder> },
    Withdrawal { session: usize, expected: u8 },
}

impl Phase {
    /// Whether a client is connected, or waits for the answer.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Phase::Claiming { .. } | Phase::Resolving { .. } | Phase::Served)
    }
}

impl Node {
    pub(super) fn is_healthy(&self) -> bool {
        self.is_alive && !self.is_paused && !self.is_partitioned
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_alive && !self.is_paused
    }

    pub(super) fn is_in_touch(&self, now: u8) -> bool {
        now - self.renewed < LEASE
    }
}

/// Puts a request in flight.
pub(super) fn send(in_flight: &mut Vec<Request>, request: Request) {
    in_flight.push(request);
    in_flight.sort();
}
