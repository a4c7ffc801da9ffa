//! Signals: SIGTERM and SIGINT stop the process, with the same meaning, and SIGHUP asks it to reload.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal, by the convention of shells.
const INTERRUPTED: i32 = 130;

/// Listens for both signals.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// From now on SIGHUP does not end the process, and is received there.
pub(crate) fn hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("cannot listen for SIGHUP")
}

impl Signals {
    /// From now on, a signal does not end the process by itself.
    pub fn listen() -> anyhow::Result<Signals> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        Ok(Signals { terminate, interrupt })
    }

    /// Waits for the next signal. Cancel safe.
    pub async fn next(&mut self) {
        // A dropped branch loses nothing: both signals mean the same.
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// A token that the first signal cancels. The second signal ends the process at once.
    pub fn stop(mut self) -> CancellationToken {
        let stop = CancellationToken::new();
        let token = stop.clone();
        #[allow(clippy::disallowed_methods, reason = "it has no owner: it lasts as long as the process")]
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
