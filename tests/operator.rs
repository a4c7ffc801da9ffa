//! The commands that an operator asks a running system with: `log status`, `log tail` and `sessions`.

use std::process::{Command, Output};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Program;

use crate::delivery::page::Page;
use crate::ingest::{Answer, answer, client};
use crate::support::{Folder, System, eventually, token};

const PATIENCE: Duration = Duration::from_secs(60);

const BINARY: &str = env!("CARGO_BIN_EXE_chatting-server");

async fn run(system: &System, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).envs(system.settings().variables());
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

async fn printed(system: &System, arguments: &[&str]) -> String {
    let output = run(system, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The events that `log tail` prints as JSON, without waiting for new ones.
async fn tailed(system: &System, which: &[&str]) -> Vec<Value> {
    let arguments = [["log", "tail", "--no-follow", "--format", "json"].as_slice(), which].concat();
    printed(system, &arguments).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn call(system: &System, method: Method, path: &str, user: i64, body: Value) -> Answer {
    let url = format!("{}{path}", system.ingest.url());
    answer(client().request(method, url).bearer_auth(token(user, "nick")).json(&body)).await
}

async fn post(system: &System, room: i64, user: i64, text: &str) -> Value {
    let answer = call(system, Method::POST, &format!("/v1/rooms/{room}/messages"), user, json!({ "text": text })).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn log_tail_prints_a_room_or_a_user_once_and_in_order_and_then_what_is_new() {
    let system = System::start().await;
    let first = post(&system, 1, 7, "first").await;
    let second = post(&system, 1, 8, "second").await;
    let elsewhere = post(&system, 2, 7, "elsewhere").await;
    let path = format!("/v1/rooms/1/messages/{}", first["id"].as_str().unwrap());
    let deleted = call(&system, Method::DELETE, &path, 1, json!({})).await.json();

    let room = tailed(&system, &["--room", "1"]).await;
    let expected = [&first, &second, &deleted];
    let seen: Vec<_> = room.iter().map(|event| (&event["position"], &event["event"]["id"])).collect();
    assert_eq!(seen, expected.map(|answer| (&answer["position"], &answer["id"])));
    assert_eq!(room[0]["event"]["text"], "first");
    assert!(room[0]["stored"].as_str().unwrap().ends_with('Z'), "{}", room[0]);
    let ids: Vec<Value> =
        tailed(&system, &["--user", "7"]).await.iter().map(|found| found["event"]["id"].clone()).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&first["id"]) && ids.contains(&elsewhere["id"]), "{ids:?}");

    let folder = Folder::new("tail");
    let tail = Program {
        name: "log tail".into(),
        path: BINARY.into(),
        arguments: ["log", "tail", "--room", "1", "--since", "1h"].map(Into::into).into(),
        environment: system.settings().variables(),
        output: folder.path().join("printed"),
        detached: false,
    };
    let mut running = tail.start().unwrap();
    let text = || std::fs::read_to_string(&tail.output).unwrap_or_default();
    let shows = async |sentence: &str| {
        eventually(&format!("{sentence:?} is printed"), PATIENCE, async || text().contains(sentence).then_some(()))
            .await;
    };
    shows(&format!("message {} is deleted", first["id"].as_str().unwrap())).await;
    assert!(!text().contains("first"), "{}", text());
    // It finds its place again.
    system.nats.kill();
    system.nats.start_again().await;
    let third = eventually("ingest accepts again", PATIENCE, async || {
        let answer = call(&system, Method::POST, "/v1/rooms/1/messages", 8, json!({ "text": "third" })).await;
        (answer.status == 202).then(|| answer.json())
    })
    .await;
    shows("nick: third").await;
    running.check().unwrap();
    for shown in [second, third] {
        let position = shown["position"].as_str().unwrap();
        assert_eq!(text().matches(position).count(), 1, "{position} in {}", text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_status_counts_what_the_archivers_have_not_read() {
    let system = System::start().await;
    assert_eq!(system.archiver.terminate().await, 0);
    for text in ["one", "two", "three"] {
        post(&system, 1, 7, text).await;
    }
    let partition = async || {
        let printed = printed(&system, &["log", "status", "--format", "json"]).await;
        let streams: Vec<Value> = serde_json::from_str(&printed).unwrap();
        streams.into_iter().find(|stream| stream["stream"] == "CHAT_0").unwrap()
    };
    let empty = printed(&system, &["log", "status"]).await;
    let tickets: Vec<_> =
        empty.lines().find(|line| line.starts_with("KV_tickets")).unwrap().split_whitespace().collect();
    assert_eq!(tickets, ["KV_tickets", "0", "0", "-", "-", "-", "-", "-"]);
    let before = partition().await;
    assert_eq!((&before["unread"], &before["batches"], &before["exists"]), (&json!(3), &json!(3), &json!(true)));
    assert_eq!(before["maxBytes"], 1_073_741_824);
    system.archiver.start_again().await;
    eventually("everything is archived", PATIENCE, async || {
        let now = partition().await;
        (now["unread"] == 0 && now["inHand"] == 0).then_some(())
    })
    .await;
    let table = printed(&system, &["log", "status"]).await;
    let row = table.lines().find(|line| line.starts_with("CHAT_0 ")).unwrap();
    assert!(table.starts_with("STREAM") && row.split_whitespace().nth(1) == Some("3"), "{table}");

    let unknown = run(&system, &["log", "tail", "--room", "0"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    let mut nobody = Command::new(BINARY);
    nobody.args(["log", "status"]).env("CHATTING_NATS__URLS", "nats://127.0.0.1:1");
    let refused = nobody.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nats://127.0.0.1:1"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_names_the_node_of_each_presenter_and_leaves_the_session_alone() {
    let system = System::start().await;
    let sessions = async |which: &[&str]| -> Vec<Value> {
        let printed = printed(&system, &[["sessions", "--format", "json"].as_slice(), which].concat()).await;
        serde_json::from_str(&printed).unwrap()
    };
    assert!(sessions(&[]).await.is_empty());
    let (mut one, welcome) = Page::connect(&system.delivery, 1).await;
    let (_other, _) = Page::connect(&system.delivery, 2).await;
    let all = sessions(&[]).await;
    let rooms: Vec<&Value> = all.iter().map(|session| &session["presenterIdx"]).collect();
    assert_eq!(rooms, [&json!(1), &json!(2)]);
    assert_eq!(all[0]["node"], all[1]["node"]);
    let only = sessions(&["--room", "1"]).await;
    assert_eq!((only.len(), &only[0]["session"], &only[0]["nodeAlive"]), (1, &welcome["session"], &json!(true)));
    let table = printed(&system, &["sessions"]).await;
    assert!(table.starts_with("ROOM") && table.lines().count() == 3, "{table}");

    let said = post(&system, 1, 7, "still connected").await;
    assert_eq!(one.frame().await["position"], said["position"]);
}
