//! The presenters, one per room. Each behaves like a page: it reconnects whenever its socket ends, with its saved
//! position, or without one after a reload. Sometimes it opens a second socket. Some speak the original's dialect
//! ([`crate::chatting`]), which has no positions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{EventId, Position};
use fastrand::Rng;
use futures_util::{SinkExt as _, StreamExt as _};
use judge::history::{Dialect, MessageObservation, Observation, Recorder, SeenAt};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

use crate::chatting;
use crate::system::token;

mod event;

use event::Event;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The time limit for a connection to reach its welcome.
pub(crate) const CONNECT: Duration = Duration::from_secs(4);

/// The interval between acknowledgements and liveness checks.
const ACK: Duration = Duration::from_millis(500);

/// How long a page is closed, in milliseconds, if it does not reconnect at once. Some absences exceed a lease.
const AWAY_MS: std::ops::Range<u64> = 5_000..20_000;

/// With a window up to this length, some absences exceed it.
const SHORT_WINDOW: Duration = Duration::from_secs(30);

/// How long an older socket is watched beside its successor.
const LINGER: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Frame {
    #[serde(rename_all = "camelCase")]
    Welcome {
        position: Option<Position>,
        recovered: bool,
        keepalive_seconds: u64,
        pinned: Option<EventId>,
    },
    Events {
        events: Vec<Event>,
    },
    Keepalive {
        position: Option<Position>,
    },
    Reconnect,
    /// An error frame, or an unknown one.
    #[serde(other)]
    Other,
}

/// The presenters of all rooms.
#[derive(Debug)]
pub(crate) struct Presenters {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) delivery: Vec<String>,
    pub(crate) rooms: i64,
    pub(crate) seed: u64,
    /// How long delivery nodes keep events.
    window: Duration,
    sessions: AtomicU32,
    /// The progress of each presenter.
    reached: Vec<Arc<Reached>>,
}

/// A presenter's progress: the last event handled, and the highest position seen.
#[derive(Debug, Default)]
pub(crate) struct Reached(Mutex<(Option<Position>, Option<Position>)>);

impl Reached {
    pub(crate) fn event(&self, position: Position) {
        let mut reached = self.0.lock();
        reached.0 = reached.0.max(Some(position));
        reached.1 = reached.1.max(Some(position));
    }

    pub(crate) fn keepalive(&self, position: Position) {
        let mut reached = self.0.lock();
        reached.1 = reached.1.max(Some(position));
    }

    pub(crate) fn last_event(&self) -> Option<Position> {
        self.0.lock().0
    }

    pub(crate) fn last(&self) -> Option<Position> {
        self.0.lock().1
    }
}

/// A socket after its welcome.
struct Session {
    number: u32,
    socket: Socket,
    silence: Duration,
    recorder: Arc<Recorder>,
    reached: Arc<Reached>,
}

impl Presenters {
    pub(crate) fn new(
        recorder: Arc<Recorder>,
        delivery: Vec<String>,
        rooms: i64,
        seed: u64,
        window: Duration,
    ) -> Presenters {
        let reached = (0..rooms).map(|_| Arc::default()).collect();
        Presenters { recorder, delivery, rooms, seed, window, sessions: AtomicU32::new(1), reached }
    }

    /// The last event that the room's presenter has handled.
    pub(crate) fn reached(&self, room: i64) -> Option<Position> {
        self.reached[usize::try_from(room - 1).expect("rooms begin with 1")].last_event()
    }

    /// The dialect of the room's presenter. Under every fourth seed the first and busiest room uses the original's.
    pub(crate) fn dialect(&self, room: i64) -> Dialect {
        if room.unsigned_abs().wrapping_add(self.seed).is_multiple_of(4) { Dialect::Original } else { Dialect::V1 }
    }

    /// Runs all presenters until the stop.
    pub(crate) async fn watch(self: &Arc<Self>, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut presenters = JoinSet::new();
        for room in 1..=self.rooms {
            let (presenters_, stop) = (Arc::clone(self), stop.clone());
            presenters.spawn(async move { presenters_.one(room, &stop).await });
        }
        while let Some(presenter) = presenters.join_next().await {
            presenter?;
        }
        Ok(())
    }

    async fn one(&self, room: i64, stop: &CancellationToken) {
        let mut rng = Rng::with_seed(self.seed ^ room.unsigned_abs().wrapping_mul(0x5851_f42d_4c95_7f2d));
        let reached = Arc::clone(&self.reached[usize::try_from(room - 1).expect("rooms begin with 1")]);
        // Every third page is reloaded for each session.
        let keeps = room % 3 != 0;
        let mut node = rng.usize(..self.delivery.len());
        let mut older: Vec<JoinHandle<()>> = Vec::new();
        let mut has_moved = false;
        while !stop.is_cancelled() {
            let asked = if keeps { reached.last() } else { None };
            let name = format!("delivery-{node}");
            let connecting = async {
                let (url, reached) = (&self.delivery[node], Arc::clone(&reached));
                anyhow::Ok(match self.dialect(room) {
                    Dialect::V1 => tokio::spawn(self.connect(url, &name, room, asked, false, reached).await?.watch()),
                    Dialect::Original => {
                        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
                        let recorder = Arc::clone(&self.recorder);
                        tokio::spawn(chatting::connect(number, recorder, url, &name, room, reached).await?.watch())
                    }
                })
            };
            let mut watching = match stop.run_until_cancelled(connecting).await {
                Some(Ok(watching)) => watching,
                Some(Err(_)) => {
                    node = (node + 1) % self.delivery.len();
                    tokio::time::sleep(Duration::from_millis(rng.u64(50..400))).await;
                    continue;
                }
                None => break,
            };
            let moves_on = Duration::from_millis(rng.u64(3_000..15_000));
            // A dropped branch only waits: another task has the socket.
            tokio::select! {
                _ = &mut watching => {}
                () = stop.cancelled() => {
                    watching.abort();
                    break;
                }
                () = tokio::time::sleep(moves_on) => {
                    // Always the first time, so that a short run has sessions that replace each other.
                    if rng.bool() || !std::mem::replace(&mut has_moved, true) {
                        older.push(tokio::spawn(async move {
                            if tokio::time::timeout(LINGER, &mut watching).await.is_err() {
                                watching.abort();
                            }
                        }));
                    } else {
                        watching.abort();
                        let _ = watching.await;
                        if rng.u32(..3) == 0 {
                            let away = Duration::from_millis(rng.u64(AWAY_MS));
                            let _ = stop.run_until_cancelled(tokio::time::sleep(away)).await;
                        }
                    }
                }
            }
            older.retain(|task| !task.is_finished());
            // Away for about as long as the window, or longer.
            if self.window <= SHORT_WINDOW && rng.u32(..4) == 0 {
                let away = self.window.mul_f64(0.5 + 1.5 * rng.f64());
                if stop.run_until_cancelled(tokio::time::sleep(away)).await.is_none() {
                    break;
                }
            }
            node = if rng.u32(..3) == 0 { node } else { (node + 1) % self.delivery.len() };
        }
        for task in older {
            let _ = task.await;
        }
    }

    /// Connects, and waits for the welcome.
    async fn connect(
        &self,
        delivery: &str,
        node: &str,
        room: i64,
        asked: Option<Position>,
        fresh: bool,
        reached: Arc<Reached>,
    ) -> anyhow::Result<Session> {
        let welcomed = async {
            let mut request = format!("{delivery}/v1/presenter").into_client_request()?;
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("chat.v1"));
            let (mut socket, _) = connect_async(request).await?;
            let start = match asked {
                Some(position) => json!({ "type": "start", "token": token(room, false), "position": position }),
                None => json!({ "type": "start", "token": token(room, false) }),
            };
            socket.send(Message::text(start.to_string())).await?;
            let Some(Message::Text(text)) = socket.next().await.transpose()? else {
                anyhow::bail!("closed before the welcome")
            };
            match serde_json::from_str(&text)? {
                Frame::Welcome { position, recovered, keepalive_seconds, pinned } => {
                    let number = self.sessions.fetch_add(1, Ordering::Relaxed);
                    let (session, node, dialect) = (number, node.to_owned(), Dialect::V1);
                    self.recorder.note(Observation::Welcome {
                        session,
                        room,
                        node,
                        dialect,
                        asked,
                        position,
                        recovered,
                        fresh,
                    });
                    let seen = SeenAt::Presenter(session);
                    self.recorder.note(Observation::Message(MessageObservation::Pinned { seen, pinned }));
                    // Events in a gap never arrive: they count as handled.
                    if let Some(position) = position.filter(|_| !recovered) {
                        reached.event(position);
                    }
                    // As the protocol says: silence of twice the keepalive interval is a dead connection.
                    let silence = Duration::from_secs(2 * keepalive_seconds);
                    Ok(Session { number, socket, silence, recorder: Arc::clone(&self.recorder), reached })
                }
                _ => anyhow::bail!("something else came before the welcome"),
            }
        };
        tokio::time::timeout(CONNECT, welcomed).await.context("no welcome in time")?
    }

    /// Reads the room as a presenter without a position, from one node: everything up to the room's last event.
    pub(crate) async fn fresh(&self, node: usize, url: &str, room: i64, last: Position) -> anyhow::Result<()> {
        let (name, first) = (format!("delivery-{node}"), Position { sequence: 0, index: u32::MAX, ..last });
        let reached: Arc<Reached> = Arc::default();
        let session = self.connect(url, &name, room, Some(first), true, Arc::clone(&reached)).await?;
        let mut watching = tokio::spawn(session.watch());
        let complete = async {
            while reached.last_event() < Some(last) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // A dropped branch only waits: another task has the socket.
        let read = tokio::select! {
            _ = &mut watching => Err(anyhow::anyhow!("the socket of room {room} ended")),
            () = complete => Ok(()),
            () = tokio::time::sleep(Duration::from_secs(30)) => {
                Err(anyhow::anyhow!("the socket of room {room} does not come to the end of the log"))
            }
        };
        watching.abort();
        read
    }
}

impl Session {
    /// Records frames until the socket ends.
    async fn watch(mut self) {
        // Also records the end if the task is aborted.
        let mut ended = Ended { session: self.number, code: None, recorder: Arc::clone(&self.recorder) };
        let (mut heard, mut unacknowledged) = (Instant::now(), None);
        let mut acks = tokio::time::interval(ACK);
        acks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A dropped branch loses no frame: only the other branch takes frames from the socket.
            let message = tokio::select! {
                message = self.socket.next() => message,
                _ = acks.tick() => {
                    if heard.elapsed() > self.silence {
                        return;
                    }
                    if let Some(position) = unacknowledged.take() {
                        let session = self.number;
                        let acknowledges = MessageObservation::Acknowledges { session, position };
                        self.recorder.note(Observation::Message(acknowledges));
                        let ack = json!({ "type": "ack", "position": position });
                        if self.socket.send(Message::text(ack.to_string())).await.is_err() {
                            return;
                        }
                    }
                    continue;
                }
            };
            heard = Instant::now();
            let text = match message {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(frame))) => {
                    ended.code = frame.map(|frame| frame.code.into());
                    return;
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            };
            let session = self.number;
            let position = match serde_json::from_str(&text) {
                Ok(Frame::Events { events }) => self.note(events),
                Ok(Frame::Keepalive { position }) => {
                    self.recorder.note(Observation::Keepalive { session, position });
                    position.into_iter().for_each(|position| self.reached.keepalive(position));
                    position
                }
                Ok(Frame::Reconnect) => None,
                Ok(Frame::Welcome { .. } | Frame::Other) | Err(_) => {
                    self.recorder.note(Observation::Strange { session, text: text.to_string() });
                    None
                }
            };
            unacknowledged = position.or(unacknowledged);
        }
    }

    fn note(&self, events: Vec<Event>) -> Option<Position> {
        let mut last = None;
        for event in events {
            let (session, extras) = (self.number, event.extras());
            let Event { position, id, kind, text, target, message, sweep, reason, .. } = event;
            let text = text.or(message.map(|message| message.text));
            self.reached.event(position);
            last = Some(position);
            if let Some((id, extras)) = extras {
                let seen = SeenAt::Presenter(session);
                self.recorder.note(Observation::Message(MessageObservation::Attached { seen, id, extras }));
            }
            self.recorder.note(match sweep.zip(target) {
                Some((sweep, target)) => {
                    let (seen, members) = (SeenAt::Presenter(session), Vec::new());
                    MessageObservation::Part { seen, id, position, kind, sweep, target, text, members }.into()
                }
                None => Observation::Frame { session, id, position, kind, text, target, reason },
            });
        }
        last
    }
}

/// Records the end of a session, however it ends.
pub(crate) struct Ended {
    pub(crate) session: u32,
    pub(crate) code: Option<u16>,
    pub(crate) recorder: Arc<Recorder>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.recorder.note(Observation::Ended { session: self.session, code: self.code });
    }
}
