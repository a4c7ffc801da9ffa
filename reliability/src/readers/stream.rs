//! A reader's session: server-sent events, or a socket of `chat.v1`. Both have the same events.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use chat::{EventId, Position};
use eventsource_stream::Eventsource as _;
use futures_util::stream::try_unfold;
use futures_util::{SinkExt as _, StreamExt as _};
use judge::history::{MessageObservation, Observation, ReaderObservation, Recorder, SeenAt, extras};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::{Reader, Readers, Ticket};
use crate::presenters::{Reached, Socket};

/// The members of every event, and of those that a history has by themselves.
const KNOWN: [&str; 14] = [
    "v",
    "id",
    "type",
    "presenterIdx",
    "at",
    "user",
    "text",
    "position",
    "target",
    "message",
    "sweep",
    "replyTo",
    "attributes",
    "emotes",
];

/// The type of a hold. Its text is that of a message that the room does not have.
const HELD: &str = "message.held";

/// What a frame or a server-sent event says.
enum Said {
    Welcome(Welcome),
    Events(Vec<Map<String, Value>>),
    Keepalive(Position),
    /// A notice, such as that the node is stopping.
    Notice,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Welcome {
    position: Position,
    recovered: bool,
    keepalive_seconds: u64,
    pinned: Option<EventId>,
}

/// The name and the data of each server-sent event.
type Events = Pin<Box<dyn futures_util::Stream<Item = anyhow::Result<(String, String)>> + Send>>;

enum Source {
    Events(Events),
    Socket(Box<Socket>),
}

/// A session after its welcome.
pub(super) struct Stream {
    session: u32,
    source: Source,
    silence: Duration,
    recorder: Arc<Recorder>,
    reached: Arc<Reached>,
    /// Also records the end if the stream is dropped.
    _ended: Ended,
}

struct Ended {
    session: u32,
    recorder: Arc<Recorder>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.recorder.note(Observation::Reader(ReaderObservation::Ended { session: self.session }));
    }
}

impl Readers {
    /// Opens a stream of server-sent events.
    pub(super) async fn open_events(
        &self,
        reader: &Reader,
        node: usize,
        ticket: Option<&Ticket>,
    ) -> anyhow::Result<Stream> {
        let asked = reader.current.lock().reached.last();
        let mut url = format!("http://{}/v1/rooms/{}/events?", self.delivery[node], reader.room);
        if asked.is_none() {
            url.push_str("from=window&");
        }
        if let Some(ticket) = ticket {
            url.push_str(&format!("ticket={}", ticket.secret));
            self.note_ticket(ticket, |ticket| ReaderObservation::Shows { ticket, node: name(node) });
        }
        let mut request = self.client.get(url);
        if ticket.is_none() {
            request = request.bearer_auth(reader.token());
        }
        if let Some(asked) = asked {
            request = request.header("last-event-id", asked.to_string());
        }
        let answer = request.send().await?;
        if let Some(ticket) = ticket
            && answer.status() == StatusCode::UNAUTHORIZED
        {
            self.note_ticket(ticket, |ticket| ReaderObservation::Refused { ticket, node: name(node) });
        }
        let source = Source::Events(events(answer.error_for_status()?));
        self.begin(reader, node, ticket, asked, source).await
    }

    /// Opens a socket of `chat.v1`.
    pub(super) async fn open_socket(&self, reader: &Reader, node: usize) -> anyhow::Result<Stream> {
        let asked = reader.current.lock().reached.last();
        let mut request = format!("ws://{}/v1/presenter", self.delivery[node]).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("chat.v1"));
        let (mut socket, _) = connect_async(request).await?;
        let position = asked.map_or("window".to_owned(), |asked| asked.to_string());
        let start = json!({ "type": "start", "token": reader.token(), "room": reader.room, "position": position });
        socket.send(Message::text(start.to_string())).await?;
        self.begin(reader, node, None, asked, Source::Socket(Box::new(socket))).await
    }

    /// Waits for the welcome.
    async fn begin(
        &self,
        reader: &Reader,
        node: usize,
        ticket: Option<&Ticket>,
        asked: Option<Position>,
        mut source: Source,
    ) -> anyhow::Result<Stream> {
        let Said::Welcome(Welcome { position, recovered, keepalive_seconds, pinned }) = source.next().await? else {
            anyhow::bail!("something else came before the welcome")
        };
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let following = reader.current.lock().clone();
        self.recorder.note(Observation::Reader(ReaderObservation::Welcome {
            session,
            number: following.number,
            room: reader.room,
            node: name(node),
            view: reader.view,
            ticket: ticket.map(|ticket| ticket.number),
            asked,
            position,
            recovered,
        }));
        let seen = SeenAt::Reader(session);
        self.recorder.note(Observation::Message(MessageObservation::Pinned { seen, pinned }));
        // Events in a gap never arrive: they count as received.
        if !recovered {
            following.reached.event(position);
        }
        let (recorder, reached) = (Arc::clone(&self.recorder), following.reached);
        let ended = Ended { session, recorder: Arc::clone(&recorder) };
        // As the protocol says: silence of twice the keepalive interval is a dead connection.
        let silence = Duration::from_secs(2 * keepalive_seconds);
        Ok(Stream { session, source, silence, recorder, reached, _ended: ended })
    }

    fn note_ticket(&self, ticket: &Ticket, what: impl FnOnce(u64) -> ReaderObservation) {
        self.recorder.note(Observation::Reader(what(ticket.number)));
    }
}

fn name(node: usize) -> String {
    format!("delivery-{node}")
}

/// The events of an answer.
fn events(answer: Response) -> Events {
    let chunks = try_unfold(answer, |mut answer| async move {
        let chunk = answer.chunk().await.map_err(reqwest::Error::without_url)?;
        Ok::<_, reqwest::Error>(chunk.map(|chunk| (chunk, answer)))
    });
    Box::pin(chunks.eventsource().map(|event| {
        let event = event?;
        Ok((event.event, event.data))
    }))
}

impl Source {
    /// What comes next. Err: the connection has ended.
    async fn next(&mut self) -> anyhow::Result<Said> {
        match self {
            Source::Events(events) => {
                let (name, data) = events.next().await.context("the stream has ended")??;
                Ok(match name.as_str() {
                    "welcome" => Said::Welcome(serde_json::from_str(&data)?),
                    "keepalive" => Said::Keepalive(position(&serde_json::from_str(&data)?)?),
                    "message" => Said::Events(vec![serde_json::from_str(&data)?]),
                    _ => Said::Notice,
                })
            }
            Source::Socket(socket) => loop {
                let text = match socket.next().await.context("the socket has ended")?? {
                    Message::Text(text) => text,
                    Message::Close(_) => anyhow::bail!("the socket was closed"),
                    _ => continue,
                };
                let mut frame: Map<String, Value> = serde_json::from_str(&text)?;
                return Ok(match frame.get("type").and_then(Value::as_str) {
                    Some("welcome") => Said::Welcome(serde_json::from_str(&text)?),
                    Some("keepalive") => Said::Keepalive(position(&frame)?),
                    Some("events") => Said::Events(serde_json::from_value(frame.remove("events").unwrap_or_default())?),
                    _ => Said::Notice,
                });
            },
        }
    }
}

fn position(object: &Map<String, Value>) -> anyhow::Result<Position> {
    let text = object.get("position").and_then(Value::as_str).context("no position")?;
    text.parse().map_err(|error| anyhow::anyhow!("the position {text}: {error}"))
}

impl Stream {
    /// Records what comes until the session ends, or is silent for too long.
    pub(super) async fn watch(&mut self) {
        while let Ok(Ok(said)) = timeout(self.silence, self.source.next()).await {
            match said {
                Said::Events(events) => {
                    for event in events {
                        if self.note(&event).is_err() {
                            return;
                        }
                    }
                }
                Said::Keepalive(position) => {
                    let session = self.session;
                    self.recorder.note(Observation::Reader(ReaderObservation::Keepalive { session, position }));
                    self.reached.keepalive(position);
                }
                Said::Welcome(_) | Said::Notice => {}
            }
        }
    }

    /// Err: the event lacks a member that every event has.
    fn note(&self, event: &Map<String, Value>) -> anyhow::Result<()> {
        let text =
            |object: &Map<String, Value>, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let id = |name: &str| -> Option<EventId> { text(event, name)?.parse().ok() };
        let position = position(event)?;
        let (id, target) = (id("id").context("no id")?, id("target"));
        let kind = text(event, "type").context("no type")?;
        let restored = event.get("message").and_then(Value::as_object);
        let shown = text(event, "text").or_else(|| restored.and_then(|message| text(message, "text")));
        let shown = shown.filter(|_| kind != HELD);
        let others = |object: &Map<String, Value>, prefix: &str| -> Vec<String> {
            let unknown = object.keys().filter(|name| !KNOWN.contains(&name.as_str()));
            unknown.map(|name| format!("{prefix}{name}")).collect()
        };
        let mut members = others(event, "");
        members.extend(restored.iter().flat_map(|message| others(message, "message.")));
        let session = self.session;
        let message = restored.unwrap_or(event);
        let reply_to = text(message, "replyTo").and_then(|id| id.parse().ok());
        let extras = extras(reply_to, message.get("attributes"), message.get("emotes")).filter(|_| kind != HELD);
        let shown_with = if restored.is_some() { target } else { Some(id) };
        if let Some((id, extras)) = shown_with.zip(extras) {
            let seen = SeenAt::Reader(session);
            self.recorder.note(Observation::Message(MessageObservation::Attached { seen, id, extras }));
        }
        let sweep = text(event, "sweep").and_then(|sweep| sweep.parse().ok());
        self.recorder.note(match sweep.zip(target) {
            Some((sweep, target)) => {
                let seen = SeenAt::Reader(session);
                MessageObservation::Part { seen, id, position, kind, sweep, target, text: shown, members }.into()
            }
            None => ReaderObservation::Event { session, id, position, kind, text: shown, target, members }.into(),
        });
        self.reached.event(position);
        Ok(())
    }
}
