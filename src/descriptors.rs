//! File descriptors: whether as many are allowed as the role's bounds may take. Each connection takes one, and where they
//! run out nobody is accepted any more, not even whoever asks whether the role lives.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;
use crate::roles::Role;

/// For everything but peers: the log, MongoDB, the room server, the administrator, the program itself.
const OWN: usize = 512;

/// Raises the process's limit as far as it may, and warns where that is too little.
pub(crate) fn check(role: Role, config: &Config) {
    let needed = needed(role, config);
    let allowed = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok((soft, hard))
    });
    match allowed {
        Ok((_, allowed)) if allowed >= needed as u64 => {}
        Ok((_, allowed)) => tracing::warn!(
            allowed,
            needed,
            "only {allowed} file descriptors are allowed and the bounds of {} may take {needed}: allow more \
             (LimitNOFILE, ulimit -n), or lower the bounds",
            role.name()
        ),
        Err(error) => tracing::warn!(%error, "cannot raise the limit of file descriptors: {error}"),
    }
}

fn needed(role: Role, config: &Config) -> usize {
    let peers = match role {
        Role::Ingest => config.ingest.http.max_connections,
        Role::Delivery => {
            [config.delivery.http.max_connections, config.delivery.max_sessions, config.delivery.max_unauthenticated]
                .into_iter()
                .fold(0, usize::saturating_add)
        }
        Role::Archiver => config.archiver.http.max_connections,
    };
    peers.saturating_add(OWN)
}
