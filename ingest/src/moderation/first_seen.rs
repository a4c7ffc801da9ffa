//! Finds the users who first wrote in a room a short while ago: the accounts of a raid are often new. The log tells,
//! and nothing else: it has the room's messages of at most its age. A log that does not reach back far enough to tell
//! is no reason to sweep, so that ignorance makes nobody new. This file does not know HTTP.

use std::collections::HashMap;
use std::time::Duration;

use chat::{Body, Event, PresenterIdx, Role, User, UserIdx};
use jiff::{SignedDuration, Timestamp};
use nats::{AppendError, MOST_AHEAD, ScanEnd};
use tokio::time::{Instant, timeout_at};

use super::preview::MOST_EVENTS;
use super::sweep_order::{MOST_USERS, SweepOrder};
use crate::refusal::Refusal;
use crate::state::Ingest;

/// How far back earlier messages are looked for, at best: a day, or 2 hours if a day has too many events.
const LOOK_BACK: [SignedDuration; 2] = [SignedDuration::from_hours(24), SignedDuration::from_hours(2)];

/// Earlier messages are looked for at least so many times as far back as first ones.
const LEAST_TIMES: i32 = 2;

/// 4 s for all readings: a moderator waits for the answer.
const READ_WITHIN: Duration = Duration::from_secs(4);

/// Users who first wrote in the room within some seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstSeen {
    /// The latest first, at most as many as a rule may name.
    pub(crate) users: Vec<UserIdx>,
    /// They wrote nothing in the room from then on, before their first message.
    since: Timestamp,
    /// Whether they are all.
    is_complete: bool,
}

/// What an answer says about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Newcomers {
    pub(crate) users: usize,
    pub(crate) since: Timestamp,
    pub(crate) is_complete: bool,
}

impl From<&FirstSeen> for Newcomers {
    fn from(FirstSeen { users, since, is_complete }: &FirstSeen) -> Newcomers {
        Newcomers { users: users.len(), since: *since, is_complete: *is_complete }
    }
}

impl Ingest {
    /// The viewers whose first message in the room is as young as the order asks. None: it does not ask.
    pub(crate) async fn first_seen(
        &self,
        room: PresenterIdx,
        order: &SweepOrder,
    ) -> Result<Option<FirstSeen>, Refusal> {
        let Some(seconds) = order.first_seen_seconds() else { return Ok(None) };
        let (now, deadline) = (self.log.now(), Instant::now() + READ_WITHIN);
        let unread = |error: nats::Error| {
            tracing::warn!(%error, "cannot read the log for the users whom a room has not seen before: {error}");
            Refusal::Append(AppendError::Unavailable)
        };
        let whole_since = self.log.whole_since(room).await.map_err(unread)?;
        let seconds = SignedDuration::from_secs(seconds.into());
        let least = seconds * LEAST_TIMES;
        if whole_since > before(now, least) {
            return Err(Refusal::FirstSeenUnknown);
        }
        for look_back in LOOK_BACK.into_iter().filter(|look_back| *look_back > least).chain([least]) {
            let since = whole_since.max(before(now, look_back));
            let mut authors = Authors::default();
            // An event is stored at most so long before its own time.
            let stored_since = since.checked_sub(MOST_AHEAD).unwrap_or(Timestamp::MIN);
            let scan = self.log.scan(room, stored_since, MOST_EVENTS, |entry| {
                if let Ok(event) = entry.event() {
                    authors.apply(entry.at, &event);
                }
            });
            match timeout_at(deadline, scan).await {
                Ok(Ok(ScanEnd::Complete)) => {
                    let mut users = authors.first_seen_since(before(now, seconds));
                    let is_complete = users.len() <= MOST_USERS;
                    users.truncate(MOST_USERS);
                    return Ok(Some(FirstSeen { users, since, is_complete }));
                }
                Ok(Ok(ScanEnd::TooMany)) => {}
                Ok(Err(error)) => return Err(unread(error)),
                Err(_elapsed) => break,
            }
        }
        Err(Refusal::FirstSeenUnknown)
    }
}

fn before(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// When each author first wrote in the room, as far as the log was read, and whether always as a viewer.
#[derive(Debug, Default)]
struct Authors(HashMap<UserIdx, (Timestamp, bool)>);

impl Authors {
    fn apply(&mut self, at: Timestamp, event: &Event) {
        let User { idx, role, .. } = match &event.body {
            Body::MessagePosted(posted) => &posted.user,
            Body::MessageReleased(released) => &released.posted.user,
            Body::NoticePosted(notice) => &notice.user,
            _ => return,
        };
        let is_viewer = *role == Role::Viewer;
        let (first, only_viewer) = self.0.entry(*idx).or_insert((at, is_viewer));
        (*first, *only_viewer) = (at.min(*first), is_viewer && *only_viewer);
    }

    /// The viewers who did so from then on, the latest first.
    fn first_seen_since(self, since: Timestamp) -> Vec<UserIdx> {
        let new = self.0.into_iter().filter(|(_, (first, is_viewer))| *first >= since && *is_viewer);
        let mut users: Vec<(UserIdx, Timestamp)> = new.map(|(user, (first, _))| (user, first)).collect();
        users.sort_unstable_by_key(|(user, first)| (std::cmp::Reverse(*first), *user));
        users.into_iter().map(|(user, _)| user).collect()
    }
}

#[cfg(test)]
mod tests {
    use chat::{MessagePosted, NoticePosted};

    use super::*;

    fn user(idx: i64, role: Role) -> User {
        User { idx: UserIdx::try_from(idx).unwrap(), nickname: String::new(), role }
    }

    #[test]
    fn viewers_whose_first_message_is_recent_are_new() {
        let room = PresenterIdx::try_from(42).unwrap();
        let second = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let said = |idx, role| Event::now(room, Body::MessagePosted(MessagePosted::new(user(idx, role), "raid")));
        let notice = NoticePosted { user: user(3, Role::Moderator), text: "no raids".to_owned() };
        let mut authors = Authors::default();
        for (at, event) in [
            (10, said(7, Role::Viewer)),
            (11, Event::now(room, Body::NoticePosted(notice))),
            (60, said(7, Role::Viewer)),
            (61, said(8, Role::Viewer)),
            // Of two nodes with different clocks.
            (64, said(6, Role::Viewer)),
            (59, said(6, Role::Viewer)),
            (62, said(42, Role::Presenter)),
            (63, said(3, Role::Viewer)),
            (63, said(5, Role::Viewer)),
            (64, said(5, Role::Moderator)),
            (65, said(4, Role::Viewer)),
        ] {
            authors.apply(second(at), &event);
        }
        let new: Vec<i64> = authors.first_seen_since(second(60)).into_iter().map(UserIdx::get).collect();
        assert_eq!(new, [4, 8]);
    }
}
