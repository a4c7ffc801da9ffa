//! The section `[nats.tls]`. The client reads the files anew for each connection, so a renewed certificate is used from
//! the next one on.

use std::path::{Path, PathBuf};

use async_nats::ConnectOptions;
use conf::Problem;
use serde::Deserialize;
use tls::Pair;

const SECTION: &str = "nats.tls";

/// TLS to the servers. With any of its members set, a server without TLS is refused; so it is with a `tls://` address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificates of the servers' authorities, as PEM. Empty: those of the operating system.
    pub ca_file: PathBuf,
    /// This client's certificate chain, as PEM, for servers that ask for one. Empty, as `key_file` then: none.
    pub cert_file: PathBuf,
    /// The private key of that certificate, as PEM without a password.
    pub key_file: PathBuf,
    /// Whether the handshake comes first on the connection, as servers with `handshake_first` want it.
    pub first: bool,
}

impl TlsConfig {
    /// Every setting that cannot work. It reads the files.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if is_set(&self.ca_file) {
            problems.extend(tls::read_authorities("nats.tls.ca_file", &self.ca_file).err());
        }
        problems.extend(self.client_certificate().and_then(Result::err));
        problems
    }

    /// This client's certificate. None: it has none. Err: a file cannot be used.
    pub fn client_certificate(&self) -> Option<Result<Pair, Problem>> {
        let is_on = is_set(&self.cert_file) || is_set(&self.key_file);
        is_on.then(|| Pair::read(SECTION, &self.cert_file, &self.key_file))
    }

    /// The file with this client's certificate. None: it has none.
    pub fn certificate_file(&self) -> Option<PathBuf> {
        is_set(&self.cert_file).then(|| self.cert_file.clone())
    }

    /// The options with TLS, if it is configured.
    pub(crate) fn add_to(&self, options: ConnectOptions) -> ConnectOptions {
        let is_on = self.first || [&self.ca_file, &self.cert_file, &self.key_file].into_iter().any(|file| is_set(file));
        if !is_on {
            return options;
        }
        let mut options = options.require_tls(true);
        if is_set(&self.ca_file) {
            options = options.add_root_certificates(self.ca_file.clone());
        }
        if is_set(&self.cert_file) {
            options = options.add_client_certificate(self.cert_file.clone(), self.key_file.clone());
        }
        if self.first { options.tls_first() } else { options }
    }
}

fn is_set(file: &Path) -> bool {
    !file.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_certificate_has_both_files_and_every_file_must_be_readable() {
        let keys = |ca: &str, cert: &str, key: &str| {
            let [ca_file, cert_file, key_file] = [ca, cert, key].map(PathBuf::from);
            let problems = TlsConfig { ca_file, cert_file, key_file, first: false }.problems();
            problems.into_iter().map(|problem| problem.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(keys("", "", ""), [""; 0]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().to_str().unwrap();
        assert_eq!(keys("", name, ""), ["nats.tls.key_file: is required beside cert_file"]);
        assert_eq!(keys("", "", "/no/such"), ["nats.tls.cert_file: is required beside key_file"]);
        let unreadable = keys("/no/ca", "/no/cert", "/no/key");
        assert_eq!(unreadable.len(), 2, "{unreadable:?}");
        assert!(unreadable[0].starts_with("nats.tls.ca_file: cannot read /no/ca: "), "{unreadable:?}");
        assert!(unreadable[1].starts_with("nats.tls.cert_file: cannot read /no/cert: "), "{unreadable:?}");
    }
}
