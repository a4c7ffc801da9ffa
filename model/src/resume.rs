//! Resuming from a position: windows, the saved cursor, and a log that loses its end. The model has one room, one
//! presenter, and a few nodes with a window over the log each.

use stateright::{Model, Property};

/// The parts of the protocol. Each can be left out, to show that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// When the log loses its end, a new epoch begins. Nodes that read the lost events refill their window.
    pub forks: bool,
    /// A position is checked against the timeline, and refused if it is ahead of the log.
    pub places: bool,
    /// Every welcome has a position. The page keeps it, and the node saves it.
    pub welcomes: bool,
}

impl Protocol {
    /// The protocol before the log had timelines.
    pub const BEFORE: Protocol = Protocol { forks: false, places: false, welcomes: false };

    /// The current protocol.
    pub const NOW: Protocol = Protocol { forks: true, places: true, welcomes: true };
}

/// The model and its bounds.
#[derive(Debug, Clone)]
pub struct Resume {
    /// The protocol that the nodes follow.
    pub protocol: Protocol,
    /// The number of nodes.
    pub nodes: usize,
    /// The number of accepted events.
    pub events: u8,
    /// The number of times that the log loses its end.
    pub losses: u8,
    /// The number of restarts of a node.
    pub restarts: u8,
    /// The number of connections of the presenter.
    pub connections: u8,
}

/// A place in the log: epoch and sequence. The first event has sequence 1; sequence 0 is the beginning.
type Position = (u8, u8);

/// The state of the whole system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The numbers of the events in the log. The first has sequence 1.
    log: Vec<u8>,
    /// Each epoch with its first sequence.
    timeline: Vec<Position>,
    /// Accepted events so far. They are numbered from 1.
    accepted: u8,
    losses: u8,
    restarts: u8,
    connections: u8,
    /// The highest position that an event has received, and whether two events received the same one.
    given: Position,
    given_twice: bool,
    nodes: Vec<Node>,
    page: Page,
    /// The presenter's saved cursor.
    saved: Option<Position>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    timeline: Vec<Position>,
    /// The last sequence that the node has read, and the one after which its window begins.
    read: u8,
    holds_after: u8,
    window: Vec<(Position, u8)>,
    /// Whether an event of the room was evicted.
    evicted: bool,
}

/// The presenter's page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Page {
    /// The position that the page keeps: the last event that it has handled.
    position: Option<Position>,
    /// The node of its session, and the session's cursor.
    session: Option<(usize, Position)>,
    /// Events accepted before its first connection. The page need not receive these.
    since: Option<u8>,
    /// A bit for each event that was shown, or that was in the log when a gap was reported.
    settled: u32,
}

/// A step of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An event is accepted.
    Append,
    /// The log loses this many of its last events.
    LoseEnd(u8),
    /// A node with an old timeline refills its window.
    Refill(usize),
    /// A node reads the next event.
    Read(usize),
    /// The oldest event leaves the node's window.
    Evict(usize),
    /// A node restarts, with this many events in its window.
    Restart(usize, u8),
    /// The presenter connects to a node.
    Connect(usize, Sends),
    /// The page receives the next event.
    Show,
    /// The page learns that the room has no more events up to the last one that the node has read.
    KeepAlive,
    /// The page acknowledges its position.
    Acknowledge,
    /// The page disconnects.
    Leave,
}

/// The position that a page sends when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// The position that it keeps, if any.
    Kept,
    /// None: the page was reloaded.
    Nothing,
    /// A position that the log has not reached.
    Invented,
}

fn position(timeline: &[Position], sequence: u8) -> Position {
    let epoch = timeline.iter().rev().find(|(_, first)| *first <= sequence).map_or(0, |(epoch, _)| *epoch);
    (epoch, sequence)
}

/// A position on the timeline.
enum Place {
    Here,
    /// It is of a lost end. Up to this position the log is the same.
    Lost(Position),
    Elsewhere,
}

fn place(timeline: &[Position], (epoch, sequence): Position) -> Place {
    let Some(index) = timeline.iter().position(|segment| segment.0 == epoch) else { return Place::Elsewhere };
    match timeline.get(index + 1) {
        Some((_, next)) if sequence >= *next => Place::Lost(position(timeline, next - 1)),
        _ if sequence < timeline[index].1 => Place::Elsewhere,
        _ => Place::Here,
    }
}

impl State {
    fn end(&self) -> u8 {
        u8::try_from(self.log.len()).expect("a few events")
    }

    fn settle(&mut self, event: u8) {
        self.page.settled |= 1 << event;
    }

    fn fill(&mut self, node: usize, holds: u8) {
        let end = self.end();
        let after = end.saturating_sub(holds);
        let timeline = self.timeline.clone();
        let window = (after + 1..=end).map(|at| (position(&timeline, at), self.log[usize::from(at) - 1])).collect();
        self.nodes[node] = Node { timeline, read: end, holds_after: after, window, evicted: false };
        if self.page.session.is_some_and(|(on, _)| on == node) {
            self.page.session = None;
        }
    }
}

impl Resume {
    /// Whether the node has to refill its window. It compares timelines at each reconnect, before it reads on.
    fn must_refill(&self, state: &State, node: usize) -> bool {
        self.protocol.forks && state.nodes[node].timeline != state.timeline
    }

    /// The first cursor of a session that asks for the events after a position, and whether none is missing.
    fn begin(&self, state: &State, node: usize, asked: Option<Position>) -> (Position, bool) {
        let node = &state.nodes[node];
        let holds_after = position(&node.timeline, node.holds_after);
        let oldest = (holds_after, false);
        let Some(asked) = asked else {
            return match node.window.is_empty() {
                true if self.protocol.welcomes => (position(&node.timeline, node.read), !node.evicted),
                _ => (holds_after, !self.protocol.welcomes || !node.evicted),
            };
        };
        if !self.protocol.places {
            return if asked >= holds_after { (asked, true) } else { oldest };
        }
        match place(&node.timeline, asked) {
            // The node may lag: only a position beyond the end of the log is refused.
            Place::Here if asked.1 > node.read && asked.1 > state.end() => oldest,
            Place::Here if asked >= holds_after => (asked, true),
            Place::Lost(same) if same >= holds_after => (same, false),
            _ => oldest,
        }
    }

    fn connect(&self, state: &mut State, node: usize, sends: Sends) {
        state.connections += 1;
        match sends {
            Sends::Kept => {}
            Sends::Nothing => state.page.position = None,
            Sends::Invented => state.page.position = Some(position(&state.timeline, state.end() + 1)),
        }
        let asked = state.page.position.or(state.saved);
        let (begins, whole) = self.begin(state, node, asked);
        if state.page.since.is_none() {
            state.page.since = Some(state.accepted);
        }
        if !whole {
            for event in state.log.clone() {
                state.settle(event);
            }
        }
        // In the earlier protocol the welcome of an empty room had no position.
        let has_position = self.protocol.welcomes || asked.is_some() || !state.nodes[node].window.is_empty();
        if has_position {
            state.page.position = Some(begins);
        }
        if self.protocol.welcomes && state.saved.is_none() {
            // A gap is reported until the page acknowledges.
            state.saved = Some(if whole { begins } else { position(&state.nodes[node].timeline, 0) });
        }
        state.page.session = Some((node, begins));
    }

    /// The next event of the session.
    fn next(state: &State) -> Option<(Position, u8)> {
        let (node, cursor) = state.page.session?;
        state.nodes[node].window.iter().copied().find(|(at, _)| *at > cursor)
    }
}

impl Model for Resume {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let timeline = vec![(1, 0)];
        let node = Node { timeline: timeline.clone(), read: 0, holds_after: 0, window: Vec::new(), evicted: false };
        vec![State {
            log: Vec::new(),
            timeline,
            accepted: 0,
            losses: 0,
            restarts: 0,
            connections: 0,
            given: (0, 0),
            given_twice: false,
            nodes: vec![node; self.nodes],
            page: Page { position: None, session: None, since: None, settled: 0 },
            saved: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.accepted < self.events {
            actions.push(Action::Append);
        }
        if state.losses < self.losses {
            actions.extend((1..=state.end()).map(Action::LoseEnd));
        }
        for (number, node) in state.nodes.iter().enumerate() {
            if self.must_refill(state, number) {
                actions.push(Action::Refill(number));
            } else if node.read < state.end() {
                actions.push(Action::Read(number));
            }
            if !node.window.is_empty() {
                actions.push(Action::Evict(number));
            }
            if state.restarts < self.restarts {
                actions.extend([Action::Restart(number, 0), Action::Restart(number, 1)]);
            }
            if state.page.session.is_none() && state.connections < self.connections {
                actions
                    .extend([Sends::Kept, Sends::Nothing, Sends::Invented].map(|sends| Action::Connect(number, sends)));
            }
        }
        if state.page.session.is_some() {
            if Resume::next(state).is_some() {
                actions.push(Action::Show);
            } else {
                actions.push(Action::KeepAlive);
            }
            if state.page.position.is_some() && state.page.position != state.saved {
                actions.push(Action::Acknowledge);
            }
            actions.push(Action::Leave);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Append => {
                state.accepted += 1;
                state.log.push(state.accepted);
                let at = position(&state.timeline, state.end());
                state.given_twice |= at <= state.given;
                state.given = at.max(state.given);
            }
            Action::LoseEnd(events) => {
                state.losses += 1;
                state.log.truncate(usize::from(state.end() - events));
                if self.protocol.forks {
                    let (first, epoch) = (state.end() + 1, state.timeline.last().map_or(1, |last| last.0) + 1);
                    state.timeline.retain(|segment| segment.1 < first);
                    state.timeline.push((epoch, first));
                }
            }
            Action::Refill(node) => {
                let holds = u8::try_from(state.nodes[node].window.len()).expect("a few events");
                state.fill(node, holds);
            }
            Action::Read(node) => {
                let read = &mut state.nodes[node];
                read.read += 1;
                read.window.push((position(&read.timeline, read.read), state.log[usize::from(read.read) - 1]));
            }
            Action::Evict(node) => {
                let node = &mut state.nodes[node];
                let (at, _) = node.window.remove(0);
                (node.holds_after, node.evicted) = (at.1, true);
            }
            Action::Restart(node, holds) => {
                state.restarts += 1;
                state.fill(node, holds);
            }
            Action::Connect(node, sends) => self.connect(&mut state, node, sends),
            Action::Show => {
                let ((at, event), (node, cursor)) = (Resume::next(&state)?, state.page.session?);
                if cursor < position(&state.nodes[node].timeline, state.nodes[node].holds_after) {
                    // Unread events have left the window. The session is closed, and the next one reports the gap.
                    state.page.session = None;
                } else {
                    state.settle(event);
                    state.page.position = Some(at);
                    state.page.session = Some((node, at));
                }
            }
            Action::KeepAlive => {
                let (node, cursor) = state.page.session?;
                let (read, holds_after) = (state.nodes[node].read, state.nodes[node].holds_after);
                if cursor < position(&state.nodes[node].timeline, holds_after) {
                    state.page.session = None;
                } else {
                    let reached = cursor.max(position(&state.nodes[node].timeline, read));
                    state.page.position = Some(reached);
                    state.page.session = Some((node, reached));
                }
            }
            Action::Acknowledge => {
                let known =
                    |at: &Position| !self.protocol.places || state.timeline.iter().any(|(epoch, _)| *epoch == at.0);
                // A position of this log replaces one of another log.
                let saved = state.saved.filter(known);
                state.saved = saved.max(state.page.position);
            }
            Action::Leave => state.page.session = None,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no event is skipped without a reported gap", |_, state: &State| {
                let (Some((node, cursor)), Some(since)) = (state.page.session, state.page.since) else { return true };
                let is_settled = |event: u8| event <= since || state.page.settled & (1 << event) != 0;
                let here = &state.nodes[node];
                // Behind the window: the gap is reported before anything is skipped.
                let is_behind = cursor < position(&here.timeline, here.holds_after);
                is_behind
                    || (1..)
                        .zip(&state.log)
                        .all(|(at, event)| position(&state.timeline, at) > cursor || is_settled(*event))
            }),
            Property::always("no two events have the same position", |_, state: &State| !state.given_twice),
            Property::sometimes("a presenter resumes", |_, state: &State| {
                state.connections > 1 && state.page.session.is_some() && state.page.settled.count_ones() > 1
            }),
            Property::sometimes("a presenter resumes after the log lost its end", |model: &Resume, state: &State| {
                model.losses == 0 || state.losses > 0 && state.page.session.is_some() && state.page.settled != 0
            }),
        ]
    }
}
