//! SIGHUP: what a role changes while it runs, what needs a restart, and files that cannot be used.

mod credentials;
mod logins;
mod secrets;

use std::time::Duration;

use serde_json::json;

use crate::ingest::client;
use crate::support::{Folder, Mongod, NatsServer, Role, RoomServer, SECRET, Settings, eventually, token};

const SOON: Duration = Duration::from_secs(20);

const NEXT_SECRET: &str = "the next secret of the tests, of more than 32 bytes";

/// The configuration file of a role.
struct File(Folder);

impl File {
    fn new(content: &str) -> File {
        let file = File(Folder::new("configuration"));
        file.write("chatting.toml", content);
        file
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// A role that reads it, and that is ready.
    async fn start(&self, role: &str, settings: &Settings) -> Role {
        settings.set_up().await;
        let role = Role::spawn_with(role, settings, &["--config", &self.path("chatting.toml")]);
        role.ready().await;
        role
    }

    /// Changes it, and waits for what the role says of that.
    async fn reload(&self, role: &Role, content: &str, told: &str) {
        self.write("chatting.toml", content);
        role.hang_up();
        role.says(told).await;
    }
}

async fn post(ingest: &Role, user: i64, text: &str) -> u16 {
    let post = client().post(format!("{}/v1/rooms/1/messages", ingest.url())).bearer_auth(token(user, "nick"));
    post.json(&json!({ "text": text })).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn ingest_changes_rooms_settings_limits_and_words_without_a_restart() {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let settings = Settings::new().nats(&nats).rooms(&rooms);
    let settings = settings.unset("ingest.limits.read_rate.messages").unset("ingest.limits.read_rate.seconds");
    let file = File::new("");
    let words = file.path("words.txt");
    file.write("words.txt", "label: test.word\ncrimson\n");
    let with = |room: &str, reads: u32| {
        format!(
            "[ingest.room]\nword_policy = \"reject\"\n{room}\n[ingest.words]\nextra = {words:?}\n\
             [ingest.limits]\nread_rate = {{ messages = {reads}, seconds = 3600 }}\n"
        )
    };
    file.write("chatting.toml", &with("", 1_000));
    let ingest = file.start("ingest", &settings).await;
    let id = ingest.id();
    assert_eq!((post(&ingest, 7, "longer").await, post(&ingest, 7, "turquoise").await), (202, 202));
    assert_eq!(post(&ingest, 7, "crimson").await, 422);

    file.write("words.txt", "label: test.word\nturquoise\n");
    file.reload(&ingest, &with("max_length = 20", 1_000), "reloaded: ingest.room.max_length").await;
    ingest.says("limits, settings of rooms, word lists and secrets are in use as reloaded").await;
    assert_eq!((post(&ingest, 7, "crimson").await, post(&ingest, 7, "turquoise").await), (202, 422));
    assert_eq!(post(&ingest, 7, "longer than twenty characters").await, 400);

    let read = async || {
        let read = client().get(format!("{}/v1/rooms/7/settings", ingest.url())).bearer_auth(token(7, "nick"));
        read.send().await.unwrap().status().as_u16()
    };
    assert_eq!((read().await, read().await), (200, 200));
    file.reload(&ingest, &with("", 1), "reloaded: ingest.limits.read_rate.messages, ingest.room.max_length").await;
    eventually("the new rate is in use", SOON, async || (read().await == 429).then_some(())).await;
    assert_eq!(post(&ingest, 7, "longer than twenty characters").await, 202);
    assert_eq!(ingest.id(), id);
}

#[tokio::test]
async fn a_configuration_with_a_problem_changes_nothing_and_names_the_place() {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let settings = Settings::new().nats(&nats).rooms(&rooms);
    let file = File::new("[ingest.room]\nmax_length = 10\n");
    let ingest = file.start("ingest", &settings).await;
    for (content, told) in [
        ("[ingest.room]\nmax_length = 20\nmax_lenght = 20", "nothing is reloaded: ingest.room.max_lenght"),
        ("[ingest.room\n", "line 1"),
        ("[ingest.room]\nmax_length = 501", "ingest.room"),
        ("[ingest.room]\nmax_length = 20\n[ingest.words]\nextra = \"/no/such/list\"", "/no/such/list"),
    ] {
        file.reload(&ingest, content, told).await;
        assert_eq!(post(&ingest, 7, "more than ten").await, 400, "{content}");
    }
    std::fs::remove_file(file.path("chatting.toml")).unwrap();
    ingest.hang_up();
    ingest.says("cannot read the configuration").await;
    file.reload(&ingest, "[ingest.room]\nmax_length = 20\n", "reloaded: ingest.room.max_length").await;
    ingest.says("word lists and secrets are in use as reloaded").await;
    assert_eq!(post(&ingest, 7, "more than ten").await, 202);
}

#[tokio::test]
async fn delivery_changes_who_may_read_rooms_and_names_what_needs_a_restart() {
    let nats = NatsServer::start().await;
    let settings = Settings::new().nats(&nats);
    let file = File::new("[ingest.room]\nreaders = \"off\"\n");
    let delivery = file.start("delivery", &settings).await;
    let read = async || {
        let read = client().get(format!("{}/v1/rooms/5/events", delivery.url())).bearer_auth(token(7, "nick"));
        read.send().await.unwrap().status().as_u16()
    };
    assert_eq!(read().await, 403);
    let changed = "[ingest.room]\nreaders = \"members\"\nslow_mode = \"5s\"\n[delivery]\nwindow = \"5m\"\n[nats]\nlease = \"9s\"\n";
    file.reload(&delivery, changed, "reloaded: ingest.room.readers").await;
    delivery.says("restart delivery to apply delivery.window, nats.lease").await;
    eventually("members may read", SOON, async || (read().await == 200).then_some(())).await;
}

#[tokio::test]
async fn every_role_changes_the_filter_of_its_log() {
    let (nats, rooms, mongod) = tokio::join!(NatsServer::start(), RoomServer::start(), Mongod::start());
    let settings = Settings::new().nats(&nats).rooms(&rooms).mongo(&mongod);
    for role in ["ingest", "delivery", "archiver"] {
        let file = File::new("[log]\nfilter = \"error\"\n");
        let role = file.start(role, &settings).await;
        assert!(!role.log().contains("listens on"), "{}", role.log());
        file.reload(&role, "[log]\nfilter = \"info\"\n", "reloaded: log.filter").await;
        file.reload(&role, "[log]\nfilter = \"loud=loud\"\n", "nothing is reloaded: log.filter").await;
        assert_eq!(role.terminate().await, 0);
    }
}

#[tokio::test]
async fn a_secret_is_changed_without_a_restart_and_both_count_meanwhile() {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let file = File::new("");
    let with = |secret: &str, previous: &str| {
        file.write("secret", secret);
        file.write("previous", previous);
        let mut lines = format!("[auth]\nsecret_file = {:?}\n", file.path("secret"));
        if !previous.is_empty() {
            lines += &format!("previous_secret_file = {:?}\n", file.path("previous"));
        }
        lines
    };
    let settings = Settings::new().nats(&nats).rooms(&rooms);
    settings.set_up().await;
    file.write("chatting.toml", &with(SECRET, ""));
    let ingest = file.start("ingest", &settings.unset("auth.secret")).await;
    let status = async |secret: &str| {
        let claims = json!({ "user_idx": 7, "nickname": "nick", "exp": crate::ingest::tokens::now() + 3_600 });
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes()).unwrap();
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
        let post = client().post(format!("{}/v1/rooms/1/messages", ingest.url())).bearer_auth(token);
        post.json(&json!({ "text": "hello" })).send().await.unwrap().status().as_u16()
    };
    assert_eq!((status(SECRET).await, status(NEXT_SECRET).await), (202, 401));
    file.reload(&ingest, &with(NEXT_SECRET, SECRET), "reloaded: auth.previous_secret, auth.secret").await;
    assert_eq!((status(SECRET).await, status(NEXT_SECRET).await), (202, 202));
    let before = ingest.log().len();
    file.write("chatting.toml", &with(NEXT_SECRET, ""));
    ingest.hang_up();
    let told = async || ingest.log()[before..].contains("reloaded: auth.previous_secret").then_some(());
    eventually("the old secret is gone", SOON, told).await;
    assert_eq!((status(SECRET).await, status(NEXT_SECRET).await), (401, 202));
    for secret in [SECRET, NEXT_SECRET] {
        assert!(!ingest.log().contains(secret), "{}", ingest.log());
    }
}
