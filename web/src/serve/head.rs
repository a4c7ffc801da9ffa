//! Checks of a request's head that hold for every path.

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Version};

/// RFC 9112, section 3.2: an HTTP/1.1 request has exactly one valid `Host`. Err: what is wrong, in a sentence.
pub(super) fn check_host(version: Version, headers: &HeaderMap) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => Err("The header Host is missing: HTTP/1.1 requires it."),
        (Some(_), Some(_)) => Err("The header Host is there more than once."),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err("The header Host must be a host, or a host and a port, such as chat.example:8080."),
    }
}

/// `uri-host [ ":" port ]`, and not empty: an `http` URI has a host.
fn is_host(host: &[u8]) -> bool {
    is_usual_host(host) || is_any_host(host)
}

/// A name or an IPv4 address, with a port of up to four digits or without one. Nearly every host is one.
pub(super) fn is_usual_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().position(|byte| *byte == b':') {
        Some(colon) => (&host[..colon], &host[colon + 1..]),
        None => (host, [].as_slice()),
    };
    let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !name.is_empty() && name.iter().all(is_in_name) && port.len() <= 4 && port.iter().all(u8::is_ascii_digit)
}

pub(super) fn is_any_host(host: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(host) else { return false };
    // `Authority` takes more than a port behind the colon, and user information.
    let port = match host.iter().rposition(|byte| *byte == b':' || *byte == b']') {
        Some(colon) if host[colon] == b':' => &host[colon + 1..],
        _ => b"",
    };
    let is_port = port.iter().all(u8::is_ascii_digit) && (port.is_empty() || authority.port_u16().is_some());
    !authority.host().is_empty() && !host.contains(&b'@') && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: Version, hosts: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        check_host(version, &headers).is_ok()
    }

    #[test]
    fn http_1_1_has_one_host_and_http_1_0_at_most_one() {
        assert!(check(Version::HTTP_11, &["a"]));
        assert!(check(Version::HTTP_10, &["a"]));
        assert!(check(Version::HTTP_10, &[]));
        assert!(!check(Version::HTTP_11, &[]));
        assert!(!check(Version::HTTP_11, &["a", "a"]));
        assert!(!check(Version::HTTP_10, &["a", "b"]));
        assert!(!check(Version::HTTP_10, &["a b"]));
    }

    #[test]
    fn a_usual_host_is_a_host() {
        for host in ["a", "-", ".", "1.2.3.4", "chat.example:8080", "a:", "a:0", "xn--9t4b11yi5a:9999"] {
            assert!(is_usual_host(host.as_bytes()) && is_any_host(host.as_bytes()), "{host}");
        }
        for host in ["", ":1", "a:b", "a:12345", "a:1:2", "a_b", "[::1]", "a@b", "a%41", "a b"] {
            assert!(!is_usual_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for good in
            ["a", "chat.example", "chat.example:8080", "127.0.0.1:80", "[::1]", "[::1]:8080", "a:", "xn--9t4b11yi5a"]
        {
            assert!(check(Version::HTTP_11, &[good]), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a/b",
            "a@b",
            "user:pass@a",
            "a:b",
            "a:99999",
            "a:1:2",
            "::1",
            "[::1",
            "a?b",
            "a#b",
            "http://a",
            "a,b:c",
            "\"a\"",
        ] {
            assert!(!check(Version::HTTP_11, &[bad]), "{bad}");
        }
    }
}
