//! Tokens that must be refused.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{RSA_PKCS1_SHA512, RSA_PSS_SHA256};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{System, answer};
use crate::support::{JwksServer, Published, SECRET, SigningKey, base64url, compact};

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token of user 7 with these changes. Null removes a claim.
pub(crate) fn token_with(changes: Value) -> String {
    let mut claims = json!({"sub": "a@b.c", "nickname": "nick", "user_idx": 7, "exp": now() + 3_600});
    for (claim, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(claim),
            value => claims.as_object_mut().unwrap().insert(claim.clone(), value.clone()),
        };
    }
    sign(&claims, SECRET)
}

pub(crate) fn signed_by_another_key() -> String {
    sign(&json!({"user_idx": 7, "exp": now() + 3_600}), "another secret, also of more than 32 bytes")
}

pub(crate) fn expired() -> String {
    token_with(json!({"exp": now() - 10}))
}

pub(crate) fn without_user_idx() -> String {
    token_with(json!({"user_idx": null}))
}

fn sign(claims: &Value, key: &str) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(key.as_bytes()).unwrap()).unwrap()
}

/// The claims of a good token of user 7.
pub(crate) fn good() -> Value {
    json!({"sub": "a@b.c", "nickname": "nick", "user_idx": 7, "exp": now() + 3_600})
}

fn claims(changes: Value) -> Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn header(key: &SigningKey, changes: Value) -> Value {
    let mut header = key.header();
    header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    header
}

fn hs256(key: &[u8], header: &Value, claims: &Value) -> String {
    compact(header, claims, |message| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    })
}

/// The issuer of these tests, and an impostor.
struct World {
    system: System,
    rsa: SigningKey,
    /// RSA too, published with `alg` PS256.
    pss: SigningKey,
    ec: SigningKey,
    ed: SigningKey,
    issuer: JwksServer,
    attacker: SigningKey,
    attackers: JwksServer,
}

impl World {
    async fn start() -> World {
        let (rsa, pss, attacker) = (SigningKey::rsa("rsa"), SigningKey::rsa("pss"), SigningKey::rsa("rsa"));
        let (ec, ed) = (SigningKey::ec("ec"), SigningKey::ed("ed"));
        let issuer = JwksServer::start(&[]).await;
        let mut pss_jwk = pss.jwk();
        pss_jwk["alg"] = "PS256".into();
        // A mistake of an issuer: the published secret is public.
        let published_secret = json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": base64url(PUBLISHED_SECRET)});
        issuer.answer(Published::Keys(vec![published_secret, rsa.jwk(), pss_jwk, ec.jwk(), ed.jwk()]));
        let attackers = JwksServer::start(&[&attacker]).await;
        let system = System::start_with(|settings| settings.set("auth.jwks.url", &issuer.url())).await;
        World { system, rsa, pss, ec, ed, issuer, attacker, attackers }
    }

    /// Reads the identity of a token through the original's surface.
    async fn who(&self, token: &str) -> String {
        let whose = answer(self.system.get("/token").bearer_auth(token)).await;
        assert_eq!(whose.status, 200, "{whose:?}");
        whose.body
    }

    async fn refuse(&self, cases: Vec<(&str, String)>) {
        for (name, token) in cases {
            let post = self.system.post("/v1/rooms/42/messages").bearer_auth(&token).json(&json!({"text": name}));
            let refused = answer(post).await;
            assert_eq!(refused.status, 401, "{name}: {refused:?}");
            refused.assert_problem(401, "token_invalid");
        }
        assert!(self.system.messages().await.is_empty());
        assert_eq!(self.attackers.requests(), 0, "the attacker's server was asked");
        let log = self.system.ingest.log();
        assert!(!log.contains("panicked") && !log.contains("eyJ"), "{log}");
    }
}

const PUBLISHED_SECRET: &[u8] = b"a secret that is published, of more than 32 bytes";

#[tokio::test]
async fn tokens_of_each_kind_of_key_are_accepted_and_the_secrets_beside_them() {
    let world = World::start().await;
    for key in [&world.rsa, &world.ec, &world.ed] {
        assert_eq!(world.who(&key.token(&good())).await, "7", "{}", key.kid);
    }
    let pss = |message: &[u8]| world.pss.sign_rsa(&RSA_PSS_SHA256, message);
    assert_eq!(world.who(&compact(&header(&world.pss, json!({"alg": "PS256"})), &good(), pss)).await, "7");
    assert_eq!(world.who(&token_with(json!({}))).await, "7");
    // Without a name, if there is only one key of the algorithm.
    for key in [&world.rsa, &world.ec, &world.ed] {
        assert_eq!(world.who(&key.token_with(&header(key, json!({"kid": null})), &good())).await, "7", "{}", key.kid);
    }
    let post = world.system.post("/v1/rooms/42/messages").header("token", world.ec.token(&good()));
    assert_eq!(answer(post.json(&json!({"text": "hi"}))).await.status, 202);
    let user = world.system.messages().await[0]["user"].clone();
    assert_eq!(user, json!({"idx": 7, "nickname": "nick", "role": "viewer"}));
    let moderators = claims(json!({"user_idx": 8, "scp": ["chat:read", "chat:moderate"]}));
    let post = world.system.post("/v1/rooms/42/messages").header("token", world.ed.token(&moderators));
    assert_eq!(answer(post.json(&json!({"text": "hi"}))).await.status, 202);
    assert_eq!(world.system.messages().await[1]["user"]["role"], "moderator");
    assert_eq!(world.issuer.requests(), 1);
}

#[tokio::test]
async fn a_key_verifies_no_other_algorithm_than_its_own() {
    let world = World::start().await;
    let World { rsa, pss, ec, ed, .. } = &world;
    let named = |kid: &str, alg: &str| json!({"alg": alg, "kid": kid});
    let unsigned = |alg: &str| compact(&named("rsa", alg), &good(), |_| Vec::new());
    let by = |key: &[u8], kid: &str| hs256(key, &named(kid, "HS256"), &good());
    let n = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let (pem, der) = (rsa.public_pem(), rsa.public_der());
    let mut cases = vec![
        ("none", unsigned("none")),
        ("None", unsigned("None")),
        ("NONE", unsigned("NONE")),
        ("no algorithm", unsigned("")),
        ("RS256, unsigned", unsigned("RS256")),
        ("ES256, unsigned", compact(&named("ec", "ES256"), &good(), |_| Vec::new())),
        ("EdDSA, unsigned", compact(&named("ed", "EdDSA"), &good(), |_| vec![0; 64])),
        ("HS256 by the PEM", by(pem.as_bytes(), "rsa")),
        ("HS256 by the trimmed PEM", by(pem.trim().as_bytes(), "rsa")),
        ("HS256 by the DER", by(&der, "rsa")),
        ("HS256 by the modulus", by(n.as_bytes(), "rsa")),
        ("HS256 by the JWK", by(rsa.jwk().to_string().as_bytes(), "rsa")),
        ("HS256 by the PEM, no kid", hs256(pem.as_bytes(), &json!({"alg": "HS256"}), &good())),
        ("HS256 by the public key of Ed25519", by(&ed.public_der()[12..], "ed")),
        ("HS256 by a published secret", by(PUBLISHED_SECRET, "oct")),
        ("HS256 by nothing", by(b"", "../../dev/null")),
        ("HS256 by our secret in the name of a published key", by(SECRET.as_bytes(), "rsa")),
        ("HS512 by our secret", hs256(SECRET.as_bytes(), &json!({"alg": "HS512"}), &good())),
        ("RS256 in the name of an EC key", rsa.token_with(&named("ec", "RS256"), &good())),
        ("ES256 in the name of an RSA key", ec.token_with(&named("rsa", "ES256"), &good())),
        ("EdDSA in the name of an RSA key", ed.token_with(&named("rsa", "EdDSA"), &good())),
        ("ES256 that is RS256", rsa.token_with(&named("ec", "ES256"), &good())),
        ("RS256 by a key for PS256", pss.token(&good())),
    ];
    let padded = |kid: &str, alg: &str, padding| compact(&named(kid, alg), &good(), |m| rsa.sign_rsa(padding, m));
    cases.push(("PS256 by a key for RS256", padded("rsa", "PS256", &RSA_PSS_SHA256)));
    cases.push(("RS512 by a key for RS256", padded("rsa", "RS512", &RSA_PKCS1_SHA512)));
    cases.push(("PS256 by another key", padded("pss", "PS256", &RSA_PSS_SHA256)));
    world.refuse(cases).await;
    assert_eq!(world.issuer.requests(), 1, "nothing that is known was asked for again");
}

#[tokio::test]
async fn a_token_brings_no_key_and_names_no_place_to_fetch_one_from() {
    let world = World::start().await;
    let (attacker, url) = (&world.attacker, world.attackers.url());
    let mut cases = Vec::new();
    for kid in [json!("rsa"), json!("evil"), json!(null)] {
        for (name, more) in [
            ("jku", json!({"jku": url})),
            ("x5u", json!({"x5u": url})),
            ("jwk", json!({"jwk": attacker.jwk()})),
            ("jwk, a secret", json!({"jwk": {"kty": "oct", "k": base64url("secret")}})),
            ("x5c", json!({"x5c": [base64url(attacker.public_der())]})),
            ("kid is a place", json!({"kid": url})),
            ("nothing", json!({})),
        ] {
            let mut header = header(attacker, json!({"kid": kid}));
            header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            cases.push((name, attacker.token_with(&header, &good())));
        }
    }
    world.refuse(cases).await;
    assert!(world.issuer.requests() <= 2, "{}", world.issuer.requests());
}

#[tokio::test]
async fn a_kid_is_a_name_and_nothing_else() {
    let world = World::start().await;
    let attacker = &world.attacker;
    let kids = [
        json!("../../../../dev/null"),
        json!("/dev/null"),
        json!("' OR '1'='1"),
        json!("rsa' UNION SELECT 'x"),
        json!("rsa\0"),
        json!("\u{0}"),
        json!("rsa "),
        json!("RSA"),
        json!(""),
        json!("k".repeat(4_000)),
        json!("가".repeat(500)),
        json!("http://127.0.0.1:1/keys"),
        json!("| sleep 10"),
        json!("rsa\r\nx: y"),
        json!(7),
        json!(["rsa"]),
        json!({"kid": "rsa"}),
        json!(true),
    ];
    let token = |kid: Value| attacker.token_with(&json!({"alg": "RS256", "kid": kid}), &good());
    world.refuse(kids.into_iter().map(|kid| ("kid", token(kid))).collect()).await;
    // Two of them: ambiguous.
    let twice = format!(r#"{{"alg":"RS256","kid":"x","kid":"{}"}}"#, world.rsa.kid);
    let message = format!("{}.{}", base64url(twice), base64url(good().to_string()));
    let twice = format!("{message}.{}", base64url(world.rsa.sign(message.as_bytes())));
    world.refuse(vec![("two kids", twice)]).await;
    assert!(world.issuer.requests() <= 2, "{}", world.issuer.requests());
}

#[tokio::test]
async fn a_claim_of_a_token_counts_only_in_its_documented_form() {
    let world = World::start().await;
    let key = &world.rsa;
    let said = |changes: Value| key.token(&claims(changes));
    let headed = |changes: Value| key.token_with(&header(key, changes), &good());
    let token = key.token(&good());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let presenter = base64url(claims(json!({"user_idx": 42})).to_string());
    world
        .refuse(vec![
            ("crit", headed(json!({"crit": ["exp"]}))),
            ("crit, unencoded payload", headed(json!({"crit": ["b64"], "b64": false}))),
            ("crit, empty", headed(json!({"crit": []}))),
            ("number iss", said(json!({"iss": 7}))),
            ("list iss", said(json!({"iss": ["us"]}))),
            ("object iss", said(json!({"iss": {"us": true}}))),
            ("an audience that is not us", said(json!({"aud": "shop"}))),
            ("no exp", said(json!({"exp": null}))),
            ("text exp", said(json!({"exp": "9999999999"}))),
            ("not yet", said(json!({"nbf": now() + 600}))),
            ("no user_idx", said(json!({"user_idx": null}))),
            ("16 KB", said(json!({"padding": "x".repeat(12 * 1024)}))),
            ("16 KB of nothing", "x".repeat(16 * 1024)),
            ("16 KB of dots", ".".repeat(16 * 1024)),
            ("other claims under the signature", format!("{head}.{presenter}.{signature}")),
            ("padded", format!("{token}=")),
            ("five parts", format!("{message}.a.b.{signature}")),
        ])
        .await;
    let expired = world.system.post("/v1/rooms/42/messages").bearer_auth(said(json!({"exp": now() - 10})));
    answer(expired.json(&json!({"text": "hi"}))).await.assert_problem(401, "token_expired");

    let post = || world.system.post("/v1/rooms/42/messages").json(&json!({"text": "hi"}));
    answer(post().bearer_auth(&token).bearer_auth(&token)).await.assert_problem(401, "token_invalid");
    let other = key.token(&claims(json!({"user_idx": 8})));
    answer(post().bearer_auth(&token).header("token", other)).await.assert_problem(401, "token_invalid");
    assert!(world.system.messages().await.is_empty());
}

/// The order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A change of a signature's r and s.
type Change = fn(&[u8], &[u8]) -> Vec<u8>;

#[tokio::test]
async fn a_signature_of_es256_is_two_numbers_of_the_curve_and_nothing_else() {
    let world = World::start().await;
    let key = &world.ec;
    let signed = |change: Change| {
        compact(&key.header(), &good(), |message| {
            let signature = key.sign(message);
            let (r, s) = signature.split_at(32);
            change(r, s)
        })
    };
    world
        .refuse(vec![
            // CVE-2022-21449: zeros verify any message.
            ("zeros", signed(|_, _| vec![0; 64])),
            ("s is zero", signed(|r, _| [r, &[0; 32]].concat())),
            ("r is zero", signed(|_, s| [&[0; 32], s].concat())),
            ("the order twice", signed(|_, _| [ORDER, ORDER].concat())),
            ("the largest numbers", signed(|_, _| vec![0xff; 64])),
            ("DER", signed(der)),
            ("too short", signed(|r, s| [r, &s[..31]].concat())),
            ("too long", signed(|r, s| [r, s, &[0]].concat())),
            ("swapped", signed(|r, s| [s, r].concat())),
            ("empty", signed(|_, _| Vec::new())),
        ])
        .await;
    // (r, n - s) is as valid as (r, s) in RFC 7518, and no code here identifies tokens by their bytes.
    assert_eq!(world.who(&signed(|r, s| [r, &negated(s)].concat())).await, "7");
}

/// `n - s`.
fn negated(s: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = ORDER
        .iter()
        .zip(s)
        .rev()
        .map(|(n, s)| {
            let digit = i16::from(*n) - i16::from(*s) - borrow;
            borrow = i16::from(digit < 0);
            (digit + 256 * borrow) as u8
        })
        .collect();
    difference.reverse();
    difference
}

/// The form of X.509, which some libraries accept in JOSE.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let mut digits = number[zeros..].to_vec();
        if digits[0] >= 0x80 {
            digits.insert(0, 0);
        }
        [vec![2, digits.len() as u8], digits].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, body.len() as u8], body].concat()
}
