//! The bad input of our own, and good input that looks bad, as data.

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
    all.extend(bodies());
    all.extend(headers());
    all.extend(paths());
    all
}

/// A good post to the original's surface, to be spoilt.
pub(super) fn original(name: &str, body: impl Into<Vec<u8>>) -> Case {
    Case {
        name: format!("{name} (original)"),
        method: Method::POST,
        path: ORIGINAL.to_owned(),
        headers: vec![("token", token(7, "nick").into_bytes()), ("content-type", b"application/json".to_vec())],
        body: body.into(),
    }
}

/// A good post to `/v1`, to be spoilt.
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

fn bodies() -> Vec<Case> {
    let good = json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "good", "text": "good"}).to_string();
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_member = |member: &str| format!("{},{member}}}", &good[..good.len() - 1]).into_bytes();
    let with_text = |text: &[u8]| {
        let (before, after) =
            (br#"{"presenterIdx":42,"userType":"viewer","textMessage":""#.to_vec(), b"\",\"text\":\"".to_vec());
        [before, text.to_vec(), after, text.to_vec(), b"\"}".to_vec()].concat()
    };
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("empty body", Vec::new()),
        ("blank body", b" \n ".to_vec()),
        ("body null", b"null".to_vec()),
        ("body true", b"true".to_vec()),
        ("body a number", b"42".to_vec()),
        ("body a string", b"\"good\"".to_vec()),
        ("body an empty list", b"[]".to_vec()),
        ("body a list of the members", br#"[42,"viewer","good"]"#.to_vec()),
        ("body a list of the object", format!("[{good}]").into()),
        ("empty object", b"{}".to_vec()),
        ("truncated", good[..good.len() - 5].into()),
        ("something after the object", format!("{good}x").into()),
        ("two objects", format!("{good}{good}").into()),
        ("trailing comma", format!("{},}}", &good[..good.len() - 1]).into()),
        ("single quotes", good.replace('"', "'").into()),
        ("comment", format!("/* hi */{good}").into()),
        ("byte order mark", [b"\xEF\xBB\xBF".to_vec(), good.clone().into()].concat()),
        ("UTF-16", utf16),
        ("a member twice", with_member(r#""textMessage":"b","text":"b""#)),
        ("an unknown member", with_member(r#""more":{"a":[1,2,{}]}"#)),
        ("a prototype", with_member(r#""__proto__":{"isAdmin":true},"role":"presenter""#)),
        ("100,000 lists deep", with_member(&format!("\"more\":{}", "[".repeat(100_000)))),
        ("20,000 lists deep", with_member(&format!("\"more\":{}{}", "[".repeat(20_000), "]".repeat(20_000)))),
        ("a huge number", with_member(&format!("\"more\":{}", "9".repeat(10_000)))),
        ("a NaN", with_member("\"more\":NaN")),
        ("blanks around it", format!("{}{good}{}", " ".repeat(1_000), "\n".repeat(1_000)).into()),
        ("64 KB exactly", format!("{good}{}", " ".repeat(64 * 1024 - good.len())).into()),
        ("64 KB and one", format!("{good}{}", " ".repeat(64 * 1024 + 1 - good.len())).into()),
        (
            "members in other case",
            br#"{"PRESENTERIDX":42,"UserType":"viewer","TextMessage":"hi","Text":"hi"}"#.to_vec(),
        ),
        ("a form", b"presenterIdx=42&userType=viewer&textMessage=good".to_vec()),
        ("XML", b"<?xml version=\"1.0\"?><text>good</text>".to_vec()),
        ("an escaped lone surrogate", with_text(br"\uD800")),
        ("an escaped surrogate pair", with_text(br"\uD83D\uDE00")),
        ("a swapped surrogate pair", with_text(br"\uDE00\uD83D")),
        ("an escaped NUL", with_text(br"a\u0000b")),
        ("a bad escape", with_text(br"\x41")),
        ("a raw line feed", with_text(b"a\nb")),
        ("a raw NUL", with_text(b"a\0b")),
        ("invalid UTF-8", with_text(b"\xFF\xFE")),
        ("overlong UTF-8", with_text(b"\xC0\xAF")),
        ("a UTF-8 surrogate", with_text(b"\xED\xA0\x80")),
        ("half a UTF-8 character", with_text(b"\xEA\xB0")),
        ("beyond Unicode", with_text(b"\xF4\x90\x80\x80")),
        ("random bytes", (0..=255).collect()),
    ];
    bodies.iter().flat_map(|(name, body)| [original(name, body.clone()), v1(name, body.clone())]).collect()
}

fn headers() -> Vec<Case> {
    let mut cases = Vec::new();
    let types = [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=euc-kr",
        "application/json; charset=utf-16",
        "application/json;",
        "APPLICATION/JSON; CHARSET=UTF-8",
        "application/vnd.api+json",
        "garbage",
        "application/json, text/plain",
        "*/*",
    ];
    for kind in types {
        cases.extend(both_good(&format!("content type {kind:?}")).map(|case| with(case, "content-type", kind)));
    }
    for case in both_good("no content type") {
        cases.push(without(case, "content-type"));
    }
    for case in both_good("two content types") {
        cases.push(with_more(case, "content-type", "application/json"));
    }
    for case in both_good("a body said to be compressed") {
        cases.push(with(case, "content-encoding", "gzip"));
    }
    let keys: [(&str, Vec<u8>); 6] = [
        ("empty", b"".to_vec()),
        ("with a blank", b"a b".to_vec()),
        ("of 255 characters", vec![b'k'; 255]),
        ("of 256 characters", vec![b'k'; 256]),
        ("with high bytes", b"\xEA\xB0\x80".to_vec()),
        ("with a tab", b"a\tb".to_vec()),
    ];
    for (name, key) in keys {
        // A key names one message of a user in a room, whatever the surface: another one for each.
        let name = format!("idempotency key {name}");
        cases.push(with(original(&name, both_good("")[0].body.clone()), "idempotency-key", key.clone()));
        let mut case = with(v1(&name, br#"{"text":"good"}"#.to_vec()), "idempotency-key", key);
        case.path = "/v1/rooms/43/messages".to_owned();
        cases.push(case);
    }
    for case in both_good("two idempotency keys") {
        cases.push(with_more(with(case, "idempotency-key", "a"), "idempotency-key", "a"));
    }
    for case in both_good("a cookie of 20 KB") {
        cases.push(with(case, "cookie", vec![b'c'; 20 * 1024]));
    }
    for case in both_good("an Accept that we do not have") {
        cases.push(with(case, "accept", "image/png"));
    }
    for case in both_good("an upgrade that nobody offers") {
        cases.push(with(with(case, "upgrade", "websocket"), "connection", "upgrade"));
    }
    cases
}

fn paths() -> Vec<Case> {
    let mut cases = Vec::new();
    let methods = ["GET", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "OPTIONS", "BREW", "get"];
    for method in methods {
        for mut case in both_good(&format!("method {method}")) {
            case.method = Method::from_bytes(method.as_bytes()).unwrap();
            cases.push(case);
        }
    }
    let paths = [
        "/nowhere",
        "/send",
        "/send/",
        "/send/message/",
        "/send/message/x",
        "/SEND/MESSAGE",
        "/send%2Fmessage",
        "//send/message",
        "/token",
        "/",
        "/v1/",
        "/v1/rooms",
        "/v1/rooms/42",
        "/v1/rooms/42/messages/",
        "/v1/rooms/42/messages/1",
        "/v1/rooms//messages",
        "/v2/rooms/42/messages",
        "/v1/users",
        "/livez",
        "/readyz",
        "/%00",
        "/%FF%FE",
        "/favicon.ico",
        "/.env",
        "/chatting",
    ];
    for path in paths {
        let mut case = original(&format!("path {path}"), both_good("")[0].body.clone());
        case.path = path.to_owned();
        cases.push(case);
    }
    let mut long = original("path of 8,000 characters", "{}");
    long.path = format!("/{}", "a".repeat(8_000));
    cases.push(long);
    for mut case in both_good("a query that nobody asked for") {
        case.path += "?presenterIdx=1&text=%FF&&=";
        cases.push(case);
    }
    cases
}
