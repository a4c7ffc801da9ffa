//! A presenter in the original's dialect. It reconnects whenever its socket ends, and shows each message once, by its
//! id.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chat::EventId;
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::{Mutex, MutexGuard};
use runtime::Tasks;
use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;

/// A message as received.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub(super) message_id: EventId,
    pub(super) message: String,
}

/// The messages that a presenter received, each once, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<EventId>,
    pub(super) shown: Vec<Shown>,
    /// Repeated frames: a resumed socket may repeat messages.
    pub(super) repeated: usize,
}

/// A presenter's page.
#[derive(Debug)]
pub(super) struct Screen {
    seen: Arc<Mutex<Seen>>,
    tasks: Tasks,
}

/// The pause between two connections.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a silent socket is waited for before a ping.
const PING: Duration = Duration::from_secs(5);

impl Screen {
    pub(super) fn open(url: String, token: String) -> Screen {
        let (seen, tasks) = (Arc::<Mutex<Seen>>::default(), Tasks::new());
        // Dropping it mid-frame is harmless: the screen is not read any more.
        tasks.spawn_until_stop("presenter's screen", {
            let seen = Arc::clone(&seen);
            async move {
                loop {
                    let ended = follow(&url, &token, |message| seen.lock().show(message)).await;
                    if let Err(error) = ended {
                        tracing::debug!("a presenter's socket ended: {error:#}");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Screen { seen, tasks }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock()
    }

    pub(super) async fn close(self) {
        self.tasks.finish().await;
    }
}

impl Seen {
    pub(super) fn show(&mut self, message: Shown) {
        if self.ids.insert(message.message_id) {
            self.shown.push(message);
        } else {
            self.repeated += 1;
        }
    }

    pub(super) fn contains(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }
}

/// Connects once, and passes on every message until the socket ends. Ok: the server's close code.
async fn follow(url: &str, token: &str, mut show: impl FnMut(Shown)) -> anyhow::Result<Option<u16>> {
    let (mut socket, _) = connect_async(url).await.with_context(|| format!("cannot connect to {url}"))?;
    socket.send(Frame::text(json!({ "id": "start", "token": token }).to_string())).await?;
    let mut asked = false;
    loop {
        let Ok(frame) = tokio::time::timeout(PING, socket.next()).await else {
            // No answer to the last ping: the peer is gone, whatever TCP says.
            anyhow::ensure!(!asked, "the socket did not answer a ping");
            socket.send(Frame::text("ping")).await?;
            asked = true;
            continue;
        };
        asked = false;
        match frame.context("the connection was lost")?? {
            Frame::Close(frame) => return Ok(frame.map(|frame| frame.code.into())),
            Frame::Text(text) => match serde_json::from_str(&text) {
                Ok(message) => show(message),
                // `pong`, and frames without a message.
                Err(_) => continue,
            },
            _ => continue,
        }
    }
}
