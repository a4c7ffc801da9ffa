//! A certificate chain and its private key, in two PEM files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use conf::Problem;
use jiff::Timestamp;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};
use webpki::{EndEntityCert, KeyUsage};

/// A certificate chain with the private key of its first certificate.
#[derive(Debug)]
pub struct Pair {
    pub(crate) key: Arc<CertifiedKey>,
    expires: Timestamp,
}

/// The contents of the two files. `Debug` is not derived: one is a private key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    /// Reads `cert_file` and `key_file`. Err: one of them is not named, or cannot be used. `section` is the section of
    /// the settings with these names.
    pub fn read(section: &str, cert_file: &Path, key_file: &Path) -> Result<Pair, Problem> {
        Pair::parse(section, cert_file, key_file, &Contents::read(section, cert_file, key_file)?)
    }

    pub(crate) fn parse(
        section: &str,
        cert_file: &Path,
        key_file: &Path,
        contents: &Contents,
    ) -> Result<Pair, Problem> {
        let (cert_name, key_name) = (cert_file.display(), key_file.display());
        let bad_certificate = |reason: String| Problem::new(format!("{section}.cert_file"), reason);
        let bad_key = |reason: String| Problem::new(format!("{section}.key_file"), reason);
        let chain = CertificateDer::pem_slice_iter(&contents.certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| bad_certificate(format!("{cert_name} is not PEM: {error}")))?;
        let Some(first) = chain.first() else {
            let reason = format!("{cert_name} has no certificate: write the chain into it as PEM, its own first");
            return Err(bad_certificate(reason));
        };
        let unreadable =
            |error: &dyn std::fmt::Display| bad_certificate(format!("{cert_name} has a bad certificate: {error}"));
        let expires = expiry(first).map_err(|error| unreadable(&error))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| bad_key(format!("{key_name} has no private key in PEM that needs no password")))?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                bad_key(format!("{key_name} is not the key of the certificate in {cert_name}: renew both files"))
            }
            Error::InvalidCertificate(error) => unreadable(&error),
            error => bad_key(format!("{key_name} has a key that cannot be used: {error}")),
        })?;
        Ok(Pair { key: Arc::new(key), expires })
    }

    /// The time after which no client accepts the certificate.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl Contents {
    pub(crate) fn read(section: &str, cert_file: &Path, key_file: &Path) -> Result<Contents, Problem> {
        let bad = |member: &str, reason: String| Problem::new(format!("{section}.{member}"), reason);
        for (member, file, other) in [("cert_file", cert_file, "key_file"), ("key_file", key_file, "cert_file")] {
            if file.as_os_str().is_empty() {
                return Err(bad(member, format!("is required beside {other}")));
            }
        }
        let read = |member, file: &Path| {
            std::fs::read(file).map_err(|error| bad(member, format!("cannot read {}: {error}", file.display())))
        };
        Ok(Contents { certificates: read("cert_file", cert_file)?, key: read("key_file", key_file)? })
    }
}

/// The end of the certificate's validity. webpki has no accessor for it. At the end of all time, that the certificate
/// has expired is the first thing it finds, and it says since when.
pub(crate) fn expiry(certificate: &CertificateDer<'_>) -> Result<Timestamp, webpki::Error> {
    let certificate = EndEntityCert::try_from(certificate)?;
    let end = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    match certificate.verify_for_usage(&[], &[], &[], end, KeyUsage::server_auth(), None, None) {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            let seconds = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
            // A certificate "without an end" expires with the year 9999.
            Ok(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
        }
        Err(error) => Err(error),
        Ok(_) => Err(webpki::Error::UnknownIssuer),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    pub(crate) fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
    }

    /// The PEM of a certificate for that name and of its key. It expires with the year before `year`.
    pub(crate) fn made(name: &str, year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
    }

    pub(crate) struct Files(tempfile::TempDir);

    impl Files {
        pub(crate) fn of((certificates, key): &(String, String)) -> Files {
            let files = Files(tempfile::tempdir().unwrap());
            files.write(certificates, key);
            files
        }

        pub(crate) fn write(&self, certificates: &str, key: &str) {
            std::fs::write(self.cert(), certificates).unwrap();
            std::fs::write(self.key(), key).unwrap();
        }

        pub(crate) fn cert(&self) -> PathBuf {
            self.0.path().join("cert.pem")
        }

        pub(crate) fn key(&self) -> PathBuf {
            self.0.path().join("key.pem")
        }
    }

    fn read(certificates: &str, key: &str) -> Result<Pair, String> {
        let files = Files::of(&(certificates.to_owned(), key.to_owned()));
        Pair::read("ingest.tls", &files.cert(), &files.key()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_pair_says_when_it_expires() {
        let (certificate, key) = made("one.example", 2031);
        assert_eq!(read(&certificate, &key).unwrap().expires().to_string(), "2031-01-01T00:00:00Z");
        let (expired, key) = made("one.example", 2021);
        assert_eq!(read(&expired, &key).unwrap().expires().to_string(), "2021-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_wrong_with_a_pair_is_told_with_the_setting_and_the_file() {
        let ((one, key_of_one), (_, key_of_other)) = (made("one.example", 2031), made("other.example", 2031));
        for (certificates, key, told) in [
            ("", &*key_of_one, "ingest.tls.cert_file: "),
            ("hello", &key_of_one, "cert.pem has no certificate"),
            ("-----BEGIN CERTIFICATE-----\nhello", &key_of_one, "cert.pem is not PEM"),
            (&pem("CERTIFICATE", b"hello"), &key_of_one, "cert.pem has a bad certificate"),
            (&one, "", "key.pem has no private key"),
            (&one, &one, "key.pem has no private key"),
            (&one, &pem("PRIVATE KEY", b"hello"), "key.pem has a key that cannot be used"),
            (&one, &key_of_other, "key.pem is not the key of the certificate in "),
            (&one, &key_of_other, "ingest.tls.key_file: "),
        ] {
            let refused = read(certificates, key).unwrap_err();
            assert!(refused.contains(told), "{told}: {refused}");
        }
        let files = Files::of(&(one, key_of_one));
        std::fs::remove_file(files.key()).unwrap();
        let missing = Pair::read("ingest.tls", &files.cert(), &files.key()).unwrap_err().to_string();
        assert!(missing.starts_with("ingest.tls.key_file: cannot read "), "{missing}");
    }
}
