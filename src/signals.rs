//! Signals: the first SIGTERM or SIGINT asks for a stop, the second ends the process at once.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal, as shells report an interrupted program.
const INTERRUPTED: i32 = 130;

/// A token that the first signal cancels. The watch lasts as long as the process.
pub fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = CancellationToken::new();
    tokio::spawn(watch(terminate, interrupt, stop.clone()));
    Ok(stop)
}

async fn watch(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping; a second signal ends the process at once");
    stop.cancel();
    next(&mut terminate, &mut interrupt).await;
    tracing::warn!("a second signal: ending at once");
    std::process::exit(INTERRUPTED);
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    // A dropped branch loses nothing: either signal means the same.
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
