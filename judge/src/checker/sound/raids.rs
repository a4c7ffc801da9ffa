//! Raids, which moderators sweep and sometimes undo.

use chat::EventId;

use super::{Draft, Event, MS, ROOMS, STEPS, World};
use crate::history::{Decided, Observation, Surface, Swept};

/// The first of the users who raid.
const FIRST_RAIDER: i64 = 150;

/// The messages of a raid before a sweep.
const MESSAGES: u64 = 4;

/// The posts of a raid. Of the two after a sweep that refuses them, another node accepts the first.
const POSTS: u64 = MESSAGES + 2;

impl World {
    /// Two users write a text, each spelled otherwise every time, and so does the presenter. Then a sweep, and in two of
    /// three cases its end, so soon that nodes hold all of it.
    pub(super) fn raid(&mut self, now: u64, step: u64) {
        let room = self.rng.i64(1..=ROOMS);
        if self.quiet.contains_key(&room) {
            return;
        }
        let text = format!("raid {step}");
        let mut messages = Vec::new();
        for (wave, letter) in (0..MESSAGES).zip(["R", "A", "I", "D"]) {
            let (post, node, surface, key) = (STEPS + step * POSTS + wave, "ingest-0".to_owned(), Surface::V1, None);
            let user = if wave == 0 { room } else { FIRST_RAIDER + wave as i64 % 2 };
            let (id, text) = (EventId::new(), text.replace(&letter.to_lowercase(), letter));
            let at = now + wave * 10 * MS;
            let said = text.clone();
            self.draft(at, Observation::Invoked { post, attempt: 1, node, room, user, surface, key, text: said });
            let (user, text) = (Some(user), Some(text));
            self.events.push(Event { id, user, text, ..Event::of(at + 2 * MS, Some(room), "message.posted") });
            self.drafts.push((at + 4 * MS, Draft::Ok { post, attempt: 1, room, id, status: 202 }));
            messages.push(id);
        }
        if self.rng.bool() {
            let target = messages[self.rng.usize(..messages.len())];
            self.decide(now + 50 * MS, Some(room), Decided::Delete { target });
        }
        let users = self.rng.bool().then(|| vec![FIRST_RAIDER, room]);
        let texts = Some(vec![text.clone(), "another".to_owned()]);
        let refuses_for = step.is_multiple_of(2).then_some(60);
        let swept = Swept { texts, similarity: None, users, seconds_back: 60, refuses_for, refuses_until: None };
        let sweep = self.decide_by(now + 100 * MS, Some(room), None, Decided::Sweep { swept });
        if sweep.is_some() && refuses_for.is_some() {
            let (first, user) = (STEPS + step * POSTS + MESSAGES, FIRST_RAIDER);
            // No two posts have the same text.
            let (accepted, refused) = (text.to_uppercase(), text.replace("ra", "RA"));
            let invoked = |post, node: &str, text: &String| {
                let (node, surface, text) = (node.to_owned(), Surface::V1, text.clone());
                Observation::Invoked { post, attempt: 1, node, room, user, surface, key: None, text }
            };
            let id = EventId::new();
            self.draft(now + 90 * MS, invoked(first, "ingest-1", &accepted));
            let (user, text) = (Some(user), Some(accepted));
            self.events.push(Event { id, user, text, ..Event::of(now + 125 * MS, Some(room), "message.posted") });
            self.drafts.push((now + 135 * MS, Draft::Ok { post: first, attempt: 1, room, id, status: 202 }));
            self.draft(now + 140 * MS, invoked(first + 1, "ingest-0", &refused));
            let code = "msg_swept".to_owned();
            self.draft(now + 145 * MS, Observation::Failed { post: first + 1, attempt: 1, status: 403, code });
        }
        if let Some(target) = sweep.filter(|_| self.rng.u32(..3) > 0) {
            self.decide(now + 170 * MS, Some(room), Decided::Unsweep { target });
        }
    }
}
