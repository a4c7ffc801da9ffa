//! The life of a role as its operator sees it: what it refuses, what it waits for, and how it ends.

use std::time::Duration;

use crate::support::{Mongod, NatsServer, Role, RoomServer, Settings, eventually, token};

/// `EX_USAGE`: a restart does not help.
const USAGE: i32 = 64;

const SOON: Duration = Duration::from_secs(20);

/// The servers of the roles, still empty.
struct World {
    nats: NatsServer,
    settings: Settings,
    _rooms: RoomServer,
    _mongod: Mongod,
}

impl World {
    async fn start() -> World {
        let (nats, rooms, mongod) = tokio::join!(NatsServer::start(), RoomServer::start(), Mongod::start());
        let settings = Settings::new().nats(&nats).rooms(&rooms).mongo(&mongod);
        World { nats, settings, _rooms: rooms, _mongod: mongod }
    }

    /// With a log that is set up and unreachable.
    async fn without_log() -> World {
        let world = World::start().await;
        world.settings.set_up().await;
        world.nats.kill();
        world
    }
}

/// One role of each kind, without waiting.
fn spawn_all(settings: &Settings) -> [Role; 3] {
    ["ingest", "delivery", "archiver"].map(|role| Role::spawn(role, settings))
}

async fn status(url: &str) -> Option<u16> {
    let client = testkit::client().timeout(Duration::from_secs(2)).build().unwrap();
    Some(client.get(url).send().await.ok()?.status().as_u16())
}

#[tokio::test]
async fn a_wrong_setting_is_refused_and_named() {
    let check = async |role: &str, settings: Settings, named: &str| {
        let role = Role::spawn(role, &settings);
        assert_eq!(role.exit_code(SOON).await, USAGE, "{named}: {}", role.log());
        assert!(role.log().contains(named), "{named}: {}", role.log());
    };
    check("ingest", Settings::new().set("ingest.no_such_key", "1"), "no_such_key").await;
    check("ingest", Settings::new().set("nats.replicas", "three"), "nats.replicas").await;
    check("ingest", Settings::new().unset("auth.secret"), "auth.secret").await;
    check("delivery", Settings::new().set("auth.secret", "short"), "auth.secret").await;
    check("ingest", Settings::new().set("auth.jwks.url", "file:///keys"), "auth.jwks.url").await;
    check(
        "ingest",
        Settings::new().set("auth.jwks.deadline", "9s").set("auth.jwks.url", "http://a"),
        "auth.jwks.deadline",
    )
    .await;
    check("delivery", Settings::new().set("log.filter", "ingest=loud"), "log.filter").await;
    check("archiver", Settings::new().set("log.format", "xml"), "log.format").await;
}

#[tokio::test]
async fn all_configuration_problems_are_listed_at_once() {
    let settings = Settings::new()
        .set("ingest.no_such_key", "1")
        .set("nats.replicas", "two")
        .set("nats.partitions", "0")
        .set("auth.secret", "short")
        .set("log.filter", "ingest=loud")
        .set("ingest.gateway.mode", "signature")
        .set("ingest.room.max_length", "501")
        .set("ingest.words.list", "/no/such/list");
    let role = Role::spawn("ingest", &settings);
    assert_eq!(role.exit_code(SOON).await, USAGE, "{}", role.log());
    let named = ["no_such_key", "nats.replicas", "nats.partitions", "auth.secret", "log.filter"];
    for key in named.into_iter().chain(["ingest.gateway.secret", "ingest.room", "ingest.words.list"]) {
        assert!(role.log().contains(key), "{key}: {}", role.log());
    }
}

#[tokio::test]
async fn settings_that_only_the_role_can_judge_are_refused_by_name() {
    let nats = NatsServer::start().await;
    Settings::new().nats(&nats).set_up().await;
    let check = async |role: &str, key: &str, value: &str| {
        let role = Role::spawn(role, &Settings::new().nats(&nats).set(key, value));
        assert_eq!(role.exit_code(SOON).await, USAGE, "{key}: {}", role.log());
        assert!(role.log().contains(key), "{key}: {}", role.log());
    };
    check("delivery", "delivery.max_sessions", "0").await;
    check("archiver", "archiver.uri", "http://mongo").await;
    check("ingest", "ingest.rooms.url", "not a url").await;
}

#[tokio::test]
async fn a_login_in_an_address_of_nats_is_used_and_never_shown() {
    let nats = NatsServer::start_with(&["--user", "bob", "--pass", "hunter/2"]).await;
    let rooms = RoomServer::start().await;
    let with = |login: &str| {
        let url = nats.url().replace("nats://", &format!("nats://{login}"));
        Settings::new().rooms(&rooms).set("nats.urls", &url).set("log.filter", "debug")
    };
    let role = Role::start("delivery", &with("bob:hunter%2F2@")).await;
    assert!(!role.log().contains("hunter"), "{}", role.log());
    for wrong in ["bob:hunter3@", "hunter4@", ""] {
        let role = Role::spawn("delivery", &with(wrong));
        eventually("it is refused, and tries again", SOON, async || role.log().contains("trying again").then_some(()))
            .await;
        assert!(!role.log().contains("hunter"), "{}", role.log());
    }
}

#[tokio::test]
async fn a_token_in_an_address_of_nats_is_used_and_never_shown() {
    let nats = NatsServer::start_with(&["--auth", "hunter/2"]).await;
    let rooms = RoomServer::start().await;
    let with = |login: &str| {
        let url = nats.url().replace("nats://", &format!("nats://{login}"));
        Settings::new().rooms(&rooms).set("nats.urls", &url).set("log.filter", "debug")
    };
    let role = Role::start("delivery", &with("hunter%2F2@")).await;
    assert!(!role.log().contains("hunter"), "{}", role.log());
    for wrong in ["hunter3@", "bob:hunter%2F2@", ""] {
        let role = Role::spawn("delivery", &with(wrong));
        eventually("it is refused, and tries again", SOON, async || role.log().contains("trying again").then_some(()))
            .await;
        assert!(!role.log().contains("hunter"), "{}", role.log());
    }
}

/// Expects an error that names the key.
#[tokio::test]
async fn an_invalid_value_that_may_hold_a_secret_is_never_shown() {
    let cases = [
        ("ingest", "nats.urls", "http://bob:hunter2@nats"),
        ("ingest", "nats.urls", "nats://bob:hun/ter2@nats"),
        ("ingest", "nats.urls", "nats://bob:hunter2@one,nats://bob:hunter3@two"),
        ("archiver", "archiver.uri", "mongodb://bob:hunter2@"),
        ("archiver", "archiver.uri", "mongodb://host/?authMechanismProperties=hunter2"),
        ("ingest", "ingest.rooms.url", "ftp://bob:hunter2@rooms"),
        ("ingest", "ingest.rooms.url", "http://bob:hunter2@ro oms"),
        ("ingest", "ingest.reconnect_webhook", "hooks.example/hunter2"),
        ("ingest", "ingest.review.url", "ws://hooks.example/hunter2"),
        ("ingest", "auth.jwks.url", "file:///hunter2"),
        ("ingest", "auth.secret", "hunter2"),
        ("ingest", "ingest.review.secret", "hunter2"),
    ];
    let nats = NatsServer::start().await;
    Settings::new().nats(&nats).set_up().await;
    for (role, key, value) in cases {
        let role = Role::spawn(role, &Settings::new().nats(&nats).set(key, value));
        assert_eq!(role.exit_code(SOON).await, USAGE, "{key}: {}", role.log());
        let log = role.log();
        assert!(log.contains(key) && !log.contains("unter") && !log.contains("ter2"), "{key}: {log}");
    }
}

#[tokio::test]
async fn a_duration_beyond_the_clock_is_refused_by_name() {
    let cases = [
        ("delivery", "delivery.window", "9223372036854775807s"),
        ("delivery", "delivery.max_sessions", "9223372036854775807"),
        ("delivery", "delivery.original_grace", "9223372036854775807s"),
        ("ingest", "ingest.idempotency", "9223372036854775807s"),
        ("ingest", "ingest.rooms.breaker_open", "9223372036854775807ms"),
        ("ingest", "nats.max_age", "2562047788015216h"),
        ("ingest", "nats.min_age", "9223372036854775807m"),
        ("archiver", "archiver.retention.messages", "4294967295d"),
    ];
    for (role, key, value) in cases {
        let role = Role::spawn(role, &Settings::new().set(key, value));
        assert_eq!(role.exit_code(SOON).await, USAGE, "{key}: {}", role.log());
        assert!(role.log().contains(key) && role.log().contains("must be at most"), "{key}: {}", role.log());
    }
}

#[tokio::test]
async fn another_number_of_partitions_than_the_log_was_made_with_is_refused() {
    let (nats, rooms) = (NatsServer::start().await, RoomServer::start().await);
    let settings = Settings::new().nats(&nats).rooms(&rooms);
    let first = Role::start("ingest", &settings).await;
    let second = Role::spawn("ingest", &settings.set("nats.partitions", "4"));
    assert_eq!(second.exit_code(SOON).await, USAGE, "{}", second.log());
    assert!(second.log().contains("set nats.partitions = 1"), "{}", second.log());
    assert_eq!(first.terminate().await, 0);
}

#[tokio::test]
async fn a_role_waits_for_its_log_alive_and_not_ready() {
    let World { nats, settings, .. } = &World::without_log().await;
    let roles = spawn_all(settings);
    for role in &roles {
        let (livez, readyz) = (format!("{}/livez", role.url()), format!("{}/readyz", role.url()));
        eventually("a role without a log lives", SOON, async || status(&livez).await.filter(|status| *status == 200))
            .await;
        assert_eq!(status(&readyz).await, Some(503));
        // Not a 404, which would be final.
        assert_eq!(status(&role.url()).await, Some(503));
    }
    nats.start_again().await;
    for role in &roles {
        role.ready().await;
    }
}

/// `chatting-server setup` with these settings: its exit code, and what it prints.
fn setup(settings: &Settings, arguments: &[&str]) -> (i32, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_chatting-server"));
    let output = command.arg("setup").args(arguments).envs(settings.variables()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_role_waits_for_setup_and_creates_nothing_itself() {
    let World { nats, settings, .. } = &World::start().await;
    let roles = spawn_all(settings);
    for role in &roles {
        let told = "the log has no stream CHAT_0: run `chatting-server setup`";
        eventually("it says what to do", SOON, async || role.log().contains(told).then_some(())).await;
        assert_eq!(status(&format!("{}/readyz", role.url())).await, Some(503));
    }
    let client = async_nats::connect(nats.url()).await.unwrap();
    let log = async_nats::jetstream::new(client);
    assert_eq!(log.query_account().await.unwrap().streams, 0);

    let (code, said) = setup(settings, &["--dry-run"]);
    let streams = ["CHAT_0", "CURSORS", "KV_sessions", "KV_nodes", "KV_decisions", "KV_tickets", "KV_one_use_tickets"];
    let lines: String = streams.iter().map(|stream| format!("{stream}: would be created\n")).collect();
    assert_eq!((code, said), (0, lines));
    assert_eq!(log.query_account().await.unwrap().streams, 0);

    let (code, said) = setup(settings, &[]);
    let lines: String = streams.iter().map(|stream| format!("{stream}: created\n")).collect();
    assert!(code == 0 && said.starts_with(&(lines + "CHAT_0: epoch ")), "{said}");
    for role in &roles {
        role.ready().await;
    }
    assert_eq!(setup(settings, &["--dry-run"]), (0, "nothing would change\n".to_owned()));
}

#[tokio::test]
async fn a_role_does_not_change_the_log_and_reports_the_differences() {
    let (nats, rooms) = (NatsServer::start().await, RoomServer::start().await);
    let settings = Settings::new().nats(&nats).rooms(&rooms);
    settings.set_up().await;
    let changed = settings.set("nats.max_size", "2147483648 B").set("nats.lease", "20s");
    let role = Role::spawn("ingest", &changed);
    role.ready().await;
    let differs = "CHAT_0: max_bytes is 1073741824, the configuration says 2147483648";
    assert!(role.log().contains(differs), "{}", role.log());
    let client = async_nats::connect(nats.url()).await.unwrap();
    let log = async_nats::jetstream::new(client);
    let max_bytes = async || log.get_stream("CHAT_0").await.unwrap().cached_info().config.max_bytes;
    assert_eq!(max_bytes().await, 1_073_741_824);

    let says = |word: &str| {
        format!("CHAT_0: max_bytes {word} from 1073741824 to 2147483648\nKV_nodes: max_age {word} from 10s to 20s\n")
    };
    assert_eq!(setup(&changed, &["--dry-run"]), (0, says("would change")));
    assert_eq!(max_bytes().await, 1_073_741_824);
    let (code, said) = setup(&changed, &[]);
    assert!(code == 0 && said.starts_with(&says("changed")), "{said}");
    assert_eq!(max_bytes().await, 2_147_483_648);
}

/// Requests to NATS that no role needs.
const SETUP_ALONE: &str = r#"
authorization { users: [{ user: role, password: role, permissions: { publish: { deny: [
  "$JS.API.STREAM.CREATE.>", "$JS.API.STREAM.UPDATE.>", "$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.MSG.DELETE.>",
  "$JS.API.STREAM.SNAPSHOT.>", "$JS.API.STREAM.RESTORE.>"
] } } }] }
no_auth_user: role
"#;

#[tokio::test]
async fn roles_need_no_right_to_make_or_change_streams() {
    let World { nats, settings, .. } = &World::start().await;
    settings.set_up().await;
    nats.kill();
    nats.configure(SETUP_ALONE);
    nats.start_again().await;
    let roles = spawn_all(settings);
    for role in &roles {
        role.ready().await;
    }
    let client = testkit::client().timeout(SOON).build().unwrap();
    let url = roles[0].url() + "/v1/rooms/42/messages";
    let post = client.post(&url).bearer_auth(token(42, "presenter")).json(&serde_json::json!({"text": "hello"}));
    assert_eq!(post.send().await.unwrap().status(), 202);
    let archived = async || {
        let request = client.get(roles[2].url() + "/v1/rooms/42/messages").bearer_auth(token(42, "presenter"));
        let page: serde_json::Value = request.send().await.ok()?.json().await.ok()?;
        (page["messages"][0]["text"] == "hello").then_some(())
    };
    eventually("the message is archived", SOON, archived).await;
    for role in &roles {
        assert_eq!(role.terminate().await, 0, "{}", role.log());
        assert!(!role.log().contains("Permissions Violation"), "{}", role.log());
    }
}

#[tokio::test]
async fn the_admin_port_answers_from_the_start_of_the_role() {
    let World { nats, settings, .. } = &World::without_log().await;
    let roles = spawn_all(settings);
    for role in &roles {
        let (livez, readyz) = (format!("{}/livez", role.admin_url()), format!("{}/readyz", role.admin_url()));
        eventually("it tells that it lives", SOON, async || status(&livez).await.filter(|status| *status == 200)).await;
        assert_eq!(status(&readyz).await, Some(503));
        // Nothing else is served.
        assert_eq!(status(&format!("{}/v1/openapi.json", role.admin_url())).await, Some(404));
    }
    nats.start_again().await;
    for role in &roles {
        let readyz = format!("{}/readyz", role.admin_url());
        eventually("it tells that it is ready", SOON, async || status(&readyz).await.filter(|status| *status == 200))
            .await;
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings::new().set("log.format", "text");
    let role =
        Role::spawn("delivery", &settings.set("delivery.admin.listen", &taken.local_addr().unwrap().to_string()));
    assert_eq!(role.exit_code(SOON).await, 70, "{}", role.log());
    assert!(role.log().contains("delivery.admin.listen"), "{}", role.log());
}

#[tokio::test]
async fn a_signal_stops_a_role_also_while_it_waits_for_its_log() {
    let nats = NatsServer::start().await;
    nats.kill();
    let role = Role::spawn("delivery", &Settings::new().nats(&nats));
    eventually("it tries again", SOON, async || role.log().contains("trying again").then_some(())).await;
    assert_eq!(role.terminate().await, 0);
}

#[tokio::test]
async fn a_signal_stops_every_role_in_good_order() {
    let World { settings, .. } = &World::start().await;
    for role in ["ingest", "delivery", "archiver"] {
        let role = Role::start(role, settings).await;
        assert_eq!(role.terminate().await, 0, "{}", role.log());
        assert!(role.log().contains("has stopped"), "{}", role.log());
    }
}

#[tokio::test]
async fn every_answer_of_a_role_has_the_cors_headers() {
    let World { nats, settings, .. } = &World::without_log().await;
    let client = testkit::client().timeout(SOON).build().unwrap();
    for (name, path) in
        [("ingest", "/v1/rooms/42/messages"), ("ingest", "/send/message"), ("archiver", "/v1/rooms/42/messages")]
    {
        let role = Role::spawn(name, settings);
        let url = role.url() + path;
        let asked = |method| client.request(method, &url).header("origin", "https://example.com");
        // While the log is away, and afterwards from the role itself.
        for status in [503, 401] {
            let preflight = || {
                asked(reqwest::Method::OPTIONS)
                    .header("access-control-request-method", "POST")
                    .header("access-control-request-headers", "authorization,content-type,idempotency-key")
                    .send()
            };
            let preflight = eventually("the role listens", SOON, async || preflight().await.ok()).await;
            let header = |name: &str| preflight.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(preflight.status(), 200, "{name} {path} {status}");
            assert_eq!(header("access-control-allow-origin").as_deref(), Some("*"));
            assert_eq!(
                header("access-control-allow-headers").as_deref(),
                Some("authorization,content-type,idempotency-key")
            );
            assert!(header("access-control-max-age").unwrap().parse::<u32>().unwrap() >= 600);
            let method = if name == "ingest" { reqwest::Method::POST } else { reqwest::Method::GET };
            let answer = eventually("the role answers so", SOON, async || {
                let answer = asked(method.clone()).send().await.ok()?;
                (answer.status() == status || answer.status() == 400).then_some(answer)
            })
            .await;
            assert_eq!(answer.headers()["access-control-allow-origin"], "*", "{name} {path} {status}");
            assert_eq!(answer.headers()["access-control-expose-headers"], "*", "{name} {path} {status}");
            if status == 503 {
                nats.start_again().await;
                role.ready().await;
            }
        }
        drop(role);
        nats.kill();
    }
}
