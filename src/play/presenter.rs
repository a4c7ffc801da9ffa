//! The presenter's side: a screen, connected in the original's dialect, that comes back whenever its socket ends and
//! shows every message once, by its id.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chat::EventId;
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::sync::CancellationToken;

/// A message as it arrived.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub(super) message_id: EventId,
    pub(super) message: String,
}

/// What a presenter saw, each message once, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<EventId>,
    pub(super) shown: Vec<Shown>,
    /// Frames with an id that was there already: a resumed socket may repeat.
    pub(super) repeated: usize,
}

/// A presenter's browser.
#[derive(Debug)]
pub(super) struct Screen {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Between two connections.
const PAUSE: Duration = Duration::from_millis(200);

/// How often a silent socket is asked whether it still lives.
const PING: Duration = Duration::from_secs(5);

impl Screen {
    pub(super) fn open(url: String, token: String) -> Screen {
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), CancellationToken::new());
        let task = tokio::spawn({
            let (seen, stop) = (Arc::clone(&seen), stop.clone());
            let shows = async move {
                loop {
                    let ended = follow(&url, &token, |message| seen.lock().show(message)).await;
                    if let Err(error) = ended {
                        tracing::debug!("a presenter's socket ended: {error:#}");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            };
            // Whatever is cut off, nobody looks at the screen any more.
            async move {
                stop.run_until_cancelled(shows).await;
            }
        });
        Screen { seen, stop, task }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock()
    }

    pub(super) async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a presenter's screen failed: {error}");
        }
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

/// Connects once, and hands out every message until the socket ends. Ok: the server closed it, with this code.
async fn follow(url: &str, token: &str, mut show: impl FnMut(Shown)) -> anyhow::Result<Option<u16>> {
    let (mut socket, _) = connect_async(url).await.with_context(|| format!("cannot connect to {url}"))?;
    socket.send(Frame::text(json!({ "id": "start", "token": token }).to_string())).await?;
    let mut asked = false;
    loop {
        let Ok(frame) = tokio::time::timeout(PING, socket.next()).await else {
            // Not even an answer to the last question: the peer is gone, whatever TCP says.
            anyhow::ensure!(!asked, "the socket is silent");
            socket.send(Frame::text("ping")).await?;
            asked = true;
            continue;
        };
        asked = false;
        match frame.context("the connection was lost")?? {
            Frame::Close(frame) => return Ok(frame.map(|frame| frame.code.into())),
            Frame::Text(text) => match serde_json::from_str(&text) {
                Ok(message) => show(message),
                // `pong`, and frames that carry no message.
                Err(_) => continue,
            },
            _ => continue,
        }
    }
}
