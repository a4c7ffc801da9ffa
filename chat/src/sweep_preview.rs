//! What a sweep would delete: a replay of the events of a room, which remembers the messages that match and whether
//! another decision has deleted them already.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::body::{Body, MessagePosted, NoticePosted, User};
use crate::event::Event;
use crate::ids::{EventId, UserIdx};
use crate::sweeps::SweepMatcher;

/// A sweep that is not made.
#[derive(Debug)]
pub struct SweepPreview {
    rule: SweepMatcher,
    since: Timestamp,
    messages: Vec<PreviewedMessage>,
    /// The places of the messages in the list.
    places: HashMap<EventId, usize>,
    /// The messages that earlier sweeps deleted, by sweep.
    swept: HashMap<EventId, Vec<usize>>,
    /// The earlier sweeps that delete later messages, too.
    refusing: Vec<Refusing>,
}

/// A sweep that deletes later posts.
#[derive(Debug)]
struct Refusing {
    sweep: EventId,
    rule: SweepMatcher,
    since: Timestamp,
    until: Timestamp,
}

/// A message that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewedMessage {
    /// Its id.
    pub id: EventId,
    /// When it was sent.
    pub at: Timestamp,
    /// Its author.
    pub user: User,
    /// Its text.
    pub text: String,
    is_deleted: bool,
    /// How many earlier sweeps deleted it.
    sweeps: usize,
    flags: Vec<String>,
}

impl SweepPreview {
    /// A preview of a sweep with that rule, of messages that were sent since then.
    pub fn new(rule: SweepMatcher, since: Timestamp) -> SweepPreview {
        SweepPreview {
            rule,
            since,
            messages: Vec::new(),
            places: HashMap::new(),
            swept: HashMap::new(),
            refusing: Vec::new(),
        }
    }

    /// Applies an event of the room or of every room, in the log's order and each once. `at`: its time, as readers of
    /// the log believe it. Sweeps of the [`crate::LONGEST_FORWARD`] before the preview's time matter, too.
    pub fn apply(&mut self, at: Timestamp, event: &Event) {
        match &event.body {
            Body::MessagePosted(posted) => {
                let MessagePosted { user, text, flags, .. } = posted;
                if self.post(event.id, at, user, text, flags) {
                    self.refuse(event.id, at, posted);
                }
            }
            Body::MessageReleased(released) => {
                let MessagePosted { user, text, flags, .. } = &released.posted;
                self.post(event.id, at, user, text, flags);
            }
            Body::NoticePosted(NoticePosted { user, text }) => drop(self.post(event.id, at, user, text, &[])),
            Body::MessageDeleted(deleted) => {
                if let Some(message) = self.message(deleted.target) {
                    message.is_deleted = true;
                }
            }
            Body::MessageRestored(restored) => {
                let Some(place) = self.places.get(&restored.target).copied() else { return };
                (self.messages[place].is_deleted, self.messages[place].sweeps) = (false, 0);
                self.swept.values_mut().for_each(|places| places.retain(|other| *other != place));
            }
            Body::RoomCleared(_) => self.messages.iter_mut().for_each(|message| message.is_deleted = true),
            Body::UserBanned(banned) => {
                let Some(seconds) = banned.purge_seconds.filter(|_| event.presenter.is_some()) else { return };
                let since = at - std::time::Duration::from_secs(seconds.into());
                let theirs = |message: &&mut PreviewedMessage| message.user.idx == banned.user && message.at >= since;
                self.messages.iter_mut().filter(theirs).for_each(|message| message.is_deleted = true);
            }
            Body::RoomSwept(swept) => {
                let (rule, since) = (SweepMatcher::new(&swept.rule), swept.since(at));
                let mut places = Vec::new();
                for (place, message) in self.messages.iter_mut().enumerate() {
                    if message.at >= since && rule.matches(&message.user, &message.text, &message.flags) {
                        message.sweeps += 1;
                        places.push(place);
                    }
                }
                self.swept.insert(event.id, places);
                let sweep = event.id;
                self.refusing.extend(swept.deletes_until().map(|until| Refusing { sweep, rule, since, until }));
            }
            Body::SweepUndone(undone) => {
                self.refusing.retain(|refusing| refusing.sweep != undone.target);
                for place in self.swept.remove(&undone.target).unwrap_or_default() {
                    self.messages[place].sweeps -= 1;
                }
            }
            Body::UserErased(erased) => {
                let theirs = |message: &&mut PreviewedMessage| message.user.idx == erased.user;
                self.messages.iter_mut().filter(theirs).for_each(PreviewedMessage::erase);
            }
            _ => {}
        }
    }

    /// The messages that the sweep would delete, the earliest first.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &PreviewedMessage> {
        self.messages.iter().filter(|message| !message.is_deleted && message.sweeps == 0)
    }

    /// Their authors, each with the number of messages. Those with the most come first.
    pub fn authors(&self) -> Vec<(&User, usize)> {
        let mut authors: HashMap<UserIdx, (&User, usize)> = HashMap::new();
        for message in self.messages() {
            let author = authors.entry(message.user.idx).or_insert((&message.user, 0));
            *author = (&message.user, author.1 + 1);
        }
        let mut authors: Vec<(&User, usize)> = authors.into_values().collect();
        authors.sort_by_key(|(user, messages)| (std::cmp::Reverse(*messages), user.idx));
        authors
    }

    /// Returns whether the message is a new one that matches.
    fn post(&mut self, id: EventId, at: Timestamp, user: &User, text: &str, flags: &[String]) -> bool {
        if at < self.since || !self.rule.matches(user, text, flags) || self.places.contains_key(&id) {
            return false;
        }
        self.places.insert(id, self.messages.len());
        let (user, text, flags) = (user.clone(), text.to_owned(), flags.to_vec());
        self.messages.push(PreviewedMessage { id, at, user, text, is_deleted: false, sweeps: 0, flags });
        true
    }

    /// Applies earlier sweeps to the latest message.
    fn refuse(&mut self, id: EventId, at: Timestamp, posted: &MessagePosted) {
        let SweepPreview { refusing, messages, places, swept, .. } = self;
        let place = places[&id];
        for Refusing { sweep, rule, since, until } in refusing {
            if (*since..*until).contains(&at) && rule.matches_later(posted) {
                messages[place].sweeps += 1;
                swept.entry(*sweep).or_default().push(place);
            }
        }
    }

    fn message(&mut self, id: EventId) -> Option<&mut PreviewedMessage> {
        self.places.get(&id).map(|place| &mut self.messages[*place])
    }
}

impl PreviewedMessage {
    /// Nothing restores what a user wrote before an erasure, so it is as if it did not match.
    fn erase(&mut self) {
        self.is_deleted = true;
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{
        ErasureMode, MessageDeleted, MessageRestored, Role, RoomCleared, UserBanned, UserErased, UserUnbanned,
    };
    use crate::ids::PresenterIdx;
    use crate::sweeps::{Forward, ForwardAction, RoomSwept, SweepRule, SweepUndone};

    fn user(idx: i64) -> User {
        User { idx: UserIdx::try_from(idx).unwrap(), nickname: String::new(), role: Role::Viewer }
    }

    fn event(body: Body) -> Event {
        Event::now(PresenterIdx::try_from(42).unwrap(), body)
    }

    fn said(idx: i64, text: &str) -> Event {
        event(Body::MessagePosted(MessagePosted::new(user(idx), text)))
    }

    fn rule(text: &str) -> SweepRule {
        SweepRule { texts: Some(vec![text.to_owned()]), ..SweepRule::default() }
    }

    fn swept(text: &str) -> Event {
        let rule = rule(text);
        let swept = RoomSwept { rule, seconds_back: 60, forward: None, by: user(3), reason: None };
        event(Body::RoomSwept(Box::new(swept)))
    }

    fn refusing(text: &str) -> Event {
        let Event { at, body: Body::RoomSwept(mut swept), .. } = swept(text) else { panic!("it is a sweep") };
        let until = at + std::time::Duration::from_secs(60);
        swept.forward = Some(Forward { action: ForwardAction::Refuse, until });
        event(Body::RoomSwept(swept))
    }

    fn undone(target: EventId) -> Event {
        event(Body::SweepUndone(SweepUndone { target, by: user(3), reason: None }))
    }

    fn restored(target: EventId) -> Event {
        event(Body::MessageRestored(MessageRestored { target, by: user(3), reason: None }))
    }

    fn deleted(target: EventId) -> Event {
        event(Body::MessageDeleted(MessageDeleted { target, by: user(3), reason: None }))
    }

    fn banned(idx: i64, purge_seconds: Option<u32>) -> Event {
        let banned = UserBanned { user: user(idx).idx, until: None, purge_seconds, by: user(3), reason: None };
        event(Body::UserBanned(banned))
    }

    #[test]
    fn a_preview_has_the_messages_that_match_and_that_nothing_has_deleted() {
        let (one, two, other) = (said(7, "RAID"), said(8, "raid"), said(9, "hello"));
        let cleared = event(Body::RoomCleared(RoomCleared { by: user(3), reason: None }));
        let erased = Body::UserErased(UserErased { user: user(7).idx, mode: ErasureMode::Remove, by: user(3) });
        let (erased, sweep, again) = (Event::of_every_room(erased), swept("raid"), swept("raid"));
        let unbanned = event(Body::UserUnbanned(UserUnbanned { user: user(7).idx, by: user(3), reason: None }));
        for (events, left) in [
            (vec![], vec![7, 8]),
            (vec![deleted(one.id), unbanned], vec![8]),
            (vec![deleted(one.id), restored(one.id)], vec![7, 8]),
            (vec![cleared.clone(), restored(two.id)], vec![8]),
            (vec![banned(7, Some(60)), banned(8, None)], vec![8]),
            (vec![sweep.clone(), swept("hello")], vec![]),
            (vec![sweep.clone(), undone(sweep.id), undone(sweep.id)], vec![7, 8]),
            (vec![sweep.clone(), again.clone(), undone(sweep.id)], vec![]),
            (vec![sweep.clone(), again.clone(), undone(sweep.id), undone(again.id)], vec![7, 8]),
            (vec![sweep.clone(), restored(one.id), undone(sweep.id), again.clone(), undone(again.id)], vec![7, 8]),
            (vec![sweep.clone(), deleted(two.id), undone(sweep.id)], vec![7]),
            (vec![erased], vec![8]),
        ] {
            let mut preview = SweepPreview::new(SweepMatcher::new(&rule("raid")), Timestamp::MIN);
            [&one, &two, &other, &one].into_iter().chain(&events).for_each(|event| preview.apply(event.at, event));
            let authors: Vec<i64> = preview.messages().map(|message| message.user.idx.get()).collect();
            assert_eq!(authors, left, "{events:?}");
            assert_eq!(preview.authors().len(), left.len());
        }
    }

    #[test]
    fn what_an_earlier_sweep_refuses_is_not_in_a_preview_until_that_sweep_is_undone() {
        let (sweep, message) = (refusing("raid"), said(7, "Raid"));
        let minute = std::time::Duration::from_secs(60);
        for (sent_after, end, is_left) in [
            (minute / 2, None, false),
            (minute, None, true),
            (minute / 2, Some(undone(sweep.id)), true),
            (minute / 2, Some(restored(message.id)), true),
        ] {
            let mut preview = SweepPreview::new(SweepMatcher::new(&rule("raid")), sweep.at);
            preview.apply(sweep.at, &sweep);
            preview.apply(sweep.at + sent_after, &message);
            end.iter().for_each(|event| preview.apply(event.at, event));
            assert_eq!(preview.messages().count() == 1, is_left, "{sent_after:?} {end:?}");
        }
        let mut preview = SweepPreview::new(SweepMatcher::new(&rule("raid")), sweep.at);
        for event in [&sweep, &undone(sweep.id), &message] {
            preview.apply(sweep.at, event);
        }
        assert_eq!(preview.messages().count(), 1, "the sweep was undone before");
    }

    #[test]
    fn a_preview_begins_at_its_time_and_counts_by_author() {
        let messages: Vec<Event> = [7, 8, 8, 7, 8].map(|idx| said(idx, "raid")).to_vec();
        let start = messages[0].at;
        let mut preview = SweepPreview::new(SweepMatcher::new(&rule("raid")), start);
        preview.apply(start - std::time::Duration::from_millis(1), &said(9, "raid"));
        messages.iter().for_each(|message| preview.apply(message.at, message));
        let authors: Vec<(i64, usize)> =
            preview.authors().iter().map(|(user, count)| (user.idx.get(), *count)).collect();
        assert_eq!(authors, [(8, 3), (7, 2)]);
        assert_eq!(preview.messages().next_back().map(|message| message.id), Some(messages[4].id));
    }
}
