//! The cache answers as a verification does, whatever happens in between, and stays within its size.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::Config;
use crate::auth::key::Required;
use crate::auth::key_set::KeySet;
use crate::auth::tests::{config, now, sign, sign_header};

/// A key of an issuer.
struct Issued {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Issued {
    fn new(kid: &'static str) -> Issued {
        Issued { kid, pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x})
    }

    fn token(&self, user: i64) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.kid});
        let claims = json!({"user_idx": user, "exp": now() + 3_600});
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes())))
    }
}

fn user(identity: &Identity) -> i64 {
    identity.user_idx
}

/// A verifier with the tests' secret, and perhaps an issuer at an address where nobody answers.
fn verifier(jwks: &str) -> Arc<Verifier> {
    let mut config: Config = config("", "");
    let (url, deadline) = (jwks, "1ms");
    config.jwks = serde_json::from_value(
        json!({"url": url, "issuer": "", "audience": "", "refresh": "5m", "deadline": deadline}),
    )
    .unwrap();
    Arc::new(Verifier::new(&config).unwrap())
}

/// What happens between two requests.
#[derive(Debug, Clone)]
enum Step {
    /// The issuer publishes the keys that are set.
    Publish([bool; 2]),
    /// A request with that token.
    Ask(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => any::<[bool; 2]>().prop_filter("a set has keys", |keys| keys.contains(&true)).prop_map(Step::Publish),
        4 => any::<prop::sample::Index>().prop_map(|index| Step::Ask(index.index(9))),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_cached_verification_answers_as_an_uncached_one_through_changes_of_keys(steps in steps()) {
        let keys = [Issued::new("a"), Issued::new("b")];
        let tampered = sign(json!({})).replace('.', ".x");
        let tokens = [
            keys[0].token(1),
            keys[1].token(2),
            sign(json!({})),
            sign(json!({"user_idx": 7, "iat": now()})),
            // Refused while the issuer has a key of that name.
            sign_header(r#"{"alg":"HS256","kid":"a"}"#),
            sign(json!({"exp": now() - 1})),
            sign(json!({"nbf": now() + 600})),
            tampered,
            "garbage".to_owned(),
        ];
        let verifier = verifier("http://127.0.0.1:9/");
        let cache = TokenCache::new(verifier.clone(), user);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for step in steps {
            match step {
                Step::Publish(published) => {
                    let jwks: Vec<Value> =
                        keys.iter().zip(published).filter(|(_, is)| *is).map(|(key, _)| key.jwk()).collect();
                    let required = Required::new("", "", &config("", ""));
                    let set = KeySet::parse(json!({"keys": jwks}).to_string().as_bytes(), &required).unwrap();
                    verifier.jwks.as_ref().unwrap().learn(Ok(set));
                }
                Step::Ask(token) => {
                    let cached = runtime.block_on(cache.owner(&tokens[token])).map(|owner| *owner);
                    let uncached = runtime.block_on(verifier.verify(&tokens[token]));
                    prop_assert_eq!(cached, uncached.map(|identity| identity.user_idx), "{}", token);
                }
            }
        }
    }

    #[test]
    fn an_entry_is_good_for_its_token_in_its_time_and_with_its_keys_alone(
        steps in prop::collection::vec((0..3_usize, 0..2_usize, 0..2_u64, 0..10_u64, 0..10_u64, any::<bool>()), 1..60)
    ) {
        let cache = TokenCache::new(verifier(""), user);
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut model = HashMap::new();
        for (count, (head, end, generation, time, lifetime, is_insert)) in steps.into_iter().enumerate() {
            // Some have the same tail.
            let token = format!("{head}{end}{}", end.to_string().repeat(TAIL_BYTES));
            if is_insert {
                let (from, until, owner) = (at(time), at(time + lifetime), Arc::new(count as i64));
                model.insert(end, (token.clone(), from, until, generation, count as i64));
                cache.insert(Entry { token: token.into(), owner, from, until, generation });
            } else {
                let expected = model.get(&end).filter(|(known, from, until, of, _)| {
                    *known == token && *from <= at(time) && at(time) < *until && *of == generation
                });
                let found = cache.get(&token, generation, at(time)).map(|owner| *owner);
                prop_assert_eq!(found, expected.map(|(.., owner)| *owner));
            }
        }
    }
}

#[tokio::test]
async fn a_token_is_remembered_until_it_expires_and_not_for_the_time_before_it_was_verified() {
    let cache = TokenCache::new(verifier(""), user);
    let end = now() + 60;
    let token = sign(json!({"exp": end}));
    assert_eq!(cache.owner(&token).await.map(|owner| *owner), Ok(42));
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(end);
    let get = |now| cache.get(&token, 0, now).map(|owner| *owner);
    assert_eq!(get(until - Duration::from_nanos(1)), Some(42));
    assert_eq!(get(until), None);
    // A clock that was set back: `nbf` may be ahead.
    assert_eq!(get(SystemTime::now() - Duration::from_secs(60)), None);
    assert_eq!(cache.get(&token, 1, SystemTime::now()), None);
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let cache = TokenCache::new(verifier(""), user);
    for token in [sign(json!({"exp": now() - 1})), sign(json!({"user_idx": 0})), "x".repeat(100), String::new()] {
        assert!(cache.owner(&token).await.is_err());
    }
    assert!(cache.entries.is_empty());
}

#[test]
fn a_full_cache_forgets_the_least_recently_used_tokens_and_never_exceeds_its_size() {
    const SIZE: usize = 256 * 1024;
    const TOKEN_BYTES: usize = 200 + TAIL_BYTES;
    let cache = TokenCache::with_size(verifier(""), user, SIZE);
    let now = SystemTime::now();
    let token = |number: usize| format!("{:x<200}{number:-<TAIL_BYTES$}", "");
    let insert = |token: String| {
        let until = now + Duration::from_secs(60);
        cache.insert(Entry { token: token.into(), owner: Arc::new(0), from: now, until, generation: 0 });
    };
    for number in 0..5_000 {
        insert(token(number));
        assert!(cache.entries.len() * (ENTRY_BYTES + 3 * TOKEN_BYTES) <= SIZE);
        assert!(cache.get(&token(0), 0, now).is_some(), "it is used all the time, also after {number} others");
    }
    assert!(cache.get(&token(4_999), 0, now).is_some());
    assert!(cache.get(&token(1), 0, now).is_none());
    // Larger than the share of any part of the cache.
    insert("y".repeat(SIZE));
    assert!(cache.get(&"y".repeat(SIZE), 0, now).is_none());
}
