//! What ingest changes while it runs: word lists, limits, the settings of rooms that have set nothing themselves, and
//! the secrets of the gateway and the review hook.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Config;
use crate::state::Ingest;

/// Applies each new configuration, which its owner has checked.
pub(crate) async fn follow(ingest: Arc<Ingest>, mut changes: watch::Receiver<Config>) -> Infallible {
    while changes.changed().await.is_ok() {
        let config = changes.borrow_and_update().clone();
        ingest.replay.limits.set(&config.limits);
        ingest.gateway.set_secret(&config.gateway.secret);
        if let (Some(review), Some(key)) = (&ingest.review, &config.review.secret) {
            review.set_key(key);
        }
        match config.room.settings() {
            Ok(settings) => ingest.replay.rules.set_deployment(settings),
            Err(error) => tracing::error!(error, "the settings of rooms stay as they were: {error}"),
        }
        let compiled = tokio::task::spawn_blocking({
            let ingest = ingest.clone();
            move || ingest.word_filter.reload(&config.words)
        });
        match compiled.await.expect("compiling word lists does not panic") {
            Ok(()) => tracing::info!("limits, settings of rooms, word lists and secrets are in use as reloaded"),
            Err(error) => tracing::error!(error, "the word lists stay as they were: {error}"),
        }
    }
    // The owner is gone: the process ends.
    std::future::pending().await
}
