//! File descriptors: checks that the process may open as many as the role's bounds allow. Each connection takes one.
//! When none is left, the role accepts no connection, not even a health check.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;
use crate::roles::Role;

/// Descriptors besides those of connections: the log, MongoDB, the room server, operators, the program itself.
const OWN: usize = 512;

/// Raises the soft limit to the hard one, and warns if that is too low.
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
            "the limit of {allowed} file descriptors is below the {needed} that {} may need: raise it \
             (LimitNOFILE, ulimit -n), or lower the role's bounds",
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
