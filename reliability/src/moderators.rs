//! Moderators: they delete and restore recent messages, clear rooms, ban and unban. No two of them ban the same user.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat::EventId;
use fastrand::Rng;
use judge::history::{Decided, Observation, Recorder};
use parking_lot::Mutex;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, ask, client};
use crate::raids;
use crate::system::token;
use crate::viewers::{FIRST, Latest};

/// The first moderator's number.
pub(crate) const FIRST_MODERATOR: i64 = 900;

/// The number of viewers who are banned from rooms now and then.
pub(crate) const OFFENDERS: i64 = 6;

/// The duration of a ban in milliseconds. Some outlast the restart of an ingest node.
pub(crate) const BAN_MS: std::ops::Range<u64> = 5_000..25_000;

/// How far back some bans delete the user's messages, in seconds.
const PURGE_SECONDS: std::ops::RangeInclusive<u32> = 1..=60;

/// How many of the latest deletions moderators choose from to restore a message.
const REMEMBERED: usize = 100;

/// The number of attempts at a decision of unknown outcome.
const ATTEMPTS: u32 = 4;

/// One in so many confirmed decisions is asked for again under its key, as if its answer had been lost.
const REPEATED: u32 = 6;

/// The moderators.
#[derive(Debug)]
pub(crate) struct Moderators {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) ingest: Vec<String>,
    pub(crate) rooms: i64,
    pub(crate) seed: u64,
    pub(crate) latest: Arc<Latest>,
    pub(crate) decisions: AtomicU64,
    /// The latest messages whose deletion was confirmed, each with its room.
    pub(crate) deleted: Mutex<VecDeque<(i64, EventId)>>,
    /// Every message that a restoration was requested for, and every sweep that was to be undone, with the reason of
    /// the request.
    pub(crate) restored: Mutex<Vec<(EventId, String)>>,
}

/// Who asks for decisions.
#[derive(Debug)]
pub(crate) struct Caller {
    client: Client,
    token: String,
    /// The user, if the only right is that of a moderator of the room.
    appointed: Option<i64>,
}

impl Caller {
    /// A user with a moderator's scope.
    pub(crate) fn with_scope(user: i64) -> anyhow::Result<Caller> {
        Ok(Caller { client: client()?, token: token(user, true), appointed: None })
    }

    /// A user without any right.
    pub(crate) fn of_user(user: i64) -> anyhow::Result<Caller> {
        Ok(Caller { client: client()?, token: token(user, false), appointed: None })
    }

    /// A user without a scope.
    pub(crate) fn appointed(user: i64) -> anyhow::Result<Caller> {
        Ok(Caller { client: client()?, token: token(user, false), appointed: Some(user) })
    }
}

impl Caller {
    /// Asks what a sweep would delete.
    pub(crate) async fn preview(&self, url: String, body: &Value) -> anyhow::Result<raids::Preview> {
        let request = self.client.post(url).bearer_auth(&self.token).json(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

impl Moderators {
    /// Makes decisions until the stop.
    pub(crate) async fn decide(&self, number: i64, stop: &CancellationToken) -> anyhow::Result<()> {
        let caller = Caller::with_scope(FIRST_MODERATOR + number)?;
        let mut rng = Rng::with_seed(self.seed.wrapping_add(number.unsigned_abs() + 1));
        let mut bans: BTreeMap<(i64, i64), Instant> = BTreeMap::new();
        loop {
            let pause = Duration::from_millis(rng.u64(100..500));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let ripe = bans.iter().find(|(_, until)| **until < Instant::now()).map(|(who, _)| *who);
            if let Some((room, user)) = ripe {
                // The ban may exist: it is lifted until an unban succeeds.
                let answer = self.ask(&caller, Some(room), Decided::Unban { user }, &mut rng).await;
                if !matches!(answer, Answer::Unknown(_) | Answer::Refused { status: 0 | 503, .. }) {
                    bans.remove(&(room, user));
                }
                continue;
            }
            match rng.u32(..400) {
                // Rare: it deletes everything that could be replayed.
                0..2 => {
                    let room = rng.i64(1..=self.rooms);
                    self.ask(&caller, Some(room), Decided::Clear, &mut rng).await;
                }
                2..80 => {
                    // Each moderator has half of the users.
                    let user = FIRST + rng.i64(0..OFFENDERS / 2) * 2 + number % 2;
                    let room = if rng.bool() { 1 } else { rng.i64(1..=self.rooms) };
                    if let Entry::Vacant(ban) = bans.entry((room, user)) {
                        let purge_seconds = rng.bool().then(|| rng.u32(PURGE_SECONDS));
                        let decided = Decided::Ban { user, purge_seconds };
                        let answer = self.ask(&caller, Some(room), decided, &mut rng).await;
                        if !matches!(answer, Answer::Refused { .. }) {
                            ban.insert(Instant::now() + Duration::from_millis(rng.u64(BAN_MS)));
                        }
                    }
                }
                80..160 => {
                    if let Some((room, target)) = self.restorable(&mut rng) {
                        self.ask(&caller, Some(room), Decided::Restore { target }, &mut rng).await;
                    }
                }
                _ => {
                    if let Some((room, target)) = self.latest.any(&mut rng) {
                        self.ask(&caller, Some(room), Decided::Delete { target }, &mut rng).await;
                    }
                }
            }
        }
    }

    /// A message to restore: mostly one that was deleted, otherwise any, which a clear or a ban may have deleted.
    pub(crate) fn restorable(&self, rng: &mut Rng) -> Option<(i64, EventId)> {
        let deleted = self.deleted.lock();
        if deleted.is_empty() || rng.u32(..4) == 0 {
            drop(deleted);
            return self.latest.any(rng);
        }
        Some(deleted[rng.usize(..deleted.len())])
    }

    /// Makes a decision in the room, or in every room.
    pub(crate) async fn ask(&self, caller: &Caller, room: Option<i64>, decided: Decided, rng: &mut Rng) -> Answer {
        let decision = self.decisions.fetch_add(1, Ordering::Relaxed);
        let key = format!("{:x}-decision-{decision}", self.seed);
        // Identifies the decision wherever it is seen.
        let reason = format!("reason-{decision}");
        if let Decided::Restore { target } | Decided::Unsweep { target } = decided {
            self.restored.lock().push((target, reason.clone()));
        }
        let mut node = rng.usize(..self.ingest.len());
        let (mut unknown, mut accepted) = (None, None);
        for attempt in 1..=ATTEMPTS {
            self.recorder.note(Observation::Decides {
                decision,
                attempt,
                node: format!("ingest-{node}"),
                room,
                by: caller.appointed,
                decided: decided.clone(),
                reason: reason.clone(),
            });
            let ingest = &self.ingest[node];
            let base = match room {
                Some(room) => format!("{ingest}/v1/rooms/{room}"),
                None => format!("{ingest}/v1"),
            };
            let (method, url, body) = match &decided {
                Decided::Delete { target } => {
                    (Method::DELETE, format!("{base}/messages/{target}?reason={reason}"), None)
                }
                Decided::Restore { target } => {
                    (Method::DELETE, format!("{base}/messages/{target}/deletion?reason={reason}"), None)
                }
                Decided::Clear => (Method::DELETE, format!("{base}/messages?reason={reason}"), None),
                Decided::Ban { user, purge_seconds } => {
                    // An older server does not know the member.
                    let body = match purge_seconds {
                        Some(seconds) => json!({ "reason": reason, "purgeSeconds": seconds }),
                        None => json!({ "reason": reason }),
                    };
                    (Method::PUT, format!("{base}/bans/{user}"), Some(body))
                }
                Decided::Appoint { user } => {
                    (Method::PUT, format!("{base}/moderators/{user}"), Some(json!({ "reason": reason })))
                }
                Decided::Dismiss { user } => {
                    (Method::DELETE, format!("{base}/moderators/{user}?reason={reason}"), None)
                }
                Decided::Unban { user } => (Method::DELETE, format!("{base}/bans/{user}?reason={reason}"), None),
                Decided::Configure { setting, value } => {
                    let value: Value = serde_json::from_str(value).expect("a setting's value is JSON");
                    let body = json!({ "settings": { (setting.as_str()): value }, "reason": reason });
                    (Method::PATCH, format!("{base}/settings"), Some(body))
                }
                Decided::Release { target } => {
                    (Method::POST, format!("{base}/holds/{target}/release?reason={reason}"), None)
                }
                Decided::Deny { target } => (Method::POST, format!("{base}/holds/{target}/deny?reason={reason}"), None),
                Decided::Report { target, .. } => {
                    let body = json!({ "category": "spam", "reason": reason });
                    (Method::POST, format!("{base}/messages/{target}/reports"), Some(body))
                }
                Decided::CloseReports { target } => {
                    (Method::POST, format!("{base}/reports/{target}/close"), Some(json!({ "reason": reason })))
                }
                Decided::Pin { target } => (Method::PUT, format!("{base}/pin"), Some(json!({ "messageId": target }))),
                Decided::Unpin => (Method::DELETE, format!("{base}/pin"), None),
                Decided::Sweep { swept } => {
                    (Method::POST, format!("{base}/sweeps"), Some(raids::request(swept, &reason)))
                }
                Decided::Unsweep { target } => {
                    (Method::DELETE, format!("{base}/sweeps/{target}?reason={reason}"), None)
                }
                Decided::Warn { user } => {
                    (Method::PUT, format!("{base}/warnings/{user}"), Some(json!({ "reason": reason })))
                }
                Decided::Withdraw { user } => (Method::DELETE, format!("{base}/warnings/{user}?reason={reason}"), None),
                Decided::Note { user } => {
                    (Method::POST, format!("{base}/users/{user}/notes"), Some(json!({ "text": reason })))
                }
                Decided::DeleteNote { user, target } => {
                    (Method::DELETE, format!("{base}/users/{user}/notes/{target}?reason={reason}"), None)
                }
            };
            let answer = ask(&caller.client, method, url, &caller.token, Some(&key), body.as_ref()).await;
            match answer {
                Answer::Accepted { id, position, .. } => {
                    self.remember(room, &decided);
                    self.recorder.note(Observation::Confirmed { decision, attempt, id, position });
                    // As if the answer had not arrived: the same request is asked again, and changes nothing.
                    if attempt > 1 || rng.u32(..REPEATED) > 0 {
                        return answer;
                    }
                    accepted = Some(answer);
                }
                Answer::Refused { status, ref code } => {
                    self.recorder.note(Observation::Refused { decision, attempt, status, code: code.clone() });
                    // This attempt was refused. An earlier attempt's outcome is still unknown, or it was accepted.
                    if unknown.is_none() && accepted.is_none() {
                        return answer;
                    }
                    break;
                }
                Answer::Unknown(why) => {
                    self.recorder.note(Observation::Undecided { decision, attempt, why: why.clone() });
                    unknown = Some(why);
                }
            }
            node = (node + 1) % self.ingest.len();
        }
        accepted.unwrap_or_else(|| Answer::Unknown(unknown.expect("every other answer has returned")))
    }

    fn remember(&self, room: Option<i64>, decided: &Decided) {
        if let (Some(room), Decided::Delete { target }) = (room, decided) {
            let mut deleted = self.deleted.lock();
            deleted.push_back((room, *target));
            if deleted.len() > REMEMBERED {
                deleted.pop_front();
            }
        }
    }
}
