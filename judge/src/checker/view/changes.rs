//! Deletions and restorations of messages, by the order of the log.

use std::collections::{HashMap, HashSet};

use chat::EventId;

use super::places::RELEASED;
use super::{Decision, MESSAGE, Place, Ruling, Source, View};
use crate::deletions::{self, ChangeKind, Deletions, Effect, Posted, standing};
use crate::history::{Decided, Swept};

/// A decision of the log that deletes or restores a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) change: deletions::Change,
    /// Whether it clears the room.
    pub(crate) clears: bool,
    /// Its line in the log.
    pub(crate) line: usize,
    /// The line of the first request for it.
    pub(crate) requested: usize,
    /// The line of its first confirmation. None: it was never confirmed.
    pub(crate) confirmed: Option<usize>,
}

impl AsRef<deletions::Change> for Change {
    fn as_ref(&self) -> &deletions::Change {
        &self.change
    }
}

impl Change {
    pub(crate) fn decision(&self) -> EventId {
        self.change.decision
    }

    /// Whether it deletes the message.
    pub(crate) fn deletes(&self) -> bool {
        matches!(self.change.kind, ChangeKind::Deletion | ChangeKind::Sweep | ChangeKind::Refusal)
    }

    /// Whether it is a later sweep or the end of one, and clients are told of it as of a decision about each message.
    pub(crate) fn is_of_a_sweep(&self) -> bool {
        matches!(self.change.kind, ChangeKind::Sweep | ChangeKind::EndOf(_))
    }
}

fn effect(ruling: &Ruling, place: &Place) -> Option<Effect> {
    Some(match ruling.kind {
        "message.deleted" => Effect::Delete(ruling.target?),
        "message.restored" => Effect::Restore(ruling.target?),
        "room.cleared" => Effect::Clear,
        "room.swept" => Effect::Sweep { swept: ruling.swept?.clone(), at: place.sent? },
        "sweep.undone" => Effect::Unsweep(ruling.target?),
        "user.banned" if ruling.room.is_some() => {
            Effect::Purge { user: ruling.user?, seconds: ruling.purge_seconds?, at: place.sent? }
        }
        _ => return None,
    })
}

impl<'a> View<'a> {
    /// A message of the room's log.
    pub(crate) fn posted(&self, room: i64, place: &Place, is_released: bool) -> Posted {
        let user = place.user.unwrap_or_default();
        let flags = self.messages.flags.get(&place.id).map(|flags| flags.to_vec()).unwrap_or_default();
        Posted {
            message: place.id,
            user,
            sent: place.sent.unwrap_or_default(),
            text: place.text.unwrap_or_default().to_owned(),
            flags,
            // In these histories nobody who posts is a moderator of the room.
            is_viewers: place.kind == MESSAGE && user != room,
            is_released,
        }
    }

    /// Applies the decisions of each room to its messages.
    pub(super) fn follow_deletions(&mut self) {
        let rulings = || self.rulings.iter().filter(|ruling| ruling.source == Source::Log);
        let of_id: HashMap<EventId, &Ruling> = rulings().map(|ruling| (ruling.id, ruling)).collect();
        let released: HashSet<EventId> =
            rulings().filter(|ruling| ruling.kind == RELEASED).map(|ruling| ruling.id).collect();
        let mut all: HashMap<EventId, Vec<Change>> = HashMap::new();
        for (number, room) in &self.rooms {
            let mut deletions = Deletions::default();
            for place in &room.log {
                if place.is_message {
                    deletions.post(self.posted(*number, place, released.contains(&place.id)));
                } else if let Some(effect) = of_id.get(&place.id).and_then(|ruling| effect(ruling, place)) {
                    deletions.decide(place.id, effect);
                }
            }
            for (message, changes) in deletions.changed() {
                let changes = changes.iter().map(|change| {
                    let ruling = of_id[&change.decision];
                    let decision = self.decision_of(ruling);
                    Change {
                        change: *change,
                        clears: ruling.kind == "room.cleared",
                        line: ruling.line,
                        requested: decision.map_or(0, |decision| decision.request.invoked),
                        confirmed: decision.and_then(|decision| Some(decision.request.accepted()?.0)),
                    }
                });
                all.insert(message, changes.collect());
            }
        }
        if !self.lost.is_empty() {
            let logged: HashSet<&str> = rulings().filter_map(|ruling| ruling.reason).collect();
            let is_lost = |decision: &&Decision| !decision.request.is_refused() && !logged.contains(decision.reason);
            let (mut lost, mut undone) = (HashSet::new(), HashSet::new());
            for decision in self.decisions.values().filter(is_lost) {
                match decision.decided {
                    Decided::Restore { target } => drop(lost.insert(*target)),
                    Decided::Unsweep { target } => drop(undone.insert(*target)),
                    _ => {}
                }
            }
            let is_undone = |changes: &[Change]| changes.iter().any(|change| undone.contains(&change.decision()));
            lost.extend(all.iter().filter(|(_, changes)| is_undone(changes)).map(|(message, _)| *message));
            self.perhaps_restored = lost;
        }
        self.changes = all;
    }

    /// The decision that was requested under the reason.
    pub(crate) fn decision_of(&self, ruling: &Ruling<'a>) -> Option<&Decision<'a>> {
        self.decisions.get(self.reasons.get(ruling.reason?)?)
    }

    /// The decisions of the log that delete or restore the message, in order.
    pub(crate) fn changes(&self, message: EventId) -> &[Change] {
        self.changes.get(&message).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every message that a decision of the log deletes or restores.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (EventId, &[Change])> {
        self.changes.iter().map(|(message, changes)| (*message, changes.as_slice()))
    }

    /// The decision that deletes the message in the end: the first since its latest restoration.
    pub(crate) fn deletion(&self, message: EventId) -> Option<&Change> {
        let changes = self.changes(message);
        standing(changes).first().copied().filter(|_| !self.is_perhaps_restored(message))
    }

    /// The deletion that must hide the message's text at that line, and the line that shows so, for somebody who knows
    /// at least the deletions that have such a line, and perhaps every restoration that was requested before.
    pub(crate) fn hidden_from(
        &self,
        message: EventId,
        line: usize,
        known: impl Fn(&Change) -> Option<usize>,
    ) -> Option<(&Change, usize)> {
        if self.is_perhaps_restored(message) {
            return None;
        }
        let counts =
            |change: &&Change| if change.deletes() { known(change).is_some() } else { change.requested < line };
        let change = *standing(self.changes(message).iter().filter(counts)).last()?;
        Some((change, known(change)?))
    }

    /// The same for a node that knows every decision that was confirmed more than `within(decision)` microseconds
    /// before, with the line of the confirmation.
    pub(crate) fn hidden_by(
        &self,
        message: EventId,
        line: usize,
        within: impl Fn(&Change) -> u64,
    ) -> Option<(&Change, usize)> {
        self.hidden_from(message, line, |change| {
            let confirmed = change.confirmed.filter(|confirmed| *confirmed < line)?;
            (self.at(line) > self.at(confirmed) + within(change)).then_some(confirmed)
        })
    }

    /// Whether a disk may have lost a restoration of the message. It may have been archived before.
    pub(crate) fn is_perhaps_restored(&self, message: EventId) -> bool {
        self.perhaps_restored.contains(&message)
    }

    /// Whether the decision, confirmed or of unknown outcome, deletes that message.
    pub(crate) fn takes_away(&self, decision: &Decision, room: i64, place: &Place) -> bool {
        decision.request.room == Some(room)
            && match decision.decided {
                Decided::Delete { target } => *target == place.id,
                Decided::Clear => self.clears(decision, place),
                Decided::Ban { user, purge_seconds: Some(_) } => self.purges(decision, *user, place),
                Decided::Sweep { swept } => self.sweeps(decision, swept, place),
                _ => false,
            }
    }

    fn clears(&self, decision: &Decision, place: &Place) -> bool {
        decision.request.accepted().is_none_or(|(_, id, position)| {
            let stands = self.logged.get(&id).map_or(position, |(_, decision)| decision.position);
            place.position < stands
        })
    }

    fn purges(&self, decision: &Decision, user: i64, place: &Place) -> bool {
        match self.logged.get(&place.id) {
            Some((_, message)) => self.is_changed_by(message, decision).unwrap_or(message.user == Some(user)),
            None => place.user.is_none_or(|author| author == user),
        }
    }

    fn sweeps(&self, decision: &Decision, swept: &Swept, place: &Place) -> bool {
        let Some((room, message)) = self.logged.get(&place.id) else { return true };
        let matches = || deletions::matches(swept, &self.posted(*room, message, false));
        self.is_changed_by(message, decision).unwrap_or_else(matches)
    }

    /// Whether the decision is about the message. If the log has both, its times decide. None: it has not.
    fn is_changed_by(&self, message: &Place, decision: &Decision) -> Option<bool> {
        let (_, id, _) = decision.request.accepted().filter(|(_, id, _)| self.logged.contains_key(id))?;
        Some(self.changes(message.id).iter().any(|change| change.decision() == id))
    }
}
