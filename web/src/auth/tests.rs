//! Tokens as data: what is accepted, and by which reason the rest is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use chat::{AllowedEmotes, Attributes, LARGEST_IDX};

mod configuration;

const KEY: &str = "a key for tests that has at least 32 bytes";

pub(super) fn config(issuer: &str, audience: &str) -> Config {
    Config {
        allow_short_secret: false,
        secret: KEY.to_owned().into(),
        previous_secret: Secret::default(),
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        leeway: Span::ZERO,
        max_lifetime: Span::from_days(31),
        token_types: ["none", "JWT", "at+jwt"].map(str::to_owned).to_vec(),
        jwks: jwks(""),
    }
}

fn jwks(url: &str) -> JwksConfig {
    let config = json!({"url": url, "issuer": "", "audience": "", "refresh": "5m", "deadline": "2s"});
    serde_json::from_value(config).unwrap()
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims(changes: Value) -> Value {
    let mut claims = json!({"sub": "a@b.c", "nickname": "가나", "user_idx": 42, "exp": now() + 60});
    for (claim, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(claim),
            value => claims.as_object_mut().unwrap().insert(claim.clone(), value.clone()),
        };
    }
    claims
}

fn sign_with(header: &Header, claims: &Value, key: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(key.as_bytes()).unwrap()).unwrap()
}

pub(super) fn sign(changes: Value) -> String {
    sign_with(&Header::new(Algorithm::HS256), &claims(changes), KEY)
}

/// A token signed by HS256 whose header is any JSON.
pub(super) fn sign_header(header: &str) -> String {
    let token = sign(json!({}));
    let payload = token.split('.').nth(1).unwrap();
    let message = format!("{}.{payload}", base64(header.as_bytes()));
    let signature = jsonwebtoken::crypto::sign(
        message.as_bytes(),
        &EncodingKey::from_secret(KEY.as_bytes()).unwrap(),
        Algorithm::HS256,
    );
    format!("{message}.{}", signature.unwrap())
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

#[tokio::test]
async fn a_token_of_the_auth_server_is_accepted() {
    let verifier = Verifier::new(&config("", "")).unwrap();
    let attributes = Attributes::parse(&json!({"color": "#00C853"})).ok();
    let emotes = AllowedEmotes::parse(&json!(["wave", "tada"]));
    let scopes = vec!["chat:moderate".to_owned(), "chat:read".to_owned()];
    for (scopes, attributes, emotes) in [(Vec::new(), None, None), (scopes, attributes, emotes)] {
        let (nickname, email) = ("가나".to_owned(), "a@b.c".to_owned());
        let identity = Identity { user_idx: 42, nickname, email, scopes, attributes, emotes };
        let token = mint(&KEY.to_owned().into(), &identity, Duration::from_secs(60));
        assert_eq!(verifier.verify(&token).await, Ok(identity));
    }
}

#[tokio::test]
async fn a_token_whose_attributes_are_out_of_bounds_is_refused() {
    let verifier = Verifier::new(&config("", "")).unwrap();
    for attributes in [json!("gold"), json!([]), json!({"a-b": 1}), json!({"a": "x".repeat(1_024)})] {
        let token = sign(json!({"chat_attributes": attributes}));
        assert_eq!(verifier.verify(&token).await, Err(TokenError::Claims));
    }
    for none in [json!(null), json!({})] {
        let identity = verifier.verify(&sign(json!({"chat_attributes": none}))).await.unwrap();
        assert_eq!(identity.attributes, None);
    }
}

#[tokio::test]
async fn a_token_whose_emotes_are_no_ids_is_refused() {
    let verifier = Verifier::new(&config("", "")).unwrap();
    for emotes in [json!("wave"), json!({}), json!(["*"]), json!(["a b"]), json!([7]), json!(true)] {
        let token = sign(json!({"chat_emotes": emotes}));
        assert_eq!(verifier.verify(&token).await, Err(TokenError::Claims));
    }
    for none in [json!(null), json!([])] {
        let identity = verifier.verify(&sign(json!({"chat_emotes": none}))).await.unwrap();
        assert_eq!(identity.emotes, None);
    }
    let identity = verifier.verify(&sign(json!({"chat_emotes": "*"}))).await.unwrap();
    assert!(identity.emotes.unwrap().has("wave"));
}

#[tokio::test]
async fn scopes_are_those_of_scope_or_else_of_scp() {
    let verifier = Verifier::new(&config("", "")).unwrap();
    let cases = [
        (json!({"scope": "chat:moderate  chat:read"}), vec!["chat:moderate", "chat:read"]),
        (json!({"scope": ""}), vec![]),
        (json!({"scp": "chat:moderate chat:read"}), vec!["chat:moderate", "chat:read"]),
        (json!({"scp": ["chat:moderate", "chat:read"]}), vec!["chat:moderate", "chat:read"]),
        // A blank in a list's member does not make two of it.
        (json!({"scp": ["chat:moderate chat:read"]}), vec!["chat:moderate chat:read"]),
        (json!({"scope": "chat:read", "scp": ["chat:moderate"]}), vec!["chat:read"]),
        (json!({"scope": "", "scp": "chat:moderate"}), vec![]),
    ];
    for (changes, scopes) in cases {
        let identity = verifier.verify(&sign(changes)).await.unwrap();
        assert_eq!(identity.scopes, scopes);
        assert_eq!(identity.has_scope("chat:moderate"), scopes.contains(&"chat:moderate"));
        assert!(!identity.has_scope("chat") && !identity.has_scope("CHAT:MODERATE") && !identity.has_scope(""));
    }
}

#[tokio::test]
async fn a_token_that_is_not_as_required_is_refused_with_its_reason() {
    use TokenError::*;
    let verifier = Verifier::new(&config("", "")).unwrap();
    let good = sign(json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let hs384 = sign_with(&Header::new(Algorithm::HS384), &claims(json!({})), KEY);
    let other_key =
        sign_with(&Header::new(Algorithm::HS256), &claims(json!({})), "another key, also of 32 bytes or more");
    let cases: Vec<(&str, String, Result<i64, TokenError>)> = vec![
        ("good", good.clone(), Ok(42)),
        ("largest idx", sign(json!({"user_idx": LARGEST_IDX})), Ok(LARGEST_IDX)),
        ("no nickname", sign(json!({"nickname": null})), Ok(42)),
        ("no sub", sign(json!({"sub": null})), Ok(42)),
        ("an issuer that nobody asked for", sign(json!({"iss": "somebody"})), Ok(42)),
        (
            "kid and jku are of no effect",
            sign_header(r#"{"alg":"HS256","kid":"../../dev/null","jku":"http://x/"}"#),
            Ok(42),
        ),
        ("typ in lower case", sign_header(r#"{"alg":"HS256","typ":"jwt"}"#), Ok(42)),
        ("an access token of RFC 9068", sign_header(r#"{"alg":"HS256","typ":"at+jwt"}"#), Ok(42)),
        ("and its long name", sign_header(r#"{"alg":"HS256","typ":"application/AT+JWT"}"#), Ok(42)),
        ("a kind of its own", sign(json!({"typ": "Bearer", "token_use": "access", "type": 7})), Ok(42)),
        ("31 days", sign(json!({"exp": now() + 2_678_400})), Ok(42)),
        ("no typ", sign_header(r#"{"alg":"HS256"}"#), Ok(42)),
        ("an empty typ", sign_header(r#"{"alg":"HS256","typ":""}"#), Err(Type)),
        ("a refresh token", sign_header(r#"{"alg":"HS256","typ":"refresh+jwt"}"#), Err(Type)),
        ("a proof of possession", sign_header(r#"{"alg":"HS256","typ":"dpop+jwt"}"#), Err(Type)),
        ("a logout token", sign_header(r#"{"alg":"HS256","typ":"application/logout+jwt"}"#), Err(Type)),
        ("a security event", sign_header(r#"{"alg":"HS256","typ":"secevent+jwt"}"#), Err(Type)),
        ("Keycloak's ID token", sign(json!({"typ": "ID"})), Err(Type)),
        ("Cognito's ID token", sign(json!({"token_use": "id"})), Err(Type)),
        ("a library's refresh token", sign(json!({"token_type": "refresh"})), Err(Type)),
        ("another library's refresh token", sign(json!({"type": "refresh"})), Err(Type)),
        ("a typ that is no text", sign_header(r#"{"alg":"HS256","typ":7}"#), Err(Malformed)),
        ("longer than 31 days", sign(json!({"exp": now() + 2_678_500})), Err(Lifetime)),
        ("for ever", sign(json!({"exp": u64::MAX})), Err(Lifetime)),
        ("issued in a year", sign(json!({"iat": now() + 31_536_000})), Err(Lifetime)),
        ("empty", String::new(), Err(Missing)),
        ("garbage", "garbage".to_owned(), Err(Malformed)),
        ("two dots", "..".to_owned(), Err(Malformed)),
        ("three garbage parts", "a.b.c".to_owned(), Err(Malformed)),
        ("four parts", format!("{good}.x"), Err(Malformed)),
        ("not ASCII", format!("{good}가"), Err(Malformed)),
        ("16 KB", format!("{good}{}", "A".repeat(16 * 1024)), Err(Malformed)),
        ("alg none", sign_header(r#"{"alg":"none"}"#), Err(Malformed)),
        (
            "alg none, unsigned",
            format!("{}.{}.", base64(br#"{"alg":"none"}"#), message.split_once('.').unwrap().1),
            Err(Malformed),
        ),
        ("alg missing", sign_header("{}"), Err(Malformed)),
        ("alg a list", sign_header(r#"{"alg":["HS256"]}"#), Err(Malformed)),
        ("critical extension", sign_header(r#"{"alg":"HS256","crit":["exp"]}"#), Err(Malformed)),
        ("unencoded payload", sign_header(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#), Err(Malformed)),
        ("alg HS384", hs384, Err(Signature)),
        ("header RS256, signature HS256", sign_header(r#"{"alg":"RS256"}"#), Err(Signature)),
        ("no signature", format!("{message}."), Err(Signature)),
        ("half a signature", format!("{message}.{}", &signature[..20]), Err(Signature)),
        ("wrong key", other_key, Err(Signature)),
        ("expired", sign(json!({"exp": now() - 1})), Err(Expired)),
        ("expired in 1970", sign(json!({"exp": 0})), Err(Expired)),
        ("no exp", sign(json!({"exp": null})), Err(Claims)),
        ("string exp", sign(json!({"exp": "9999999999"})), Err(Claims)),
        ("negative exp", sign(json!({"exp": -1})), Err(Claims)),
        ("object exp", sign(json!({"exp": {}})), Err(Claims)),
        ("not yet valid", sign(json!({"nbf": now() + 60})), Err(Claims)),
        ("string nbf", sign(json!({"nbf": "0"})), Err(Claims)),
        ("no user_idx", sign(json!({"user_idx": null})), Err(UserIdx)),
        ("zero user_idx", sign(json!({"user_idx": 0})), Err(UserIdx)),
        ("negative user_idx", sign(json!({"user_idx": -42})), Err(UserIdx)),
        ("float user_idx", sign(json!({"user_idx": 42.0})), Ok(42)),
        ("user_idx of a half", sign(json!({"user_idx": 42.5})), Err(UserIdx)),
        ("user_idx 2^53", sign(json!({"user_idx": LARGEST_IDX + 1})), Err(UserIdx)),
        ("user_idx 2^63 - 1", sign(json!({"user_idx": i64::MAX})), Err(UserIdx)),
        ("string user_idx", sign(json!({"user_idx": "42"})), Err(UserIdx)),
        ("user_idx 2^63", sign(json!({"user_idx": 1_u64 << 63})), Err(UserIdx)),
        ("true user_idx", sign(json!({"user_idx": true})), Err(UserIdx)),
        ("number nickname", sign(json!({"nickname": 1})), Err(Claims)),
        ("list sub", sign(json!({"sub": []})), Err(Malformed)),
        ("list scope", sign(json!({"scope": ["chat:moderate"]})), Err(Claims)),
        ("object scp", sign(json!({"scp": {"chat:moderate": true}})), Err(Claims)),
        ("scp a list of numbers", sign(json!({"scp": [1]})), Err(Claims)),
        ("number iss", sign(json!({"iss": 1})), Err(Claims)),
        ("number aud", sign(json!({"aud": 1})), Err(Claims)),
        ("somebody else's audience", sign(json!({"aud": "somebody"})), Err(Claims)),
        ("claims a list", sign_with(&Header::new(Algorithm::HS256), &json!([]), KEY), Err(Malformed)),
    ];
    for (name, token, expected) in cases {
        assert_eq!(verifier.verify(&token).await.map(|identity| identity.user_idx), expected, "{name}");
    }
}

#[test]
fn a_request_has_one_token_or_none() {
    use TokenError::*;
    type Header = (&'static str, &'static str);
    let cases: [(&[Header], Result<&str, TokenError>); 14] = [
        (&[("token", "a")], Ok("a")),
        (&[("token", " a ")], Ok("a")),
        (&[("authorization", "Bearer a")], Ok("a")),
        (&[("authorization", "bearer  a")], Ok("a")),
        (&[("token", "a"), ("authorization", "Bearer a")], Ok("a")),
        (&[("token", "a"), ("authorization", "Basic YTpi")], Ok("a")),
        (&[("token", ""), ("authorization", "Bearer a")], Ok("a")),
        (&[], Err(Missing)),
        (&[("token", "")], Err(Missing)),
        (&[("authorization", "Basic YTpi")], Err(Missing)),
        (&[("token", "a"), ("authorization", "Bearer b")], Err(Ambiguous)),
        (&[("token", "a"), ("token", "a")], Err(Ambiguous)),
        (&[("authorization", "Bearer a"), ("authorization", "Bearer a")], Err(Ambiguous)),
        (&[("token", "가")], Err(Malformed)),
    ];
    for (given, expected) in cases {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        assert_eq!(token(&headers), expected, "{given:?}");
    }
}

#[tokio::test]
async fn a_pass_ends_with_its_token_and_the_leeway() {
    let verifier = Verifier::new(&Config { leeway: Span::from_secs(60), ..config("", "") }).unwrap();
    let end = now() + 100;
    let pass = verifier.pass(&sign(json!({ "exp": end }))).await.unwrap();
    assert_eq!(pass.until, UNIX_EPOCH + Duration::from_secs(end + 60));
}
