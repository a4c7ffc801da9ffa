//! Signals that stop the process: SIGTERM and SIGINT, which mean the same.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal, as shells report an interrupted program.
const INTERRUPTED: i32 = 130;

/// Listens for both.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on, a signal does not end the process by itself.
    pub fn listen() -> anyhow::Result<Signals> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        Ok(Signals { terminate, interrupt })
    }

    /// Waits for the next one. Cancel safe.
    pub async fn next(&mut self) {
        // A dropped branch loses nothing: either signal means the same.
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// A token that the first signal cancels; the second ends the process at once. The watch lasts as long as the
    /// process.
    pub fn stop(mut self) -> CancellationToken {
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(async move {
            self.next().await;
            tracing::info!("stopping; a second signal ends the process at once");
            stop.cancel();
            self.next().await;
            tracing::warn!("a second signal: ending at once");
            std::process::exit(INTERRUPTED);
        });
        token
    }
}
