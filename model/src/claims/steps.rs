//! The protocol: what the bucket and the nodes do at each step.

use super::state::{Holder, Node, Phase, Record, Request, State, send};
use super::{CLAIM, Claims, RESOLVE};

impl Claims {
    pub(super) fn node<'a>(&self, state: &'a State, session: usize) -> &'a Node {
        &state.nodes[self.sessions[session]]
    }

    /// Whether other nodes list the session as connected.
    fn is_listed(&self, state: &State, session: usize) -> bool {
        state.newest.holder.is_some_and(|holder| holder.session == session)
            && self.node(state, session).is_in_touch(state.now)
    }

    /// Whether the session may write to its socket.
    pub(super) fn writes(&self, state: &State, session: usize) -> bool {
        let (node, this) = (self.node(state, session), &state.sessions[session]);
        let is_fenced = node.must_verify || !node.is_in_touch(state.now);
        this.phase == Phase::Served
            && node.is_running()
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
            lost.superseded |= holder.is_some();
        }
        if let Some(holder) = holder
            && Some(holder.session) == of
        {
            state.sessions[holder.session].took_after_refusal |= state.sessions[holder.session].phase == Phase::Refused;
        }
    }

    pub(super) fn start(&self, state: &mut State, session: usize) {
        let asked = (state.newest.revision, state.newest.holder);
        let asks = std::mem::replace(&mut state.sessions[session].asks, false);
        let known = self.node(state, session).known.filter(|_| !asks);
        let (revision, holder) = known.unwrap_or(asked);
        state.sessions[session].phase = Phase::Claiming { sent: state.now, replaces: revision };
        let expires = state.now + CLAIM;
        send(&mut state.in_flight, Request::Claim { session, expected: revision, expires, replaces: holder });
    }

    /// Serves a session whose claim is stored, and ends the earlier session on its node. The claim may be replaced
    /// already.
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

    pub(super) fn deliver(&self, state: &mut State, request: Request, answered: bool) {
        match request {
            Request::Claim { session, expected, expires, replaces } => {
                let waits = matches!(state.sessions[session].phase, Phase::Claiming { .. });
                let hears = answered && waits && self.node(state, session).is_healthy();
                if state.newest.revision != expected {
                    if hears {
                        // Another claim came first: the session tries again.
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
                // A claim that came too late to replace this one is withdrawn with it.
                if state.newest.revision == expected || self.protocol.expires && is_own {
                    self.store(state, None, None, true);
                }
            }
        }
    }

    pub(super) fn resolve(&self, state: &mut State, session: usize, sent: u8, replaced: u8) {
        let Record { revision, of, replaces, holder } = state.newest;
        let is_ours = |holder: &Holder| holder.session == session;
        if of == Some(session) {
            match holder.filter(is_ours) {
                Some(ours) => self.serve(state, session, ours.revision),
                None => state.sessions[session].phase = Phase::Refused,
            }
        } else if revision > replaced {
            // The newest record replaced the claim, or was stored before it.
            let is_replaced = replaces.is_some_and(|replaced| is_ours(&replaced));
            state.sessions[session].phase = if is_replaced { Phase::Replaced } else { Phase::Refused };
        } else if state.now > sent + CLAIM {
            state.sessions[session].phase = Phase::Refused;
        }
    }

    /// The node hears of the newest claim. Sessions that it replaces end.
    pub(super) fn hear(&self, state: &mut State, node: usize) {
        let newest = state.newest.holder.map_or(0, |holder| holder.revision);
        state.nodes[node].heard = newest.max(state.nodes[node].heard);
        state.nodes[node].known = Some((state.newest.revision, state.newest.holder));
        for (session, this) in state.sessions.iter_mut().enumerate() {
            if self.sessions[session] == node && this.phase == Phase::Served && this.revision < newest {
                this.phase = Phase::Replaced;
            }
        }
    }

    pub(super) fn tick(&self, state: &mut State) {
        state.now += 1;
        for node in 0..state.nodes.len() {
            if state.nodes[node].is_healthy() {
                state.nodes[node].renewed = state.now;
                self.hear(state, node);
                if self.protocol.reconciles {
                    self.reconcile(state, node);
                }
                if state.nodes[node].must_verify {
                    state.nodes[node].must_verify = false;
                    self.verify(state, node);
                }
            } else if !state.nodes[node].is_in_touch(state.now) {
                state.nodes[node].must_verify = true;
            }
        }
        for session in 0..self.sessions.len() {
            let (listed, is_healthy) = (self.is_listed(state, session), self.node(state, session).is_healthy());
            let this = &mut state.sessions[session];
            this.listed_wrongly = if listed && !this.phase.is_open() { this.listed_wrongly + 1 } else { 0 };
            this.unlisted = if is_healthy && this.phase == Phase::Served && !listed { this.unlisted + 1 } else { 0 };
        }
    }

    fn reconcile(&self, state: &mut State, node: usize) {
        if let Some(holder) = state.newest.holder
            && self.sessions[holder.session] == node
            && !state.sessions[holder.session].phase.is_open()
        {
            self.store(state, None, None, true);
        }
        let holder = state.newest.holder;
        for (session, this) in state.sessions.iter_mut().enumerate() {
            let is_held = holder == Some(Holder { session, revision: this.revision });
            if self.sessions[session] == node && this.phase == Phase::Served && !is_held {
                (this.phase, this.ended_wrongly) = (Phase::Refused, !this.superseded);
            }
        }
    }

    /// The sessions of a node that was out of touch verify that they hold their room.
    fn verify(&self, state: &mut State, node: usize) {
        let holder = state.newest.holder;
        for (session, this) in state.sessions.iter_mut().enumerate() {
            let is_held = holder == Some(Holder { session, revision: this.revision });
            if self.sessions[session] == node && this.phase == Phase::Served && !is_held {
                this.phase = Phase::Replaced;
            }
        }
    }

    /// Whether a timeout is due before more time passes.
    pub(super) fn is_due(&self, state: &State) -> bool {
        (0..self.sessions.len()).any(|session| {
            self.node(state, session).is_running()
                && match state.sessions[session].phase {
                    Phase::Claiming { sent, .. } => state.now >= sent + CLAIM,
                    Phase::Resolving { sent, .. } => state.now >= sent + CLAIM + RESOLVE,
                    _ => false,
                }
        })
    }
}
