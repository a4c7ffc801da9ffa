//! Which messages of a room are deleted: its decisions in the order of the log. A message is deleted if a deletion
//! follows it, and follows its latest restoration. Written from `docs/reference/moderation.md`, not from the servers'
//! code.

use std::collections::HashMap;

use chat::EventId;
use jiff::{SignedDuration, Timestamp};

/// What a decision does to messages before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Delete(EventId),
    Restore(EventId),
    /// Deletes every message of the room.
    Clear,
    /// A ban at that time deletes what the user sent in the seconds before.
    Purge {
        user: i64,
        seconds: u32,
        at: Timestamp,
    },
}

/// A decision that deletes or restores a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) decision: EventId,
    pub(crate) restores: bool,
}

/// A room's messages, and what its decisions did to each.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    /// Every message so far, with its decisions in order.
    changes: HashMap<EventId, Vec<Change>>,
    /// The messages of each user, with the times at which they were sent.
    by_user: HashMap<i64, Vec<(EventId, Timestamp)>>,
}

impl Deletions {
    /// The next event of the log is a message.
    pub(crate) fn post(&mut self, message: EventId, user: i64, sent: Timestamp) {
        self.changes.entry(message).or_default();
        self.by_user.entry(user).or_default().push((message, sent));
    }

    /// The next event of the log is a decision.
    pub(crate) fn decide(&mut self, decision: EventId, effect: Effect) {
        let change = Change { decision, restores: matches!(effect, Effect::Restore(_)) };
        match effect {
            Effect::Delete(target) | Effect::Restore(target) => {
                self.changes.entry(target).and_modify(|changes| changes.push(change));
            }
            Effect::Clear => self.changes.values_mut().for_each(|changes| changes.push(change)),
            Effect::Purge { user, seconds, at } => {
                let since = at.checked_sub(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MIN);
                for (message, _) in self.by_user.get(&user).into_iter().flatten().filter(|(_, sent)| *sent >= since) {
                    self.changes.entry(*message).or_default().push(change);
                }
            }
        }
    }

    /// Every message that a decision is about, with its decisions in order.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (EventId, &[Change])> {
        let changed = self.changes.iter().filter(|(_, changes)| !changes.is_empty());
        changed.map(|(message, changes)| (*message, changes.as_slice()))
    }

    /// The decision that deletes the message: the first since its latest restoration. None: it is not deleted.
    pub(crate) fn deletion(changes: &[Change]) -> Option<EventId> {
        let restored = changes.iter().rposition(|change| change.restores);
        changes.get(restored.map_or(0, |place| place + 1)).map(|change| change.decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn deletion(deletions: &Deletions, message: EventId) -> Option<EventId> {
        deletions.changed().find(|(id, _)| *id == message).and_then(|(_, changes)| Deletions::deletion(changes))
    }

    #[test]
    fn the_first_deletion_since_the_latest_restoration_counts() {
        let [message, first, second_one, restoration, third] = [(); 5].map(|()| EventId::new());
        let mut deletions = Deletions::default();
        deletions.decide(EventId::new(), Effect::Delete(message));
        deletions.post(message, 7, second(0));
        assert_eq!(deletion(&deletions, message), None, "a deletion before the message");
        deletions.decide(first, Effect::Delete(message));
        deletions.decide(second_one, Effect::Clear);
        assert_eq!(deletion(&deletions, message), Some(first));
        deletions.decide(restoration, Effect::Restore(message));
        assert_eq!(deletion(&deletions, message), None);
        deletions.decide(third, Effect::Clear);
        deletions.decide(EventId::new(), Effect::Delete(message));
        assert_eq!(deletion(&deletions, message), Some(third));
    }

    #[test]
    fn a_purge_deletes_what_the_user_sent_in_those_seconds() {
        let [old, new, of_another, later, ban] = [(); 5].map(|()| EventId::new());
        let mut deletions = Deletions::default();
        deletions.post(old, 7, second(9));
        deletions.post(new, 7, second(10));
        deletions.post(of_another, 8, second(15));
        deletions.decide(ban, Effect::Purge { user: 7, seconds: 10, at: second(20) });
        deletions.post(later, 7, second(19));
        let deleted = [old, new, of_another, later].map(|message| deletion(&deletions, message));
        assert_eq!(deleted, [None, Some(ban), None, None]);
    }
}
