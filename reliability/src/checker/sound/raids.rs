//! Raids, which moderators sweep and sometimes undo.

use chat::EventId;

use super::{Draft, Event, MS, ROOMS, STEPS, World};
use crate::history::{Decided, Observation, Surface, Swept};

/// The first of the users who raid.
const FIRST_RAIDER: i64 = 150;

/// The messages of a raid.
const MESSAGES: u64 = 4;

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
            let (post, node, surface, key) = (STEPS + step * MESSAGES + wave, "ingest-0".to_owned(), Surface::V1, None);
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
        let texts = Some(vec![text, "another".to_owned()]);
        let swept = Swept { texts, similarity: None, users, seconds_back: 60 };
        let sweep = self.decide_by(now + 100 * MS, Some(room), None, Decided::Sweep { swept });
        if let Some(target) = sweep.filter(|_| self.rng.u32(..3) > 0) {
            self.decide(now + 170 * MS, Some(room), Decided::Unsweep { target });
        }
    }
}
