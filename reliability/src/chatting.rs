//! A presenter in the original's dialect, at `/chatting`. The dialect has no welcome, no positions and no
//! acknowledgements; a client knows that its connection works when `ping` is answered with `pong`. The server reads
//! frames in order, so the pong to a ping sent after the start frame proves that the session has begun.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{EventId, Position};
use futures_util::{SinkExt as _, StreamExt as _};
use judge::history::{Dialect, Observation, Recorder};
use serde::Deserialize;
use serde_json::json;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::presenters::{CONNECT, Ended, Reached, Socket};
use crate::system::token;

/// The interval between pings.
const PING: Duration = Duration::from_secs(1);

/// 6 s of silence mean a dead connection, as for presenters of `chat.v1` in these runs.
const SILENCE: Duration = Duration::from_secs(6);

/// The expected frames. Messages have more members than the original's.
#[derive(Debug, Deserialize)]
#[serde(tag = "id")]
enum Frame {
    #[serde(rename = "sendChatting", rename_all = "camelCase")]
    SendChatting { message: String, message_id: EventId, position: Position },
}

/// One socket, after its start.
pub(crate) struct Session {
    number: u32,
    room: i64,
    node: String,
    socket: Socket,
    /// Whether the session has provably begun.
    begun: bool,
    recorder: Arc<Recorder>,
    reached: Arc<Reached>,
    /// Records the end even if the task is aborted or the session never begins.
    ended: Ended,
}

/// Connects, and waits for the first sign of a session.
pub(crate) async fn connect(
    number: u32,
    recorder: Arc<Recorder>,
    delivery: &str,
    node: &str,
    room: i64,
    reached: Arc<Reached>,
) -> anyhow::Result<Session> {
    let begun = async {
        let (socket, _) = connect_async(format!("{delivery}/chatting")).await?;
        let node = node.to_owned();
        // Recorded before the frame is sent: from then on the server may write messages to this socket.
        recorder.note(Observation::Starts { session: number, room, node: node.clone() });
        let ended = Ended { session: number, code: None, recorder: Arc::clone(&recorder) };
        let mut session = Session { number, room, node, socket, begun: false, recorder, reached, ended };
        let start = json!({ "id": "start", "token": token(room, false) });
        session.socket.send(Message::text(start.to_string())).await?;
        session.socket.send(Message::text("ping")).await?;
        while !session.begun {
            let message = session.socket.next().await;
            anyhow::ensure!(session.take(message), "the socket was closed before any frame");
        }
        anyhow::Ok(session)
    };
    tokio::time::timeout(CONNECT, begun).await.context("no sign of a session within the time limit")?
}

impl Session {
    /// Records frames until the socket ends.
    pub(crate) async fn watch(mut self) {
        let mut heard = Instant::now();
        let mut pings = tokio::time::interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A dropped branch loses no frame: only the other branch takes frames from the socket.
            let message = tokio::select! {
                message = self.socket.next() => message,
                _ = pings.tick() => {
                    if heard.elapsed() > SILENCE || self.socket.send(Message::text("ping")).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            heard = Instant::now();
            if !self.take(message) {
                return;
            }
        }
    }

    /// Records a frame. False: the socket has ended.
    fn take(&mut self, message: Option<Result<Message, Error>>) -> bool {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => {
                self.ended.code = frame.map(|frame| frame.code.into());
                return false;
            }
            Some(Ok(_)) => return true,
            Some(Err(_)) | None => return false,
        };
        let session = self.number;
        let message = if text == "pong" { None } else { Some(serde_json::from_str(&text)) };
        if !self.begun && !matches!(message, Some(Err(_))) {
            self.begun = true;
            self.recorder.note(Observation::Welcome {
                session,
                room: self.room,
                node: self.node.clone(),
                dialect: Dialect::Original,
                asked: None,
                position: None,
                recovered: true,
                fresh: false,
            });
        }
        match message {
            None => {}
            Some(Ok(Frame::SendChatting { message: text, message_id: id, position })) => {
                let kind = "message.posted".to_owned();
                let (text, target, reason) = (Some(text), None, None);
                self.recorder.note(Observation::Frame { session, id, position, kind, text, target, reason });
                self.reached.event(position);
            }
            Some(Err(_)) => self.recorder.note(Observation::Strange { session, text: text.to_string() }),
        }
        true
    }
}
