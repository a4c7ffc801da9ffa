//! Raids, which moderators sweep and sometimes undo.

use std::collections::BTreeMap;

use chat::EventId;

use super::queues::WAITS;
use super::{Draft, Event, MS, ROOMS, STEPS, World};
use crate::history::{Decided, MessageObservation, Observation, Surface, Swept};

/// The first of the users who raid, and of those who do so once.
const FIRST_RAIDER: i64 = 150;
const FIRST_NEW: i64 = 10_000;

/// The messages of a raid before a sweep.
const MESSAGES: u64 = 4;

/// The posts of a raid. Of the two after a sweep that refuses or holds them, another node accepts the first.
const POSTS: u64 = MESSAGES + 2;

/// The flag of some messages of raids.
const FLAG: &str = "rude";

/// How far back a sweep of new accounts looks for first messages, in seconds.
const NEW: u32 = 8;

impl World {
    /// Two users write a text, each spelled otherwise every time, and so does the presenter. Then a sweep, and in two of
    /// three cases its end, so soon that nodes hold all of it.
    pub(super) fn raid(&mut self, now: u64, step: u64) {
        let room = self.rng.i64(1..=ROOMS);
        if self.quiet.contains_key(&room) {
            return;
        }
        self.raids += 1;
        let text = format!("raid {step}");
        let is_new = self.raids.is_multiple_of(3);
        let raider = if is_new { FIRST_NEW + step as i64 * 2 } else { FIRST_RAIDER };
        let mut messages = Vec::new();
        for (wave, letter) in (0..MESSAGES).zip(["R", "A", "I", "D"]) {
            let (post, node, surface, key) = (STEPS + step * POSTS + wave, "ingest-0".to_owned(), Surface::V1, None);
            let user = if wave == 0 { room } else { raider + wave as i64 % 2 };
            let (id, text) = (EventId::new(), text.replace(&letter.to_lowercase(), letter));
            let at = now + wave * 10 * MS;
            let said = text.clone();
            self.draft(at, Observation::Invoked { post, attempt: 1, node, room, user, surface, key, text: said });
            let (user, text) = (Some(user), Some(text));
            let flags = if wave == 1 { vec![FLAG.to_owned()] } else { Vec::new() };
            self.events.push(Event { id, user, text, flags, ..Event::of(at + 2 * MS, Some(room), "message.posted") });
            self.drafts.push((at + 4 * MS, Draft::Ok { post, attempt: 1, room, id, status: 202 }));
            messages.push(id);
        }
        if self.rng.bool() {
            let target = messages[self.rng.usize(..messages.len())];
            self.decide(now + 50 * MS, Some(room), Decided::Delete { target });
        }
        let users = (!is_new && self.rng.bool()).then(|| vec![raider, raider + 1, room]);
        let texts = Some(vec![text.clone(), "another".to_owned()]);
        // In turn, so that each history has all of them.
        let (refuses_for, holds_for) = match self.raids % 4 {
            0 | 2 => (Some(60), None),
            1 => (None, Some(60)),
            _ => (None, None),
        };
        let first_seen = is_new.then_some(NEW);
        let label = (self.raids % 4 == 3).then(|| FLAG.to_owned());
        let rule = Swept { texts, users, first_seen, label, seconds_back: 60, ..Swept::default() };
        if !is_new {
            self.previews.push((now + 80 * MS, step, room, rule.clone()));
        }
        let swept = Swept { refuses_for, holds_for, ..rule };
        let sweep = self.decide_by(now + 100 * MS, Some(room), None, Decided::Sweep { swept });
        if sweep.is_some() && refuses_for.or(holds_for).is_some() {
            let (first, user) = (STEPS + step * POSTS + MESSAGES, raider);
            // No two posts have the same text.
            let (accepted, second) = (text.to_uppercase(), text.replace("ra", "RA"));
            let invoked = |post, node: &str, text: &String| {
                let (node, surface, text) = (node.to_owned(), Surface::V1, text.clone());
                Observation::Invoked { post, attempt: 1, node, room, user, surface, key: None, text }
            };
            let id = EventId::new();
            self.draft(now + 90 * MS, invoked(first, "ingest-1", &accepted));
            let (user, text) = (Some(user), Some(accepted));
            self.events.push(Event { id, user, text, ..Event::of(now + 125 * MS, Some(room), "message.posted") });
            self.drafts.push((now + 135 * MS, Draft::Ok { post: first, attempt: 1, room, id, status: 202 }));
            self.draft(now + 140 * MS, invoked(first + 1, "ingest-0", &second));
            if holds_for.is_some() {
                // It waits until its time is over.
                let (id, stored, post) = (EventId::new(), now + 142 * MS, first + 1);
                let (target, until, waiting) = (Some(id), Some(stored + WAITS), Some(second));
                let held = Event::of(stored, Some(room), "message.held");
                self.events.push(Event { id: EventId::of_hold(id), user, target, until, waiting, ..held });
                self.drafts.push((now + 145 * MS, Draft::Waits { post, id }));
            } else {
                let code = "msg_swept".to_owned();
                self.draft(now + 145 * MS, Observation::Failed { post: first + 1, attempt: 1, status: 403, code });
            }
        }
        if let Some(target) = sweep.filter(|_| self.rng.u32(..3) > 0) {
            self.decide(now + 170 * MS, Some(room), Decided::Unsweep { target });
        }
    }

    /// The dry runs, once all events are known and in order.
    pub(super) fn answer_previews(&mut self) {
        for (now, preview, room, swept) in std::mem::take(&mut self.previews) {
            let sweep = Event { swept: Some(swept.clone()), ..Event::of(now, Some(room), "room.swept") };
            let of_room: Vec<&Event> = self.events.iter().filter(|event| event.is_of(room)).collect();
            let is_left = |event: &&&Event| event.stored < now && event.deletion(&of_room, now).is_none();
            let matching = of_room.iter().filter(is_left).filter(|event| event.text.is_some() && sweep.deletes(event));
            let latest: Vec<EventId> = matching.map(|event| event.id).collect();
            let node = "ingest-1".to_owned();
            self.draft(now, MessageObservation::Previews { preview, node, room, swept }.into());
            let answer = MessageObservation::Previewed { preview, messages: latest.len(), complete: true, latest };
            self.draft(now + 10 * MS, answer.into());
        }
    }

    /// Sweeps of new accounts name them in the log.
    pub(super) fn name_new_accounts(&mut self) {
        let new = self.events.iter().map(|event| {
            let seconds = event.swept.as_ref()?.first_seen?;
            Some(self.first_seen(event.room?, event.stored, u64::from(seconds) * 1_000 * MS))
        });
        let new: Vec<Option<Vec<i64>>> = new.collect();
        for (event, users) in self.events.iter_mut().zip(new) {
            if let (Some(swept), Some(users)) = (&mut event.swept, users) {
                (swept.first_seen, swept.users) = (None, Some(users));
            }
        }
    }

    /// The viewers whose first message in the room was stored so short a time before.
    fn first_seen(&self, room: i64, stored: u64, span: u64) -> Vec<i64> {
        let mut first: BTreeMap<i64, u64> = BTreeMap::new();
        let posted = self.events.iter().filter(|event| event.room == Some(room) && event.stored < stored);
        for event in posted.filter(|event| event.text.is_some() && event.kind == "message.posted") {
            if let Some(user) = event.user.filter(|user| *user != room) {
                let known = first.entry(user).or_insert(event.stored);
                *known = event.stored.min(*known);
            }
        }
        first.into_iter().filter(|(_, first)| first + span >= stored).map(|(user, _)| user).collect()
    }
}
