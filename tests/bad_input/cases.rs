//! The bad input of our own, and good input that looks bad, as data.

mod requests;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};

use super::Case;
use crate::ingest::tokens::{expired, now, signed_by_another_key, token_with, without_user_idx};
use crate::support::{SECRET, token};

const ORIGINAL: &str = "/send/message";
const V1: &str = "/v1/rooms/42/messages";

pub(super) fn all() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(tokens());
    all.extend(rooms());
    all.extend(user_types());
    all.extend(texts());
    all.extend(requests::bodies());
    all.extend(requests::headers());
    all.extend(requests::paths());
    all
}

/// A valid post to the original's surface, to be changed.
pub(super) fn original(name: &str, body: impl Into<Vec<u8>>) -> Case {
    Case {
        name: format!("{name} (original)"),
        method: Method::POST,
        path: ORIGINAL.to_owned(),
        headers: vec![("token", token(7, "nick").into_bytes()), ("content-type", b"application/json".to_vec())],
        body: body.into(),
    }
}

/// A valid post to `/v1`, to be changed.
pub(super) fn v1(name: &str, body: impl Into<Vec<u8>>) -> Case {
    Case { name: format!("{name} (v1)"), path: V1.to_owned(), ..original(name, body) }
}

/// Both, with the same text.
pub(super) fn both(name: &str, text: &Value) -> [Case; 2] {
    let body = json!({"presenterIdx": 42, "userType": "viewer", "textMessage": text});
    [original(name, body.to_string()), v1(name, json!({"text": text}).to_string())]
}

fn both_good(name: &str) -> [Case; 2] {
    both(name, &json!("good"))
}

fn with(mut case: Case, header: &'static str, value: impl Into<Vec<u8>>) -> Case {
    case.headers.retain(|(name, _)| *name != header);
    case.headers.push((header, value.into()));
    case
}

fn with_more(mut case: Case, header: &'static str, value: impl Into<Vec<u8>>) -> Case {
    case.headers.push((header, value.into()));
    case
}

fn without(mut case: Case, header: &'static str) -> Case {
    case.headers.retain(|(name, _)| *name != header);
    case
}

fn tokens() -> Vec<Case> {
    let good = token(7, "nick");
    let parts: Vec<&str> = good.split('.').collect();
    let claims = json!({"user_idx": 7, "exp": now() + 3_600});
    let key = EncodingKey::from_secret(SECRET.as_bytes()).unwrap();
    let sign = |algorithm| encode(&Header::new(algorithm), &claims, &key);
    let tokens: Vec<(&str, Vec<u8>)> = vec![
        ("garbage token", b"garbage".to_vec()),
        ("empty token", b"".to_vec()),
        ("token null", b"null".to_vec()),
        ("two dots", b"..".to_vec()),
        ("expired token", expired().into()),
        ("token of another key", signed_by_another_key().into()),
        // {"alg":"none"}
        ("alg none", format!("eyJhbGciOiJub25lIn0.{}.", parts[1]).into()),
        // {"alg":"RS256"}
        ("alg RS256 with our signature", format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", parts[1], parts[2]).into()),
        ("alg HS384", sign(Algorithm::HS384).unwrap().into()),
        ("alg HS512", sign(Algorithm::HS512).unwrap().into()),
        ("no signature", format!("{}.{}.", parts[0], parts[1]).into()),
        ("token with a fourth part", format!("{good}.x").into()),
        ("token twice", format!("{good} {good}").into()),
        ("half a token", good[..good.len() / 2].to_owned().into()),
        ("no user_idx", without_user_idx().into()),
        ("user_idx 0", token_with(json!({"user_idx": 0})).into()),
        ("user_idx negative", token_with(json!({"user_idx": -7})).into()),
        ("user_idx a float", token_with(json!({"user_idx": 7.0})).into()),
        ("user_idx a string", token_with(json!({"user_idx": "7"})).into()),
        ("user_idx 2^63", token_with(json!({"user_idx": 1_u64 << 63})).into()),
        ("no exp", token_with(json!({"exp": null})).into()),
        ("string exp", token_with(json!({"exp": "9999999999"})).into()),
        ("exp in milliseconds ago", token_with(json!({"exp": -1})).into()),
        ("not yet valid", token_with(json!({"nbf": now() + 3_600})).into()),
        ("number nickname", token_with(json!({"nickname": 7})).into()),
        ("no nickname", token_with(json!({"nickname": null})).into()),
        ("nickname with line breaks and overrides", token_with(json!({"nickname": "a\r\nb\u{202E}c\0"})).into()),
        ("nickname of 4,000 characters", token_with(json!({"nickname": "n".repeat(4_000)})).into()),
        ("number iss", token_with(json!({"iss": 1})).into()),
        ("somebody else's aud", token_with(json!({"aud": "somebody"})).into()),
        ("16 KB token", "A".repeat(16 * 1024).into()),
        ("token of 20 KB, signed", token_with(json!({"nickname": "n".repeat(15_000)})).into()),
        ("token with high bytes", b"\xEA\xB0\x80".to_vec()),
    ];
    let mut cases = Vec::new();
    for (name, token) in tokens {
        cases.extend(both_good(name).map(|case| with(case, "token", token.clone())));
    }
    for case in both_good("no token") {
        cases.push(without(case, "token"));
    }
    for case in both_good("two tokens") {
        cases.push(with_more(case, "token", good.clone()));
    }
    for case in both_good("token and another Authorization") {
        cases.push(with_more(case, "authorization", format!("Bearer {}", token(8, "n"))));
    }
    for case in both_good("two Authorizations") {
        let case = with_more(without(case, "token"), "authorization", format!("Bearer {good}"));
        cases.push(with_more(case, "authorization", format!("Bearer {good}")));
    }
    for case in both_good("Basic Authorization") {
        cases.push(with(without(case, "token"), "authorization", "Basic dXNlcjpwYXNz"));
    }
    for case in both_good("forwarded headers from nobody in particular") {
        let case = with(without(case, "token"), "x-forward-useridx", "9");
        cases.push(with(with(case, "x-forward-email", "a"), "x-forward-nickname", "n"));
    }
    for case in both_good("forwarded headers that are ignored") {
        cases.push(with(with(case, "x-forward-useridx", "nine"), "x-forward-nickname", "%FF"));
    }
    cases
}

fn rooms() -> Vec<Case> {
    let body = |idx: &str| format!(r#"{{"presenterIdx":{idx},"userType":"viewer","textMessage":"hi"}}"#);
    let in_bodies = [
        "0",
        "-1",
        "-0",
        "-42",
        "42.0",
        "42.5",
        "4.2e1",
        "1e400",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "\"42\"",
        "\"\"",
        "true",
        "[]",
        "[42]",
        "{}",
        "null",
        "042",
        "0x2A",
        "NaN",
        "+42",
        "--1",
        "Infinity",
        "undefined",
    ];
    let in_paths = [
        "0",
        "-1",
        "+1",
        "042",
        "1.0",
        "1e3",
        "9223372036854775807",
        "9223372036854775808",
        "abc",
        "%00",
        "%FF",
        "%2F",
        "4%32",
        "%20",
        "%EA%B0%80",
        "42;x",
        "42%0d%0ax:y",
        "null",
        "..%2F..",
        "%E2%82%81",
    ];
    let mut cases: Vec<Case> =
        in_bodies.iter().map(|idx| original(&format!("presenterIdx {idx}"), body(idx))).collect();
    cases.push(original("presenterIdx absent", r#"{"userType":"viewer","textMessage":"hi"}"#));
    cases.push(original("presenterIdx of 10,000 digits", body(&"9".repeat(10_000))));
    for idx in in_paths {
        let mut case = v1(&format!("room {idx}"), r#"{"text":"hi"}"#);
        case.path = format!("/v1/rooms/{idx}/messages");
        cases.push(case);
    }
    let mut case = v1("room of 4,000 digits", r#"{"text":"hi"}"#);
    case.path = format!("/v1/rooms/{}/messages", "9".repeat(4_000));
    cases.push(case);
    cases
}

fn user_types() -> Vec<Case> {
    let types = ["null", "1", "true", "\"\"", "\"admin\"", "\"Presenter\"", "\"viewer \"", "[]", "{}", "[\"viewer\"]"];
    let body = |kind: &str| format!(r#"{{"presenterIdx":42,"userType":{kind},"textMessage":"hi"}}"#);
    let mut cases: Vec<Case> = types.iter().map(|kind| original(&format!("userType {kind}"), body(kind))).collect();
    cases.push(original("userType absent", r#"{"presenterIdx":42,"textMessage":"hi"}"#));
    cases.push(original("a presenter's own room, not named", r#"{"userType":"presenter","textMessage":"hi"}"#));
    cases.push(original("presenter of another's room", body("\"presenter\"")));
    cases
}

fn texts() -> Vec<Case> {
    let texts: Vec<(&str, Value)> = vec![
        ("text null", json!(null)),
        ("text a number", json!(1)),
        ("text true", json!(true)),
        ("text a list", json!(["hi"])),
        ("text an object", json!({"$ne": null})),
        ("text empty", json!("")),
        ("text blank", json!("   ")),
        ("text of ideographic spaces", json!("\u{3000}\u{3000}")),
        ("text of line breaks", json!("\r\n\r\n")),
        ("text of zero-width spaces", json!("\u{200B}\u{200B}")),
        ("text of joiners and a BOM", json!("\u{200D}\u{FEFF}")),
        ("text of Hangul fillers", json!("\u{3164}\u{115F}\u{1160}\u{FFA0}")),
        ("text of blank braille", json!("\u{2800}")),
        ("text of soft hyphens", json!("\u{AD}\u{AD}")),
        ("text of variation selectors", json!("\u{FE0F}\u{E0100}")),
        ("text of tags", json!("\u{E0041}\u{E007F}")),
        ("text of combining marks", json!("\u{301}\u{302}")),
        ("text with a NUL", json!("a\0b")),
        ("text with a line feed", json!("a\nb")),
        ("text with a tab", json!("a\tb")),
        ("text with an escape sequence", json!("\u{1B}[31mred")),
        ("text with a C1 control", json!("a\u{85}b")),
        ("text with a line separator", json!("a\u{2028}b")),
        ("text with an override", json!("\u{202E}evil")),
        ("text with an isolate", json!("a\u{2066}b")),
        ("text with a noncharacter", json!("a\u{FFFF}b")),
        ("500 characters", json!("각".repeat(500))),
        ("501 characters", json!("각".repeat(501))),
        ("500 families", json!("👨‍👩‍👧".repeat(300))),
        ("500 blanks around a letter", json!(format!("{}a{}", " ".repeat(250), " ".repeat(250)))),
        ("8 KB of marks on one letter", json!(format!("a{}", "\u{301}".repeat(4_000)))),
        ("more than 8 KB of marks", json!(format!("a{}", "\u{301}".repeat(5_000)))),
        ("1 MB", json!("a".repeat(1024 * 1024))),
        ("3 MB", json!("a".repeat(3 * 1024 * 1024))),
        ("a ZWJ emoji", json!("👩🏽‍🚀")),
        ("a flag of tags", json!("🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}")),
        ("a broken ZWJ sequence", json!("\u{200D}a\u{200D}")),
        ("decomposed Hangul", json!("\u{1112}\u{1161}\u{11AB}")),
        ("lone jamo", json!("ㅋㅋㅎㅎ")),
        ("right-to-left text", json!("שלום עולם")),
        ("zalgo", json!("H\u{336}e\u{321}\u{34A}l\u{328}p")),
        ("replacement character", json!("\u{FFFD}")),
        ("private use", json!("\u{F8FF}")),
        ("the last character", json!("\u{10FFFD}")),
        ("markup", json!("<script>alert('x')</script>")),
        ("a MongoDB operator", json!("{\"$where\": \"sleep(1000)\"}")),
        ("SQL", json!("'; DROP TABLE chatting_log; --")),
        ("a format string", json!("%s%n{0}${jndi:ldap://x}")),
        ("the dialect's ping", json!("ping")),
        ("JSON in JSON", json!("{\"id\":\"start\"}\\\"")),
        ("backslashes and quotes", json!("\\\\\"\\\"/")),
        ("a NATS wildcard", json!("chat.> *")),
        ("a formula", json!("=cmd|' /C calc'!A0")),
    ];
    texts.iter().flat_map(|(name, text)| both(name, text)).collect()
}
