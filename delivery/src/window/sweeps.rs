//! Sweeps: one event hides every message that matches its rule, and another undoes that. The window knows what each
//! sweep hides for as long as it holds the sweep, so that undoing one shows exactly that again.
//!
//! Clients know deletions and restorations of single messages. So a reader gets a sweep as the deletions of its
//! messages, and its end as their restorations, with the messages. They stand just before the event itself, in the
//! same page: a reader that has the event has all of them. They are made when they are read, so they show nothing that
//! was hidden meanwhile.

use std::collections::{HashMap, HashSet, VecDeque};

use chat::{Body, Event, EventId, Position, PostedLine, SweepMatcher};
use foldhash::fast::RandomState;
use jiff::Timestamp;
use nats::{MOST_AHEAD, believed};

use super::erasure::{Erasure, about_target};
use super::extent::just_before;
use super::kept::{About, Kept, Kind};
use super::restoration;
use crate::members::{members, only, without};

/// The member with the ids of the messages that a sweep hides or an undoing shows again. Clients do not get it.
const MESSAGES: &str = "messages";

/// A sweep that counts, and is in the window.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The position of its event.
    pub(super) position: Position,
    id: EventId,
    /// What it hides, unless restored since. Other sweeps may hide the same.
    messages: HashSet<EventId, RandomState>,
}

/// Hides the messages that match the rule and were sent since then, and names them in the sweep's event.
pub(super) fn sweep(
    events: &mut VecDeque<Kept>,
    sweeps: &mut Vec<Sweep>,
    event: &mut Kept,
    rule: &SweepMatcher,
    since: Timestamp,
) {
    // An event is stored at most so long before its own time: other lines need not be read.
    let stored_since = since.checked_sub(MOST_AHEAD).unwrap_or(Timestamp::MIN);
    let mut swept = Vec::new();
    for kept in events.iter_mut().filter(|kept| kept.stored >= stored_since) {
        if kept.matches(rule, since) {
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
    sweeps.push(Sweep { position: event.position, id: event.id, messages });
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
