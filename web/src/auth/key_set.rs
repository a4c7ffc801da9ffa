//! The keys that an issuer published at one moment (RFC 7517), and the choice of one for a token. Unusable keys are
//! left out, the others stay.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;

use super::key::{Key, Required};

/// What an issuer has published.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
    /// The keys by name and algorithm, and what was left out and why: for the log.
    pub(super) summary: String,
    /// Whether something was left out.
    pub(super) is_cut: bool,
}

/// Why a set has no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// A key of that name may have been published since.
    Unknown,
    /// The set says that there is none.
    Unsuitable,
}

/// Why an answer is no set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSet {
    #[error("the answer is not a JSON object with a list of keys")]
    Malformed,
    #[error("the answer has no usable key: {0}")]
    NoUsableKey(String),
}

impl KeySet {
    pub(super) fn parse(answer: &[u8], required: &Required) -> Result<KeySet, NoSet> {
        #[derive(Deserialize)]
        struct Members {
            keys: Vec<Value>,
        }
        let Members { keys: members } = serde_json::from_slice(answer).map_err(|_| NoSet::Malformed)?;
        let (mut keys, mut names) = (Vec::new(), Vec::new());
        for member in members {
            let name = match member.get("kid") {
                // Quoted, so that it cannot disturb the log.
                Some(kid) => kid.to_string(),
                None => "a key without kid".to_owned(),
            };
            let jwk = serde_json::from_value::<Jwk>(member).map_err(|_| "it is not a JWK".to_owned());
            match jwk.and_then(|jwk| Key::from_jwk(&jwk, required.clone())) {
                Ok(key) => {
                    names.push(format!("{name} ({:?})", key.algorithm));
                    keys.push(Arc::new(key));
                }
                Err(reason) => names.push(format!("{name} (ignored: {reason})")),
            }
        }
        let (is_cut, summary) = (keys.len() < names.len(), names.join(", "));
        if keys.is_empty() { Err(NoSet::NoUsableKey(summary)) } else { Ok(KeySet { keys, summary, is_cut }) }
    }

    /// The key that a token means: of that name, or for a token that names none the only one of its algorithm (as
    /// OpenID Connect has it: where there are several, a name is required).
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, NoKey> {
        if let Some(kid) = kid
            && !self.has(kid)
        {
            return Err(NoKey::Unknown);
        }
        let is_meant = |key: &&Arc<Key>| key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid);
        let mut meant = self.keys.iter().filter(is_meant);
        match (meant.next(), meant.next()) {
            (Some(key), another) if kid.is_some() || another.is_none() => Ok(Arc::clone(key)),
            _ => Err(NoKey::Unsuitable),
        }
    }

    pub(super) fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn required() -> Required {
        Required::new("", "", &crate::auth::tests::config("", ""))
    }

    fn parse(keys: Value) -> Result<KeySet, NoSet> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &required())
    }

    /// Not a key of anybody: only its length is looked at here.
    fn rsa(bytes: usize, more: Value) -> Value {
        let n = match bytes % 3 {
            0 => "_".repeat(bytes / 3 * 4),
            1 => "_".repeat(bytes / 3 * 4) + "_w",
            _ => "_".repeat(bytes / 3 * 4) + "__8",
        };
        with(json!({"kty": "RSA", "n": n, "e": "AQAB"}), more)
    }

    fn ec(curve: &str, more: Value) -> Value {
        with(json!({"kty": "EC", "crv": curve, "x": "_".repeat(42) + "8", "y": "_".repeat(42) + "8"}), more)
    }

    fn okp(curve: &str, more: Value) -> Value {
        with(json!({"kty": "OKP", "crv": curve, "x": "_".repeat(42) + "8"}), more)
    }

    fn with(mut key: Value, more: Value) -> Value {
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    #[test]
    fn a_key_verifies_the_one_algorithm_that_it_is_for() {
        let cases = [
            (rsa(256, json!({})), "a key without kid (RS256)"),
            (rsa(256, json!({"kid": "a", "use": "sig", "key_ops": ["verify"]})), "\"a\" (RS256)"),
            (rsa(1024, json!({"kid": "a\n"})), "\"a\\n\" (RS256)"),
            (rsa(256, json!({"alg": "PS256"})), "a key without kid (PS256)"),
            (rsa(256, json!({"alg": "RS512"})), "a key without kid (RS512)"),
            (ec("P-256", json!({})), "a key without kid (ES256)"),
            (ec("P-256", json!({"alg": "ES256"})), "a key without kid (ES256)"),
            (okp("Ed25519", json!({})), "a key without kid (EdDSA)"),
        ];
        for (key, summary) in cases {
            let set = parse(json!([key])).unwrap();
            assert_eq!((set.summary.as_str(), set.is_cut), (summary, false));
        }
    }

    #[test]
    fn a_key_that_is_of_no_use_is_left_out_with_its_reason() {
        let cases = [
            (rsa(255, json!({})), "it is an RSA key of 2040 bits"),
            (rsa(128, json!({})), "it is an RSA key of 1024 bits"),
            (rsa(1025, json!({})), "it is an RSA key of 8200 bits"),
            (rsa(0, json!({})), "it is an RSA key of 0 bits"),
            // 2,048 bits, the first 8 of them zero.
            (rsa(256, json!({"n": "AP".to_owned() + &"_".repeat(339) + "w"})), "it is an RSA key of 2040 bits"),
            (rsa(256, json!({"alg": "HS256"})), "its alg does not go with its kty"),
            (rsa(256, json!({"alg": "ES256"})), "its alg does not go with its kty"),
            (rsa(256, json!({"alg": "RSA-OAEP"})), "its alg does not go with its kty"),
            (rsa(256, json!({"alg": "none"})), "its alg does not go with its kty"),
            (rsa(256, json!({"use": "enc"})), "its use is not sig"),
            (rsa(256, json!({"key_ops": ["sign"]})), "its key_ops have no verify"),
            (rsa(256, json!({"n": 1})), "its kty or crv is not supported"),
            (rsa(256, json!({"alg": 1})), "it is not a JWK"),
            (ec("P-384", json!({})), "its kty or crv is not supported"),
            (ec("secp256k1", json!({})), "its kty or crv is not supported"),
            (ec("P-256", json!({"alg": "RS256"})), "its alg does not go with its kty"),
            (ec("P-256", json!({"x": "AAAA"})), "it is not as long as its crv"),
            (okp("X25519", json!({})), "its kty or crv is not supported"),
            (okp("Ed25519", json!({"alg": "HS256"})), "its alg does not go with its kty"),
            (json!({"kty": "oct", "k": "_".repeat(43)}), "it is a shared secret"),
            (json!({"kty": "oct", "k": "_".repeat(43), "alg": "HS256"}), "it is a shared secret"),
            (json!({"kty": "magic"}), "its kty or crv is not supported"),
            (json!({}), "its kty or crv is not supported"),
            (json!("key"), "it is not a JWK"),
        ];
        for (key, reason) in cases {
            let set = parse(json!([key, rsa(256, json!({"kid": "good"}))])).unwrap();
            let expected = format!("a key without kid (ignored: {reason}), \"good\" (RS256)");
            assert_eq!((set.summary.as_str(), set.is_cut), (expected.as_str(), true), "{key}");
            assert!(matches!(parse(json!([key])), Err(NoSet::NoUsableKey(_))), "{key}");
        }
    }

    #[test]
    fn an_invalid_key_set_is_refused() {
        for answer in ["", "<html>", "[]", "{}", "null", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[]"#] {
            let error = KeySet::parse(answer.as_bytes(), &required()).unwrap_err();
            assert_eq!(error, NoSet::Malformed, "{answer}");
        }
        assert_eq!(parse(json!([])).unwrap_err(), NoSet::NoUsableKey(String::new()));
    }

    #[test]
    fn a_token_means_the_key_of_its_name_and_algorithm_or_the_only_one_of_its_algorithm() {
        use Algorithm::{ES256, EdDSA, RS256};
        use NoKey::{Unknown, Unsuitable};
        let set = parse(json!([
            rsa(256, json!({"kid": "one"})),
            rsa(256, json!({"kid": "two"})),
            ec("P-256", json!({"kid": "one"})),
            rsa(256, json!({"kid": ""})),
        ]));
        let set = set.unwrap();
        let cases = [
            (Some("one"), RS256, Ok(Some("one"))),
            (Some("one"), ES256, Ok(Some("one"))),
            (Some("two"), RS256, Ok(Some("two"))),
            (Some(""), RS256, Ok(Some(""))),
            (Some("two"), ES256, Err(Unsuitable)),
            (Some("three"), RS256, Err(Unknown)),
            (Some("ONE"), RS256, Err(Unknown)),
            (None, ES256, Ok(Some("one"))),
            (None, RS256, Err(Unsuitable)),
            (None, EdDSA, Err(Unsuitable)),
        ];
        for (kid, algorithm, expected) in cases {
            let found = set.find(kid, algorithm);
            let found = found.as_ref().map(|key| {
                assert_eq!(key.algorithm, algorithm);
                key.kid.as_deref()
            });
            assert_eq!(found.map_err(|no_key| *no_key), expected, "{kid:?} {algorithm:?}");
        }
    }
}
