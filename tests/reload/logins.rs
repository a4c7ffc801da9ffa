//! A login to NATS or MongoDB is renewed while a role runs.

use std::os::unix::fs::PermissionsExt as _;

use ::mongodb::Client;
use ::mongodb::bson::doc;
use nkeys::KeyPair;
use serde_json::json;

use super::{File, SOON};
use crate::ingest::client;
use crate::support::{Folder, Mongod, NatsServer, Role, RoomServer, Settings, eventually, token};

/// What the server knows of its only user, and how the role proves to be that user.
struct Login {
    known: String,
    shown: String,
}

fn password(password: &str) -> Login {
    let known = format!("user: role, password: {password}");
    Login { known, shown: password.to_owned() }
}

fn nkey() -> Login {
    let pair = KeyPair::new_user();
    Login { known: format!("nkey: {}", pair.public_key()), shown: pair.seed().unwrap() }
}

fn authorization(login: &Login) -> String {
    format!("authorization {{ users: [ {{ {} }} ] }}\n", login.known)
}

pub(super) async fn status(ingest: &Role) -> u16 {
    let post = client().post(format!("{}/v1/rooms/1/messages", ingest.url())).bearer_auth(token(7, "nick"));
    post.json(&json!({ "text": "hello" })).send().await.unwrap().status().as_u16()
}

pub(super) async fn works(ingest: &Role) {
    eventually("a post is accepted", SOON, async || (status(ingest).await == 202).then_some(())).await;
}

/// `key` names the file with the login, `content` is what stands in it.
async fn is_renewed(key: &str, [first, second, third]: [Login; 3], content: impl Fn(&NatsServer, &Login) -> String) {
    let included = [("login.conf", authorization(&first))];
    let included: Vec<(&str, &str)> = included.iter().map(|(name, lines)| (*name, lines.as_str())).collect();
    let nats = NatsServer::start_configured("\ninclude ./login.conf\n", &included, &[]).await;
    let (rooms, file) = (RoomServer::start().await, File::new(""));
    let write = |content: &str| file.write("login", content);
    write(&content(&nats, &first));
    let settings = Settings::new().nats(&nats).rooms(&rooms);
    // The settings of a test cannot read a file.
    let setting = key.strip_suffix("_file").unwrap();
    settings.clone().set(setting, &content(&nats, &first)).set_up().await;
    let settings = if setting == "nats.urls" { settings.unset(setting) } else { settings };
    let ingest = Role::spawn("ingest", &settings.set(key, &file.path("login")));
    ingest.ready().await;
    let id = ingest.id();
    assert_eq!(status(&ingest).await, 202);

    // The server ends the connections of a login that it does not know any more.
    write(&content(&nats, &second));
    nats.reload("login.conf", &authorization(&second));
    ingest.says("the login to NATS has changed").await;
    works(&ingest).await;

    write("");
    nats.reload("login.conf", &authorization(&third));
    ingest.says(&format!("the login to NATS stays as it was: {key}")).await;
    write(&content(&nats, &third));
    works(&ingest).await;
    assert_eq!(ingest.id(), id);
    for login in [first, second, third] {
        assert!(!ingest.log().contains(&login.shown), "{}", ingest.log());
    }
}

#[tokio::test]
async fn a_password_of_nats_is_renewed_without_a_restart() {
    let logins = ["hunter2", "hunter3", "hunter4"].map(password);
    is_renewed("nats.urls_file", logins, |nats, login| nats.url_of("role", &login.shown)).await;
}

#[tokio::test]
async fn an_nkey_is_renewed_without_a_restart() {
    is_renewed("nats.nkey_file", [nkey(), nkey(), nkey()], |_, login| login.shown.clone()).await;
}

#[tokio::test]
async fn a_password_of_mongodb_is_renewed_without_a_restart_and_a_wrong_one_changes_nothing() {
    let (nats, mongod) = tokio::join!(NatsServer::start(), Mongod::start());
    let driver = Client::with_uri_str(mongod.uri()).await.unwrap();
    let root = doc! { "createUser": "root", "pwd": "hunter2-of-root", "roles": ["root"] };
    driver.database("admin").run_command(root).await.unwrap();
    let user = doc! { "createUser": "archiver", "pwd": "hunter2-first", "roles": ["readWrite", "dbAdmin"] };
    driver.database("chatting").run_command(user).await.unwrap();
    driver.shutdown().await;
    let folder = Folder::new("mongod-key");
    let key = folder.path().join("key");
    std::fs::write(&key, "akeyofthereplicaset").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    mongod.restart_with(&["--auth", "--keyFile", key.to_str().unwrap()]).await;

    let file = File::new("");
    let write = |password: &str| {
        file.write("uri", &mongod.uri_of(&format!("archiver:{password}@"), "&authSource=chatting"));
    };
    write("hunter2-first");
    file.write("chatting.toml", &format!("[archiver]\nuri_file = {:?}\n", file.path("uri")));
    let settings = Settings::new().nats(&nats);
    let archiver = file.start("archiver", &settings).await;
    let id = archiver.id();

    write("hunter2-wrong");
    archiver.hang_up();
    archiver.says("archiver.uri: the login to MongoDB stays as it was").await;
    archiver.ready().await;

    let driver = Client::with_uri_str(mongod.uri_of("root:hunter2-of-root@", "")).await.unwrap();
    let change = doc! { "updateUser": "archiver", "pwd": "hunter2-second" };
    driver.database("chatting").run_command(change).await.unwrap();
    write("hunter2-second");
    archiver.hang_up();
    archiver.says("archiver.uri: the new login to MongoDB is in use").await;
    // Connections that were made with the first one are gone.
    mongod.restart_with(&[]).await;
    eventually("the archive answers", SOON * 3, async || {
        let read = client().get(format!("{}/v1/rooms/7/messages", archiver.url())).bearer_auth(token(7, "nick"));
        (read.send().await.unwrap().status() == 200).then_some(())
    })
    .await;
    archiver.ready().await;
    assert_eq!(archiver.id(), id);
    assert!(!archiver.log().contains("hunter2"), "{}", archiver.log());
}
