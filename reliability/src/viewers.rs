//! Those who write: many users in many rooms, at a bounded rate. A post whose outcome is unknown is often sent again
//! under the same key, through another node; some are sent through two nodes at once, as impatient clients do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use nats::EventId;
use reqwest::{Client, Method};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, ask, client};
use crate::history::{Recorder, What};
use crate::system::token;

/// The number of the first viewer.
pub(crate) const FIRST: i64 = 1_000;

/// So many of the latest accepted messages moderators choose from.
const REMEMBERED: usize = 400;

/// A client gives up after so many attempts.
const ATTEMPTS: u32 = 6;

/// What was accepted lately: room and message.
#[derive(Debug, Default)]
pub(crate) struct Latest(Mutex<VecDeque<(i64, EventId)>>);

impl Latest {
    fn remember(&self, room: i64, id: EventId) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.push_back((room, id));
        if latest.len() > REMEMBERED {
            latest.pop_front();
        }
    }

    /// One of them; mostly one of the very latest.
    pub(crate) fn any(&self, rng: &mut Rng) -> Option<(i64, EventId)> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let back = if rng.bool() { rng.usize(1..6) } else { rng.usize(1..REMEMBERED) };
        latest.len().checked_sub(back).map(|place| latest[place])
    }
}

/// Who writes what, and where to.
#[derive(Debug)]
pub(crate) struct Viewers {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) ingest: Vec<String>,
    pub(crate) rooms: i64,
    /// How many.
    pub(crate) count: i64,
    /// Posts a second, all together.
    pub(crate) rate: f64,
    /// What they say, over and over.
    pub(crate) texts: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) latest: Arc<Latest>,
    pub(crate) posts: AtomicU64,
}

impl Viewers {
    /// Writes until told to stop; what is in hand then is waited for.
    pub(crate) async fn write(self: &Arc<Self>, stop: &CancellationToken) -> anyhow::Result<()> {
        let client = client()?;
        let mut viewers = JoinSet::new();
        for number in 0..self.count {
            let (viewers_, client, stop) = (Arc::clone(self), client.clone(), stop.clone());
            viewers.spawn(async move { viewers_.one(number, &client, &stop).await });
        }
        while let Some(viewer) = viewers.join_next().await {
            viewer?;
        }
        Ok(())
    }

    async fn one(&self, number: i64, client: &Client, stop: &CancellationToken) {
        let (user, token) = (FIRST + number, token(FIRST + number, false));
        let mut rng = Rng::with_seed(self.seed ^ user.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let pause = self.count as f64 / self.rate;
        loop {
            // Evenly on average, and nobody in step with anybody.
            let pause = Duration::from_secs_f64(pause * (0.5 + rng.f64()));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            self.post(client, user, &token, &mut rng).await;
        }
    }

    async fn post(&self, client: &Client, user: i64, token: &str, rng: &mut Rng) {
        let post = self.posts.fetch_add(1, Ordering::Relaxed);
        let said = &self.texts[post as usize % self.texts.len()];
        // One in a hundred cannot be accepted.
        let text = if rng.u32(..100) == 0 { format!("{said:x<600} #{post}") } else { format!("{said} #{post}") };
        let attempts = Attempts {
            viewers: self,
            client,
            post,
            // Rooms are not alike: the first is as busy as all the others together.
            room: if rng.bool() { 1 } else { rng.i64(1..=self.rooms) },
            user,
            token,
            // One in three has none: whoever posted it cannot know whether to post it again.
            key: (rng.u32(..3) > 0).then(|| format!("{:x}-{post}", self.seed)),
            text: text.trim().to_owned(),
        };
        let node = rng.usize(..self.ingest.len());
        let other = (node + 1) % self.ingest.len();
        let mut attempt = 1;
        let mut answer = if attempts.key.is_some() && rng.u32(..20) == 0 {
            attempt = 2;
            let (one, two) = tokio::join!(attempts.make(1, node), attempts.make(2, other));
            if matches!(one, Answer::Accepted { .. }) { one } else { two }
        } else {
            attempts.make(1, node).await
        };
        let mut through = node;
        while attempt < ATTEMPTS {
            let again = match &answer {
                Answer::Accepted { .. } => false,
                Answer::Unknown(_) => attempts.key.is_some() && rng.u32(..100) < 75,
                Answer::Refused { status, .. } => matches!(status, 0 | 503) && rng.bool(),
            };
            if !again {
                break;
            }
            tokio::time::sleep(Duration::from_millis(rng.u64(50..500))).await;
            attempt += 1;
            through = if rng.bool() { (through + 1) % self.ingest.len() } else { through };
            answer = attempts.make(attempt, through).await;
        }
        if let Answer::Accepted { id, .. } = answer {
            self.latest.remember(attempts.room, id);
        }
    }
}

struct Attempts<'a> {
    viewers: &'a Viewers,
    client: &'a Client,
    post: u64,
    room: i64,
    user: i64,
    token: &'a str,
    key: Option<String>,
    text: String,
}

impl Attempts<'_> {
    async fn make(&self, attempt: u32, node: usize) -> Answer {
        let Attempts { post, room, user, .. } = *self;
        let recorder = &self.viewers.recorder;
        let (key, text) = (self.key.clone(), self.text.clone());
        recorder.note(What::Invoked { post, attempt, node: format!("ingest-{node}"), room, user, key, text });
        let url = format!("{}/v1/rooms/{room}/messages", self.viewers.ingest[node]);
        let body = json!({ "text": self.text });
        let answer = ask(self.client, Method::POST, url, self.token, self.key.as_deref(), Some(&body)).await;
        recorder.note(match answer.clone() {
            Answer::Accepted { id, position } => What::Ok { post, attempt, id, position },
            Answer::Refused { status, code } => What::Failed { post, attempt, status, code },
            Answer::Unknown(why) => What::Unknown { post, attempt, why },
        });
        answer
    }
}
