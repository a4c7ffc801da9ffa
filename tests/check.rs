//! `chatting-server check` against real servers: its findings, its exit codes, and that it shows no secret.

use serde_json::Value;

use crate::support::{Collector, JwksServer, Mongod, NatsServer, RoomServer, Settings, SigningKey, port};

const PASSWORD: &str = "hunter2-of-nats";

/// The result of a check.
pub(crate) struct Checked {
    pub(crate) code: i32,
    /// Standard output and standard error.
    pub(crate) output: String,
    findings: Vec<Value>,
}

impl Checked {
    /// `LEVEL: WHAT. ACTION` of each finding of the part.
    fn of(&self, part: &str) -> Vec<String> {
        let told = |finding: &Value| {
            let text = |member: &str| finding[member].as_str().unwrap_or_default().to_owned();
            format!("{}: {}. {}", text("level"), text("what"), text("action"))
        };
        self.findings.iter().filter(|finding| finding["part"] == part).map(told).collect()
    }

    pub(crate) fn has(&self, part: &str, begin: &str, told: &str) -> bool {
        self.of(part).iter().any(|finding| finding.starts_with(begin) && finding.contains(told))
    }
}

/// Does not block, because servers of the test run on the same runtime.
async fn run(settings: &Settings, arguments: &[&str]) -> (i32, String, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_chatting-server"));
    let output = command.arg("check").args(arguments).envs(settings.variables()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub(crate) async fn check(settings: &Settings, arguments: &[&str]) -> Checked {
    let (code, stdout, stderr) = run(settings, &[arguments, &["--format", "json"]].concat()).await;
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout} {stderr}"));
    let findings = report["findings"].as_array().unwrap().clone();
    let problems = findings.iter().filter(|finding| finding["level"] == "problem").count();
    assert_eq!(report["problems"], problems);
    Checked { code, output: stdout + &stderr, findings }
}

#[tokio::test]
async fn a_system_that_works_has_no_problem_and_the_log_is_compared_with_the_configuration() {
    let login = ["--user", "bob", "--pass", PASSWORD];
    let (nats, mongod, rooms) = tokio::join!(NatsServer::start_with(&login), Mongod::start(), RoomServer::start());
    let key = SigningKey::ed("ed-2026");
    let issuer = JwksServer::start(&[&key]).await;
    let url = nats.url().replace("nats://", &format!("nats://bob:{PASSWORD}@"));
    let collector = Collector::start().await;
    let settings = collector
        .settings(Settings::new())
        .set("nats.urls", &url)
        .rooms(&rooms)
        .mongo(&mongod)
        .set("auth.jwks.url", &issuer.url())
        .set("auth.jwks.issuer", "https://issuer.example");
    settings.set_up().await;

    let monitoring = nats.monitoring_url();
    let sound = check(&settings, &["--role", "ingest", "--role", "delivery", "--role", "archiver", &monitoring]).await;
    assert_eq!(sound.code, 0, "{}", sound.output);
    for (part, told) in [
        ("configuration", "ingest, delivery, archiver"),
        ("nats", "nats-server 2."),
        ("fsync", "an acknowledged append is fsynced"),
        ("log", "CHAT_0: as configured"),
        ("log", "KV_decisions: as configured"),
        ("log", "CHAT_0: no archiver has read it yet"),
        ("storage", "has reserved 1."),
        ("storage", "the account uses"),
        ("mongodb", "primary of rs0"),
        ("mongodb", "the disk "),
        ("room server", "answers within"),
        ("issuer keys", "ed-2026"),
        ("collector", "takes spans"),
        ("clocks", "NATS ("),
        ("clocks", "MongoDB ("),
    ] {
        assert!(sound.of(part).iter().any(|finding| finding.contains(told)), "{part} {told}: {}", sound.output);
    }

    let larger = settings.clone().set("nats.max_size", "2 GiB").set("nats.lease", "20s");
    let differs = check(&larger, &["--role", "delivery", &monitoring]).await;
    assert_eq!(differs.code, 1, "{}", differs.output);
    assert!(differs.has("log", "problem: CHAT_0: max_bytes is 1073741824", "chatting-server setup"));
    assert!(differs.has("log", "problem: KV_nodes: max_age", "chatting-server setup"));
    assert_eq!((differs.of("mongodb"), differs.of("room server")), (vec![], vec![]), "delivery needs neither");

    let (code, table, _) = run(&settings.set("nats.partitions", "3"), &["--role", "delivery", &monitoring]).await;
    assert!(code == 64 && table.contains("set nats.partitions = 1"), "{table}");
    let fsync = table.lines().find(|line| line.contains("fsynced")).unwrap();
    assert!(fsync.starts_with("ok       fsync "), "{table}");
    for output in [&sound.output, &differs.output, &table] {
        assert!(!output.contains(PASSWORD) && !output.contains(crate::support::SECRET), "{output}");
    }
}

#[tokio::test]
async fn everything_missing_is_found_in_one_run_without_showing_secrets() {
    let nats = NatsServer::start().await;
    let nowhere = format!("127.0.0.1:{}", port());
    let settings = Settings::new()
        .set("nats.urls", &format!("{},nats://{nowhere}", nats.url()))
        .set("ingest.rooms.url", &format!("http://bob:hunter2-of-rooms@{nowhere}/hunter2-of-path"))
        .set("auth.jwks.url", &format!("http://{nowhere}/hunter2-of-keys"))
        .set("archiver.uri", &format!("mongodb://bob:hunter2-of-mongo@{nowhere}/?replicaSet=rs0"))
        .set("archiver.server_selection_timeout", "1s")
        .set("otlp.url", &format!("http://bob:hunter2-of-spans@{nowhere}/hunter2-of-traces"));
    let found = check(&settings, &["--role", "ingest", "--role", "archiver", &format!("http://{nowhere}")]).await;
    assert_eq!(found.code, 1, "{}", found.output);
    for (part, begin, told) in [
        ("nats", "ok", &*nats.url()),
        ("nats", "problem", &*nowhere),
        ("fsync", "problem", "does not answer"),
        ("log", "problem: CHAT_0: is missing", "chatting-server setup"),
        ("mongodb", "problem", "archiver.uri"),
        ("room server", "problem", "ingest.rooms.url"),
        ("issuer keys", "problem", "auth.jwks.url"),
        ("collector", "warning", "otlp.url"),
    ] {
        assert!(found.has(part, begin, told), "{part} {begin} {told}: {}", found.output);
    }
    let (code, table, stderr) = run(&settings, &[]).await;
    assert!(code == 1 && table.contains("warning  fsync "), "without a monitoring URL: {table}");
    for output in [&found.output, &table, &stderr] {
        assert!(!output.contains("hunter2"), "{output}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_has_a_line_for_each_key_and_the_exit_code_of_one() {
    let settings = Settings::new()
        .set("nats.replicas", "2")
        .set("auth.secret", "hunter2")
        .set("delivery.no_such_key", "1")
        .set("archiver.retention.messages", "1h");
    let wrong = check(&settings, &["--role", "archiver"]).await;
    assert_eq!(wrong.code, 64, "{}", wrong.output);
    for key in ["nats.replicas", "auth.secret", "delivery.no_such_key", "archiver.retention.messages"] {
        assert!(wrong.has("configuration", &format!("problem: {key} "), "correct it"), "{key}: {}", wrong.output);
    }
    assert!(!wrong.output.contains("hunter2"), "{}", wrong.output);
    let nowhere = format!("nats://127.0.0.1:{}", port());
    let uri = Settings::new().set("nats.urls", &nowhere).set("archiver.uri", "mongodb://127.0.0.1:1/?w=1");
    let weakened = check(&uri, &["--role", "archiver"]).await;
    assert_eq!(weakened.code, 64, "{}", weakened.output);
    assert!(weakened.has("mongodb", "problem: archiver.uri", "says w,"), "{}", weakened.output);

    let (code, table, _) = run(&settings, &["--role", "delivery"]).await;
    assert!(code == 64 && !table.contains("archiver.retention"), "delivery does not need it: {table}");
}
