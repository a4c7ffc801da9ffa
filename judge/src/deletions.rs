//! Which messages of a room are deleted: its decisions in the order of the log. A message is deleted if a deletion
//! follows it, and follows its latest restoration. An earlier sweep that refuses posts deletes those that are accepted
//! nevertheless. A sweep that is undone is no deletion. Written from
//! `docs/reference/moderation.md`, not from the servers' code.

use std::collections::HashMap;

use chat::EventId;
use jiff::{SignedDuration, Timestamp};

use crate::history::Swept;

/// What a decision does to messages before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Deletes this message.
    Delete(EventId),
    /// Restores it.
    Restore(EventId),
    /// Deletes every message of the room.
    Clear,
    /// A ban at that time deletes what the user sent in the seconds before.
    Purge {
        /// The author.
        user: i64,
        /// How far back it reaches.
        seconds: u32,
        /// The time of the event.
        at: Timestamp,
    },
    /// A sweep at that time deletes what matches.
    Sweep {
        /// Its rule and its spans.
        swept: Swept,
        /// The time of the event.
        at: Timestamp,
    },
    /// Undoes the sweep.
    Unsweep(EventId),
}

/// What a decision does to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It, or all of the room or of its author, is deleted.
    Deletion,
    /// It is restored, whatever had deleted it.
    Restoration,
    /// A later sweep deletes it.
    Sweep,
    /// An earlier sweep, which refuses such messages.
    Refusal,
    /// The end of this sweep, which had deleted the message.
    EndOf(EventId),
}

impl ChangeKind {
    /// Whether it is a sweep that deletes the message.
    pub(crate) fn is_sweep(self) -> bool {
        matches!(self, ChangeKind::Sweep | ChangeKind::Refusal)
    }
}

/// A decision that deletes or restores a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The event.
    pub decision: EventId,
    /// What it does.
    pub kind: ChangeKind,
}

impl AsRef<Change> for Change {
    fn as_ref(&self) -> &Change {
        self
    }
}

/// A message of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Its id.
    pub message: EventId,
    /// The author.
    pub user: i64,
    /// When it was sent.
    pub sent: Timestamp,
    /// The text.
    pub text: String,
    /// Its flags.
    pub flags: Vec<String>,
    /// Whether the author was a viewer there.
    pub is_viewers: bool,
    /// Whether a moderator released it.
    pub is_released: bool,
}

/// A room's messages, and what its decisions did to each.
#[derive(Debug, Default)]
pub struct Deletions {
    /// Every message so far, with its decisions in order.
    changes: HashMap<EventId, Vec<Change>>,
    posted: Vec<Posted>,
    /// The sweeps that refuse posts, each with the time from which on it is about messages, and its end.
    refusing: Vec<(EventId, Swept, Timestamp, Timestamp)>,
}

impl Deletions {
    /// The next event of the log is a message.
    pub fn post(&mut self, posted: Posted) {
        let refuses = |(_, swept, since, until): &&(EventId, Swept, Timestamp, Timestamp)| {
            (*since..*until).contains(&posted.sent) && matches(swept, &posted)
        };
        let may_be_refused = posted.is_viewers && !posted.is_released;
        let refusals = self.refusing.iter().filter(|_| may_be_refused).filter(refuses);
        let refusals: Vec<Change> =
            refusals.map(|(decision, ..)| Change { decision: *decision, kind: ChangeKind::Refusal }).collect();
        self.changes.entry(posted.message).or_default().extend(refusals);
        self.posted.push(posted);
    }

    /// The next event of the log is a decision.
    pub fn decide(&mut self, decision: EventId, effect: Effect) {
        let change = |kind| Change { decision, kind };
        match effect {
            Effect::Delete(target) => self.push(target, change(ChangeKind::Deletion)),
            Effect::Restore(target) => self.push(target, change(ChangeKind::Restoration)),
            Effect::Clear => {
                self.changes.values_mut().for_each(|changes| changes.push(change(ChangeKind::Deletion)));
            }
            Effect::Purge { user, seconds, at } => {
                let purges = |posted: &Posted| posted.user == user && posted.sent >= before(at, seconds);
                self.push_all(purges, change(ChangeKind::Deletion));
            }
            Effect::Sweep { swept, at } => {
                let since = before(at, swept.seconds_back);
                let sweeps = |posted: &Posted| posted.sent >= since && matches(&swept, posted);
                self.push_all(sweeps, change(ChangeKind::Sweep));
                self.refusing.extend(swept.refuses_until.map(|until| (decision, swept, since, until)));
            }
            Effect::Unsweep(sweep) => {
                self.refusing.retain(|(refusing, ..)| *refusing != sweep);
                let is_its = |change: &Change| change.decision == sweep && change.kind.is_sweep();
                let its = self.changes.values_mut().filter(|changes| changes.iter().any(is_its));
                its.for_each(|changes| changes.push(change(ChangeKind::EndOf(sweep))));
            }
        }
    }

    /// Every message that a decision is about, with its decisions in order.
    pub fn changed(&self) -> impl Iterator<Item = (EventId, &[Change])> {
        let changed = self.changes.iter().filter(|(_, changes)| !changes.is_empty());
        changed.map(|(message, changes)| (*message, changes.as_slice()))
    }

    /// The decision that deletes the message: the first since its latest restoration. None: it is not deleted.
    pub fn deletion(changes: &[Change]) -> Option<EventId> {
        standing(changes).first().map(|change| change.decision)
    }

    fn push(&mut self, message: EventId, change: Change) {
        self.changes.entry(message).and_modify(|changes| changes.push(change));
    }

    fn push_all(&mut self, is_about: impl Fn(&Posted) -> bool, change: Change) {
        for posted in self.posted.iter().filter(|posted| is_about(posted)) {
            self.changes.entry(posted.message).or_default().push(change);
        }
    }
}

/// Of a message's decisions, in order, those that delete it after all of them.
pub(crate) fn standing<'c, C: AsRef<Change>>(changes: impl IntoIterator<Item = &'c C>) -> Vec<&'c C> {
    let mut standing: Vec<&C> = Vec::new();
    for change in changes {
        match change.as_ref().kind {
            ChangeKind::Deletion | ChangeKind::Sweep | ChangeKind::Refusal => standing.push(change),
            ChangeKind::Restoration => standing.clear(),
            ChangeKind::EndOf(sweep) => standing.retain(|earlier| earlier.as_ref().decision != sweep),
        }
    }
    standing
}

/// Whether the message, sent in the time of the sweep, meets its conditions.
pub(crate) fn matches(swept: &Swept, posted: &Posted) -> bool {
    let Swept { texts, similarity, users, label, .. } = swept;
    let is_about_author = match users {
        Some(users) => users.contains(&posted.user),
        None => posted.is_viewers,
    };
    // Only letters of ASCII are spelled in different ways in these runs.
    let is_meant = |text: &String| {
        text.eq_ignore_ascii_case(&posted.text)
            || similarity.is_some_and(|percent| are_similar(text, &posted.text, percent.into()))
    };
    let is_flagged_so = label.as_ref().is_none_or(|label| posted.flags.contains(label));
    is_about_author && is_flagged_so && texts.as_ref().is_none_or(|texts| texts.iter().any(is_meant))
}

/// Whether twice the number of common pairs of characters is at least that part of the number of all pairs.
fn are_similar(one: &str, other: &str, percent: usize) -> bool {
    let pairs = |text: &str| -> Vec<(char, char)> {
        let letters = text.to_ascii_lowercase();
        letters.chars().zip(letters.chars().skip(1)).collect()
    };
    let (own, mut others) = (pairs(one), pairs(other));
    let all = own.len() + others.len();
    let mut common = 0;
    for pair in own {
        if let Some(place) = others.iter().position(|other| *other == pair) {
            others.swap_remove(place);
            common += 1;
        }
    }
    all > 0 && 200 * common >= percent * all
}

fn before(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn posted(message: EventId, user: i64, sent: i64, text: &str) -> Posted {
        let (sent, text) = (second(sent), text.to_owned());
        let flags = vec!["rude".to_owned()];
        Posted { message, user, sent, text, flags, is_viewers: user != 42, is_released: false }
    }

    fn deletion(deletions: &Deletions, message: EventId) -> Option<EventId> {
        deletions.changed().find(|(id, _)| *id == message).and_then(|(_, changes)| Deletions::deletion(changes))
    }

    #[test]
    fn the_first_deletion_since_the_latest_restoration_counts() {
        let [message, first, second_one, restoration, third] = [(); 5].map(|()| EventId::new());
        let mut deletions = Deletions::default();
        deletions.decide(EventId::new(), Effect::Delete(message));
        deletions.post(posted(message, 7, 0, "hello"));
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
        deletions.post(posted(old, 7, 9, "hello"));
        deletions.post(posted(new, 7, 10, "hello"));
        deletions.post(posted(of_another, 8, 15, "hello"));
        deletions.decide(ban, Effect::Purge { user: 7, seconds: 10, at: second(20) });
        deletions.post(posted(later, 7, 19, "hello"));
        let deleted = [old, new, of_another, later].map(|message| deletion(&deletions, message));
        assert_eq!(deleted, [None, Some(ban), None, None]);
    }

    fn sweep(texts: Option<&[&str]>, users: Option<&[i64]>) -> Effect {
        let texts = texts.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
        let users = users.map(<[i64]>::to_vec);
        let swept = Swept { texts, users, seconds_back: 10, ..Swept::default() };
        Effect::Sweep { swept, at: second(20) }
    }

    #[test]
    fn similar_texts_share_most_pairs_of_characters() {
        for (one, other, percent, expected) in [
            ("raid 7 of club 1", "Raid 7 of club 2", 93, true),
            ("raid 7 of club 1", "Raid 7 of club 2", 94, false),
            ("raid", "raids", 85, true),
            ("aaaa", "aa", 50, true),
            ("aaaa", "aa", 51, false),
            ("a", "a", 50, false),
        ] {
            assert_eq!(are_similar(one, other, percent), expected, "{one} and {other}");
        }
    }

    #[test]
    fn a_sweep_by_a_label_deletes_what_has_it() {
        for (label, deletes) in [("rude", true), ("link", false)] {
            let [message, by_label] = [(); 2].map(|()| EventId::new());
            let swept = Swept { label: Some(label.to_owned()), seconds_back: 10, ..Swept::default() };
            let mut deletions = Deletions::default();
            deletions.post(posted(message, 7, 15, "raid"));
            deletions.decide(by_label, Effect::Sweep { swept, at: second(20) });
            assert_eq!(deletion(&deletions, message), deletes.then_some(by_label), "{label}");
        }
    }

    #[test]
    fn a_sweep_deletes_what_matches_until_it_is_undone() {
        let [old, raid, spelled, presenters, other, later] = [(); 6].map(|()| EventId::new());
        let [by_text, by_user, end] = [(); 3].map(|()| EventId::new());
        let mut deletions = Deletions::default();
        deletions.post(posted(old, 7, 9, "raid"));
        deletions.post(posted(raid, 7, 10, "raid"));
        deletions.post(posted(spelled, 8, 11, "Raid"));
        deletions.post(posted(presenters, 42, 12, "raid"));
        deletions.post(posted(other, 8, 13, "hello"));
        deletions.decide(by_text, sweep(Some(&["RAID"]), None));
        deletions.post(posted(later, 7, 19, "raid"));
        let deleted = |deletions: &Deletions| {
            [old, raid, spelled, presenters, other, later].map(|message| deletion(deletions, message))
        };
        assert_eq!(deleted(&deletions), [None, Some(by_text), Some(by_text), None, None, None]);
        deletions.decide(by_user, sweep(None, Some(&[8, 42])));
        deletions.decide(end, Effect::Unsweep(by_text));
        assert_eq!(deleted(&deletions), [None, None, Some(by_user), Some(by_user), Some(by_user), None]);
    }

    #[test]
    fn a_sweep_that_refuses_deletes_later_posts_until_its_time_or_its_end() {
        let [swept, early, late, presenters, released, after, sweep_id, end] = [(); 8].map(|()| EventId::new());
        let mut deletions = Deletions::default();
        let Effect::Sweep { swept: mut rule, at } = sweep(Some(&["raid"]), None) else { unreachable!("it is one") };
        rule.refuses_until = Some(second(30));
        deletions.post(posted(swept, 7, 19, "raid"));
        deletions.decide(sweep_id, Effect::Sweep { swept: rule, at });
        deletions.post(posted(early, 7, 29, "Raid"));
        deletions.post(posted(late, 7, 30, "raid"));
        deletions.post(posted(presenters, 42, 25, "raid"));
        deletions.post(Posted { is_released: true, ..posted(released, 7, 25, "raid") });
        let all = [swept, early, late, presenters, released];
        let deleted = all.map(|message| deletion(&deletions, message).is_some());
        assert_eq!(deleted, [true, true, false, false, false]);
        deletions.decide(end, Effect::Unsweep(sweep_id));
        deletions.post(posted(after, 7, 29, "raid"));
        assert!(all.into_iter().chain([after]).all(|message| deletion(&deletions, message).is_none()));
    }
}
