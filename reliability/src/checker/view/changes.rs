//! Deletions and restorations of messages, by the order of the log.

use std::collections::{HashMap, HashSet};

use chat::EventId;

use super::{Decision, Place, Ruling, Source, View};
use crate::deletions::{Deletions, Effect};
use crate::history::Decided;

/// A decision of the log that deletes or restores a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) decision: EventId,
    pub(crate) restores: bool,
    /// Whether it clears the room.
    pub(crate) clears: bool,
    /// Its line in the log.
    pub(crate) line: usize,
    /// The line of the first request for it.
    pub(crate) requested: usize,
    /// The line of its first confirmation. None: it was never confirmed.
    pub(crate) confirmed: Option<usize>,
}

fn effect(ruling: &Ruling, place: &Place) -> Option<Effect> {
    Some(match ruling.kind {
        "message.deleted" => Effect::Delete(ruling.target?),
        "message.restored" => Effect::Restore(ruling.target?),
        "room.cleared" => Effect::Clear,
        "user.banned" if ruling.room.is_some() => {
            Effect::Purge { user: ruling.user?, seconds: ruling.purge_seconds?, at: place.sent? }
        }
        _ => return None,
    })
}

impl<'a> View<'a> {
    /// Applies the decisions of each room to its messages.
    pub(super) fn follow_deletions(&mut self) {
        let rulings = || self.rulings.iter().filter(|ruling| ruling.source == Source::Log);
        let of_id: HashMap<EventId, &Ruling> = rulings().map(|ruling| (ruling.id, ruling)).collect();
        let mut all = HashMap::new();
        for room in self.rooms.values() {
            let mut deletions = Deletions::default();
            for place in &room.log {
                if place.is_message {
                    deletions.post(place.id, place.user.unwrap_or_default(), place.sent.unwrap_or_default());
                } else if let Some(effect) = of_id.get(&place.id).and_then(|ruling| effect(ruling, place)) {
                    deletions.decide(place.id, effect);
                }
            }
            for (message, changes) in deletions.changed() {
                let changes = changes.iter().map(|change| {
                    let ruling = of_id[&change.decision];
                    let decision = self.decision_of(ruling);
                    Change {
                        decision: change.decision,
                        restores: change.restores,
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
            let lost = self.decisions.values().filter(is_lost).filter_map(|decision| match decision.decided {
                Decided::Restore { target } => Some(*target),
                _ => None,
            });
            self.perhaps_restored = lost.collect();
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
        if self.is_perhaps_restored(message) {
            return None;
        }
        let changes = self.changes(message);
        let restored = changes.iter().rposition(|change| change.restores);
        changes.get(restored.map_or(0, |place| place + 1))
    }

    /// The deletion that must hide the message's text at that line, for a node that knows every decision that was
    /// confirmed more than `within(decision)` microseconds before.
    pub(crate) fn hidden_by(
        &self,
        message: EventId,
        line: usize,
        within: impl Fn(&Change) -> u64,
    ) -> Option<(&Change, usize)> {
        let changes = self.changes(message);
        let is_known = |change: &Change| {
            let confirmed = change.confirmed.filter(|confirmed| *confirmed < line)?;
            (self.at(line) > self.at(confirmed) + within(change)).then_some(confirmed)
        };
        let (place, confirmed) =
            changes.iter().enumerate().rev().find_map(|(place, it)| Some((place, is_known(it)?)))?;
        let change = &changes[place];
        let may_be_back = self.may_be_restored(message, place, line);
        (!change.restores && !may_be_back).then_some((change, confirmed))
    }

    /// Whether a disk may have lost a restoration of the message. It may have been archived before.
    pub(crate) fn is_perhaps_restored(&self, message: EventId) -> bool {
        self.perhaps_restored.contains(&message)
    }

    /// Whether a restoration after that decision was requested before the line.
    pub(crate) fn may_be_restored(&self, message: EventId, decision: usize, line: usize) -> bool {
        let mut later = self.changes(message)[decision + 1..].iter();
        self.is_perhaps_restored(message) || later.any(|later| later.restores && later.requested < line)
    }

    /// Whether the decision, confirmed or of unknown outcome, deletes that message.
    pub(crate) fn takes_away(&self, decision: &Decision, room: i64, place: &Place) -> bool {
        decision.request.room == Some(room)
            && match decision.decided {
                Decided::Delete { target } => *target == place.id,
                Decided::Clear => self.clears(decision, place),
                Decided::Ban { user, purge_seconds: Some(_) } => self.purges(decision, *user, place),
                _ => false,
            }
    }

    fn clears(&self, decision: &Decision, place: &Place) -> bool {
        decision.request.accepted().is_none_or(|(_, id, position)| {
            let stands = self.logged.get(&id).map_or(position, |(_, decision)| decision.position);
            place.position < stands
        })
    }

    /// If the log has both, its times decide.
    fn purges(&self, decision: &Decision, user: i64, place: &Place) -> bool {
        let Some((_, message)) = self.logged.get(&place.id) else {
            return place.user.is_none_or(|author| author == user);
        };
        match decision.request.accepted().filter(|(_, id, _)| self.logged.contains_key(id)) {
            Some((_, id, _)) => self.changes(message.id).iter().any(|change| change.decision == id),
            None => message.user == Some(user),
        }
    }
}
