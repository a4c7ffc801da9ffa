//! What the archiver changes while it runs: the login to MongoDB.

use std::convert::Infallible;

use tokio::sync::watch;

use crate::Config;
use crate::mongo::database::Database;

/// Applies the address of each new configuration, which its owner has checked. A login that MongoDB refuses changes
/// nothing; the next reload tries again.
pub(crate) async fn follow(
    started: Config,
    databases: [Database; 2],
    mut changes: watch::Receiver<Config>,
) -> Infallible {
    let mut in_use = started.uri.clone();
    while changes.changed().await.is_ok() {
        let uri = changes.borrow_and_update().uri.clone();
        if uri == in_use {
            continue;
        }
        let config = Config { uri: uri.clone(), ..started.clone() };
        let mut renewed = Ok(());
        for database in &databases {
            renewed = renewed.and(database.renew(&config).await);
        }
        match renewed {
            Ok(()) => {
                tracing::info!("archiver.uri: the new login to MongoDB is in use");
                in_use = uri;
            }
            Err(reason) => tracing::error!(reason, "archiver.uri: the login to MongoDB stays as it was: {reason}"),
        }
    }
    // The owner is gone: the process ends.
    std::future::pending().await
}
