//! Bans, settings, and moderators of rooms.

use std::collections::btree_map::Entry;

use chat::EventId;

use super::{APPOINTED, QUIET, ROOMS, SETTINGS, World};
use crate::history::Decided;

impl World {
    pub(super) fn appoint_or_dismiss(&mut self, now: u64) {
        let user = APPOINTED;
        let decided = if self.is_appointed { Decided::Dismiss { user } } else { Decided::Appoint { user } };
        self.decide(now, Some(1), decided);
        self.is_appointed = !self.is_appointed;
    }

    pub(super) fn decide_as_moderator(&mut self, now: u64) {
        let known: Vec<EventId> =
            self.accepted.iter().filter(|(at, room, _)| *at < now && *room == 1).map(|(.., id)| *id).collect();
        if !known.is_empty() {
            let target = known[self.rng.usize(..known.len())];
            self.decide_by(now, Some(1), Some(APPOINTED), Decided::Delete { target });
        }
    }

    pub(super) fn ban_or_unban(&mut self, now: u64) {
        let room = (self.rng.u32(..4) > 0).then(|| self.rng.i64(1..=ROOMS));
        // Few users, so that some are unbanned.
        let user = self.rng.i64(100..103);
        if self.banned.remove(&(room, user)) {
            self.decide(now, room, Decided::Unban { user });
        } else {
            self.banned.insert((room, user));
            let purge_seconds = (room.is_some() && self.rng.bool()).then(|| self.rng.u32(2..20));
            self.decide(now, room, Decided::Ban { user, purge_seconds });
        }
    }

    /// Refuses texts of viewers in a room for a while.
    pub(super) fn quieten(&mut self, now: u64) {
        let (room, setting) = (self.rng.i64(1..=ROOMS), self.rng.usize(..SETTINGS.len()));
        if let Entry::Vacant(quiet) = self.quiet.entry(room) {
            quiet.insert((now, setting));
            let (setting, value, _) = SETTINGS[setting];
            self.set(now, room, setting, value);
        }
    }

    /// Lifts a restriction that has lasted long enough. False: there is none.
    pub(super) fn allow_again(&mut self, now: u64) -> bool {
        let over = self.quiet.iter().find(|(_, (since, _))| since + QUIET < now);
        let over = over.map(|(room, (_, setting))| (*room, SETTINGS[*setting].0));
        if let Some((room, setting)) = over {
            self.quiet.remove(&room);
            self.set(now, room, setting, "null");
        }
        over.is_some()
    }

    fn set(&mut self, now: u64, room: i64, setting: &str, value: &str) {
        let (setting, value) = (setting.to_owned(), value.to_owned());
        self.decide(now, Some(room), Decided::Configure { setting, value });
    }
}
