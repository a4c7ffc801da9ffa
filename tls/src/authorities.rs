//! Certificates of authorities in a PEM file.

use std::path::Path;

use conf::Problem;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// Reads the certificates of authorities. Err: the file cannot be read, holds no certificate, or one that is none of an
/// authority. `key` is the setting that names the file.
pub fn read_authorities(key: &str, file: &Path) -> Result<RootCertStore, Problem> {
    let name = file.display();
    let failed = |reason: String| Problem::new(key, reason);
    let pem = std::fs::read(file).map_err(|error| failed(format!("cannot read {name}: {error}")))?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(format!("{name} is not PEM: {error}")))?;
        let added = authorities.add(certificate);
        added.map_err(|error| failed(format!("{name} has a certificate that cannot be used: {error}")))?;
    }
    if authorities.is_empty() {
        return Err(failed(format!("{name} has no certificate: write the authority's into it, as PEM")));
    }
    Ok(authorities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<usize, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let read = read_authorities("nats.tls.ca_file", file.path());
        read.map(|authorities| authorities.len()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_file_has_one_authority_or_several_and_one_without_any_is_refused() {
        let made = rcgen::generate_simple_self_signed(["one.example".to_owned()]).unwrap();
        let one = crate::pair::tests::pem("CERTIFICATE", made.cert.der());
        assert_eq!(read(&one), Ok(1));
        assert_eq!(read(&format!("# Of this year\n{one}{one}")), Ok(2));
        for (content, told) in [
            ("", "has no certificate"),
            ("hello", "has no certificate"),
            ("-----BEGIN CERTIFICATE-----\n", "is not PEM"),
            ("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n", "cannot be used"),
        ] {
            let refused = read(content).unwrap_err();
            assert!(refused.starts_with("nats.tls.ca_file: ") && refused.contains(told), "{refused}");
        }
        let missing = read_authorities("nats.tls.ca_file", "/no/such/file".as_ref()).unwrap_err().to_string();
        assert!(missing.starts_with("nats.tls.ca_file: cannot read /no/such/file: "), "{missing}");
    }
}
