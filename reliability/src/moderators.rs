//! Those who decide: they delete what was just said, clear rooms, ban and unban. Nobody is decided about by two of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat::{EventId, Position};
use fastrand::Rng;
use parking_lot::Mutex;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, ask, client};
use crate::history::{Decided, Recorder, What};
use crate::system::token;
use crate::viewers::{FIRST, Latest};

/// The number of the first moderator.
pub(crate) const FIRST_MODERATOR: i64 = 900;

/// So many viewers are banned now and then.
pub(crate) const OFFENDERS: i64 = 6;

/// How long a ban lasts, in milliseconds: some outlast the restart of an ingest node.
pub(crate) const BAN_MS: std::ops::Range<u64> = 5_000..25_000;

/// A decision of unknown outcome is asked for again so often.
const ATTEMPTS: u32 = 4;

/// Who decides, and where.
#[derive(Debug)]
pub(crate) struct Moderators {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) ingest: Vec<String>,
    pub(crate) rooms: i64,
    pub(crate) seed: u64,
    pub(crate) latest: Arc<Latest>,
    pub(crate) decisions: AtomicU64,
    /// What was confirmed to be deleted.
    pub(crate) deleted: Mutex<Vec<EventId>>,
    /// Up to where which room was cleared.
    pub(crate) cleared: Mutex<Vec<(i64, Position)>>,
}

impl Moderators {
    /// Decides until told to stop.
    pub(crate) async fn decide(&self, number: i64, stop: &CancellationToken) -> anyhow::Result<()> {
        let (client, token) = (client()?, token(FIRST_MODERATOR + number, true));
        let mut rng = Rng::with_seed(self.seed.wrapping_add(number.unsigned_abs() + 1));
        let mut bans: BTreeMap<(i64, i64), Instant> = BTreeMap::new();
        loop {
            let pause = Duration::from_millis(rng.u64(100..500));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let ripe = bans.iter().find(|(_, until)| **until < Instant::now()).map(|(who, _)| *who);
            if let Some((room, user)) = ripe {
                // Of unknown outcome: it is lifted again, until there is none.
                let answer = self.ask(&client, &token, Some(room), Decided::Unban { user }, &mut rng).await;
                if !matches!(answer, Answer::Unknown(_) | Answer::Refused { status: 0 | 503, .. }) {
                    bans.remove(&(room, user));
                }
                continue;
            }
            match rng.u32(..400) {
                // Seldom: it takes everything away that could be replayed.
                0..2 => {
                    let room = rng.i64(1..=self.rooms);
                    self.ask(&client, &token, Some(room), Decided::Clear, &mut rng).await;
                }
                2..80 => {
                    // Odd ones are the other moderator's.
                    let user = FIRST + rng.i64(0..OFFENDERS / 2) * 2 + number % 2;
                    let room = if rng.bool() { 1 } else { rng.i64(1..=self.rooms) };
                    if let Entry::Vacant(ban) = bans.entry((room, user)) {
                        let answer = self.ask(&client, &token, Some(room), Decided::Ban { user }, &mut rng).await;
                        if !matches!(answer, Answer::Refused { .. }) {
                            ban.insert(Instant::now() + Duration::from_millis(rng.u64(BAN_MS)));
                        }
                    }
                }
                _ => {
                    if let Some((room, target)) = self.latest.any(&mut rng) {
                        self.ask(&client, &token, Some(room), Decided::Delete { target }, &mut rng).await;
                    }
                }
            }
        }
    }

    /// Decides in the room, or in every room.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        token: &str,
        room: Option<i64>,
        decided: Decided,
        rng: &mut Rng,
    ) -> Answer {
        let decision = self.decisions.fetch_add(1, Ordering::Relaxed);
        let key = format!("{:x}-decision-{decision}", self.seed);
        // By this it is known wherever it is shown.
        let reason = format!("reason-{decision}");
        let mut node = rng.usize(..self.ingest.len());
        let mut unknown = None;
        for attempt in 1..=ATTEMPTS {
            self.recorder.note(What::Decides {
                decision,
                attempt,
                node: format!("ingest-{node}"),
                room,
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
                Decided::Clear => (Method::DELETE, format!("{base}/messages?reason={reason}"), None),
                Decided::Ban { user } => {
                    (Method::PUT, format!("{base}/bans/{user}"), Some(json!({ "reason": reason })))
                }
                Decided::Unban { user } => (Method::DELETE, format!("{base}/bans/{user}?reason={reason}"), None),
                Decided::Configure { setting, value } => {
                    let value: Value = serde_json::from_str(value).expect("a setting's value is JSON");
                    let body = json!({ "settings": { (setting.as_str()): value }, "reason": reason });
                    (Method::PATCH, format!("{base}/settings"), Some(body))
                }
            };
            let answer = ask(client, method, url, token, Some(&key), body.as_ref()).await;
            match answer {
                Answer::Accepted { id, position, .. } => {
                    self.confirmed(room, &decided, position);
                    self.recorder.note(What::Confirmed { decision, attempt, id, position });
                    return answer;
                }
                Answer::Refused { status, ref code } => {
                    self.recorder.note(What::Refused { decision, attempt, status, code: code.clone() });
                    // Refused now; what an earlier attempt came to is as unknown as before.
                    match unknown {
                        Some(_) => break,
                        None => return answer,
                    }
                }
                Answer::Unknown(why) => {
                    self.recorder.note(What::Undecided { decision, attempt, why: why.clone() });
                    unknown = Some(why);
                }
            }
            node = (node + 1) % self.ingest.len();
        }
        Answer::Unknown(unknown.expect("every other answer has returned"))
    }

    fn confirmed(&self, room: Option<i64>, decided: &Decided, position: Position) {
        match decided {
            Decided::Delete { target } => {
                self.deleted.lock().push(*target);
            }
            Decided::Clear => {
                let room = room.expect("no moderator clears every room");
                self.cleared.lock().push((room, position));
            }
            _ => {}
        }
    }
}
