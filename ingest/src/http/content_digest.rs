//! The header `Content-Digest` (RFC 9530): the hash of the body. A signature over the headers covers the body with it,
//! before the body is read.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The SHA-256 that a body must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentDigest([u8; 32]);

/// The header's name.
pub(crate) const CONTENT_DIGEST: &str = "content-digest";

const NAME: HeaderName = HeaderName::from_static(CONTENT_DIGEST);

impl ContentDigest {
    /// The digest of the header. None: there is no header, or it has no `sha-256`. Err: that is malformed, or there are
    /// two.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<ContentDigest>, InvalidDigest> {
        let mut found = None;
        for value in headers.get_all(NAME) {
            for member in value.to_str().map_err(|_| InvalidDigest)?.split(',') {
                let Some((name, digest)) = member.trim().split_once('=') else { continue };
                if name == "sha-256" && found.replace(parse(digest).ok_or(InvalidDigest)?).is_some() {
                    return Err(InvalidDigest);
                }
            }
        }
        Ok(found)
    }

    /// Whether the body has this digest.
    pub(crate) fn is_of(&self, body: &[u8]) -> bool {
        digest(&SHA256, body).as_ref() == self.0
    }
}

/// A `sha-256` that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidDigest;

/// A byte sequence of structured fields: base64 between colons.
fn parse(digest: &str) -> Option<ContentDigest> {
    let base64 = digest.strip_prefix(':')?.strip_suffix(':')?;
    STANDARD.decode(base64).ok()?.try_into().ok().map(ContentDigest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9530, appendix D.
    const HELLO: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";

    fn of(values: &[&str]) -> Result<Option<ContentDigest>, InvalidDigest> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_DIGEST, value.parse().unwrap());
        }
        ContentDigest::of(&headers)
    }

    #[test]
    fn a_digest_is_read_as_the_rfc_writes_it() {
        let hello = of(&[HELLO]).unwrap().unwrap();
        assert!(hello.is_of(br#"{"hello": "world"}"#));
        assert!(!hello.is_of(br#"{"hello": "World"}"#) && !hello.is_of(b""));
        assert_eq!(of(&[&format!("sha-512=:AA==:, {HELLO}")]), Ok(Some(hello)));
        assert_eq!(of(&["sha-512=:AA==:", HELLO]), Ok(Some(hello)));
        assert_eq!([of(&[]), of(&["sha-512=:AA==:"]), of(&["garbage"])], [Ok(None); 3]);
        let short = "sha-256=:AA==:";
        let twice = format!("{HELLO},{HELLO}");
        for bad in [short, &twice, "sha-256=X", "sha-256=::", &HELLO.replace(':', "\""), &format!("{HELLO};a=1")] {
            assert_eq!(of(&[bad]), Err(InvalidDigest), "{bad}");
        }
    }
}
