//! What is wrong with a TLS handshake, by the words of rustls. The clients of NATS and MongoDB hand out their errors as
//! text, so the text is what is read here; a test holds it against rustls' own.

use std::fmt;

/// Why a client's handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is not valid yet, or a clock is wrong.
    NotYetValid,
    /// The authority of the server's certificate is not known here.
    UnknownAuthority,
    /// The server's certificate is for other names.
    OtherName,
    /// The server asks for a certificate of the client, and got none.
    NoClientCertificate,
    /// The server refuses the client's certificate.
    ClientCertificateRefused,
    /// The other side does not speak TLS, or not yet.
    NotTls,
}

/// Parts of error messages, as rustls displays them and as it prints them for debugging, which is what the driver of
/// MongoDB hands out. The first that is found counts.
const SIGNS: [(&str, Fault); 20] = [
    ("certificate expired", Fault::Expired),
    ("peer certificate: Expired", Fault::Expired),
    ("InvalidCertificate(Expired", Fault::Expired),
    ("certificate not valid yet", Fault::NotYetValid),
    ("NotValidYet", Fault::NotYetValid),
    ("UnknownIssuer", Fault::UnknownAuthority),
    // Of another authority with the same name.
    ("BadSignature", Fault::UnknownAuthority),
    ("CaUsedAsEndEntity", Fault::UnknownAuthority),
    ("certificate not valid for name", Fault::OtherName),
    ("NotValidForName", Fault::OtherName),
    ("CertificateRequired", Fault::NoClientCertificate),
    // What a server of TLS 1.2 answers where one of TLS 1.3 names the missing certificate.
    ("BadCertificate", Fault::NoClientCertificate),
    ("HandshakeFailure", Fault::NoClientCertificate),
    ("UnknownCA", Fault::ClientCertificateRefused),
    ("CertificateUnknown", Fault::ClientCertificateRefused),
    ("CertificateExpired", Fault::ClientCertificateRefused),
    ("CertificateRevoked", Fault::ClientCertificateRefused),
    ("UnsupportedCertificate", Fault::ClientCertificateRefused),
    ("received corrupt message", Fault::NotTls),
    ("InvalidMessage(", Fault::NotTls),
];

impl Fault {
    /// The fault that an error message tells of. None: it is about something else.
    pub fn in_message(message: &str) -> Option<Fault> {
        let signs = SIGNS.iter().find(|(sign, _)| message.contains(sign)).map(|(_, fault)| *fault);
        signs.or_else(|| Fault::ALL.into_iter().find(|fault| message.contains(&fault.to_string())))
    }

    const ALL: [Fault; 7] = [
        Fault::Expired,
        Fault::NotYetValid,
        Fault::UnknownAuthority,
        Fault::OtherName,
        Fault::NoClientCertificate,
        Fault::ClientCertificateRefused,
        Fault::NotTls,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Expired => "the server's certificate has expired",
            Fault::NotYetValid => "the server's certificate is not valid yet",
            Fault::UnknownAuthority => "the authority of the server's certificate is not known",
            Fault::OtherName => "the server's certificate is for another host",
            Fault::NoClientCertificate => "the server asks for a certificate of its clients",
            Fault::ClientCertificateRefused => "the server refuses our certificate",
            Fault::NotTls => "the server does not answer with TLS",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
    use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

    use super::*;

    #[test]
    fn every_fault_is_recognised_in_the_words_of_rustls() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let name = || ServerName::try_from("one.example").unwrap();
        let refused = Error::InvalidCertificate;
        for (error, fault) in [
            (refused(CertificateError::Expired), Fault::Expired),
            (refused(CertificateError::ExpiredContext { time: at(2), not_after: at(1) }), Fault::Expired),
            (refused(CertificateError::NotValidYet), Fault::NotYetValid),
            (refused(CertificateError::NotValidYetContext { time: at(1), not_before: at(2) }), Fault::NotYetValid),
            (refused(CertificateError::UnknownIssuer), Fault::UnknownAuthority),
            (refused(CertificateError::BadSignature), Fault::UnknownAuthority),
            (refused(CertificateError::NotValidForName), Fault::OtherName),
            (
                refused(CertificateError::NotValidForNameContext {
                    expected: name(),
                    presented: vec!["DnsName(\"other.example\")".to_owned()],
                }),
                Fault::OtherName,
            ),
            (Error::AlertReceived(AlertDescription::CertificateRequired), Fault::NoClientCertificate),
            (Error::AlertReceived(AlertDescription::BadCertificate), Fault::NoClientCertificate),
            (Error::AlertReceived(AlertDescription::UnknownCA), Fault::ClientCertificateRefused),
            (Error::AlertReceived(AlertDescription::CertificateExpired), Fault::ClientCertificateRefused),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), Fault::NotTls),
        ] {
            for message in
                [format!("IO error: {error}"), format!("Error: Kind: I/O error: {error:?}, labels"), fault.to_string()]
            {
                assert_eq!(Fault::in_message(&message), Some(fault), "{message}");
            }
        }
        assert_eq!(Fault::in_message("connection refused"), None);
    }
}
