//! What the section `auth` of the configuration decides about tokens.

use super::*;

#[test]
fn a_wrong_configuration_is_refused_and_its_key_named() {
    let good = config("", "");
    let with_keys = || Config { secret: Secret::default(), jwks: jwks("https://issuer.example/keys"), ..good.clone() };
    let cases = [
        ("auth.secret", Config { secret: "short".to_owned().into(), ..good.clone() }),
        ("auth.previous_secret", Config { previous_secret: "short".to_owned().into(), ..good.clone() }),
        ("auth.previous_secret", Config { previous_secret: KEY.to_owned().into(), ..with_keys() }),
        ("auth.leeway", Config { leeway: Span::from_secs(601), ..good.clone() }),
        ("auth.max_lifetime", Config { max_lifetime: Span::ZERO, ..good.clone() }),
        ("auth.token_types", Config { token_types: Vec::new(), ..good.clone() }),
        ("auth.secret", Config { secret: Secret::default(), ..good.clone() }),
        ("auth.jwks.url", Config { secret: Secret::default(), ..good.clone() }),
        ("auth.secret", Config { secret: "short".to_owned().into(), ..with_keys() }),
        ("auth.jwks.issuer", Config { issuer: "us".to_owned(), ..with_keys() }),
        ("auth.jwks.audience", Config { audience: "chat".to_owned(), ..with_keys() }),
        ("auth.jwks.refresh", Config { jwks: JwksConfig { refresh: Span::ZERO, ..with_keys().jwks }, ..good.clone() }),
        (
            "auth.jwks.deadline",
            Config { jwks: JwksConfig { deadline: Span::ZERO, ..with_keys().jwks }, ..good.clone() },
        ),
        (
            "auth.jwks.deadline",
            Config { jwks: JwksConfig { deadline: Span::from_millis(5_001), ..with_keys().jwks }, ..good.clone() },
        ),
    ];
    for (key, config) in cases {
        let wrong = Verifier::new(&config).unwrap_err().to_string();
        assert!(wrong.contains(key), "{key}: {wrong}");
    }
    assert!(Verifier::new(&with_keys()).is_ok());
    let error = serde_json::from_value::<JwksConfig>(json!({"url": "file:///etc/keys"})).unwrap_err().to_string();
    assert!(error.contains("http://") && !error.contains("etc/keys"), "{error}");
}

#[tokio::test]
async fn a_configured_issuer_and_audience_must_be_there_and_right() {
    use TokenError::Claims;
    let verifier = Verifier::new(&config("us", "chat")).unwrap();
    let cases = [
        ("both", json!({"iss": "us", "aud": "chat"}), Ok(42)),
        ("one of several audiences", json!({"iss": "us", "aud": ["shop", "chat"]}), Ok(42)),
        ("neither", json!({}), Err(Claims)),
        ("no issuer", json!({"aud": "chat"}), Err(Claims)),
        ("no audience", json!({"iss": "us"}), Err(Claims)),
        ("other issuer", json!({"iss": "them", "aud": "chat"}), Err(Claims)),
        ("issuer a list", json!({"iss": ["us", "them"], "aud": "chat"}), Err(Claims)),
        ("other audience", json!({"iss": "us", "aud": "shop"}), Err(Claims)),
        ("empty audience", json!({"iss": "us", "aud": []}), Err(Claims)),
        ("number audience", json!({"iss": "us", "aud": 1}), Err(Claims)),
    ];
    for (name, changes, expected) in cases {
        assert_eq!(verifier.verify(&sign(changes)).await.map(|identity| identity.user_idx), expected, "{name}");
    }
}

#[tokio::test]
async fn leeway_is_tolerated_in_exp() {
    let verifier = Verifier::new(&Config { leeway: Span::from_secs(60), ..config("", "") }).unwrap();
    assert!(verifier.verify(&sign(json!({"exp": now() - 30}))).await.is_ok());
    assert_eq!(verifier.verify(&sign(json!({"exp": now() - 90}))).await, Err(TokenError::Expired));
}

#[tokio::test]
async fn an_empty_secret_verifies_nothing() {
    let config = Config { secret: Secret::default(), jwks: jwks("http://127.0.0.1:9/"), ..config("", "") };
    let verifier = Verifier::new(&config).unwrap();
    // HMAC pads keys with zero bytes: this is the signature by the empty key, which the library refuses.
    let token = sign_with(&Header::new(Algorithm::HS256), &claims(json!({})), "\0");
    assert_eq!(verifier.verify(&token).await, Err(TokenError::Signature));
    assert!(verifier.ready().is_err(), "no token can be verified");
}

#[tokio::test]
async fn a_short_secret_verifies_only_where_it_is_allowed() {
    let short = |secret: &str, allow_short_secret| Config {
        secret: secret.to_owned().into(),
        allow_short_secret,
        ..config("", "")
    };
    for secret in ["s", "secret", &"x".repeat(31)] {
        let refused = Verifier::new(&short(secret, false)).unwrap_err().to_string();
        assert!(refused.contains("auth.secret: has") && refused.contains("auth.allow_short_secret"), "{refused}");
        let verifier = Verifier::new(&short(secret, true)).unwrap();
        let token = sign_with(&Header::new(Algorithm::HS256), &claims(json!({})), secret);
        assert_eq!(verifier.verify(&token).await.map(|identity| identity.user_idx), Ok(42));
        assert_eq!(verifier.verify(&sign(json!({}))).await, Err(TokenError::Signature));
    }
    assert!(Verifier::new(&short("", true)).unwrap_err().to_string().contains("auth.secret: is required"));
}

#[tokio::test]
async fn other_types_and_lifetimes_are_a_matter_of_configuration() {
    let types = ["refresh+jwt".to_owned()].to_vec();
    let verifier =
        Verifier::new(&Config { token_types: types, max_lifetime: Span::from_secs(30), ..config("", "") }).unwrap();
    let odd = sign_header(r#"{"alg":"HS256","typ":"refresh+jwt"}"#);
    assert_eq!(verifier.verify(&odd).await, Err(TokenError::Lifetime), "60 s");
    assert_eq!(verifier.verify(&sign(json!({}))).await, Err(TokenError::Type));
}

#[tokio::test]
async fn while_the_secret_changes_tokens_of_both_count_and_remembered_ones_are_verified_anew() {
    const NEXT: &str = "the next secret of the tests, of more than 32 bytes";
    let with = |secret: &str, previous: &str| Config {
        secret: secret.to_owned().into(),
        previous_secret: previous.to_owned().into(),
        ..config("", "")
    };
    let verifier = std::sync::Arc::new(Verifier::new(&with(KEY, "")).unwrap());
    let cache = TokenCache::new(verifier.clone(), |identity| identity.user_idx);
    let header = Header::new(Algorithm::HS256);
    let (old, new) = (sign(json!({})), sign_with(&header, &claims(json!({})), NEXT));
    for (config, old_counts, new_counts) in [
        (with(KEY, ""), true, false),
        (with(NEXT, KEY), true, true),
        (with(KEY, NEXT), true, true),
        (with(NEXT, ""), false, true),
    ] {
        verifier.set_secrets(&config);
        let counts = async |token: &str| cache.owner(token).await.is_ok();
        // Twice: the second answer may be a remembered one.
        for _ in 0..2 {
            assert_eq!((counts(&old).await, counts(&new).await), (old_counts, new_counts), "{config:?}");
        }
    }
    assert_eq!(cache.owner(&old).await.unwrap_err(), TokenError::Signature);
    let expired = sign_with(&header, &claims(json!({"exp": now() - 1})), NEXT);
    assert_eq!(verifier.verify(&expired).await, Err(TokenError::Expired));
}
