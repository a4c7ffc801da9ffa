//! `deploy/nats/permissions.conf` on a real nats-server: every role works with its own login, and has no other
//! permissions.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{ConnectOptions, Event};
use chatting_server::play::{self, Options, Target};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use reqwest::StatusCode;
use serde_json::json;

use crate::ingest::client;
use crate::ingest::tokens::token_with;
use crate::pipeline::REFUSED;
use crate::support::{Mongod, NatsServer, Role, RoomServer, SECRET, Settings, eventually, sample, token};

const SOON: Duration = Duration::from_secs(30);

const PERMISSIONS: &str = include_str!("../deploy/nats/permissions.conf");

const LOGINS: [&str; 8] = ["ingest", "delivery", "archiver", "setup", "operator", "observer", "backup", "restore"];

fn password(user: &str) -> String {
    format!("hunter2-of-{user}")
}

async fn nats() -> NatsServer {
    let variables = LOGINS.map(|user| (format!("NATS_{}_PASSWORD", user.to_uppercase()), password(user)));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let included = [("permissions.conf", PERMISSIONS)];
    NatsServer::start_configured("\ninclude ./permissions.conf\n", &included, &variables).await
}

/// The settings of a role with its own login.
fn with_login(settings: &Settings, nats: &NatsServer, user: &str) -> Settings {
    settings.clone().set("nats.urls", &nats.url_of(user, &password(user)))
}

/// Runs an operator's command.
pub(crate) fn command(settings: &Settings, arguments: &[&str]) -> (bool, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_chatting-server"));
    let output = command.args(arguments).envs(settings.variables()).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

#[tokio::test]
async fn every_role_works_with_its_own_login_through_posts_bans_erasures_and_restarts() {
    let (nats, mongod, rooms) = tokio::join!(nats(), Mongod::start(), RoomServer::start());
    let settings = Settings::new().rooms(&rooms).mongo(&mongod);
    let with = |user: &str| with_login(&settings, &nats, user);
    let (is_done, said) = command(&with("setup"), &["setup"]);
    assert!(is_done && said.contains("CHAT_0: created"), "{said}");
    let (is_done, said) = command(&with("operator"), &["setup", "--dry-run"]);
    assert!(is_done && said.contains("nothing would change"), "{said}");

    let roles = ["ingest", "delivery", "archiver"].map(|role| Role::spawn(role, &with(role)));
    for role in &roles {
        role.ready().await;
    }
    let [ingest, delivery, archiver] = &roles;
    let target = async || Target {
        ingest: ingest.url(),
        delivery: delivery.ws_url(""),
        secret: SECRET.to_owned().into(),
        archive: archiver::Archive::connect(&settings.config().archiver).await.unwrap(),
    };
    let room = chat::PresenterIdx::try_from(1).unwrap();
    let options = Options { speed: None, room, in_flight: 64, patience: Duration::from_secs(60) };
    let play = async || play::play(sample(), &target().await, &options, |_| {}).await.unwrap();
    let report = play().await;
    assert!(report.is_sound() && report.accepted == sample().len() - REFUSED, "{report}");

    let moderator = token_with(json!({ "user_idx": 3, "nickname": "mod", "scope": "chat:moderate" }));
    let ban = client().put(format!("{}/v1/rooms/42/bans/10", ingest.url())).bearer_auth(moderator).json(&json!({}));
    assert_eq!(ban.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let appointment = client().put(format!("{}/v1/rooms/42/moderators/12", ingest.url()));
    let appointment = appointment.bearer_auth(token(42, "presenter")).json(&json!({})).send().await.unwrap();
    assert!(appointment.status().is_success(), "{}", appointment.text().await.unwrap());
    let archive = format!("{}/v1/rooms/42/messages", archiver.url());
    eventually("the archiver knows the room's moderator", Duration::from_secs(60), async || {
        let read = client().get(&archive).bearer_auth(token(12, "moderator")).send().await.unwrap();
        (read.status() == StatusCode::OK).then_some(())
    })
    .await;
    for body in [json!({ "kind": "one_use" }), json!({ "kind": "long_lived", "name": "OBS" })] {
        let made = client().post(format!("{}/v1/rooms/42/tickets", delivery.url())).json(&body);
        let made = made.bearer_auth(token(42, "presenter")).send().await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED);
        let made: serde_json::Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
        let events = format!("{}/v1/rooms/42/events?ticket={}", delivery.url(), made["ticket"].as_str().unwrap());
        assert_eq!(client().get(events).send().await.unwrap().status(), StatusCode::OK);
    }
    // The page of the play speaks the original's dialect.
    let posts = format!("{}/v1/rooms/1/messages?first=1", archiver.url());
    let reading = token_with(json!({ "user_idx": 8, "nickname": "analyst", "scope": "chat:read" }));
    let ask = async |url: String| -> serde_json::Value {
        let answer = client().get(url).bearer_auth(&reading).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let posted = ask(posts).await["messages"][0]["id"].as_str().unwrap().to_owned();
    eventually("the archiver reads the saved cursors", SOON, async || {
        let trace = ask(format!("{}/v1/rooms/1/messages/{posted}/trace", archiver.url())).await;
        (trace["presenter"]["state"] == "written").then_some(())
    })
    .await;
    let privacy = token_with(json!({ "user_idx": 9, "nickname": "privacy", "scope": "chat:erase" }));
    let erasure = client().delete(format!("{}/v1/users/77?mode=anonymise", archiver.url())).bearer_auth(privacy);
    let erasure = erasure.send().await.unwrap();
    assert!(erasure.status().is_success(), "{}", erasure.text().await.unwrap());

    for role in &roles {
        assert_eq!(role.terminate().await, 0, "{}", role.log());
        role.start_again().await;
    }
    let post = |user: i64| {
        let message = json!({ "text": "hello" });
        client().post(format!("{}/v1/rooms/42/messages", ingest.url())).bearer_auth(token(user, "user")).json(&message)
    };
    assert_eq!(post(10).send().await.unwrap().status(), StatusCode::FORBIDDEN, "the ban outlives the restart");
    assert_eq!(post(11).send().await.unwrap().status(), StatusCode::ACCEPTED);
    let report = play().await;
    assert!(report.is_sound() && report.accepted == sample().len() - REFUSED, "{report}");

    let (is_sound, said) = command(&with("operator"), &["check", "--role", "archiver", &nats.monitoring_url()]);
    assert!(is_sound && said.contains("CHAT_0: the archivers have"), "{said}");
    let (is_done, said) = command(&with("operator"), &["log", "status"]);
    assert!(is_done && said.contains("KV_decisions"), "{said}");
    let (is_done, said) = command(&with("operator"), &["log", "tail", "--no-follow"]);
    assert!(!is_done, "this login reads no texts: {said}");
    let (is_done, said) = command(&with("observer"), &["log", "tail", "--user", "11", "--no-follow"]);
    assert!(is_done && said.contains("user: hello"), "{said}");
    let (is_done, said) = command(&with("observer"), &["sessions"]);
    assert!(is_done && said.starts_with("ROOM"), "{said}");
    for role in &roles {
        let log = role.log();
        assert!(!log.to_lowercase().contains("permissions violation") && !log.contains("hunter2"), "{log}");
    }
}

/// A connection with the login of a role, and the refusals of the server.
struct Login {
    user: &'static str,
    client: async_nats::Client,
    refusals: Arc<Mutex<Vec<String>>>,
}

impl Login {
    async fn of(nats: &NatsServer, user: &'static str) -> Login {
        let refusals = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&refusals);
        let options = ConnectOptions::with_user_and_password(user.to_owned(), password(user));
        let options = options.event_callback(move |event| {
            if let Event::ServerError(error) = event {
                heard.lock().push(error.to_string().to_lowercase());
            }
            std::future::ready(())
        });
        Login { user, client: options.connect(nats.url()).await.unwrap(), refusals }
    }

    async fn is_refused(&self, what: &str, subject: &str) {
        let (user, told) = (self.user, format!("{what} to \"{}\"", subject.to_lowercase()));
        let heard = async || self.refusals.lock().iter().any(|refusal| refusal.contains(&told)).then_some(());
        eventually(&format!("{user} is refused: {told}"), SOON, heard).await;
    }
}

/// Requests that change streams, which only `setup` may send.
const STREAMS: [&str; 6] = [
    "$JS.API.STREAM.CREATE.OTHER",
    "$JS.API.STREAM.UPDATE.CHAT_0",
    "$JS.API.STREAM.DELETE.CHAT_0",
    "$JS.API.STREAM.MSG.DELETE.CHAT_0",
    "$JS.API.STREAM.SNAPSHOT.CHAT_0",
    "$JS.API.STREAM.RESTORE.CHAT_0",
];

/// Requests about the archivers' consumer.
const READER: [&str; 5] = [
    "$JS.API.CONSUMER.MSG.NEXT.CHAT_0.archiver",
    "$JS.API.CONSUMER.CREATE.CHAT_0.archiver",
    "$JS.API.CONSUMER.CREATE.CHAT_0.archiver.chat.0",
    "$JS.API.CONSUMER.DELETE.CHAT_0.archiver",
    "$JS.ACK.CHAT_0.archiver.1.1.1.1.1",
];

/// What reads the tickets of readers, which only `delivery` may.
const TICKETS: [&str; 3] = [
    "$JS.API.CONSUMER.CREATE.KV_tickets",
    "$JS.API.STREAM.MSG.GET.KV_tickets",
    "$JS.API.DIRECT.GET.KV_one_use_tickets.$KV.one_use_tickets.1.a",
];

#[tokio::test]
async fn every_role_is_refused_what_is_not_its_own() {
    let nats = &nats().await;
    let (is_done, said) = command(&with_login(&Settings::new(), nats, "setup"), &["setup"]);
    assert!(is_done, "{said}");
    let refused: [(&str, &[&[&str]]); 8] = [
        (
            "ingest",
            &[
                &STREAMS,
                &READER,
                &TICKETS,
                &["$KV.sessions.1", "$KV.nodes.n", "cursors", "$KV.tickets.1", "$JS.API.STREAM.PURGE.CHAT_0"],
            ],
        ),
        ("delivery", &[&STREAMS, &READER, &["$KV.decisions.x", "control.reconnect.1", "$JS.API.STREAM.PURGE.CHAT_0"]]),
        (
            "archiver",
            &[
                &STREAMS,
                &["$KV.decisions.x", "$KV.sessions.1", "$KV.nodes.n", "$KV.tickets.1", "cursors"],
                &["control.reconnect.1"],
                &["$JS.API.STREAM.PURGE.KV_decisions", "$JS.API.CONSUMER.DELETE.CHAT_0.archiver"],
            ],
        ),
        ("setup", &[&READER, &["chat.0", "$KV.decisions.x", "cursors", "$JS.API.STREAM.DELETE.CHAT_0"]]),
        ("operator", &[&STREAMS, &READER, &["chat.0", "$KV.decisions.x", "cursors", "$JS.API.STREAM.PURGE.CHAT_0"]]),
        ("backup", &[&STREAMS[..4], &STREAMS[5..], &READER, &TICKETS, &["chat.0", "$KV.decisions.x", "cursors"]]),
        (
            "restore",
            &[&STREAMS[..2], &STREAMS[3..5], &READER[..3], &TICKETS, &["chat.0", "$KV.decisions.x", "cursors"]],
        ),
        (
            "observer",
            &[
                &STREAMS,
                &READER,
                &TICKETS,
                &["chat.0", "$KV.decisions.x", "$KV.sessions.1", "cursors", "$JS.API.STREAM.PURGE.CHAT_0"],
            ],
        ),
    ];
    for (user, subjects) in refused {
        let login = Login::of(nats, user).await;
        for subject in subjects.iter().copied().flatten() {
            login.client.publish((*subject).to_owned(), "{}".into()).await.unwrap();
            login.is_refused("publish", subject).await;
        }
        for subject in ["chat.0", "$KV.>", "_INBOX.>", "_INBOX.other.>"] {
            let subscriber = login.client.subscribe(subject.to_owned()).await.unwrap();
            login.is_refused("subscription", subject).await;
            drop(subscriber);
        }
    }
    let stranger = async_nats::connect(nats.url()).await;
    assert!(stranger.is_err(), "without a login nobody connects");
}

/// A connection with the login, which gets its answers where the login may subscribe.
async fn connection(nats: &NatsServer, user: &str) -> async_nats::Client {
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password(user));
    options.custom_inbox_prefix(format!("_INBOX.{user}")).connect(nats.url()).await.unwrap()
}

/// Asks as the command `nats` does.
async fn ask(client: &async_nats::Client, subject: &str, body: impl Into<Vec<u8>>) -> serde_json::Value {
    let answer = client.request(subject.to_owned(), body.into().into()).await.unwrap().payload;
    if answer.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(&answer).unwrap() }
}

#[tokio::test]
async fn a_bucket_is_backed_up_and_restored_by_logins_for_that_alone() {
    let nats = &nats().await;
    let (is_done, said) = command(&with_login(&Settings::new(), nats, "setup"), &["setup"]);
    assert!(is_done, "{said}");
    ask(&connection(nats, "ingest").await, "$KV.decisions.kept", "a ban").await;

    let backup = connection(nats, "backup").await;
    let inbox = backup.new_inbox();
    let mut parts = backup.subscribe(inbox.clone()).await.unwrap();
    let request = json!({ "deliver_subject": inbox, "chunk_size": 1_024 }).to_string();
    let of_backup = ask(&backup, "$JS.API.STREAM.SNAPSHOT.KV_decisions", request).await;
    let mut snapshot = Vec::new();
    while let Some(part) = parts.next().await.filter(|part| !part.payload.is_empty()) {
        snapshot.push(part.payload.to_vec());
        if let Some(reply) = part.reply {
            backup.publish(reply, "".into()).await.unwrap();
        }
    }
    assert!(!snapshot.is_empty(), "{of_backup}");

    let restore = connection(nats, "restore").await;
    let removed = ask(&restore, "$JS.API.STREAM.DELETE.KV_decisions", "").await;
    assert_eq!(removed["success"], true, "{removed}");
    let request = json!({ "config": of_backup["config"], "state": of_backup["state"] }).to_string();
    let begun = ask(&restore, "$JS.API.STREAM.RESTORE.KV_decisions", request).await;
    let to = begun["deliver_subject"].as_str().unwrap();
    for part in snapshot {
        ask(&restore, to, part).await;
    }
    let restored = ask(&restore, to, "").await;
    assert_eq!(restored["state"]["messages"], 1, "{restored}");
}
