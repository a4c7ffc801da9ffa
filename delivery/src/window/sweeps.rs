//! Sweeps: one event hides every message that matches its rule, and another undoes that. The window knows what each
//! sweep hides for as long as it holds the sweep, so that undoing one shows exactly that again.
//!
//! A sweep with a span forward hides posts that come after it, too: those that another node accepted before it heard of
//! the sweep. They come into the window hidden, so that readers get them as deleted messages. The window knows such a
//! sweep until its span is over, even if it has evicted the event.
//!
//! Clients know deletions and restorations of single messages. So a reader gets a sweep as the deletions of its
//! messages, and its end as their restorations, with the messages. They stand just before the event itself, in the
//! same page: a reader that has the event has all of them. They are made when they are read, so they show nothing that
//! was hidden meanwhile.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use chat::{Body, Event, EventId, Position, PostedLine, PresenterIdx, SweepMatcher};
use foldhash::fast::RandomState;
use jiff::Timestamp;
use nats::{MOST_AHEAD, MOST_BEHIND, believed};

use super::erasure::{Erasure, about_target};
use super::extent::{Extent, end_of_batch, just_before};
use super::incoming::{Effect, Incoming, Rule};
use super::kept::{About, Kept, Kind};
use super::{RoomWindow, Window, restoration};
use crate::members::{members, only, without};

/// The member with the ids of the messages that a sweep hides or an undoing shows again. Clients do not get it.
const MESSAGES: &str = "messages";

/// A sweep that counts.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The position of the last event that it needs: its own, or a later post that it hides.
    pub(super) last: Position,
    id: EventId,
    /// Whether it hides later posts.
    rule: Option<Box<Rule>>,
    /// What it hides, unless restored since. Other sweeps may hide the same.
    messages: HashSet<EventId, RandomState>,
}

/// The sweeps whose span forward is not over, by the log's clock.
#[derive(Debug, Default)]
pub(super) struct Spans {
    open: BTreeSet<(Timestamp, PresenterIdx)>,
    /// When the latest event was stored.
    reached: Timestamp,
}

impl Spans {
    pub(super) fn begin(&mut self, room: PresenterIdx, rule: &Rule) {
        self.open.extend(rule.until.map(|until| (until, room)));
    }

    pub(super) fn reach(&mut self, stored: Timestamp) {
        self.reached = stored.max(self.reached);
    }

    /// Whether a post that the sweep hides may still come.
    pub(super) fn is_open(&self, Sweep { rule, .. }: &Sweep) -> bool {
        rule.as_ref().and_then(|rule| rule.until).is_some_and(|until| self.may_reach(until))
    }

    /// Whether a post that was sent before that time may still come.
    fn may_reach(&self, until: Timestamp) -> bool {
        until.checked_add(MOST_BEHIND).is_ok_and(|last| self.reached < last)
    }
}

impl Window {
    /// Forgets the sweeps whose span is over and whose messages were evicted.
    pub(super) fn end_spans(&mut self) {
        while let Some(&(until, room)) = self.spans.open.first()
            && !self.spans.may_reach(until)
        {
            self.spans.open.pop_first();
            let Some(room) = self.rooms.get_mut(&room) else { continue };
            let first = room.events.kept.front().map(|kept| kept.position);
            let is_held = |sweep: &Sweep| first.is_some_and(|first| sweep.last >= first);
            room.sweeps.retain(|sweep| is_held(sweep) || self.spans.is_open(sweep));
        }
    }

    /// Takes notice that the window begins after that event. It does not hold the event.
    pub(super) fn begins_after(&mut self, partition: u32, position: Position, stored: Timestamp) {
        self.set_whole_after(partition, position);
        let extent: &mut Extent = self.extents.get_mut(&partition).expect("it was set");
        extent.last = end_of_batch(position);
        self.spans.reach(stored);
    }

    /// Takes notice of a sweep, or the end of one, from before the window begins: it may be about posts that the window
    /// will hold.
    pub(super) fn precede(&mut self, earlier: Incoming) {
        let Incoming { partition, presenter, kept, effect } = earlier;
        match (presenter, effect) {
            (Some(room), Effect::Sweeps(rule)) if rule.until.is_some() => {
                self.spans.begin(room, &rule);
                let unknown = || RoomWindow { partition, ..RoomWindow::default() };
                let room = self.rooms.entry(room).or_insert_with(unknown);
                let Kept { position: last, id, .. } = kept;
                room.sweeps.push(Sweep { last, id, rule: Some(rule), messages: HashSet::default() });
            }
            (Some(room), Effect::Unsweeps(sweep)) => {
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.sweeps.retain(|other| other.id != sweep);
                }
            }
            _ => {}
        }
    }
}

/// Hides a post that comes after a sweep and that the sweep is about.
pub(super) fn refuse(sweeps: &mut [Sweep], kept: &mut Kept) {
    if kept.kind != Kind::Message {
        return;
    }
    for sweep in sweeps {
        if sweep.rule.as_ref().is_some_and(|rule| kept.is_refused(rule)) {
            kept.kind = Kind::Swept;
            sweep.messages.insert(kept.id);
            sweep.last = kept.position;
        }
    }
}

/// Hides the messages that the rule is about, and names them in the sweep's event.
pub(super) fn sweep(events: &mut VecDeque<Kept>, sweeps: &mut Vec<Sweep>, event: &mut Kept, rule: Box<Rule>) {
    let since = rule.since;
    // An event is stored at most so long before its own time: other lines need not be read.
    let stored_since = since.checked_sub(MOST_AHEAD).unwrap_or(Timestamp::MIN);
    let mut swept = Vec::new();
    for kept in events.iter_mut().filter(|kept| kept.stored >= stored_since) {
        if kept.matches(&rule.matcher, since) {
            kept.kind = Kind::Swept;
            swept.push(kept.id);
        }
    }
    let messages: HashSet<EventId, RandomState> = swept.iter().copied().collect();
    if !messages.is_empty() {
        for kept in events.iter_mut() {
            if kept.restored().is_some_and(|message| messages.contains(&message)) {
                kept.delete();
            }
        }
    }
    name(event, &swept);
    let rule = Some(rule).filter(|rule| rule.until.is_some());
    sweeps.push(Sweep { last: event.position, id: event.id, rule, messages });
}

/// Shows the messages again that nothing but the sweep hides, and names them in the event that undoes it.
pub(super) fn undo(events: &mut VecDeque<Kept>, sweeps: &mut Vec<Sweep>, event: &mut Kept, sweep: EventId) {
    let mut shown = Vec::new();
    if let Some(place) = sweeps.iter().position(|other| other.id == sweep) {
        let Sweep { messages, .. } = sweeps.remove(place);
        let is_hidden = |message: &EventId| sweeps.iter().any(|other| other.messages.contains(message));
        for kept in events.iter_mut().filter(|kept| kept.kind == Kind::Swept) {
            if messages.contains(&kept.id) && !is_hidden(&kept.id) {
                kept.kind = Kind::Message;
                shown.push(kept.id);
            }
        }
    }
    name(event, &shown);
}

/// The message is restored: earlier sweeps do not hide it any more.
pub(super) fn forget(sweeps: &mut [Sweep], message: EventId) {
    for sweep in sweeps {
        sweep.messages.remove(&message);
    }
}

/// Adds the ids to the event's line.
fn name(event: &mut Kept, messages: &[EventId]) {
    let line = without(&event.line, MESSAGES);
    let Some(members) = line.trim_ascii_end().strip_suffix('}') else { return };
    let messages = serde_json::to_string(messages).expect("ids are strings");
    let line = format!(r#"{members},"{MESSAGES}":{messages}}}"#);
    event.line = line.into();
}

/// The event of a sweep or of its end, as readers get it: preceded by what it does to each message. `events`: what the
/// window holds of the room.
pub(super) fn expanded(event: &Kept, events: &VecDeque<Kept>, erasures: &VecDeque<Erasure>) -> Vec<Kept> {
    let line = members(&event.line);
    let messages = line.get(MESSAGES).and_then(|messages| serde_json::from_str(messages.get()).ok());
    let messages: Vec<EventId> = messages.unwrap_or_default();
    let named: HashSet<EventId, RandomState> = messages.iter().copied().collect();
    let held = events.iter().filter(|kept| kept.is_message() && named.contains(&kept.id));
    let held: HashMap<EventId, &Kept, RandomState> = held.map(|kept| (kept.id, kept)).collect();
    let common = only(&line, ["presenterIdx", "at", "by", "reason"]);
    let common = common.strip_prefix('{').and_then(|members| members.strip_suffix('}')).unwrap_or_default();
    let (name, kind, sweep) = match event.kind {
        Kind::Undoing => ("message.restored", Kind::Restoration, line.get("target").map(|sweep| sweep.get())),
        _ => ("message.deleted", Kind::Other, line.get("id").map(|sweep| sweep.get())),
    };
    let sweep = sweep.unwrap_or("null");
    let position = just_before(event.position);
    let mut expanded: Vec<Kept> = Vec::with_capacity(messages.len() + 1);
    for message in messages {
        let id = EventId::of_swept(event.id, message);
        let line = format!(r#"{{"v":1,"id":"{id}","type":"{name}",{common},"target":"{message}","sweep":{sweep}}}"#);
        let (stored, withheld) = (event.stored, event.withheld);
        let mut about = Kept { position, stored, line: line.into(), kind, id, about: About::Nobody, withheld };
        let message = held.get(&message).copied();
        about_target(&mut about, message, erasures);
        if kind == Kind::Restoration {
            restoration::attach(&mut about, message);
        }
        expanded.push(about);
    }
    expanded.push(Kept { line: without(&event.line, MESSAGES).into(), ..event.clone() });
    expanded
}

impl Kept {
    /// Whether it is a post that an earlier sweep of that rule is about.
    fn is_refused(&self, Rule { matcher, since, until }: &Rule) -> bool {
        let scanned = PostedLine::scan_text(&self.line);
        if scanned.is_some_and(|posted| !matcher.may_match(posted.user, posted.role)) {
            return false;
        }
        match Event::from_line(self.line.as_bytes()) {
            Ok(Event { at, belated, body: Body::MessagePosted(posted), .. }) => {
                let sent = believed(at, belated, self.stored);
                sent >= *since && until.is_some_and(|until| sent < until) && matcher.matches_later(&posted)
            }
            _ => false,
        }
    }

    /// Whether it is a message that the rule is about and that nothing but sweeps hides.
    fn matches(&self, rule: &SweepMatcher, since: Timestamp) -> bool {
        if !matches!(self.kind, Kind::Message | Kind::Swept) {
            return false;
        }
        // Most messages need not be copied out of their lines.
        if PostedLine::scan_text(&self.line).is_some_and(|posted| !rule.may_match(posted.user, posted.role)) {
            return false;
        }
        let Ok(Event { at, belated, body, .. }) = Event::from_line(self.line.as_bytes()) else { return false };
        let is_about = match &body {
            Body::MessagePosted(posted) => rule.matches(&posted.user, &posted.text, &posted.flags),
            Body::NoticePosted(notice) => rule.matches(&notice.user, &notice.text, &[]),
            _ => false,
        };
        is_about && believed(at, belated, self.stored) >= since
    }
}
