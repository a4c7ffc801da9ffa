//! A certificate that a role shows to a server as its client. Another library reads the file and makes the connection;
//! here only the end of its validity is read, for operators.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::pair::expiry;

/// The end of a client's certificate.
#[derive(Debug)]
pub struct ClientCertificate {
    file: PathBuf,
    expires: Mutex<Option<Timestamp>>,
}

impl ClientCertificate {
    /// Reads the first certificate in a PEM file, which may also have the key.
    pub fn read(file: PathBuf) -> ClientCertificate {
        let expires = Mutex::new(end(&file));
        ClientCertificate { file, expires }
    }

    /// Reads the file again. What cannot be read changes nothing.
    pub fn reload(&self) {
        if let Some(end) = end(&self.file) {
            *self.expires.lock() = Some(end);
        }
    }

    /// The time after which no server accepts it. None: it has not been readable yet.
    pub fn expires(&self) -> Option<Timestamp> {
        *self.expires.lock()
    }
}

fn end(file: &Path) -> Option<Timestamp> {
    let pem = std::fs::read(file).ok()?;
    let first = CertificateDer::pem_slice_iter(&pem).next()?.ok()?;
    expiry(&first).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::tests::made;

    #[test]
    fn a_renewed_file_is_read_and_an_unreadable_one_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |year| {
            let (certificate, key) = made("one.example", year);
            // As MongoDB wants them: in one file, in any order.
            std::fs::write(file.path(), format!("{key}{certificate}")).unwrap();
        };
        write(2031);
        let client = ClientCertificate::read(file.path().to_owned());
        let end = || client.expires().map(|end| end.to_string());
        assert_eq!(end().as_deref(), Some("2031-01-01T00:00:00Z"));
        write(2032);
        client.reload();
        assert_eq!(end().as_deref(), Some("2032-01-01T00:00:00Z"));
        std::fs::write(file.path(), "half of a ren").unwrap();
        client.reload();
        assert_eq!(end().as_deref(), Some("2032-01-01T00:00:00Z"));
        assert_eq!(ClientCertificate::read("/no/such/file".into()).expires(), None);
    }
}
