//! Layers over each other, and everything that can be wrong with them.

use std::io::Write as _;

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let mut path = tempfile::NamedTempFile::new().unwrap();
    path.write_all(file.as_bytes()).unwrap();
    let environment = environment.iter().map(|(key, value)| (key.into(), value.into()));
    Config::layered(Some(path.path()), environment).map_err(|invalid| invalid.to_string())
}

#[test]
fn the_defaults_alone_are_a_configuration() {
    let config = Config::layered(None, []).unwrap();
    assert_eq!(config.nats.urls, ["nats://127.0.0.1:4222"]);
    assert_eq!(config.ingest.listen.port(), 8080);
    assert_eq!(config.delivery.listen.port(), 8081);
    assert_eq!(config.archiver.listen.port(), 8082);
}

#[test]
fn the_file_overrides_the_defaults_and_the_environment_overrides_the_file() {
    let file = "[nats]\npartitions = 4\nreplicas = 3";
    let environment = [
        ("CHATTING_NATS__REPLICAS", "5"),
        ("CHATTING_NATS__URLS", "nats://one:4222, nats://two:4222"),
        // A secret of digits stays text.
        ("CHATTING_AUTH__SECRET", "00000000000000000000000000000042"),
        ("CHATTING_CACHE", "/tmp"),
        ("PATH", "/bin"),
    ];
    let config = load(file, &environment).unwrap();
    assert_eq!((config.nats.partitions, config.nats.replicas), (4, 5));
    assert_eq!(config.nats.urls, ["nats://one:4222", "nats://two:4222"]);
    assert_eq!(config.nats.max_age_hours, 24);
    assert!(web::auth::Verifier::new(&config.auth).is_ok());
}

#[test]
fn what_is_wrong_is_refused_and_the_key_named() {
    let check = |file: &str, environment: &[(&str, &str)], expected: &[&str]| {
        let message = load(file, environment).unwrap_err();
        for part in expected {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    };
    check("[nats]\npartitoins = 4", &[], &["nats", "partitoins"]);
    check("[nots]\npartitions = 4", &[], &["nots"]);
    check("[nats]\npartitions = \"4\"", &[], &["nats.partitions"]);
    check("[nats]\npartitions = 1.5", &[], &["nats.partitions"]);
    check("[nats]\npartitions = -1", &[], &["nats.partitions"]);
    check("[nats\n", &[], &["line 1"]);
    check("\n[auth]\nsecret = \"never shown", &[], &["line 3"]);
    check("", &[("CHATTING_NATS__PARTITIONS", "four")], &["nats.partitions", "CHATTING_NATS__PARTITIONS"]);
    check("", &[("CHATTING_NATS__PARTITIONS", "-4")], &["nats.partitions", "CHATTING_NATS__PARTITIONS"]);
    check("", &[("CHATTING_NATS__PARTITOINS", "4")], &["nats", "partitoins"]);
    check("", &[("CHATTING_NATS", "4")], &["CHATTING_NATS", "section"]);
    check("", &[("CHATTING_NATS__URLS__0", "4")], &["CHATTING_NATS__URLS__0"]);
    check("", &[("CHATTING_", "4")], &["unknown field ``"]);
    check("", &[("CHATTING_LISTEN", "4")], &["listen"]);
    check("", &[("CHATTING_INGEST__LISTEN", "8080")], &["ingest.listen", "CHATTING_INGEST__LISTEN"]);
    check("", &[("CHATTING_LOG__FORMAT", "xml")], &["log.format", "CHATTING_LOG__FORMAT"]);
}

#[test]
fn a_line_that_is_not_toml_is_not_shown() {
    assert!(!load("[auth]\nsecret = \"never shown", &[]).unwrap_err().contains("never shown"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_where_it_was_set() {
    let file = "nots = 1
[nats]
partitoins = 4
partitions = 1.5
urls = [\"nats://one:4222\", 5]
replicas = true
[nats.tls]
[log]
format = \"xml\"
[ingest]
listen = 2024-01-01
rooms = \"http://rooms\"
[ingest.room.message_rate]
messages = \"20\"
";
    let environment = [
        ("CHATTING_NATS__MAX_AGE_HOURS", "a day"),
        ("CHATTING_DELIVERY__MAX_SESIONS", "5"),
        ("CHATTING_ARCHIVER__LISTEN", "8082"),
        ("CHATTING_INGEST__TIME_ZONE", "Mars"),
    ];
    let message = load(file, &environment).unwrap_err();
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines[0], "14 things are wrong with the configuration:", "{message}");
    for (key, place) in [
        ("nots", "line 1"),
        ("nats.partitoins", "line 3"),
        ("nats.partitions", "line 4"),
        ("nats.urls[1]", "line 5"),
        ("nats.replicas", "line 6"),
        ("nats.tls", "line 7"),
        ("log.format", "line 9"),
        ("ingest.listen", "line 11"),
        ("ingest.rooms", "line 12"),
        ("ingest.room.message_rate.messages", "line 14"),
        ("nats.max_age_hours", "CHATTING_NATS__MAX_AGE_HOURS in the environment"),
        ("delivery.max_sesions", "CHATTING_DELIVERY__MAX_SESIONS in the environment"),
        ("archiver.listen", "CHATTING_ARCHIVER__LISTEN in the environment"),
        ("ingest.time_zone", "CHATTING_INGEST__TIME_ZONE in the environment"),
    ] {
        let named = |line: &&str| {
            let told = line.trim_start().strip_prefix(key).and_then(|rest| rest.strip_prefix(" ("));
            told.and_then(|rest| rest.split_once("): ")).is_some_and(|(told, _)| told.ends_with(place))
        };
        assert_eq!(lines.iter().filter(|line| named(line)).count(), 1, "{key} ({place}) in {message}");
    }
}

#[test]
fn no_value_is_turned_into_one_of_another_type() {
    for (setting, kind) in [
        ("partitions = 1.5", "partitions"),
        ("partitions = 1.0", "partitions"),
        ("partitions = true", "partitions"),
        ("partitions = \"1\"", "partitions"),
        ("partitions = [1]", "partitions"),
        ("partitions = 99999999999999999999", "partitions"),
        ("partitions = { n = 1 }", "partitions"),
        ("credentials = 5", "credentials"),
        ("credentials = true", "credentials"),
        ("credentials = 2024-01-01T00:00:00Z", "credentials"),
        ("urls = \"nats://one:4222\"", "urls"),
        ("\"max.age\" = 1", "max.age"),
    ] {
        let message = load(&format!("[nats]\n{setting}"), &[]).unwrap_err();
        assert!(message.starts_with(&format!("nats.{kind}")) && message.contains("line 2"), "{setting}: {message}");
    }
    // The crate that merges would follow these as paths.
    for key in ["\"nats.partitions\" = 4", "\"nats[0]\" = 4", "\"a[999999999999]\" = 4"] {
        assert!(load(key, &[]).unwrap_err().contains("no such setting"), "{key}");
    }
    for name in ["CHATTING_A[999999999999]", "CHATTING_NATS.PARTITIONS", "CHATTING_NATS__PARTITIONS__X"] {
        let message = load("", &[(name, "4")]).unwrap_err();
        assert!(message.contains(name) && message.contains("no such setting"), "{message}");
    }
}

#[test]
fn a_layer_above_does_not_hide_that_a_section_below_is_none() {
    let message = load("nats = 4", &[("CHATTING_NATS__REPLICAS", "3")]).unwrap_err();
    assert!(message.starts_with("nats (") && message.contains("must be a section"), "{message}");
}

#[test]
fn what_is_set_in_the_environment_is_read_by_the_type_of_its_key() {
    let environment = [
        ("CHATTING_INGEST__GATEWAY__TRUSTED", " 10.0.0.0/8 ,, fd00::/8 "),
        ("CHATTING_INGEST__GATEWAY__TRUSTED_SCOPE", "true"),
        ("CHATTING_INGEST__ROOM__MESSAGE_RATE__SECONDS", "7"),
        ("CHATTING_ARCHIVER__DATABASE", "5"),
        ("CHATTING_NATS__CREDENTIALS", ""),
    ];
    let config = load("", &environment).unwrap();
    assert_eq!(config.ingest.gateway.trusted.len(), 2);
    assert!(config.ingest.gateway.trusted_scope);
    assert_eq!((config.ingest.room.message_rate.messages, config.ingest.room.message_rate.seconds), (20, 7));
    assert_eq!((config.archiver.database.as_str(), config.nats.credentials.as_str()), ("5", ""));
}

#[test]
fn no_secret_is_told_whatever_is_wrong_with_it() {
    for file in
        ["[auth]\nsecret = 1234567890", "[ingest.gateway]\nsecret = 1234567890", "[auth]\nsecret = [1234567890]"]
    {
        let message = load(file, &[]).unwrap_err();
        assert!(message.contains("secret") && !message.contains("1234567890"), "{message}");
    }
}

#[test]
fn every_mistake_of_syntax_is_told_and_what_the_environment_has_wrong_too() {
    let message = load("[nats\n[auth]\nsecret = \"never shown\n", &[("CHATTING_NATS__PARTITIONS", "x")]).unwrap_err();
    for told in ["line 1", "line 3", "nats.partitions"] {
        assert!(message.contains(told), "{told}: {message}");
    }
    assert!(!message.contains("never shown"), "{message}");
}

#[test]
fn what_the_parts_complain_about_is_told_too_but_not_about_what_is_refused_already() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[nats]\npartitions = true\nreplicas = 2").unwrap();
    let complaints =
        |_: &Config| vec!["nats.replicas: must be 1, 3 or 5".to_owned(), "nats.partitions: odd".to_owned()];
    let message = Config::checked(Some(file.path()), [], complaints).unwrap_err().to_string();
    assert!(message.contains("line 3: nats.replicas: must") && !message.contains("odd"), "{message}");
}
