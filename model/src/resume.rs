//! What a presenter who comes back is shown: positions, windows, the saved cursor, and a log that loses its end. One room,
//! one presenter, a few nodes each with a window over the log.

use stateright::{Model, Property};

/// What positions mean, and what is believed of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Where the log loses its end another epoch begins, and whoever has read what was lost reads anew.
    pub forks: bool,
    /// A position is looked for on the timeline, and not believed ahead of the log.
    pub places: bool,
    /// Every welcome has a position, which is kept and saved.
    pub welcomes: bool,
}

impl Protocol {
    /// Before the log had timelines.
    pub const BEFORE: Protocol = Protocol { forks: false, places: false, welcomes: false };

    /// As it is.
    pub const NOW: Protocol = Protocol { forks: true, places: true, welcomes: true };
}

/// The model, and its bounds.
#[derive(Debug, Clone)]
pub struct Resume {
    /// How positions are dealt with.
    pub protocol: Protocol,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many events are accepted.
    pub events: u8,
    /// How often the log loses its end.
    pub losses: u8,
    /// How often a node is started anew.
    pub restarts: u8,
    /// How often the presenter connects.
    pub connections: u8,
}

/// A place in the log: its epoch, and its sequence from 1. Before every event stands sequence 0.
type Position = (u8, u8);

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The events of the log by their numbers; the first has sequence 1.
    log: Vec<u8>,
    /// The epochs, each with its first sequence.
    timeline: Vec<Position>,
    /// How many events were accepted; they are numbered from 1.
    accepted: u8,
    losses: u8,
    restarts: u8,
    connections: u8,
    /// The furthest position that was given to an event, and whether one was given twice.
    given: Position,
    given_twice: bool,
    nodes: Vec<Node>,
    page: Page,
    /// What the presenter has acknowledged, as it is saved.
    saved: Option<Position>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    timeline: Vec<Position>,
    /// How far it has read, and from where on it holds what it read.
    read: u8,
    holds_after: u8,
    /// What it holds.
    window: Vec<(Position, u8)>,
    /// Whether it has left anything of the room unseen that was evicted.
    evicted: bool,
}

/// The presenter's page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Page {
    /// What it keeps: the last event that it has dealt with.
    position: Option<Position>,
    /// Its session's node, and up to where everything was written.
    session: Option<(usize, Position)>,
    /// How many events had been accepted when it first came: none of those is owed to it.
    since: Option<u8>,
    /// Events that were shown, or stood in the log when it was told of a gap, by their numbers.
    settled: u32,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An event is accepted.
    Append,
    /// The log loses its last events, so many.
    LoseEnd(u8),
    /// A node that has read what was lost, or has another timeline, begins anew.
    Notice(usize),
    /// A node reads the next event.
    Read(usize),
    /// The oldest event leaves its window.
    Evict(usize),
    /// A node is started anew, with a window that holds so many events.
    Restart(usize, u8),
    /// The presenter comes to a node.
    Connect(usize, Shows),
    /// It is shown the next event.
    Show,
    /// It hears that nothing of its room is missing up to where its node has read.
    KeepAlive,
    /// It acknowledges what it has dealt with.
    Acknowledge,
    /// It goes.
    Leave,
}

/// What a page shows that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The position that it keeps, if it does.
    Kept,
    /// Nothing: it was loaded anew.
    Nothing,
    /// A position that the log never reached.
    MadeUp,
}

fn position(timeline: &[Position], sequence: u8) -> Position {
    let epoch = timeline.iter().rev().find(|(_, first)| *first <= sequence).map_or(0, |(epoch, _)| *epoch);
    (epoch, sequence)
}

/// Where a position stands that somebody kept.
enum Place {
    Here,
    /// The log is the same up to this one.
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
    /// Whether the node knows that the log is not the one it has read. It asks with each connection, before it reads on.
    fn has_to_notice(&self, state: &State, node: usize) -> bool {
        self.protocol.forks && state.nodes[node].timeline != state.timeline
    }

    /// Where a session begins that asks for what follows the position, and whether nothing is missing.
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
            // What the node has not read yet the log is asked for.
            Place::Here if asked.1 > node.read && asked.1 > state.end() => oldest,
            Place::Here if asked >= holds_after => (asked, true),
            Place::Lost(same) if same >= holds_after => (same, false),
            _ => oldest,
        }
    }

    fn connect(&self, state: &mut State, node: usize, shows: Shows) {
        state.connections += 1;
        match shows {
            Shows::Kept => {}
            Shows::Nothing => state.page.position = None,
            Shows::MadeUp => state.page.position = Some(position(&state.timeline, state.end() + 1)),
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
        // An empty room had no position to tell.
        let is_told = self.protocol.welcomes || asked.is_some() || !state.nodes[node].window.is_empty();
        if is_told {
            state.page.position = Some(begins);
        }
        if self.protocol.welcomes && state.saved.is_none() {
            // A gap is told until somebody has dealt with it.
            state.saved = Some(if whole { begins } else { position(&state.nodes[node].timeline, 0) });
        }
        state.page.session = Some((node, begins));
    }

    /// The event that a session at the position is shown next.
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
            if self.has_to_notice(state, number) {
                actions.push(Action::Notice(number));
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
                    .extend([Shows::Kept, Shows::Nothing, Shows::MadeUp].map(|shows| Action::Connect(number, shows)));
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
            Action::Notice(node) => {
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
            Action::Connect(node, shows) => self.connect(&mut state, node, shows),
            Action::Show => {
                let ((at, event), (node, cursor)) = (Resume::next(&state)?, state.page.session?);
                if cursor < position(&state.nodes[node].timeline, state.nodes[node].holds_after) {
                    // Events have left the window unread: it is closed, and told when it comes back.
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
                // One of this log is further than any that is not.
                let saved = state.saved.filter(known);
                state.saved = saved.max(state.page.position);
            }
            Action::Leave => state.page.session = None,
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing is passed over untold", |_, state: &State| {
                let (Some((node, cursor)), Some(since)) = (state.page.session, state.page.since) else { return true };
                let is_settled = |event: u8| event <= since || state.page.settled & (1 << event) != 0;
                let here = &state.nodes[node];
                // Behind a cursor that has to be told of a gap nothing is passed over yet.
                let is_behind = cursor < position(&here.timeline, here.holds_after);
                is_behind
                    || (1..)
                        .zip(&state.log)
                        .all(|(at, event)| position(&state.timeline, at) > cursor || is_settled(*event))
            }),
            Property::always("a position means one event", |_, state: &State| !state.given_twice),
            Property::sometimes("a presenter resumes", |_, state: &State| {
                state.connections > 1 && state.page.session.is_some() && state.page.settled.count_ones() > 1
            }),
            Property::sometimes("a presenter resumes after the log lost its end", |model: &Resume, state: &State| {
                model.losses == 0 || state.losses > 0 && state.page.session.is_some() && state.page.settled != 0
            }),
        ]
    }
}
