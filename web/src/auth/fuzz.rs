//! What holds for any token, signed or not. A check panics where it does not.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat::{LARGEST_ATTRIBUTES_BYTES, LARGEST_IDX};
use conf::{Secret, Span};
use futures_util::FutureExt as _;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value};

use super::{Config, Identity, JwksConfig, TokenCache, TokenError, Verifier, mint};

const KEY: &str = "a key for fuzzing that has at least 32 bytes";

static VERIFIER: LazyLock<Arc<Verifier>> = LazyLock::new(|| {
    let jwks = JwksConfig {
        url: None,
        issuer: String::new(),
        audience: String::new(),
        refresh: Span::from_secs(300),
        deadline: Span::from_secs(2),
    };
    let config = Config {
        secret: secret(),
        previous_secret: Secret::default(),
        allow_short_secret: false,
        issuer: String::new(),
        audience: String::new(),
        leeway: Span::ZERO,
        max_lifetime: Span::from_days(31),
        token_types: ["none", "JWT", "at+jwt"].map(str::to_owned).to_vec(),
        jwks,
    };
    Arc::new(Verifier::new(&config).expect("the configuration is valid"))
});

static CACHE: LazyLock<TokenCache<Identity>> = LazyLock::new(|| TokenCache::new(VERIFIER.clone(), Identity::clone));

/// Two lines, a header and claims, and perhaps more. As they are, they are no token. With our signature they are one if
/// the header and each claim are as required, and nothing else makes them one.
pub fn token(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let refused = verify(text).expect_err("nobody signed this");
    assert!(refused.status().is_client_error() && !refused.code().is_empty());

    let (header, claims) = text.split_once('\n').unwrap_or((text, ""));
    verify_signed(header, claims.as_bytes());
    // A token of any time is expired when the corpus is replayed.
    let Ok(mut claims) = serde_json::from_str::<Map<String, Value>>(claims) else { return };
    claims.entry("exp").or_insert_with(|| (now() + 60).into());
    verify_signed(header, &serde_json::to_vec(&claims).expect("an object is written"));
}

fn verify_signed(header: &str, claims: &[u8]) {
    let message = [header.as_bytes(), claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let key = EncodingKey::from_secret(KEY.as_bytes()).expect("there is a key");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("a text is signed");
    let token = format!("{message}.{signature}");
    let verified = verify(&token);
    // The first asks the verifier, the second remembers.
    for _ in 0..2 {
        let remembered = CACHE.owner(&token).now_or_never().expect("no keys are fetched");
        assert_eq!(remembered.map(|owner| Identity::clone(&owner)), verified);
    }
    let Ok(identity) = verified else { return };
    let header: Map<String, Value> = serde_json::from_str(header).expect("a header is an object");
    assert_eq!(header["alg"], "HS256", "a token cannot choose its algorithm");
    assert!(header.get("crit").is_none_or(Value::is_null));
    assert!((1..=LARGEST_IDX).contains(&identity.user_idx));
    assert!(identity.attributes.iter().all(|given| given.as_json().len() <= LARGEST_ATTRIBUTES_BYTES));
    // Scopes are minted as a text with blanks between them.
    if identity.scopes.iter().all(|scope| !scope.is_empty() && !scope.contains(|c: char| c.is_ascii_whitespace())) {
        let minted = mint(&secret(), &identity, Duration::from_secs(60));
        assert!(verify(&minted) == Ok(identity) || minted.len() > super::LONGEST_TOKEN_BYTES);
    }
}

fn verify(token: &str) -> Result<Identity, TokenError> {
    VERIFIER.verify(token).now_or_never().expect("no keys are fetched")
}

fn secret() -> Secret {
    KEY.to_owned().into()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
