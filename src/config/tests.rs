//! Tests of the layers, and of everything that can be wrong in them.

use std::io::Write as _;

use conf::{Size, Span};

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
        // A secret of digits stays a string.
        ("CHATTING_AUTH__SECRET", "00000000000000000000000000000042"),
        ("CHATTING_CACHE", "/tmp"),
        ("PATH", "/bin"),
    ];
    let config = load(file, &environment).unwrap();
    assert_eq!((config.nats.partitions, config.nats.replicas), (4, 5));
    assert_eq!(config.nats.urls, ["nats://one:4222", "nats://two:4222"]);
    assert_eq!(config.nats.max_age, Span::from_hours(24));
    assert!(web::auth::Verifier::new(&config.auth).is_ok());
}

#[test]
fn a_wrong_setting_is_refused_by_its_key() {
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
fn every_problem_is_reported_at_once_with_its_place() {
    let file = "nots = 1
[nats]
partitoins = 4
partitions = 1.5
urls = [\"nats://one:4222\", 5]
replicas = true
[nats.tsl]
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
    assert_eq!(lines[0], "the configuration has 14 problems:", "{message}");
    for (key, place) in [
        ("nots", "line 1"),
        ("nats.partitoins", "line 3"),
        ("nats.partitions", "line 4"),
        ("nats.urls[1]", "line 5"),
        ("nats.replicas", "line 6"),
        ("nats.tsl", "line 7"),
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
fn no_value_is_converted_to_another_type() {
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
    // The crate `config` would read these as paths.
    for key in ["\"nats.partitions\" = 4", "\"nats[0]\" = 4", "\"a[999999999999]\" = 4"] {
        assert!(load(key, &[]).unwrap_err().contains("no such setting"), "{key}");
    }
    for name in ["CHATTING_A[999999999999]", "CHATTING_NATS.PARTITIONS", "CHATTING_NATS__PARTITIONS__X"] {
        let message = load("", &[(name, "4")]).unwrap_err();
        assert!(message.contains(name) && message.contains("no such setting"), "{message}");
    }
}

#[test]
fn an_upper_layer_does_not_hide_a_value_in_place_of_a_section() {
    let message = load("nats = 4", &[("CHATTING_NATS__REPLICAS", "3")]).unwrap_err();
    assert!(message.starts_with("nats (") && message.contains("must be a section"), "{message}");
}

#[test]
fn a_variable_is_read_by_the_type_of_its_key() {
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
fn no_error_repeats_a_secret() {
    for file in
        ["[auth]\nsecret = 1234567890", "[ingest.gateway]\nsecret = 1234567890", "[auth]\nsecret = [1234567890]"]
    {
        let message = load(file, &[]).unwrap_err();
        assert!(message.contains("secret") && !message.contains("1234567890"), "{message}");
    }
}

#[test]
fn every_syntax_error_and_every_wrong_variable_is_reported() {
    let message = load("[nats\n[auth]\nsecret = \"never shown\n", &[("CHATTING_NATS__PARTITIONS", "x")]).unwrap_err();
    for told in ["line 1", "line 3", "nats.partitions"] {
        assert!(message.contains(told), "{told}: {message}");
    }
    assert!(!message.contains("never shown"), "{message}");
}

#[test]
fn problems_of_the_sections_are_reported_unless_the_key_is_already_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[nats]\npartitions = true\nreplicas = 2").unwrap();
    let problem = |key: &str, reason: &str| conf::Problem::new(key, reason);
    let problems = |_: &Config| vec![problem("nats.replicas", "must be 1, 3 or 5"), problem("nats.partitions", "odd")];
    let message = Config::checked(Some(file.path()), [], problems).unwrap_err().to_string();
    assert!(message.contains("line 3): must be 1, 3 or 5") && !message.contains("odd"), "{message}");
}

#[test]
fn an_old_key_still_works_with_one_warning_that_has_the_new_spelling() {
    let file = "[nats]\nappend_deadline_ms = 1_500\nmax_bytes = 2_097_152\n[archiver.retention]\nmessages_days = 400";
    let environment = [
        ("CHATTING_NATS__APPEND_QUEUE_MS", "50"),
        ("CHATTING_DELIVERY__MAX_UNAUTHENTICATED_BYTES", "1000"),
        // The environment overrides the file in either spelling.
        ("CHATTING_NATS__MAX_SIZE", "3 MiB"),
    ];
    let config = load(file, &environment).unwrap();
    assert_eq!(config.nats.append_deadline, Span::from_millis(1_500));
    assert_eq!(config.nats.append_queue_wait, Span::from_millis(50));
    assert_eq!(config.nats.max_size, Size::from_mib(3));
    assert_eq!(config.archiver.retention.messages, Span::from_days(400));
    assert_eq!(config.delivery.max_unauthenticated_size, Size::from_bytes(1_000));
    let warning = old_keys::warning(&config.old_keys).unwrap();
    assert!(warning.starts_with("5 old configuration keys are set"), "{warning}");
    for told in [
        "line 2): write nats.append_deadline = \"1s 500ms\"",
        "line 3): write nats.max_size = \"2 MiB\"",
        "line 5): write archiver.retention.messages = \"400d\"",
        "CHATTING_NATS__APPEND_QUEUE_MS in the environment: write CHATTING_NATS__APPEND_QUEUE_WAIT=50ms",
        "write CHATTING_DELIVERY__MAX_UNAUTHENTICATED_SIZE=1000 B",
    ] {
        assert!(warning.contains(told), "{told} is not in {warning}");
    }
    assert_eq!(old_keys::warning(&load("", &[]).unwrap().old_keys), None);
}

#[test]
fn an_old_key_beside_its_new_spelling_is_refused() {
    for (file, environment, told) in [
        ("[nats]\nlease_seconds = 5\nlease = \"6s\"", vec![], "nats.lease_seconds ("),
        ("[nats]\nlease = \"6s\"\nlease_ms = 5", vec![], "nats.lease_ms ("),
        ("", vec![("CHATTING_NATS__LEASE", "6s"), ("CHATTING_NATS__LEASE_SECONDS", "5")], "nats.lease ("),
        ("", vec![("CHATTING_NATS__LEASE_SECONDS", "5"), ("CHATTING_NATS__LEASE", "6s")], "nats.lease ("),
    ] {
        let message = load(file, &environment).unwrap_err();
        assert!(message.starts_with(told) && message.contains("keep"), "{message}");
    }
}

#[test]
fn a_wrong_value_of_an_old_key_is_refused() {
    for (file, environment, told) in [
        ("[nats]\nlease_seconds = \"5s\"", vec![], "nats.lease_seconds ("),
        ("[nats]\nlease_seconds = -5", vec![], "nats.lease ("),
        ("[nats]\nlease_seconds = 9223372036854775807", vec![], "must be at most"),
        ("", vec![("CHATTING_NATS__MAX_BYTES", "9223372036854775807")], "must be at most"),
        ("", vec![("CHATTING_NATS__LEASE_SECONDS", "5s")], "must be an integer"),
        // This key never existed.
        ("[nats]\npartitions_ms = 5", vec![], "unknown field"),
    ] {
        let message = load(file, &environment).unwrap_err();
        assert!(message.contains(told), "{told}: {message}");
    }
}

/// A file that holds a secret, and its path.
fn secret_file(content: &str, mode: u32) -> (tempfile::NamedTempFile, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

#[test]
fn a_secret_can_be_in_a_file_that_the_file_or_the_environment_names() {
    let (_secret, secret) = secret_file("of the file\n", 0o600);
    let (_other, other) = secret_file("of the environment", 0o600);
    let (_urls, urls) = secret_file("nats://a:b@one, nats://a:b@two\n", 0o600);
    let file = format!("[auth]\nsecret_file = \"{secret}\"\n[nats]\nurls_file = \"{urls}\"");
    let config = load(&file, &[]).unwrap();
    assert_eq!(config.auth.secret.bytes(), b"of the file");
    assert_eq!(config.nats.urls, ["nats://a:b@one", "nats://a:b@two"]);
    assert_eq!(config.warnings().count(), 0);

    let config = load(&file, &[("CHATTING_AUTH__SECRET_FILE", &other)]).unwrap();
    assert_eq!(config.auth.secret.bytes(), b"of the environment");
    let config = load(&file, &[("CHATTING_AUTH__SECRET", "itself")]).unwrap();
    assert_eq!(config.auth.secret.bytes(), b"itself", "the environment overrides the file in any spelling");
}

#[test]
fn a_secret_that_every_user_can_read_is_used_with_a_warning() {
    let (_secret, secret) = secret_file("hunter2", 0o644);
    for (file, variables) in [
        (format!("[auth]\nsecret_file = \"{secret}\""), vec![]),
        (String::new(), vec![("CHATTING_AUTH__SECRET_FILE", secret.as_str())]),
    ] {
        let config = load(&file, &variables).unwrap();
        assert_eq!(config.auth.secret.bytes(), b"hunter2");
        let warnings: Vec<String> = config.warnings().collect();
        assert!(warnings.len() == 1 && warnings[0].starts_with("auth.secret_file ("), "{warnings:?}");
        assert!(warnings[0].contains(&format!("chmod o= {secret}")) && !warnings[0].contains("hunter2"));
    }
}

#[test]
fn a_file_without_a_secret_and_a_setting_beside_its_file_are_refused() {
    let (_empty, empty) = secret_file("\n", 0o600);
    let (_number, number) = secret_file("hunter2", 0o600);
    for (file, variables, told) in [
        ("[auth]\nsecret_file = \"/no/such/file\"".to_owned(), vec![], "line 2): cannot read /no/such/file: "),
        (format!("[auth]\nsecret_file = \"{empty}\""), vec![], "is empty: write the secret into it"),
        ("[auth]\nsecret_file = 5".to_owned(), vec![], "must be the path of a file"),
        (format!("[auth]\nsecret_file = \"{number}\"\nsecret = \"x\""), vec![], "keep one of the two"),
        (String::new(), vec![("CHATTING_AUTH__SECRET_FILE", "/no/such/file")], "in the environment): cannot read "),
        (
            String::new(),
            vec![("CHATTING_AUTH__SECRET_FILE", number.as_str()), ("CHATTING_AUTH__SECRET", "x")],
            "keep one of the two",
        ),
        ("[nats]\nlease_file = \"/no/such/file\"".to_owned(), vec![], "unknown field `lease_file`"),
        (format!("[ingest.rooms]\nurl_file = \"{number}\""), vec![], "is not an http:// or https:// address"),
    ] {
        let message = load(&file, &variables).unwrap_err();
        assert!(message.contains(told) && !message.contains("hunter2"), "{told}: {message}");
        assert!(!message.contains("2 problems"), "one mistake is told once: {message}");
    }
}

#[test]
fn the_effective_configuration_names_the_origin_of_each_value_and_hides_secrets() {
    let (_uri, uri) = secret_file("mongodb://bob:hunter2@one:1,two:2/?replicaSet=rs0", 0o600);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "[nats]\nreplicas = 3\nurls = [\"nats://bob:hunter2@one\"]\n[auth]\nsecret = \"hunter2\"\n\
         [archiver]\nuri_file = \"{uri}\"\n[ingest]\nreconnect_webhook = \"https://hooks.example/hunter2\"\n\
         [ingest.http]\nconnection_rate = {{ count = 5, seconds = 7 }}"
    );
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().display().to_string();
    let variables = [("CHATTING_NATS__LEASE".into(), "7s".into())];
    let read = Config::read(Some(file.path()), variables, |_| Vec::new()).unwrap();
    let shown = show::show(&read.settings, &read.places);
    let listed: Vec<&str> = shown.lines().collect();
    for line in [
        format!("replicas = 3  # {path}, line 2"),
        format!("urls = [\"nats://one\"]  # {path}, line 3"),
        format!("secret = \"(set)\"  # {path}, line 5"),
        format!("uri = \"mongodb://one:1,two:2/…\"  # {uri}, from {path}, line 7"),
        format!("reconnect_webhook = \"https://hooks.example/…\"  # {path}, line 9"),
        format!("connection_rate = {{ count = 5, seconds = 7 }}  # {path}, line 11"),
        "lease = \"7s\"  # CHATTING_NATS__LEASE in the environment".to_owned(),
        "partitions = 1  # default".to_owned(),
        "# secret is not set".to_owned(),
        "[ingest.http]".to_owned(),
    ] {
        assert!(listed.contains(&line.as_str()), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.parse::<toml::Table>().is_ok(), "{shown}");
}
