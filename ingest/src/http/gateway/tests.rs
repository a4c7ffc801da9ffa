//! Forwarded identities as data.

use ::hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;

const KEY: &str = "a key for tests that has at least 32 bytes";
const GATEWAY: &str = "10.1.2.3";
const STRANGER: &str = "192.0.2.1";

type Header = (&'static str, &'static str);
type Found = Result<Option<i64>, ForwardError>;

fn config(mode: &str, trusted: serde_json::Value) -> GatewayConfig {
    let config =
        serde_json::json!({"mode": mode, "trusted": trusted, "trusted_scope": false, "secret": KEY, "v1_until": ""});
    serde_json::from_value(config).unwrap()
}

fn gateway(mode: &str) -> Gateway {
    Gateway::new(&config(mode, serde_json::json!(["10.0.0.0/8", "fd00::/8"])), "ingest.gateway").unwrap()
}

/// `POST /v1/rooms/42/messages?a=b` with these headers.
fn request(headers: HeaderMap) -> Parts {
    let request = axum::http::Request::post("/v1/rooms/42/messages?a=b").body(()).unwrap();
    let mut parts = request.into_parts().0;
    parts.headers = headers;
    parts
}

fn headers(given: &[Header]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

const FORWARDED: [Header; 3] =
    [("x-forward-useridx", "42"), ("x-forward-email", "a%40b.c"), ("x-forward-nickname", "%EA%B0%80+%2B")];

fn identity() -> Identity {
    Identity {
        user_idx: 42,
        nickname: "가 +".to_owned(),
        email: "a@b.c".to_owned(),
        scopes: Vec::new(),
        attributes: None,
        emotes: None,
    }
}

#[test]
fn forwarded_headers_count_from_trusted_addresses_only() {
    let cases = [
        ("trusted-addresses", GATEWAY, true),
        ("trusted-addresses", "::ffff:10.1.2.3", true),
        ("trusted-addresses", "fd00::1", true),
        ("trusted-addresses", STRANGER, false),
        ("trusted-addresses", "::1", false),
        ("off", GATEWAY, false),
        ("signature", GATEWAY, false),
    ];
    for (mode, peer, counts) in cases {
        let found = gateway(mode).identity(&request(headers(&FORWARDED)), peer.parse().unwrap());
        assert_eq!(found, Ok(counts.then(identity)), "{mode} {peer}");
    }
}

#[test]
fn headers_that_count_must_be_whole_and_well_formed() {
    use ForwardError::*;
    let [idx, email, nickname] = FORWARDED;
    let with_idx = |value: &'static str| vec![("x-forward-useridx", value), email, nickname];
    let cases: [(Vec<Header>, Found); 23] = [
        (vec![], Ok(None)),
        (vec![("token", "x")], Ok(None)),
        (vec![idx, email, nickname], Ok(Some(42))),
        (vec![idx, email, ("x-forward-nickname", "")], Ok(Some(42))),
        (vec![idx, email, ("x-forward-nickname", "가")], Ok(Some(42))),
        (vec![email, nickname], Err(Missing(USER_IDX))),
        (vec![idx, nickname], Err(Missing(EMAIL))),
        (vec![idx, email], Err(Missing(NICKNAME))),
        (vec![idx, idx, email, nickname], Err(Twice(USER_IDX))),
        (vec![idx, email, ("x-forward-nickname", "%FF")], Err(Malformed(NICKNAME))),
        (with_idx("0"), Err(Malformed(USER_IDX))),
        (with_idx("-1"), Err(Malformed(USER_IDX))),
        (with_idx("1.0"), Err(Malformed(USER_IDX))),
        (with_idx("+60"), Err(Malformed(USER_IDX))),
        (with_idx("0060"), Err(Malformed(USER_IDX))),
        (with_idx("00"), Err(Malformed(USER_IDX))),
        (with_idx("6_0"), Err(Malformed(USER_IDX))),
        (with_idx("0x3c"), Err(Malformed(USER_IDX))),
        (with_idx("9007199254740991"), Ok(Some(LARGEST_IDX))),
        (with_idx("9007199254740992"), Err(Malformed(USER_IDX))),
        (with_idx("9223372036854775808"), Err(Malformed(USER_IDX))),
        (with_idx("가"), Err(Malformed(USER_IDX))),
        (with_idx(""), Err(Malformed(USER_IDX))),
    ];
    for (given, expected) in cases {
        let found = gateway("trusted-addresses").identity(&request(headers(&given)), GATEWAY.parse().unwrap());
        assert_eq!(found.map(|identity| identity.map(|identity| identity.user_idx)), expected, "{given:?}");
    }
}

#[test]
fn a_scope_from_a_trusted_address_counts_only_where_the_gateway_answers_for_it() {
    let config = |trusted_scope| GatewayConfig {
        trusted_scope,
        ..config("trusted-addresses", serde_json::json!(["10.0.0.0/8"]))
    };
    let scopes = |trusted_scope, scope: &[&'static str]| {
        let mut given = FORWARDED.to_vec();
        given.extend(scope.iter().map(|scope| ("x-forward-scope", *scope)));
        let gateway = Gateway::new(&config(trusted_scope), "ingest.gateway").unwrap();
        gateway.identity(&request(headers(&given)), GATEWAY.parse().unwrap()).map(|identity| identity.unwrap().scopes)
    };
    let both = vec!["chat:moderate".to_owned(), "chat:read".to_owned()];
    assert_eq!(scopes(true, &["chat%3Amoderate+chat%3Aread"]), Ok(both.clone()));
    assert_eq!(scopes(true, &["chat:moderate chat:read"]), Ok(both));
    assert_eq!(scopes(true, &[]), Ok(Vec::new()));
    assert_eq!(scopes(true, &["chat:read", "chat:moderate"]), Err(ForwardError::Twice(SCOPE)));
    assert_eq!(scopes(true, &["%FF"]), Err(ForwardError::Malformed(SCOPE)));
    assert_eq!(scopes(false, &["chat:moderate"]), Ok(Vec::new()));
    assert_eq!(scopes(false, &["%FF"]), Ok(Vec::new()));
}

#[test]
fn in_the_first_version_a_scope_is_signed_or_the_signature_does_not_hold() {
    let now = 1_800_000_000;
    let sign = |lines: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        mac.update(format!("{now}\n42\na%40b.c\n%EA%B0%80+%2B{lines}").as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={now},v1={hex}")
    };
    let holds = |signature: String, scope: &[&'static str]| {
        let mut given = FORWARDED.to_vec();
        given.extend(scope.iter().map(|scope| ("x-forward-scope", *scope)));
        let mut headers = headers(&given);
        headers.insert(SIGNATURE, signature.parse().unwrap());
        is_signed(&request(headers), &KEY.to_owned().into(), now, true)
    };
    assert_eq!(holds(sign("\nchat%3Amoderate"), &["chat%3Amoderate"]), Some(true));
    assert_eq!(holds(sign("\n"), &[""]), Some(true));
    assert_eq!(holds(sign(""), &["chat%3Amoderate"]), Some(false), "added");
    assert_eq!(holds(sign(""), &[""]), Some(false), "added, empty");
    assert_eq!(holds(sign("\nchat%3Aread"), &[]), Some(false), "taken away");
    assert_eq!(holds(sign("\nchat%3Aread"), &["chat%3Amoderate"]), Some(false), "changed");
    assert_eq!(holds(sign("\nchat%3Aread"), &["chat%3Aread", "chat%3Amoderate"]), None, "doubled");
}

#[test]
fn a_signature_of_the_first_version_holds_for_these_headers_and_300_seconds() {
    let now = 1_800_000_000;
    let signed = |time: u64, key: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(format!("{time}\n42\na%40b.c\n%EA%B0%80+%2B").as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={time},v1={hex}")
    };
    let good = signed(now, KEY);
    let cases = [
        ("good", good.clone(), Some(true)),
        ("blank after the comma", good.replace(',', ", "), Some(true)),
        ("upper case", good.to_uppercase().replace("T=", "t=").replace("V1=", "v1="), Some(true)),
        ("old", signed(now - 300, KEY), Some(true)),
        ("too old", signed(now - 301, KEY), Some(false)),
        ("from the future", signed(now + 301, KEY), Some(false)),
        ("another key", signed(now, "another key, also of at least 32 bytes"), Some(false)),
        ("another time", good.replace("t=1800000000", "t=1800000001"), Some(false)),
        ("half of it", good[..good.len() - 32].to_owned(), Some(false)),
        ("none", "t=1800000000,v1=".to_owned(), Some(false)),
        ("odd", format!("{good}a"), None),
        ("not hex", "t=1800000000,v1=xyz".to_owned(), None),
        ("no time", good.split_once(',').unwrap().1.to_owned(), None),
        ("garbage", "garbage".to_owned(), None),
        ("a time with a sign", good.replace("t=", "t=+"), None),
        ("two times", format!("{good},t=1"), None),
        ("two signatures", format!("{good},{}", good.split_once(',').unwrap().1), None),
    ];
    for (name, signature, expected) in cases {
        let mut headers = headers(&FORWARDED);
        headers.insert(SIGNATURE, signature.parse().unwrap());
        assert_eq!(is_signed(&request(headers), &KEY.to_owned().into(), now, true), expected, "{name}");
    }
    let mut shifted = headers(&[("x-forward-useridx", "43"), FORWARDED[1], FORWARDED[2]]);
    shifted.insert(SIGNATURE, good.parse().unwrap());
    assert_eq!(is_signed(&request(shifted), &KEY.to_owned().into(), now, true), Some(false));
}

#[test]
fn a_mode_without_what_it_needs_is_refused_and_the_key_named() {
    let nobody = config("trusted-addresses", serde_json::json!([]));
    assert!(Gateway::new(&nobody, "ingest.gateway").unwrap_err().to_string().contains("ingest.gateway.trusted"));
    let unsigned = GatewayConfig { secret: Secret::default(), ..config("signature", serde_json::json!([])) };
    assert!(Gateway::new(&unsigned, "ingest.gateway").unwrap_err().to_string().contains("ingest.gateway.secret"));
}

const DIGEST: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
const NOW: u64 = 1_800_000_000;

/// Lines as the documentation has them, signed.
fn v2(lines: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(lines.join("\n").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={},v2={hex}", lines[1])
}

/// The lines of [`request`] with a body.
const LINES: [&str; 8] =
    ["v2", "1800000000", "POST", "/v1/rooms/42/messages?a=b", DIGEST, "42", "a%40b.c", "%EA%B0%80+%2B"];

fn holds(signature: &str, more: &[Header], change: impl FnOnce(&mut Parts)) -> Option<bool> {
    let mut request = request(headers(&[&FORWARDED[..], more].concat()));
    request.headers.insert(SIGNATURE, signature.parse().unwrap());
    change(&mut request);
    is_signed(&request, &KEY.to_owned().into(), NOW, false)
}

#[test]
fn a_signature_is_of_one_request() {
    let body = [("content-digest", DIGEST), ("content-length", "18")];
    let good = v2(&LINES);
    assert_eq!(holds(&good, &body, |_| ()), Some(true));
    assert_eq!(holds(&format!("{good},v1=00,v3=x"), &body, |_| ()), Some(true), "the newest that is known decides");
    type Change = fn(&mut Parts);
    let changes: [(&str, Change); 7] = [
        ("method", |request| request.method = axum::http::Method::DELETE),
        ("path", |request| request.uri = "/v1/rooms/42/clear?a=b".parse().unwrap()),
        ("query", |request| request.uri = "/v1/rooms/42/messages?a=c".parse().unwrap()),
        ("no query", |request| request.uri = "/v1/rooms/42/messages".parse().unwrap()),
        ("digest", |request| {
            let other = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
            request.headers.insert("content-digest", other.parse().unwrap());
        }),
        ("user", |request| drop(request.headers.insert(USER_IDX, "43".parse().unwrap()))),
        ("scope", |request| drop(request.headers.insert(SCOPE, "chat:moderate".parse().unwrap()))),
    ];
    for (name, change) in changes {
        assert_eq!(holds(&good, &body, change), Some(false), "{name}");
    }
    let body_without_digest = [("content-length", "18")];
    assert_eq!(holds(&good, &body_without_digest, |_| ()), None);
    let unsigned = v2(&[&LINES[..4], &[""], &LINES[5..]].concat());
    assert_eq!(holds(&unsigned, &[], |_| ()), Some(true), "without a body");
    assert_eq!(holds(&unsigned, &[("content-length", "0")], |_| ()), Some(true));
    for body in [("content-length", "18"), ("content-length", "00"), ("transfer-encoding", "chunked")] {
        assert_eq!(holds(&unsigned, &[body], |_| ()), None, "{body:?}");
    }
    for digest in ["sha-512=:AA==:", "sha-256=:AA==:", "garbage"] {
        let signed = v2(&[&LINES[..4], &[digest], &LINES[5..]].concat());
        assert_eq!(holds(&signed, &[("content-digest", digest)], |_| ()), None, "{digest}");
    }
    let scoped = v2(&[&LINES[..], &["chat%3Amoderate"]].concat());
    assert_eq!(holds(&scoped, &[&body[..], &[("x-forward-scope", "chat%3Amoderate")]].concat(), |_| ()), Some(true));
    let old = |time: &str| holds(&v2(&[&["v2", time], &LINES[2..]].concat()), &body, |_| ());
    assert_eq!([old("1799999700"), old("1799999699"), old("1800000301")], [Some(true), Some(false), Some(false)]);
}

#[test]
fn signatures_of_the_identity_alone_count_until_a_day_that_is_configured() {
    let until = |date: &str| {
        let config = GatewayConfig { v1_until: date.to_owned(), ..config("signature", serde_json::json!([])) };
        Gateway::new(&config, "ingest.gateway").map(|gateway| gateway.takes_v1(NOW))
    };
    // 1800000000 is 2027-01-15.
    assert_eq!(until(""), Ok(false));
    assert_eq!([until("2027-01-14"), until("2027-01-15"), until("2027-01-16")], [Ok(false), Ok(true), Ok(true)]);
    assert!(until("soon").unwrap_err().to_string().contains("ingest.gateway.v1_until"));
}

#[test]
fn a_gateway_has_networks_where_its_address_decides() {
    let networks = |mode: &str| config(mode, serde_json::json!(["10.0.0.0/8"])).networks().len();
    assert_eq!([networks("trusted-addresses"), networks("signature"), networks("off")], [1, 0, 0]);
}
