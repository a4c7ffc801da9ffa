//! What is wrong with a request around its text: its body, its headers, its path.

use super::*;

pub(super) fn bodies() -> Vec<Case> {
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

pub(super) fn headers() -> Vec<Case> {
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

pub(super) fn paths() -> Vec<Case> {
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
        "/v1/rooms/42/messages/1/deletion",
        "/v1/rooms/42/sweeps",
        "/v1/rooms/42/sweeps/1",
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
