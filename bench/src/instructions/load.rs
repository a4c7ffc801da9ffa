//! Posts real chat texts over both surfaces, or appends them to the log, until every measured part has handled them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use chat::{Body, Event, MessagePosted, PresenterIdx, User, UserIdx};
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use super::Messages;
use crate::connection::connect;
use crate::system::System;
use crate::texts::texts;

/// 200 bytes of text, as in the other measurements of this project.
const TEXT_BYTES: usize = 200;

/// Longer than any step takes under callgrind.
const PATIENCE: Duration = Duration::from_secs(300);

/// The interval between checks for arrival.
const POLL: Duration = Duration::from_millis(20);

/// The posters, and the receivers of their posts.
pub(super) struct Load<'a> {
    system: &'a System,
    texts: Arc<Vec<String>>,
    posters: Vec<Poster>,
    keep: bool,
    rooms: usize,
    rate: u32,
    /// Messages that are appended together. 0: they are posted.
    batch: usize,
    log: jetstream::Context,
    posted: usize,
    arrived: Arc<AtomicUsize>,
    archive: Option<Collection<Document>>,
    presenters: Vec<AbortHandle>,
}

/// A user with a connection and a token, as a client has them for many posts.
struct Poster {
    number: usize,
    room: usize,
    token: String,
    connection: SendRequest<Full<Bytes>>,
}

impl Poster {
    async fn connect(system: &System, number: usize, rooms: usize) -> anyhow::Result<Poster> {
        let (room, token) = (number % rooms + 1, system.token(1_000_000 + number as i64));
        Ok(Poster { number, room, token, connection: connect(system.ingest).await? })
    }
}

impl<'a> Load<'a> {
    /// A presenter connects to each room if the system has a delivery node.
    pub(super) async fn start(system: &'a System, load: &Messages) -> anyhow::Result<Load<'a>> {
        let Messages { rooms, rate, batch, .. } = *load;
        let archive = match &system.mongo {
            Some(uri) => {
                Some(mongodb::Client::with_uri_str(uri).await?.database("chatting").collection("chatting_log"))
            }
            None => None,
        };
        let arrived = Arc::new(AtomicUsize::new(0));
        let mut presenters = Vec::new();
        for room in (1..=rooms).filter(|_| !system.nodes.is_empty()) {
            presenters.push(present(system, room as i64, Arc::clone(&arrived)).await?);
        }
        let mut posters = Vec::new();
        for number in (0..load.posters).filter(|_| batch == 0) {
            posters.push(Poster::connect(system, number, rooms).await?);
        }
        let (texts, keep) = (Arc::new(texts(TEXT_BYTES)?), !load.new_connections);
        let log = jetstream::new(async_nats::connect(&system.nats).await?);
        Ok(Load { system, texts, posters, keep, rooms, rate, batch, log, posted: 0, arrived, archive, presenters })
    }

    /// Sends this many messages, and waits until they have arrived everywhere.
    pub(super) async fn run(&mut self, messages: usize) -> anyhow::Result<()> {
        if self.batch == 0 { self.post(messages).await } else { self.append(messages).await }
    }

    /// Appends them to the log as ingest does, but in batches of one size. A reader that gets one batch at a time does
    /// the same work in each run, however busy the machine is.
    async fn append(&mut self, messages: usize) -> anyhow::Result<()> {
        let until = self.posted + messages;
        while self.posted < until {
            let numbers = self.posted..until.min(self.posted + self.batch);
            self.posted = numbers.end;
            let mut lines = Vec::new();
            for number in numbers {
                let idx = 1_000_000 + i64::try_from(number)? % 1_000;
                let user =
                    User { idx: UserIdx::try_from(idx)?, nickname: format!("user{idx}"), role: chat::Role::Viewer };
                let room = PresenterIdx::try_from(i64::try_from(number % self.rooms)? + 1)?;
                let text = self.texts[number * 7 % self.texts.len()].clone();
                lines.extend(Event::now(room, Body::MessagePosted(MessagePosted::new(user, text))).to_line());
                lines.push(b'\n');
            }
            self.log.publish("chat.0", lines.into()).await?.await?;
            self.has_arrived(self.posted).await?;
        }
        Ok(())
    }

    async fn post(&mut self, messages: usize) -> anyhow::Result<()> {
        let before = self.posted;
        self.posted += messages;
        let (began, mut running) = (Instant::now(), JoinSet::new());
        let posters = self.posters.len();
        for mut poster in self.posters.drain(..) {
            if !self.keep {
                poster = Poster::connect(self.system, poster.number, self.rooms).await?;
            }
            let (texts, rate) = (Arc::clone(&self.texts), self.rate);
            running.spawn(async move {
                let Poster { number, room, ref token, ref mut connection } = poster;
                for count in (number..messages).step_by(posters) {
                    if rate > 0 {
                        sleep_until((began + Duration::from_secs(count as u64) / rate).into()).await;
                    }
                    // A stride that visits all texts.
                    let text = &texts[(before + count) * 7 % texts.len()];
                    let request = request((count / posters).is_multiple_of(2), room, token, text)?;
                    // It may still be busy with the end of the last answer.
                    connection.ready().await?;
                    let response = connection.send_request(request).await?;
                    let status = response.status();
                    let body = response.into_body().collect().await?.to_bytes();
                    let body = String::from_utf8_lossy(&body);
                    anyhow::ensure!(status.is_success(), "a post was answered {status}: {body}");
                }
                anyhow::Ok(poster)
            });
        }
        while let Some(poster) = running.join_next().await {
            self.posters.push(poster??);
        }
        self.has_arrived(before + messages).await
    }

    async fn has_arrived(&self, messages: usize) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let archived = match &self.archive {
                Some(archive) => archive.count_documents(doc! {}).await? as usize,
                None => messages,
            };
            let delivered = if self.presenters.is_empty() { messages } else { self.arrived.load(Ordering::Relaxed) };
            if archived >= messages && delivered >= messages {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "of {messages} only {archived} and {delivered} have arrived");
            sleep(POLL).await;
        }
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.presenters.iter().for_each(AbortHandle::abort);
    }
}

/// A post over the original's surface or `/v1`.
fn request(is_original: bool, room: usize, token: &str, text: &str) -> anyhow::Result<hyper::Request<Full<Bytes>>> {
    let (path, body) = if is_original {
        let body = serde_json::json!({ "presenterIdx": room, "userType": "viewer", "textMessage": text });
        ("/send/message".to_owned(), body)
    } else {
        (format!("/v1/rooms/{room}/messages"), serde_json::json!({ "text": text }))
    };
    let request = hyper::Request::post(path).header("host", "bench").header("content-type", "application/json");
    let request = if is_original {
        request.header("token", token)
    } else {
        request.header("authorization", format!("Bearer {token}"))
    };
    Ok(request.body(Full::new(Bytes::from(body.to_string())))?)
}

/// Connects a presenter that counts its messages.
async fn present(system: &System, room: i64, arrived: Arc<AtomicUsize>) -> anyhow::Result<AbortHandle> {
    #[derive(Deserialize)]
    struct Frame {
        #[serde(rename = "message")]
        _message: String,
    }
    let url = format!("ws://127.0.0.1:{}/chatting", system.nodes[0].port);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
    let start = serde_json::json!({ "id": "start", "token": system.token(room) });
    socket.send(Message::text(start.to_string())).await?;
    let task = tokio::spawn(async move {
        while let Some(Ok(frame)) = socket.next().await {
            if frame.is_text() && frame.to_text().is_ok_and(|text| serde_json::from_str::<Frame>(text).is_ok()) {
                arrived.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Ok(task.abort_handle())
}
