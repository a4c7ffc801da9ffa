//! Changes without a restart. SIGHUP reads the configuration, the files of secrets, the word lists and the certificates
//! again; certificates are also read when their files change. What cannot be used changes nothing and is named in the
//! log, and so is what needs a restart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use web::auth::Verifier;

use crate::certificates::Certificates;
use crate::config::{Config, Loaded};
use crate::logging::Filter;
use crate::roles::Role;

/// A minute: a renewed certificate is used that soon, and the two files of it are rarely read apart.
const LOOK: Duration = Duration::from_secs(60);

/// The keys of what a role can change while it runs, or their beginnings.
const OF_ALL: [&str; 6] =
    ["log.filter", "otlp.headers", "auth.secret", "auth.previous_secret", "nats.credentials", "nats.nkey"];
const OF_INGEST: [&str; 5] =
    ["ingest.words.", "ingest.limits.", "ingest.room.", "ingest.gateway.secret", "ingest.review.secret"];
const OF_ARCHIVER: [&str; 1] = [ARCHIVE];
const OF_DELIVERY: [&str; 1] = ["ingest.room.readers"];

/// Of the addresses of NATS, the login alone changes without a restart.
const ADDRESSES: &str = "nats.urls";

/// The archiver itself refuses other servers.
const ARCHIVE: &str = "archiver.uri";

/// What is changed, and from where.
pub(crate) struct Reload {
    pub(crate) role: Role,
    /// The configuration file.
    pub(crate) file: Option<PathBuf>,
    /// The configuration of the start.
    pub(crate) started: Loaded,
    pub(crate) filter: Filter,
    pub(crate) auth: Arc<Verifier>,
    /// None: no span is exported.
    pub(crate) export_headers: Option<otlp::Headers>,
    pub(crate) certificates: Arc<Certificates>,
    /// Tells the role.
    pub(crate) changes: watch::Sender<Config>,
}

impl Reload {
    /// Reloads at every SIGHUP, and looks after the certificates, until the stop.
    pub(crate) async fn follow(self, mut hangup: Signal, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The configuration that was reloaded last.
        let mut current = None;
        loop {
            // A dropped wait loses no signal.
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => current = self.reload(current).await,
                _ = looks.tick() => self.certificates.reload_if_changed(),
            }
        }
    }

    /// The configuration in use.
    async fn reload(&self, current: Option<Loaded>) -> Option<Loaded> {
        let (role, file) = (self.role, self.file.clone());
        // It reads files, and word lists among them.
        let read = tokio::task::spawn_blocking(move || {
            Loaded::checked(file.as_deref(), std::env::vars_os(), |config| Role::problems_of(&[role], config))
        });
        let loaded = match read.await.expect("reading the configuration does not panic") {
            Ok(loaded) => loaded,
            Err(invalid) => {
                tracing::error!(role = role.name(), error = %invalid, "nothing is reloaded: {invalid}");
                return current;
            }
        };
        loaded.config.log_warnings();
        self.certificates.reload();
        self.filter.set(&loaded.config.log);
        if let Some(headers) = &self.export_headers {
            headers.set(&loaded.config.otlp);
        }
        self.auth.set_secrets(&loaded.config.auth);
        self.changes.send_replace(loaded.config.clone());
        let mut changed = current.as_ref().unwrap_or(&self.started).changed(&loaded);
        let has_same_servers = self.started.config.nats.has_servers_of(&loaded.config.nats);
        let is_changed = |key: &str| is_reloaded(role, key) || has_same_servers && key == ADDRESSES;
        changed.retain(|key| is_changed(key));
        let changed = if changed.is_empty() { "no setting has changed".to_owned() } else { changed.join(", ") };
        tracing::info!(role = role.name(), changed, "reloaded: {changed}");
        let mut later = self.started.changed(&loaded);
        later.retain(|key| is_of(role, key) && !is_changed(key));
        if !later.is_empty() {
            let (name, later) = (role.name(), later.join(", "));
            tracing::warn!(role = name, later, "restart {name} to apply {later}");
        }
        Some(loaded)
    }
}

/// When a changed setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// At the next start.
    AtStart,
    /// At the next SIGHUP.
    BySighup,
    /// The login in it: likewise. The rest at the next start.
    Login,
}

impl Applied {
    pub(crate) fn of(key: &str) -> Applied {
        match key {
            ADDRESSES | ARCHIVE => Applied::Login,
            _ if Role::ALL.iter().any(|role| is_reloaded(*role, key)) => Applied::BySighup,
            _ => Applied::AtStart,
        }
    }
}

/// Whether the role changes the setting while it runs.
fn is_reloaded(role: Role, key: &str) -> bool {
    let own: &[&str] = match role {
        Role::Ingest => &OF_INGEST,
        Role::Delivery => &OF_DELIVERY,
        Role::Archiver => &OF_ARCHIVER,
    };
    OF_ALL.iter().chain(own).any(|begin| key.starts_with(begin))
}

/// Whether the role reads the setting.
fn is_of(role: Role, key: &str) -> bool {
    let section = key.split('.').next().unwrap_or_default();
    section == role.name() || Role::ALL.iter().all(|role| section != role.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_changes_its_own_settings_and_names_those_that_need_a_restart() {
        for (role, key, reloaded, own) in [
            (Role::Ingest, "log.filter", true, true),
            (Role::Ingest, "ingest.limits.user_rate.seconds", true, true),
            (Role::Ingest, "ingest.room.readers", true, true),
            (Role::Ingest, "ingest.rooms.url", false, true),
            (Role::Ingest, "nats.urls", false, true),
            (Role::Ingest, "delivery.window", false, false),
            (Role::Delivery, "ingest.room.readers", true, false),
            (Role::Delivery, "ingest.room.slow_mode", false, false),
            (Role::Archiver, "auth.secret", true, true),
            (Role::Archiver, "archiver.uri", true, true),
            (Role::Archiver, "nats.nkey", true, true),
            (Role::Archiver, "archiver.database", false, true),
        ] {
            assert_eq!((is_reloaded(role, key), is_of(role, key)), (reloaded, own), "{role:?} {key}");
        }
    }

    #[test]
    fn of_every_setting_it_is_said_when_a_change_takes_effect() {
        for (key, applied) in [
            ("ingest.limits.user_rate", Applied::BySighup),
            ("ingest.room.readers", Applied::BySighup),
            ("ingest.review.secret", Applied::BySighup),
            ("otlp.headers", Applied::BySighup),
            ("otlp.url", Applied::AtStart),
            ("nats.urls", Applied::Login),
            ("archiver.uri", Applied::Login),
        ] {
            assert_eq!(Applied::of(key), applied, "{key}");
        }
    }
}
