//! The certificates of a role: those that its listeners show to clients, and those that it shows to NATS and MongoDB.
//! Prometheus is told when each expires.

use std::path::PathBuf;
use std::sync::Arc;

use conf::Problem;
use metrics::Registry;
use tls::{ClientCertificate, ServerTls};

use crate::config::Config;
use crate::roles::Role;

/// The certificates that a role uses.
#[derive(Debug)]
pub(crate) struct Certificates {
    listeners: Vec<Arc<ServerTls>>,
    /// The client of NATS reads its files for each connection, so what they hold counts.
    nats: Option<ClientCertificate>,
    /// The driver of MongoDB reads its file at the start of the role, so what it held then counts.
    mongodb: Option<ClientCertificate>,
}

impl Certificates {
    pub(crate) fn of(role: Role, config: &Config, listeners: impl IntoIterator<Item = Arc<ServerTls>>) -> Certificates {
        let read = |file: Option<PathBuf>| file.map(ClientCertificate::read);
        let mongodb = (role == Role::Archiver).then(|| config.archiver.uri.certificate_file()).flatten();
        Certificates {
            listeners: listeners.into_iter().collect(),
            nats: read(config.nats.tls.certificate_file()),
            mongodb: read(mongodb),
        }
    }

    /// Exposes the end of each, by the setting that names it.
    pub(crate) fn declare(self: &Arc<Self>, registry: &Registry) {
        let certificates = self.clone();
        registry.gauges(
            "chatting_tls_certificate_expiry_timestamp_seconds",
            "When a certificate that the role uses expires, since 1970, by the setting that names it.",
            "certificate",
            move || certificates.ends(),
        );
    }

    fn ends(&self) -> Vec<(String, f64)> {
        let listeners = self.listeners.iter().map(|listener| (listener.section(), Some(listener.expires())));
        let clients = [("nats.tls", &self.nats), ("archiver.uri", &self.mongodb)];
        let clients = clients.map(|(setting, client)| (setting, client.as_ref().and_then(ClientCertificate::expires)));
        let ends = listeners.chain(clients);
        ends.filter_map(|(setting, end)| Some((setting.to_owned(), end?.as_second() as f64))).collect()
    }

    /// Reads the files again, and uses what they hold from now on.
    pub(crate) fn reload(&self) {
        for listener in &self.listeners {
            tell(listener, listener.reload());
        }
        self.look_at_client();
    }

    /// The same for files that have changed.
    pub(crate) fn reload_if_changed(&self) {
        for listener in &self.listeners {
            listener.reload_if_changed().into_iter().for_each(|outcome| tell(listener, outcome));
        }
        self.look_at_client();
    }

    fn look_at_client(&self) {
        if let Some(client) = &self.nats {
            client.reload();
        }
    }
}

fn tell(certificate: &ServerTls, outcome: Result<bool, Problem>) {
    let (section, expires) = (certificate.section(), certificate.expires());
    match outcome {
        Ok(true) => {
            tracing::info!(section, %expires, "{section}: a renewed certificate is in use, valid until {expires}");
        }
        Ok(false) => tracing::debug!(section, %expires, "{section}: the certificate is the same"),
        Err(problem) => tracing::error!(
            section,
            %problem,
            "{section}: the certificate is not renewed, and the one in use is valid until {expires}: {problem}"
        ),
    }
}
