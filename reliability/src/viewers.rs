//! The viewers: many users who post to many rooms at a bounded rate. A post of unknown outcome is often retried under
//! the same key through another node. Some posts are sent through two nodes at once, as impatient clients do. Both
//! surfaces are used, and presenters of the original also post in their own rooms.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat::EventId;
use fastrand::Rng;
use futures_util::future::join_all;
use judge::history::{LINK, MessageObservation, Observation, PersonObservation, Recorder, Surface, extras};
use parking_lot::Mutex;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, Warning, ask, ask_and_be_warned, client, send_message};
use crate::erasures::is_erased;
use crate::review;
use crate::system::token_with;

/// The first viewer's number.
pub(crate) const FIRST: i64 = 1_000;

/// How many recent messages moderators choose from.
const REMEMBERED: usize = 400;

/// The number of attempts of a client.
const ATTEMPTS: u32 = 6;

/// The number of attempts at a notice, a message of a raid, or one of a warned user.
const PATIENT_ATTEMPTS: u32 = 4;

/// Recently accepted messages, each with its room.
#[derive(Debug, Default)]
pub(crate) struct Latest(Mutex<VecDeque<(i64, EventId)>>);

impl Latest {
    pub(crate) fn remember(&self, room: i64, id: EventId) {
        let mut latest = self.0.lock();
        latest.push_back((room, id));
        if latest.len() > REMEMBERED {
            latest.pop_front();
        }
    }

    /// A random one, mostly among the very latest.
    pub(crate) fn any(&self, rng: &mut Rng) -> Option<(i64, EventId)> {
        let latest = self.0.lock();
        let back = if rng.bool() { rng.usize(1..6) } else { rng.usize(1..REMEMBERED) };
        latest.len().checked_sub(back).map(|place| latest[place])
    }
}

/// The number in emoji: keycaps.
fn emoji(post: u64) -> String {
    post.to_string().chars().map(|digit| format!("{digit}\u{fe0f}\u{20e3}")).collect()
}

/// A text that the short setting of a room allows.
fn short(post: u64) -> String {
    format!("#{post}")
}

/// The viewers.
#[derive(Debug)]
pub(crate) struct Viewers {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) ingest: Vec<String>,
    pub(crate) rooms: i64,
    /// The number of viewers.
    pub(crate) count: i64,
    /// Posts per second in total.
    pub(crate) rate: f64,
    /// The texts, in rotation.
    pub(crate) texts: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) latest: Arc<Latest>,
    pub(crate) posts: AtomicU64,
    /// The last posts of the rooms' presenters, after the faults.
    pub(crate) last_words: Mutex<Vec<LastWords>>,
    /// When an answer had each warning for the last time.
    pub(crate) told: Mutex<HashMap<EventId, Instant>>,
}

/// The last post of a room's presenter. A retry gets the same answer, with the current presence.
#[derive(Debug)]
pub(crate) struct LastWords {
    pub(crate) room: i64,
    post: u64,
    attempts: u32,
    key: String,
    text: String,
}

/// 20 s: for some seconds after the last fault, not every connection is restored.
const LAST_WORDS: Duration = Duration::from_secs(20);

impl Viewers {
    /// Posts until the stop, and waits for the posts in progress.
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
        let user = FIRST + number;
        let mut rng = Rng::with_seed(self.seed ^ user.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let pause = self.count as f64 / self.rate;
        loop {
            // Evenly on average, with jitter.
            let pause = Duration::from_secs_f64(pause * (0.5 + rng.f64()));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            self.post(client, user, &mut rng).await;
        }
    }

    async fn post(&self, client: &Client, user: i64, rng: &mut Rng) {
        let post = self.posts.fetch_add(1, Ordering::Relaxed);
        let said = &self.texts[post as usize % self.texts.len()];
        let text = match rng.u32(..100) {
            // Too long to be accepted.
            0 => format!("{said:x<600} #{post}"),
            1..6 => format!("{LINK}/{post} #{post}"),
            6..9 => emoji(post),
            _ => format!("{said} #{post}"),
        };
        // The first room is as busy as all the others together.
        let room = if rng.bool() { 1 } else { rng.i64(1..=self.rooms) };
        let surface = if rng.u32(..3) == 0 { Surface::Original } else { Surface::V1 };
        // Now and then a page of the original sends its presenter's post.
        let user = if surface == Surface::Original && rng.u32(..10) == 0 { room } else { user };
        // Some answer another message, and have what a platform says about their author.
        let extras =
            (surface == Surface::V1 && rng.u32(..3) == 0).then(|| Extras::of(post, &text, self.latest.any(rng)));
        let attempts = Attempts {
            viewers: self,
            client,
            post,
            room,
            user,
            // One post in three has no key: its sender cannot retry it safely.
            key: (rng.u32(..3) > 0).then(|| format!("{:x}-{post}", self.seed)),
            text: text.trim().to_owned(),
            extras,
        };
        let node = rng.usize(..self.ingest.len());
        let other = (node + 1) % self.ingest.len();
        let mut attempt = 1;
        let mut answer = if attempts.key.is_some() && rng.u32(..20) == 0 {
            attempt = 2;
            let (one, two) = tokio::join!(attempts.make(1, node, surface), attempts.make(2, other, surface));
            if matches!(one, Answer::Accepted { .. }) { one } else { two }
        } else {
            attempts.make(1, node, surface).await
        };
        let (mut through, mut surface) = (node, surface);
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
            // A key identifies the message on both surfaces, because platforms migrate clients from one to the other.
            if attempts.key.is_some() && attempts.extras.is_none() && rng.u32(..4) == 0 {
                surface = match surface {
                    Surface::V1 => Surface::Original,
                    Surface::Original | Surface::Notice => Surface::V1,
                };
            }
            answer = attempts.make(attempt, through, surface).await;
        }
        if let Answer::Accepted { id, .. } = answer
            && !is_erased(attempts.user)
        {
            self.latest.remember(attempts.room, id);
        }
    }

    /// Posts under a key as every room's presenter.
    pub(crate) async fn say_last_words(&self, client: &Client) {
        let said = join_all((1..=self.rooms).map(|room| self.last_words_of(client, room))).await;
        self.last_words.lock().extend(said.into_iter().flatten());
    }

    async fn last_words_of(&self, client: &Client, room: i64) -> Option<LastWords> {
        let post = self.posts.fetch_add(1, Ordering::Relaxed);
        let (key, text) = (format!("{:x}-last-{room}", self.seed), short(post));
        let mut words = LastWords { room, post, attempts: 0, key, text };
        let began = Instant::now();
        while began.elapsed() < LAST_WORDS {
            let node = (post as usize + words.attempts as usize) % self.ingest.len();
            match self.repeat(client, &mut words, node).await {
                Answer::Accepted { .. } => return Some(words),
                // The log stays full.
                Answer::Refused { code, .. } if code == "log_full" => return None,
                Answer::Refused { .. } | Answer::Unknown(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        None
    }

    /// Retries the presenter's last post.
    pub(crate) async fn repeat(&self, client: &Client, words: &mut LastWords, node: usize) -> Answer {
        words.attempts += 1;
        let LastWords { room, post, attempts, ref key, ref text } = *words;
        let (key, text) = (Some(key.clone()), text.clone());
        let asked = Attempts { viewers: self, client, post, room, user: room, key, text, extras: None };
        asked.make(attempts, node, Surface::V1).await
    }

    /// Posts once more as the room's presenter.
    pub(crate) async fn say_goodbye(&self, client: &Client, room: i64) {
        let post = self.posts.fetch_add(1, Ordering::Relaxed);
        let text = short(post);
        let goodbye = Attempts { viewers: self, client, post, room, user: room, key: None, text, extras: None };
        goodbye.make(1, post as usize % self.ingest.len(), Surface::Original).await;
    }
}

/// A post, whatever its attempts.
pub(crate) struct Attempts<'a> {
    pub(crate) viewers: &'a Viewers,
    pub(crate) client: &'a Client,
    pub(crate) post: u64,
    pub(crate) room: i64,
    pub(crate) user: i64,
    pub(crate) key: Option<String>,
    pub(crate) text: String,
    pub(crate) extras: Option<Extras>,
}

/// What a message has beside its text.
pub(crate) struct Extras {
    reply_to: Option<EventId>,
    attributes: Value,
    emotes: Option<Value>,
}

impl Extras {
    /// Attributes of the post, in the order in which the log has them, the message that it answers, of any room, and an
    /// emote: the first word of its text, unless the review hook replaces that.
    fn of(post: u64, text: &str, answered: Option<(i64, EventId)>) -> Extras {
        let badges = json!([{ "id": "subscriber", "version": post % 12 }]);
        let attributes = json!({ "amount": post, "badges": badges, "color": "#00C853", "vip": post.is_multiple_of(2) });
        let id = format!("emote_{}", post % 12);
        let word = text.split_whitespace().next().filter(|_| !review::replaces(post));
        let emotes = word.map(|word| json!([{ "id": id, "start": 0, "end": word.chars().count() }]));
        Extras { reply_to: answered.map(|(_, id)| id), attributes, emotes }
    }
}

impl Attempts<'_> {
    pub(crate) async fn make(&self, attempt: u32, node: usize, surface: Surface) -> Answer {
        let Attempts { client, post, room, user, .. } = *self;
        let (recorder, ingest) = (&self.viewers.recorder, &self.viewers.ingest[node]);
        let (node, key, text) = (format!("ingest-{node}"), self.key.clone(), self.text.clone());
        recorder.note(Observation::Invoked { post, attempt, node, room, user, surface, key, text });
        let attached =
            self.extras.as_ref().and_then(|it| extras(it.reply_to, Some(&it.attributes), it.emotes.as_ref()));
        if let Some(extras) = attached.filter(|_| attempt == 1) {
            recorder.note(Observation::Message(MessageObservation::Attaches { post, extras }));
        }
        let key = self.key.as_deref();
        let (answer, warning) = match surface {
            Surface::V1 => {
                let mut body = json!({ "text": self.text });
                if let Some(Extras { reply_to, attributes, emotes }) = &self.extras {
                    if let Some(reply_to) = reply_to {
                        body["replyTo"] = json!(reply_to);
                    }
                    body["attributes"] = attributes.clone();
                    body["emotes"] = json!(emotes);
                }
                let token = token_with(user, if self.extras.is_some() { &["chat:attributes"] } else { &[] });
                let url = format!("{ingest}/v1/rooms/{room}/messages");
                ask_and_be_warned(client, Method::POST, url, &token, key, Some(&body)).await
            }
            Surface::Notice => {
                let (token, body) = (token_with(user, &["chat:moderate"]), json!({ "text": self.text }));
                let url = format!("{ingest}/v1/rooms/{room}/notices");
                (ask(client, Method::POST, url, &token, key, Some(&body)).await, None)
            }
            Surface::Original => (send_message(client, ingest, user, room, key, &self.text).await, None),
        };
        let is_held = matches!(answer, Answer::Accepted { is_held: true, .. });
        recorder.note(match answer.clone() {
            Answer::Accepted { id, position, status, connected, .. } => {
                Observation::Ok { post, attempt, id, position, status, connected }
            }
            Answer::Refused { status, code } => Observation::Failed { post, attempt, status, code },
            Answer::Unknown(why) => Observation::Unknown { post, attempt, why },
        });
        if is_held {
            recorder.note(Observation::Message(MessageObservation::Waits { post, attempt }));
        }
        if let Some(Warning { id, reason }) = warning {
            self.viewers.told.lock().insert(id, Instant::now());
            recorder.note(PersonObservation::Told { post, attempt, warning: id, reason }.into());
        }
        answer
    }

    /// Attempts through one node after another, until the outcome is known or the patience ends.
    pub(crate) async fn make_until_known(&self, surface: Surface, rng: &mut Rng) -> Answer {
        let nodes = self.viewers.ingest.len();
        let mut node = rng.usize(..nodes);
        let mut answer = self.make(1, node, surface).await;
        for attempt in 2..=PATIENT_ATTEMPTS {
            if !matches!(answer, Answer::Unknown(_)) {
                break;
            }
            node = (node + 1) % nodes;
            answer = self.make(attempt, node, surface).await;
        }
        answer
    }
}
