//! Who holds a room: claims with a fence, leases, withdrawals, over a network that delays and loses. One room, a few nodes
//! and sessions, a bucket that knows the newest record alone. A tick is the time between two renewals of a lease.

use stateright::{Model, Property};

/// Ticks for which a lease is held after a renewal.
pub const LEASE: u8 = 3;

/// Ticks within which a claim has to be stored.
const CLAIM: u8 = 2;

/// Ticks for which it is asked after that what became of a claim.
const RESOLVE: u8 = 1;

/// What a node does about what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// A claim that is stored after its time never happened.
    pub expires: bool,
    /// Then the claim that it would have replaced holds.
    pub names_what_it_replaces: bool,
    /// A claim that was not answered is looked for.
    pub resolves: bool,
    /// Claims that no session stands by are withdrawn, and sessions without a claim end.
    pub reconciles: bool,
    /// After its node was out of touch a session asks before it writes.
    pub fences: bool,
}

impl Protocol {
    /// Before claims had an expiry.
    pub const BEFORE: Protocol =
        Protocol { expires: false, names_what_it_replaces: false, resolves: false, reconciles: false, fences: true };

    /// As it is.
    pub const NOW: Protocol =
        Protocol { expires: true, names_what_it_replaces: true, resolves: true, reconciles: true, fences: true };
}

/// The model, and its bounds.
#[derive(Debug, Clone)]
pub struct Claims {
    /// What the nodes do.
    pub protocol: Protocol,
    /// For each session its node. The first session holds the room at the start.
    pub sessions: Vec<usize>,
    /// How many ticks are looked at.
    pub ticks: u8,
    /// How many faults there are in one run: requests and answers that are lost, nodes that are cut off, paused, killed.
    /// Delays are for nothing.
    pub faults: u8,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    now: u8,
    faults: u8,
    newest: Record,
    nodes: Vec<Node>,
    sessions: Vec<Session>,
    /// Requests that may still come to the bucket, in order.
    underway: Vec<Request>,
    /// Whether a claim has been stored too late.
    late: bool,
}

/// The bucket's newest record. Revision 0: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Record {
    revision: u8,
    /// Whose claim it is, in time or not.
    of: Option<usize>,
    replaces: Option<Holder>,
    /// Who holds the room by it.
    holder: Option<Holder>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Holder {
    session: usize,
    revision: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    /// The newest claim that it has heard of.
    heard: u8,
    /// The newest record that it has heard of: its revision, and who holds the room by it. `None`: no session of it
    /// would go by that.
    known: Option<(u8, Option<Holder>)>,
    renewed: u8,
    is_alive: bool,
    is_paused: bool,
    is_cut_off: bool,
    /// It was out of touch: its sessions ask before they write.
    must_ask: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Session {
    phase: Phase,
    revision: u8,
    /// Its claim was refused for another record: the next one replaces what the bucket has, not what the node knows.
    asks: bool,
    /// When it last ceased to hold the room.
    lost_at: Option<u8>,
    /// Ticks for which others have taken it for connected though it was not.
    wrong: u8,
    /// Ticks for which nobody has known of it, though its node is well.
    missing: u8,
    /// Whether its claim took the room after it had been refused.
    haunts: bool,
    /// Whether a newer session has held the room.
    taken: bool,
    /// Whether it was ended although no newer session had.
    wronged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
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
    /// Told that the room could not be claimed, or that its claim is gone.
    Refused,
    Replaced,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Request {
    Claim { session: usize, expected: u8, expires: u8, replaces: Option<Holder> },
    Withdrawal { session: usize, expected: u8 },
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time passes: nodes that are well renew their lease, hear of the newest claim and compare.
    Tick,
    /// A presenter comes.
    Start(usize),
    /// It goes.
    Close(usize),
    /// A request comes to the bucket, and its answer to the node or not.
    Deliver(usize, bool),
    /// A request is lost.
    Lose(usize),
    /// A node hears of the newest record.
    Hear(usize),
    /// A claim was not answered in time.
    GiveUp(usize),
    /// It is asked what became of a claim.
    Resolve(usize),
    /// It could not be found out.
    Unresolved(usize),
    /// The node reaches NATS no more.
    CutOff(usize),
    /// It does again.
    Join(usize),
    /// The node stands still, or its whole machine.
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// It is gone.
    Kill(usize),
}

impl Phase {
    /// Whether there is a socket, or somebody who waits for the answer.
    fn stands(self) -> bool {
        matches!(self, Phase::Claiming { .. } | Phase::Resolving { .. } | Phase::Served)
    }
}

impl Node {
    fn is_well(&self) -> bool {
        self.is_alive && !self.is_paused && !self.is_cut_off
    }

    fn runs(&self) -> bool {
        self.is_alive && !self.is_paused
    }

    fn is_in_touch(&self, now: u8) -> bool {
        now - self.renewed < LEASE
    }
}

impl Claims {
    fn node<'a>(&self, state: &'a State, session: usize) -> &'a Node {
        &state.nodes[self.sessions[session]]
    }

    /// Whether others take the session for connected.
    fn is_shown(&self, state: &State, session: usize) -> bool {
        state.newest.holder.is_some_and(|holder| holder.session == session)
            && self.node(state, session).is_in_touch(state.now)
    }

    /// Whether the session may write to its socket.
    fn writes(&self, state: &State, session: usize) -> bool {
        let (node, this) = (self.node(state, session), &state.sessions[session]);
        let is_fenced = node.must_ask || !node.is_in_touch(state.now);
        this.phase == Phase::Served
            && node.runs()
            && node.heard <= this.revision
            && !(self.protocol.fences && is_fenced)
    }

    fn store(&self, state: &mut State, of: Option<usize>, replaces: Option<Holder>, in_time: bool) {
        let before = state.newest.holder;
        let revision = state.newest.revision + 1;
        let holder = match of {
            Some(session) if in_time => Some(Holder { session, revision }),
            Some(_) if self.protocol.names_what_it_replaces => replaces,
            _ => None,
        };
        state.newest = Record { revision, of, replaces, holder };
        state.late |= of.is_some() && !in_time;
        if let Some(before) = before
            && holder != Some(before)
        {
            let lost = &mut state.sessions[before.session];
            lost.lost_at = Some(state.now);
            lost.taken |= holder.is_some();
        }
        if let Some(holder) = holder
            && Some(holder.session) == of
        {
            state.sessions[holder.session].haunts |= state.sessions[holder.session].phase == Phase::Refused;
        }
    }

    fn start(&self, state: &mut State, session: usize) {
        let asked = (state.newest.revision, state.newest.holder);
        let asks = std::mem::replace(&mut state.sessions[session].asks, false);
        let known = self.node(state, session).known.filter(|_| !asks);
        let (revision, holder) = known.unwrap_or(asked);
        state.sessions[session].phase = Phase::Claiming { sent: state.now, replaces: revision };
        let expires = state.now + CLAIM;
        add(&mut state.underway, Request::Claim { session, expected: revision, expires, replaces: holder });
    }

    /// The session has its claim: the one before it on its node makes room. It may be replaced already.
    fn serve(&self, state: &mut State, session: usize, revision: u8) {
        if self.node(state, session).heard > revision {
            state.sessions[session].phase = Phase::Replaced;
            return;
        }
        for other in 0..self.sessions.len() {
            let before = &mut state.sessions[other];
            if other != session && self.sessions[other] == self.sessions[session] && before.phase == Phase::Served {
                before.phase = Phase::Replaced;
            }
        }
        let this = &mut state.sessions[session];
        (this.phase, this.revision) = (Phase::Served, revision);
    }

    fn deliver(&self, state: &mut State, request: Request, answered: bool) {
        match request {
            Request::Claim { session, expected, expires, replaces } => {
                let waits = matches!(state.sessions[session].phase, Phase::Claiming { .. });
                let hears = answered && waits && self.node(state, session).is_well();
                if state.newest.revision != expected {
                    if hears {
                        // Another one came first: it tries again.
                        state.sessions[session].phase = Phase::Absent;
                        state.sessions[session].asks = true;
                    }
                    return;
                }
                let in_time = !self.protocol.expires || state.now <= expires;
                self.store(state, Some(session), replaces, in_time);
                if hears && in_time {
                    let revision = state.newest.revision;
                    self.serve(state, session, revision);
                }
            }
            Request::Withdrawal { session, expected } => {
                let is_own = state.newest.holder.is_some_and(|holder| holder.session == session);
                // What only came too late to replace the claim is withdrawn with it.
                if state.newest.revision == expected || self.protocol.expires && is_own {
                    self.store(state, None, None, true);
                }
            }
        }
    }

    fn resolve(&self, state: &mut State, session: usize, sent: u8, replaced: u8) {
        let Record { revision, of, replaces, holder } = state.newest;
        let is_ours = |holder: &Holder| holder.session == session;
        if of == Some(session) {
            match holder.filter(is_ours) {
                Some(ours) => self.serve(state, session, ours.revision),
                None => state.sessions[session].phase = Phase::Refused,
            }
        } else if revision > replaced {
            // The newest record replaced it, or came first.
            let is_replaced = replaces.is_some_and(|replaced| is_ours(&replaced));
            state.sessions[session].phase = if is_replaced { Phase::Replaced } else { Phase::Refused };
        } else if state.now > sent + CLAIM {
            state.sessions[session].phase = Phase::Refused;
        }
    }

    /// The node learns of the newest claim: whoever it replaces stops.
    fn hear(&self, state: &mut State, node: usize) {
        let newest = state.newest.holder.map_or(0, |holder| holder.revision);
        state.nodes[node].heard = newest.max(state.nodes[node].heard);
        state.nodes[node].known = Some((state.newest.revision, state.newest.holder));
        for (session, this) in state.sessions.iter_mut().enumerate() {
            if self.sessions[session] == node && this.phase == Phase::Served && this.revision < newest {
                this.phase = Phase::Replaced;
            }
        }
    }

    fn tick(&self, state: &mut State) {
        state.now += 1;
        for node in 0..state.nodes.len() {
            if state.nodes[node].is_well() {
                state.nodes[node].renewed = state.now;
                self.hear(state, node);
                if self.protocol.reconciles {
                    self.reconcile(state, node);
                }
                if state.nodes[node].must_ask {
                    state.nodes[node].must_ask = false;
                    self.ask(state, node);
                }
            } else if !state.nodes[node].is_in_touch(state.now) {
                state.nodes[node].must_ask = true;
            }
        }
        for session in 0..self.sessions.len() {
            let (shown, is_well) = (self.is_shown(state, session), self.node(state, session).is_well());
            let this = &mut state.sessions[session];
            this.wrong = if shown && !this.phase.stands() { this.wrong + 1 } else { 0 };
            this.missing = if is_well && this.phase == Phase::Served && !shown { this.missing + 1 } else { 0 };
        }
    }

    fn reconcile(&self, state: &mut State, node: usize) {
        if let Some(holder) = state.newest.holder
            && self.sessions[holder.session] == node
            && !state.sessions[holder.session].phase.stands()
        {
            self.store(state, None, None, true);
        }
        let holder = state.newest.holder;
        for (session, this) in state.sessions.iter_mut().enumerate() {
            let is_held = holder == Some(Holder { session, revision: this.revision });
            if self.sessions[session] == node && this.phase == Phase::Served && !is_held {
                (this.phase, this.wronged) = (Phase::Refused, !this.taken);
            }
        }
    }

    /// The sessions of a node that was out of touch ask whether they hold their room.
    fn ask(&self, state: &mut State, node: usize) {
        let holder = state.newest.holder;
        for (session, this) in state.sessions.iter_mut().enumerate() {
            let is_held = holder == Some(Holder { session, revision: this.revision });
            if self.sessions[session] == node && this.phase == Phase::Served && !is_held {
                this.phase = Phase::Replaced;
            }
        }
    }

    /// What has to happen before more time passes.
    fn is_due(&self, state: &State) -> bool {
        (0..self.sessions.len()).any(|session| {
            self.node(state, session).runs()
                && match state.sessions[session].phase {
                    Phase::Claiming { sent, .. } => state.now >= sent + CLAIM,
                    Phase::Resolving { sent, .. } => state.now >= sent + CLAIM + RESOLVE,
                    _ => false,
                }
        })
    }
}

fn add(underway: &mut Vec<Request>, request: Request) {
    underway.push(request);
    underway.sort();
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
            is_cut_off: false,
            must_ask: false,
        };
        let absent = Session {
            phase: Phase::Absent,
            revision: 0,
            asks: false,
            lost_at: None,
            wrong: 0,
            missing: 0,
            haunts: false,
            taken: false,
            wronged: false,
        };
        let mut sessions = vec![absent; self.sessions.len()];
        (sessions[0].phase, sessions[0].revision) = (Phase::Served, 1);
        vec![State {
            now: 0,
            faults: 0,
            newest: Record { revision: 1, of: Some(0), replaces: None, holder },
            nodes: vec![node; self.sessions.iter().max().map_or(0, |last| last + 1)],
            sessions,
            underway: Vec::new(),
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
                Phase::Absent if node.is_well() && node.is_in_touch(state.now) => actions.push(Action::Start(session)),
                Phase::Served if node.runs() => actions.push(Action::Close(session)),
                Phase::Claiming { sent, .. } if node.runs() && state.now >= sent + CLAIM => {
                    actions.push(Action::GiveUp(session));
                }
                Phase::Resolving { sent, .. } if node.runs() => {
                    if node.is_well() {
                        actions.push(Action::Resolve(session));
                    }
                    if state.now >= sent + CLAIM + RESOLVE {
                        actions.push(Action::Unresolved(session));
                    }
                }
                _ => {}
            }
        }
        for request in 0..state.underway.len() {
            actions.push(Action::Deliver(request, true));
            if may_fail {
                actions.extend([Action::Deliver(request, false), Action::Lose(request)]);
            }
        }
        for (number, node) in state.nodes.iter().enumerate() {
            let newest = state.newest.holder.map_or(0, |holder| holder.revision);
            let is_old = node.known.is_some_and(|(revision, _)| revision < state.newest.revision);
            if node.is_well() && (node.heard < newest || is_old) {
                actions.push(Action::Hear(number));
            }
            if node.is_cut_off {
                actions.push(Action::Join(number));
            }
            if node.is_paused {
                actions.push(Action::Resume(number));
            }
            if may_fail && node.is_well() {
                actions.extend([Action::CutOff(number), Action::Pause(number), Action::Kill(number)]);
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
                add(&mut state.underway, Request::Withdrawal { session, expected });
            }
            Action::Deliver(request, answered) => {
                state.faults += u8::from(!answered);
                let request = state.underway.remove(request);
                self.deliver(&mut state, request, answered);
            }
            Action::Lose(request) => {
                state.faults += 1;
                state.underway.remove(request);
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
            Action::CutOff(node) => {
                state.faults += 1;
                state.nodes[node].is_cut_off = true;
            }
            Action::Join(node) => state.nodes[node].is_cut_off = false,
            Action::Pause(node) => {
                state.faults += 1;
                state.nodes[node].is_paused = true;
            }
            Action::Resume(node) => (state.nodes[node].is_paused, state.nodes[node].must_ask) = (false, true),
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
        // States that differ only in what no session would go by are one.
        for number in 0..state.nodes.len() {
            let goes_by_it = |(session, this): (usize, &Session)| {
                self.sessions[session] == number && this.phase == Phase::Absent && !this.asks
            };
            if !state.sessions.iter().enumerate().any(goes_by_it) {
                state.nodes[number].known = None;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one writer", |model: &Claims, state: &State| {
                (0..model.sessions.len()).all(|session| {
                    let holds = state.newest.holder.is_some_and(|holder| holder.session == session);
                    let lost = state.sessions[session].lost_at.filter(|_| !holds);
                    lost.is_none_or(|lost| state.now - lost <= LEASE) || !model.writes(state, session)
                })
            }),
            Property::always("who is shown is there", |_, state: &State| {
                state.sessions.iter().all(|session| session.wrong <= LEASE + 1)
            }),
            Property::always("who is there is shown", |_, state: &State| {
                state.sessions.iter().all(|session| session.missing <= LEASE + 1)
            }),
            Property::always("who was refused takes no room", |_, state: &State| {
                state.sessions.iter().all(|session| !session.haunts)
            }),
            Property::always("who holds the room keeps it", |_, state: &State| {
                state.sessions.iter().all(|session| !session.wronged)
            }),
            // That the model does what it is for.
            Property::sometimes("a newcomer is served", |_, state: &State| {
                state.sessions[1].phase == Phase::Served && state.sessions[0].phase == Phase::Replaced
            }),
            Property::sometimes("a claim comes too late", |model: &Claims, state: &State| {
                state.late || !model.protocol.expires
            }),
            Property::sometimes("a presenter leaves", |_, state: &State| {
                state.newest.holder.is_none() && state.sessions[0].phase == Phase::Closed
            }),
        ]
    }
}
