//! Forwarded identities as data.

use super::*;

const KEY: &str = "a key for tests that has at least 32 bytes";
const GATEWAY: &str = "10.1.2.3";
const STRANGER: &str = "192.0.2.1";

type Header = (&'static str, &'static str);
type Found = Result<Option<i64>, ForwardError>;

fn config(mode: &str, trusted: serde_json::Value) -> Config {
    let config = serde_json::json!({"mode": mode, "trusted": trusted, "trusted_scope": false, "secret": KEY});
    serde_json::from_value(config).unwrap()
}

fn gateway(mode: &str) -> Gateway {
    Gateway::new(&config(mode, serde_json::json!(["10.0.0.0/8", "fd00::/8"])), "ingest.gateway").unwrap()
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
    Identity { user_idx: 42, nickname: "가 +".to_owned(), email: "a@b.c".to_owned(), scopes: Vec::new() }
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
        let found = gateway(mode).identity(&headers(&FORWARDED), peer.parse().unwrap());
        assert_eq!(found, Ok(counts.then(identity)), "{mode} {peer}");
    }
}

#[test]
fn headers_that_count_must_be_whole_and_well_formed() {
    use ForwardError::*;
    let [idx, email, nickname] = FORWARDED;
    let with_idx = |value: &'static str| vec![("x-forward-useridx", value), email, nickname];
    let cases: [(Vec<Header>, Found); 18] = [
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
        (with_idx("9007199254740991"), Ok(Some(LARGEST_IDX))),
        (with_idx("9007199254740992"), Err(Malformed(USER_IDX))),
        (with_idx("9223372036854775808"), Err(Malformed(USER_IDX))),
        (with_idx("가"), Err(Malformed(USER_IDX))),
        (with_idx(""), Err(Malformed(USER_IDX))),
    ];
    for (given, expected) in cases {
        let found = gateway("trusted-addresses").identity(&headers(&given), GATEWAY.parse().unwrap());
        assert_eq!(found.map(|identity| identity.map(|identity| identity.user_idx)), expected, "{given:?}");
    }
}

#[test]
fn a_scope_from_a_trusted_address_counts_only_where_the_gateway_answers_for_it() {
    let config =
        |trusted_scope| Config { trusted_scope, ..config("trusted-addresses", serde_json::json!(["10.0.0.0/8"])) };
    let scopes = |trusted_scope, scope: &[&'static str]| {
        let mut given = FORWARDED.to_vec();
        given.extend(scope.iter().map(|scope| ("x-forward-scope", *scope)));
        let gateway = Gateway::new(&config(trusted_scope), "ingest.gateway").unwrap();
        gateway.identity(&headers(&given), GATEWAY.parse().unwrap()).map(|identity| identity.unwrap().scopes)
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
fn a_scope_is_signed_or_the_signature_does_not_hold() {
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
        is_signed(&headers, &KEY.to_owned().into(), now)
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
fn a_signature_holds_for_these_headers_and_300_seconds() {
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
    ];
    for (name, signature, expected) in cases {
        let mut headers = headers(&FORWARDED);
        headers.insert(SIGNATURE, signature.parse().unwrap());
        assert_eq!(is_signed(&headers, &KEY.to_owned().into(), now), expected, "{name}");
    }
    let mut shifted = headers(&[("x-forward-useridx", "43"), FORWARDED[1], FORWARDED[2]]);
    shifted.insert(SIGNATURE, good.parse().unwrap());
    assert_eq!(is_signed(&shifted, &KEY.to_owned().into(), now), Some(false));
}

#[test]
fn a_mode_without_what_it_needs_is_refused_and_the_key_named() {
    let nobody = config("trusted-addresses", serde_json::json!([]));
    assert!(Gateway::new(&nobody, "ingest.gateway").unwrap_err().contains("ingest.gateway.trusted"));
    let unsigned = Config { secret: Secret::default(), ..config("signature", serde_json::json!([])) };
    assert!(Gateway::new(&unsigned, "ingest.gateway").unwrap_err().contains("ingest.gateway.secret"));
}
