//! A certificate authority of a test, and what it issues.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::civil::{Date, date};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::Folder;

/// An authority, with files for what it issues.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: Folder,
}

/// The paths of an issued certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// Its private key.
    pub key: String,
    /// Both in one file, as MongoDB wants them.
    pub both: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = named("authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let folder = Folder::new("authority");
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
        Authority { issuer: Issuer::new(params, key), folder }
    }

    /// The path of its own certificate.
    pub fn file(&self) -> String {
        self.path("ca.pem")
    }

    pub fn pem(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }

    /// A certificate for these hosts, by the name of its files, which it replaces.
    pub fn issue(&self, name: &str, hosts: &[&str]) -> Issued {
        self.issue_until(name, hosts, 2099)
    }

    /// The same. It expires at the beginning of that year.
    pub fn issue_until(&self, name: &str, hosts: &[&str], year: i32) -> Issued {
        self.issue_before(name, hosts, date(i16::try_from(year).unwrap(), 1, 1))
    }

    /// The same. It expires at midnight, when so many days have begun.
    pub fn issue_for_days(&self, name: &str, hosts: &[&str], days: i64) -> Issued {
        let today = Offset::UTC.to_datetime(Timestamp::now()).date();
        self.issue_before(name, hosts, today + days.days())
    }

    fn issue_before(&self, name: &str, hosts: &[&str], end: Date) -> Issued {
        let mut params = named(name, hosts);
        params.not_after = date_time_ymd(end.year().into(), end.month().unsigned_abs(), end.day().unsigned_abs());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = pem("CERTIFICATE", params.signed_by(&key, &self.issuer).unwrap().der());
        let key = pem("PRIVATE KEY", &key.serialize_der());
        let write = |ending: &str, content: &str| {
            let file = format!("{name}.{ending}");
            std::fs::write(self.folder.path().join(&file), content).unwrap();
            self.path(&file)
        };
        Issued {
            both: write("both.pem", &format!("{key}{certificate}")),
            cert: write("cert.pem", &certificate),
            key: write("key.pem", &key),
        }
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).to_str().unwrap().to_owned()
    }
}

fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params
}

/// In lines of 64 characters, which OpenSSL wants.
fn pem(label: &str, der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
