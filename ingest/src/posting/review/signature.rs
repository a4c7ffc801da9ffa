//! Signs webhooks according to Standard Webhooks, version 1: HMAC-SHA256 over the id, the time in seconds and the body,
//! joined by full stops.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A signing key, configured as `whsec_` and base64. `Debug` does not show it, and there is no `Display`.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

/// 24 bytes: the minimum of Standard Webhooks.
const SHORTEST_BYTES: usize = 24;

impl SigningKey {
    fn parse(text: &str) -> Option<SigningKey> {
        let bytes = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        (bytes.len() >= SHORTEST_BYTES).then_some(SigningKey(bytes))
    }

    /// The header `webhook-signature`: `v1,` and base64.
    pub(super) fn sign(&self, id: &str, seconds: &str, body: &[u8]) -> String {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.sign()))
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SigningKey, D::Error> {
        // The error does not quote the value: that would show the key.
        SigningKey::parse(&String::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom(format!("not whsec_ and the base64 of at least {SHORTEST_BYTES} bytes")))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_standard_webhooks_gets_the_same_signature() {
        // The example from the reference libraries.
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_is_whsec_and_base64_of_24_bytes_or_more_and_is_never_shown() {
        let key = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        assert_eq!(format!("{:?}", SigningKey::parse(&key(24)).unwrap()), "[secret]");
        assert!(SigningKey::parse(&key(64)).is_some());
        for bad in [String::new(), "whsec_".to_owned(), key(23), key(24)[6..].to_owned(), format!("{}!", key(24))] {
            assert!(SigningKey::parse(&bad).is_none(), "{bad}");
        }
        let error = serde_json::from_str::<SigningKey>("\"hunter2\"").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
