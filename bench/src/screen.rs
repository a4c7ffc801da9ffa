//! A presenter's socket that records when each message arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::system::System;

/// The only member that the bench needs: `<poster> <number> <nanoseconds since the start> …`.
#[derive(Deserialize)]
struct Frame {
    message: String,
}

/// The messages that a screen received.
pub(crate) struct Seen {
    /// Microseconds from the post to the arrival.
    pub(crate) latency: Histogram<u64>,
    /// Messages that were repeated, or out of order among those of one poster.
    pub(crate) wrong: usize,
}

/// A connected presenter.
pub(crate) struct Screen {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<Seen>>,
}

impl Screen {
    /// Connects. `arrived` counts the messages.
    pub(crate) async fn open(
        system: &System,
        room: i64,
        start: Instant,
        arrived: Arc<AtomicUsize>,
    ) -> anyhow::Result<Screen> {
        let url = format!("ws://127.0.0.1:{}/chatting", system.nodes[0].port);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
        let start_frame = serde_json::json!({ "id": "start", "token": system.token(room) });
        socket.send(Message::text(start_frame.to_string())).await?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut seen = Seen { latency: Histogram::new(3)?, wrong: 0 };
            let mut last = std::collections::HashMap::<String, u64>::new();
            loop {
                let frame = tokio::select! {
                    frame = socket.next() => frame,
                    () = stopped.cancelled() => return Ok(seen),
                };
                let Some(Ok(Message::Text(text))) = frame else {
                    anyhow::ensure!(frame.is_some_and(|frame| frame.is_ok()), "a presenter's socket ended");
                    continue;
                };
                let Ok(Frame { message }) = serde_json::from_str(&text) else { continue };
                let mut parts = message.split(' ');
                let (Some(poster), Some(number), Some(nanos)) = (parts.next(), parts.next(), parts.next()) else {
                    continue;
                };
                let (number, nanos): (u64, u64) = (number.parse()?, nanos.parse()?);
                let latency = (start.elapsed().as_nanos() as u64).saturating_sub(nanos) / 1_000;
                seen.latency.record(latency.max(1))?;
                if last.insert(poster.to_owned(), number).is_some_and(|before| before >= number) {
                    seen.wrong += 1;
                }
                arrived.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Screen { stop, task })
    }

    pub(crate) async fn close(self) -> anyhow::Result<Seen> {
        self.stop.cancel();
        self.task.await?
    }
}
