//! Claims on a room: a fence, leases and withdrawals, over a network that delays and loses messages. The model has one
//! room, a few nodes and sessions, and a bucket that keeps only the newest record. A tick is the time between two
//! renewals of a lease.

mod properties;
mod state;
mod steps;

use stateright::{Model, Property};

pub use state::State;

use state::{Holder, Node, Phase, Record, Request, Session, send};

/// Ticks that a lease lasts after a renewal.
pub const LEASE: u8 = 3;

/// Ticks within which a claim has to be stored.
const CLAIM: u8 = 2;

/// Ticks for which an unanswered claim is looked up after its expiry.
const RESOLVE: u8 = 1;

/// The parts of the protocol. Each can be left out, to show that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// A claim that is stored after its expiry has no effect.
    pub expires: bool,
    /// A claim names the claim that it replaces. If it is stored too late, the earlier claim stays in force.
    pub names_what_it_replaces: bool,
    /// A claim without an answer is looked up.
    pub resolves: bool,
    /// A node compares claims with sessions: it withdraws claims without a session and ends sessions without a claim.
    pub reconciles: bool,
    /// A session verifies its claim before it writes, if its node has been out of touch.
    pub fences: bool,
}

impl Protocol {
    /// The protocol before claims had an expiry.
    pub const BEFORE: Protocol =
        Protocol { expires: false, names_what_it_replaces: false, resolves: false, reconciles: false, fences: true };

    /// The current protocol.
    pub const NOW: Protocol =
        Protocol { expires: true, names_what_it_replaces: true, resolves: true, reconciles: true, fences: true };
}

/// The model and its bounds.
#[derive(Debug, Clone)]
pub struct Claims {
    /// The protocol that the nodes follow.
    pub protocol: Protocol,
    /// The node of each session. At the start the first session holds the room.
    pub sessions: Vec<usize>,
    /// The length of a run in ticks.
    pub ticks: u8,
    /// The faults in one run: lost requests and answers, and nodes that are partitioned, paused or killed. Delays do
    /// not count.
    pub faults: u8,
}

/// A step of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time passes. Healthy nodes renew their lease, hear of the newest claim and compare.
    Tick,
    /// A presenter connects: the session claims the room.
    Start(usize),
    /// The presenter disconnects.
    Close(usize),
    /// A request reaches the bucket. The flag: whether its answer reaches the node.
    Deliver(usize, bool),
    /// A request is lost.
    Lose(usize),
    /// A node hears of the newest record.
    Hear(usize),
    /// A node stops waiting for the answer to a claim.
    GiveUp(usize),
    /// A node looks up an unanswered claim.
    Resolve(usize),
    /// The lookup has failed for too long.
    Unresolved(usize),
    /// A node is partitioned from NATS.
    Partition(usize),
    /// The partition heals.
    Heal(usize),
    /// A node's process, or its machine, is paused.
    Pause(usize),
    /// The pause ends.
    Resume(usize),
    /// A node is killed.
    Kill(usize),
}

impl Model for Claims {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let holder = Some(Holder { session: 0, revision: 1 });
        let node = Node {
            heard: 1,
            known: Some((1, holder)),
            renewed: 0,
            is_alive: true,
            is_paused: false,
            is_partitioned: false,
            must_verify: false,
        };
        let absent = Session {
            phase: Phase::Absent,
            revision: 0,
            asks: false,
            lost_at: None,
            listed_wrongly: 0,
            unlisted: 0,
            took_after_refusal: false,
            superseded: false,
            ended_wrongly: false,
        };
        let mut sessions = vec![absent; self.sessions.len()];
        (sessions[0].phase, sessions[0].revision) = (Phase::Served, 1);
        vec![State {
            now: 0,
            faults: 0,
            newest: Record { revision: 1, of: Some(0), replaces: None, holder },
            nodes: vec![node; self.sessions.iter().max().map_or(0, |last| last + 1)],
            sessions,
            in_flight: Vec::new(),
            late: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let may_fail = state.faults < self.faults;
        if state.now < self.ticks && !self.is_due(state) {
            actions.push(Action::Tick);
        }
        for (session, this) in state.sessions.iter().enumerate() {
            let node = self.node(state, session);
            match this.phase {
                Phase::Absent if node.is_healthy() && node.is_in_touch(state.now) => {
                    actions.push(Action::Start(session))
                }
                Phase::Served if node.is_running() => actions.push(Action::Close(session)),
                Phase::Claiming { sent, .. } if node.is_running() && state.now >= sent + CLAIM => {
                    actions.push(Action::GiveUp(session));
                }
                Phase::Resolving { sent, .. } if node.is_running() => {
                    if node.is_healthy() {
                        actions.push(Action::Resolve(session));
                    }
                    if state.now >= sent + CLAIM + RESOLVE {
                        actions.push(Action::Unresolved(session));
                    }
                }
                _ => {}
            }
        }
        for request in 0..state.in_flight.len() {
            actions.push(Action::Deliver(request, true));
            if may_fail {
                actions.extend([Action::Deliver(request, false), Action::Lose(request)]);
            }
        }
        for (number, node) in state.nodes.iter().enumerate() {
            let newest = state.newest.holder.map_or(0, |holder| holder.revision);
            let is_old = node.known.is_some_and(|(revision, _)| revision < state.newest.revision);
            if node.is_healthy() && (node.heard < newest || is_old) {
                actions.push(Action::Hear(number));
            }
            if node.is_partitioned {
                actions.push(Action::Heal(number));
            }
            if node.is_paused {
                actions.push(Action::Resume(number));
            }
            if may_fail && node.is_healthy() {
                actions.extend([Action::Partition(number), Action::Pause(number), Action::Kill(number)]);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => self.tick(&mut state),
            Action::Start(session) => self.start(&mut state, session),
            Action::Close(session) => {
                let expected = state.sessions[session].revision;
                state.sessions[session].phase = Phase::Closed;
                send(&mut state.in_flight, Request::Withdrawal { session, expected });
            }
            Action::Deliver(request, answered) => {
                state.faults += u8::from(!answered);
                let request = state.in_flight.remove(request);
                self.deliver(&mut state, request, answered);
            }
            Action::Lose(request) => {
                state.faults += 1;
                state.in_flight.remove(request);
            }
            Action::Hear(node) => self.hear(&mut state, node),
            Action::GiveUp(session) => {
                let Phase::Claiming { sent, replaces } = state.sessions[session].phase else { return None };
                state.sessions[session].phase =
                    if self.protocol.resolves { Phase::Resolving { sent, replaces } } else { Phase::Refused };
            }
            Action::Resolve(session) => {
                let Phase::Resolving { sent, replaces } = state.sessions[session].phase else { return None };
                self.resolve(&mut state, session, sent, replaces);
            }
            Action::Unresolved(session) => state.sessions[session].phase = Phase::Refused,
            Action::Partition(node) => {
                state.faults += 1;
                state.nodes[node].is_partitioned = true;
            }
            Action::Heal(node) => state.nodes[node].is_partitioned = false,
            Action::Pause(node) => {
                state.faults += 1;
                state.nodes[node].is_paused = true;
            }
            Action::Resume(node) => (state.nodes[node].is_paused, state.nodes[node].must_verify) = (false, true),
            Action::Kill(node) => {
                state.faults += 1;
                state.nodes[node].is_alive = false;
                for (session, this) in state.sessions.iter_mut().enumerate() {
                    if self.sessions[session] == node {
                        this.phase = Phase::Closed;
                    }
                }
            }
        }
        // States that differ only in what no session would claim on are one state.
        for number in 0..state.nodes.len() {
            let claims_on_it = |(session, this): (usize, &Session)| {
                self.sessions[session] == number && this.phase == Phase::Absent && !this.asks
            };
            if !state.sessions.iter().enumerate().any(claims_on_it) {
                state.nodes[number].known = None;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::properties()
    }
}
