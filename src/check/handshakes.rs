//! TLS: what to do about a handshake that failed, and how long the certificates of this configuration last.

use jiff::{SignedDuration, Timestamp};
use tls::Fault;

use super::finding::Finding;
use crate::config::Config;
use crate::roles::Role;

const PART: &str = "certificates";

/// 14 days: what renews certificates by itself has tried for two weeks by then.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The settings of a client's TLS, as sentences name them.
pub(super) struct Names {
    /// The certificates of authorities.
    pub(super) authorities: &'static str,
    /// The client's own certificate and key.
    pub(super) own: &'static str,
    /// Whether and how TLS is used.
    pub(super) way: &'static str,
    /// The address of the server.
    pub(super) address: &'static str,
}

/// What to do about an error. None: it is not about TLS.
pub(super) fn action(reason: &str, names: &Names) -> Option<String> {
    let Names { authorities, own, way, address } = names;
    Some(match Fault::in_message(reason)? {
        Fault::Expired => "renew the server's certificate: it has expired".to_owned(),
        Fault::NotYetValid => {
            "set both clocks by NTP, or renew the server's certificate: it is not valid yet".to_owned()
        }
        Fault::UnknownAuthority => {
            format!("name the file with the authority of the server's certificate: {authorities}")
        }
        Fault::OtherName => format!("use a host of the server's certificate in {address}, or renew it with this host"),
        Fault::NoClientCertificate => format!("the server asks for a certificate of its clients: set {own}"),
        Fault::ClientCertificateRefused => {
            format!("renew {own}, with an authority that the server knows: it refuses the certificate")
        }
        Fault::NotTls => format!("the server does not answer with TLS: enable TLS on it, or correct {way}"),
    })
}

/// A finding for each certificate of these roles. The files were read as part of the configuration.
pub(super) fn certificates(config: &Config, roles: &[Role]) -> Vec<Finding> {
    let listeners = roles.iter().flat_map(|role| role.tls(config)).filter(|(_, tls)| tls.is_on());
    let listeners = listeners.map(|(section, tls)| {
        let pair = tls.read(&section);
        (section, pair)
    });
    let client = config.nats.tls.client_certificate().map(|pair| ("nats.tls".to_owned(), pair));
    let found = listeners.chain(client).map(|(section, pair)| match pair {
        Ok(pair) => certificate(&section, pair.expires(), Timestamp::now()),
        Err(problem) => Finding::problem(PART, problem.to_string(), "correct it: no role starts with it"),
    });
    found.collect()
}

fn certificate(section: &str, expires: Timestamp, now: Timestamp) -> Finding {
    let renew = "renew both files; a role reads them within a minute, or at once after SIGHUP";
    match expires.duration_since(now) {
        left if left.is_negative() => {
            Finding::problem(PART, format!("{section}: the certificate expired on {expires}"), renew)
        }
        left if left < SOON => {
            Finding::warning(PART, format!("{section}: the certificate expires soon, on {expires}"), renew)
        }
        _ => Finding::ok(PART, format!("{section}: the certificate is valid until {expires}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_expires_soon_is_a_warning_and_an_expired_one_a_problem() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let expires = at("2026-12-31T00:00:00Z");
        for (now, told) in [
            ("2026-12-01T00:00:00Z", "valid until 2026-12-31T00:00:00Z"),
            ("2026-12-20T00:00:00Z", "expires soon, on 2026-12-31T00:00:00Z"),
            ("2027-01-01T00:00:00Z", "expired on 2026-12-31T00:00:00Z"),
        ] {
            let finding = certificate("ingest.tls", expires, at(now));
            assert!(finding.what.starts_with("ingest.tls: ") && finding.what.contains(told), "{finding:?}");
            assert_eq!(finding.action.is_some(), !told.starts_with("valid"), "{finding:?}");
        }
    }

    #[test]
    fn an_error_that_is_not_about_tls_needs_no_advice_about_it() {
        let names = Names { authorities: "a", own: "b", way: "c", address: "d" };
        assert_eq!(action("connection refused", &names), None);
        let told = action("IO error: invalid peer certificate: UnknownIssuer", &names).unwrap();
        assert!(told.ends_with(": a"), "{told}");
    }
}
