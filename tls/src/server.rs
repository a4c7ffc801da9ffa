//! TLS of a listener. Its certificate can be renewed while it serves: connections that are open keep the one that they
//! began with, and new ones get the new one. A pair of files that cannot be used changes nothing.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use conf::{Problem, Span};
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, Error};
use tokio_rustls::server::TlsStream;

use crate::pair::{Contents, Pair};

/// Member `tls` of a listener's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// The certificate chain as PEM, the listener's own certificate first. Empty, as `key_file` then: no TLS.
    pub cert_file: PathBuf,
    /// The private key of that certificate, as PEM without a password.
    pub key_file: PathBuf,
    /// The time for a handshake. Then the connection is closed.
    pub handshake_timeout: Span,
}

/// 32 KB of an answer that are encrypted and not written. rustls' own bound is 64 KB.
const UNWRITTEN_BYTES: usize = 32 * 1024;

/// HTTP/1.1 is all that is served.
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];

/// TLS of a listener.
pub struct ServerTls {
    /// Such as `ingest.tls`.
    section: String,
    config: ServerConfig,
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    /// What the files held when they were read last. None: they could not be read.
    seen: Mutex<Option<Contents>>,
}

/// Why a connection has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The peer closed the connection, or did not speak TLS as this listener does.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[source] io::Error),
    /// The peer took too long.
    #[error("the TLS handshake was not done in time")]
    Late,
}

/// The pair in use.
#[derive(Debug)]
struct Current(RwLock<Pair>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().key.clone())
    }
}

impl ServerConfig {
    /// Whether the listener serves TLS, perhaps with a wrong configuration.
    pub fn is_on(&self) -> bool {
        !self.cert_file.as_os_str().is_empty() || !self.key_file.as_os_str().is_empty()
    }

    /// Every setting that cannot work. It reads the files. `section` is that of the settings, such as `ingest.tls`.
    pub fn problems(&self, section: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let bounds = Span::from_millis(100)..=Span::from_secs(60);
        if !bounds.contains(&self.handshake_timeout) {
            problems.push(Problem::new(format!("{section}.handshake_timeout"), "must be 100ms to 1m"));
        }
        if self.is_on() {
            problems.extend(self.read(section).err());
        }
        problems
    }

    /// The certificate and its key. Err: a file is missing or cannot be used.
    pub fn read(&self, section: &str) -> Result<Pair, Problem> {
        Pair::read(section, &self.cert_file, &self.key_file)
    }
}

impl ServerTls {
    /// Reads the certificate and its key. None: the listener serves no TLS.
    pub fn load(section: &str, config: &ServerConfig) -> Result<Option<Arc<ServerTls>>, Problem> {
        if !config.is_on() {
            return Ok(None);
        }
        let contents = Contents::read(section, &config.cert_file, &config.key_file)?;
        let pair = Pair::parse(section, &config.cert_file, &config.key_file, &contents)?;
        let current = Arc::new(Current(RwLock::new(pair)));
        let failed = |error: Error| Problem::new(section, format!("cannot serve TLS: {error}"));
        let rustls = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let rustls = rustls.with_safe_default_protocol_versions().map_err(failed)?;
        let mut rustls = rustls.with_no_client_auth().with_cert_resolver(current.clone());
        rustls.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        // Clients that connect again resume their session without a signature, and nothing is kept for them here.
        rustls.ticketer = Ticketer::new().map_err(failed)?;
        Ok(Some(Arc::new(ServerTls {
            section: section.to_owned(),
            config: config.clone(),
            acceptor: Arc::new(rustls).into(),
            current,
            seen: Mutex::new(Some(contents)),
        })))
    }

    /// Such as `ingest.tls`.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// The time after which no client accepts the certificate in use.
    pub fn expires(&self) -> Timestamp {
        self.current.0.read().expires()
    }

    /// Makes the handshake of an accepted connection.
    pub async fn accept<T>(&self, stream: T) -> Result<TlsStream<T>, HandshakeError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = self.acceptor.accept_with(stream, |connection| {
            connection.set_buffer_limit(Some(UNWRITTEN_BYTES));
        });
        match timeout(self.config.handshake_timeout.get(), accepted).await {
            Ok(accepted) => accepted.map_err(HandshakeError::Failed),
            Err(_) => Err(HandshakeError::Late),
        }
    }

    /// Reads the files, and uses what they hold for new connections. False: they hold the pair in use. Err: they cannot
    /// be used, and nothing changes.
    pub fn reload(&self) -> Result<bool, Problem> {
        let contents = self.contents();
        *self.seen.lock() = contents.as_ref().ok().cloned();
        let pair = Pair::parse(&self.section, &self.config.cert_file, &self.config.key_file, &contents?)?;
        let mut current = self.current.0.write();
        let is_new = current.key.cert != pair.key.cert;
        *current = pair;
        Ok(is_new)
    }

    /// The same, if the files hold something else than when they were read last. None: they do not.
    pub fn reload_if_changed(&self) -> Option<Result<bool, Problem>> {
        let is_same = *self.seen.lock() == self.contents().ok();
        (!is_same).then(|| self.reload())
    }

    fn contents(&self) -> Result<Contents, Problem> {
        Contents::read(&self.section, &self.config.cert_file, &self.config.key_file)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("section", &self.section).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::tests::{Files, made};

    fn config(cert_file: PathBuf, key_file: PathBuf) -> ServerConfig {
        ServerConfig { cert_file, key_file, handshake_timeout: Span::from_secs(5) }
    }

    fn in_use(tls: &ServerTls) -> String {
        tls.expires().strftime("%Y").to_string()
    }

    #[test]
    fn a_listener_has_both_files_or_none() {
        let (some, none) = (PathBuf::from("/some"), PathBuf::new());
        assert!(ServerTls::load("ingest.tls", &config(none.clone(), none.clone())).unwrap().is_none());
        let message = |config: ServerConfig| ServerTls::load("ingest.tls", &config).unwrap_err().to_string();
        assert_eq!(message(config(some.clone(), none.clone())), "ingest.tls.key_file: is required beside cert_file");
        assert_eq!(message(config(none.clone(), some)), "ingest.tls.cert_file: is required beside key_file");
        let late = ServerConfig { handshake_timeout: Span::ZERO, ..config(none.clone(), none) };
        assert_eq!(late.problems("ingest.tls")[0].key, "ingest.tls.handshake_timeout");
    }

    #[test]
    fn a_renewed_pair_is_used_and_a_bad_one_changes_nothing() {
        let (first, second) = (made("one.example", 2031), made("one.example", 2032));
        let files = Files::of(&first);
        let tls = ServerTls::load("ingest.tls", &config(files.cert(), files.key())).unwrap().unwrap();
        assert_eq!((tls.reload(), tls.reload_if_changed(), in_use(&tls)), (Ok(false), None, "2031".to_owned()));

        // Half of a renewal.
        files.write(&second.0, &first.1);
        let refused = tls.reload_if_changed().unwrap().unwrap_err();
        assert!(refused.key == "ingest.tls.key_file" && refused.reason.contains("renew both"), "{refused}");
        assert_eq!(tls.reload_if_changed(), None, "it is told once");
        assert!(tls.reload().is_err(), "and again to whoever asks");
        assert_eq!(in_use(&tls), "2031");

        files.write(&second.0, &second.1);
        assert_eq!((tls.reload_if_changed(), in_use(&tls)), (Some(Ok(true)), "2032".to_owned()));

        std::fs::remove_file(files.key()).unwrap();
        assert!(tls.reload_if_changed().unwrap().is_err());
        assert_eq!((tls.reload_if_changed(), in_use(&tls)), (None, "2032".to_owned()));
    }
}
