//! Those who are shown it: one presenter a room, as a page is: it comes back whenever its socket ends, with the position
//! that it kept, or as a page that was loaded anew, without one. Sometimes it opens a second socket beside the first.
//! Some speak the original's dialect ([`crate::chatting`]), where nobody has a position; they come and go in the same way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{EventId, Position};
use fastrand::Rng;
use futures_util::{SinkExt as _, StreamExt as _};
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
use crate::history::{Dialect, Recorder, What};
use crate::system::token;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection that has not come to its welcome by then is given up.
pub(crate) const CONNECT: Duration = Duration::from_secs(4);

/// How often what was dealt with is acknowledged, and looked whether the socket still lives.
const ACK: Duration = Duration::from_millis(500);

/// How long a page is closed, in milliseconds, where its presenter does not come back at once: some are away for longer
/// than what they left behind may count.
const AWAY_MS: std::ops::Range<u64> = 5_000..20_000;

/// Where delivery nodes keep no more than this, presenters are now and then away for longer.
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
    },
    Events {
        events: Vec<Event>,
    },
    Keepalive {
        position: Option<Position>,
    },
    Reconnect,
    /// A complaint, or what the protocol does not have.
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Event {
    position: Position,
    id: EventId,
    r#type: String,
    text: Option<String>,
    reason: Option<String>,
}

/// Every room's presenter.
#[derive(Debug)]
pub(crate) struct Presenters {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) delivery: Vec<String>,
    pub(crate) rooms: i64,
    pub(crate) seed: u64,
    /// How long delivery nodes keep what they can give again.
    window: Duration,
    sessions: AtomicU32,
    /// How far each has come.
    reached: Vec<Arc<Reached>>,
}

/// How far a presenter has come: the last event that was dealt with, and the last position at all.
#[derive(Debug, Default)]
pub(crate) struct Reached(Mutex<(Option<Position>, Option<Position>)>);

impl Reached {
    pub(crate) fn event(&self, position: Position) {
        let mut reached = self.0.lock();
        reached.0 = reached.0.max(Some(position));
        reached.1 = reached.1.max(Some(position));
    }

    fn keepalive(&self, position: Position) {
        let mut reached = self.0.lock();
        reached.1 = reached.1.max(Some(position));
    }

    fn last_event(&self) -> Option<Position> {
        self.0.lock().0
    }

    fn last(&self) -> Option<Position> {
        self.0.lock().1
    }
}

/// One socket, welcomed.
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

    /// The last event that the room's presenter has dealt with.
    pub(crate) fn reached(&self, room: i64) -> Option<Position> {
        self.reached[usize::try_from(room - 1).expect("rooms begin with 1")].last_event()
    }

    /// What the room's presenter speaks. Under every fourth seed the busiest room, the first, has the original's dialect.
    pub(crate) fn dialect(&self, room: i64) -> Dialect {
        if room.unsigned_abs().wrapping_add(self.seed).is_multiple_of(4) { Dialect::Original } else { Dialect::V1 }
    }

    /// Everybody watches until told to stop.
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
        // Every third is a page that is loaded anew.
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
            // What is dropped is only a wait: the socket is another task's.
            tokio::select! {
                _ = &mut watching => {}
                () = stop.cancelled() => {
                    watching.abort();
                    break;
                }
                () = tokio::time::sleep(moves_on) => {
                    // The first time in any case: a short run is to have sessions that replace each other.
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
            // Away for so long that what was said meanwhile is not to be had any more, or almost.
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

    /// To the welcome.
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
                Frame::Welcome { position, recovered, keepalive_seconds } => {
                    let number = self.sessions.fetch_add(1, Ordering::Relaxed);
                    let (session, node, dialect) = (number, node.to_owned(), Dialect::V1);
                    self.recorder.note(What::Welcome {
                        session,
                        room,
                        node,
                        dialect,
                        asked,
                        position,
                        recovered,
                        fresh,
                    });
                    // What is in a gap never comes: it is dealt with.
                    if let Some(position) = position.filter(|_| !recovered) {
                        reached.event(position);
                    }
                    // As the protocol has it: twice the keepalive of silence is a dead connection.
                    let silence = Duration::from_secs(2 * keepalive_seconds);
                    Ok(Session { number, socket, silence, recorder: Arc::clone(&self.recorder), reached })
                }
                _ => anyhow::bail!("something else came before the welcome"),
            }
        };
        tokio::time::timeout(CONNECT, welcomed).await.context("no welcome in time")?
    }

    /// A presenter who has seen nothing, on each node: everything from the first position to the room's last.
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
        // What is dropped is only a wait: the socket is another task's.
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
    /// Notes what comes, to the end of the socket.
    async fn watch(mut self) {
        // Also where the task is aborted.
        let mut ended = Ended { session: self.number, code: None, recorder: Arc::clone(&self.recorder) };
        let (mut heard, mut unacknowledged) = (Instant::now(), None);
        let mut acks = tokio::time::interval(ACK);
        acks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A frame is taken from the socket only by the branch that notes it.
            let message = tokio::select! {
                message = self.socket.next() => message,
                _ = acks.tick() => {
                    if heard.elapsed() > self.silence {
                        return;
                    }
                    if let Some(position) = unacknowledged.take() {
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
                    self.recorder.note(What::Keepalive { session, position });
                    position.into_iter().for_each(|position| self.reached.keepalive(position));
                    position
                }
                Ok(Frame::Reconnect) => None,
                Ok(Frame::Welcome { .. } | Frame::Other) | Err(_) => {
                    self.recorder.note(What::Strange { session, text: text.to_string() });
                    None
                }
            };
            unacknowledged = position.or(unacknowledged);
        }
    }

    fn note(&self, events: Vec<Event>) -> Option<Position> {
        let mut last = None;
        for Event { position, id, r#type: kind, text, reason } in events {
            self.recorder.note(What::Frame { session: self.number, id, position, kind, text, reason });
            self.reached.event(position);
            last = Some(position);
        }
        last
    }
}

/// Notes the end of a session, however it comes about.
pub(crate) struct Ended {
    pub(crate) session: u32,
    pub(crate) code: Option<u16>,
    pub(crate) recorder: Arc<Recorder>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.recorder.note(What::Ended { session: self.session, code: self.code });
    }
}
