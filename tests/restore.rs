//! A log that loses its end or is restored under the whole system (docs/operations/backup-and-restore.md). Later events
//! are delivered and archived in their order, no decision of the lost part affects them, and holders of lost positions
//! are told.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use archiver::ArchivedMessage;
use chat::PresenterIdx;
use reqwest::Method;
use serde_json::{Value, json};

use crate::delivery::page::Page;
use crate::ingest::{answer, client};
use crate::support::{Folder, System, eventually, token};

const ROOM: i64 = 42;

/// Long enough for a slow machine, and short enough to detect a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit code of a role that cannot continue.
const SOFTWARE: i32 = 70;

/// Posts through ingest, with retries until it is accepted. Returns the position.
async fn post(system: &System, text: &str) -> String {
    let url = format!("{}/v1/rooms/{ROOM}/messages", system.ingest.url());
    let client = client();
    eventually("a message is accepted", PATIENCE, async || {
        let post = client.post(&url).bearer_auth(token(7, "viewer")).header("idempotency-key", text.replace(' ', "-"));
        let answer = answer(post.json(&json!({ "text": text }))).await;
        (answer.status == 202).then(|| answer.json()["position"].as_str().unwrap().to_owned())
    })
    .await
}

async fn post_all(system: &System, texts: &[String]) -> Vec<String> {
    let mut positions = Vec::new();
    for text in texts {
        positions.push(post(system, text).await);
    }
    positions
}

async fn decide(system: &System, method: Method, path: &str, body: Value) {
    let url = format!("{}/v1/rooms/{ROOM}{path}", system.ingest.url());
    let mut request = client().request(method, url).bearer_auth(token(ROOM, "presenter"));
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = answer(request).await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
}

fn texts(what: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{what} {number}")).collect()
}

/// The room's archive, once it has a message with this text.
async fn archived(system: &System, last: &str) -> Vec<ArchivedMessage> {
    let archive = system.archive().await;
    let room = PresenterIdx::try_from(ROOM).unwrap();
    eventually("the last message is archived", PATIENCE, async || {
        let messages = archive.room(room).await.unwrap();
        messages.iter().any(|message| message.message == last).then_some(messages)
    })
    .await
}

/// Every message has its own position, and the new ones are last, in order, and not deleted.
fn check_archive(messages: &[ArchivedMessage], new: &[String]) {
    let places: HashSet<_> = messages.iter().map(|message| message.position).collect();
    assert_eq!(places.len(), messages.len(), "two messages share a place");
    let last: Vec<&str> = messages[messages.len() - new.len()..].iter().map(|m| m.message.as_str()).collect();
    assert_eq!(last, new);
    let deleted = messages.iter().filter(|message| new.contains(&message.message) && message.deleted.is_some());
    assert_eq!(deleted.map(|message| &message.message).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The texts that a client reads after the welcome, up to this one.
async fn read_to(page: &mut Page, last: &str) -> Vec<String> {
    let mut read = Vec::new();
    while read.last().is_none_or(|text| text != last) {
        let frame = page.frame().await;
        let events = frame["events"].as_array().unwrap_or_else(|| panic!("{frame}"));
        read.extend(events.iter().filter_map(|event| event["text"].as_str()).map(str::to_owned));
    }
    read
}

async fn stop_roles(system: &System) {
    for role in [&system.ingest, &system.delivery, &system.archiver] {
        assert_eq!(role.terminate().await, 0, "{}", role.log());
    }
}

async fn start_roles(system: &System) {
    tokio::join!(
        system.ingest.start_as_a_service(),
        system.delivery.start_as_a_service(),
        system.archiver.start_as_a_service()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_notices_a_disk_that_lost_the_end_of_the_log_and_presenters_are_told() {
    let system = System::start().await;
    let (mut page, _) = Page::connect(&system.delivery, ROOM).await;
    let old = texts("old", 60);
    let mut given_out = post_all(&system, &old).await;
    read_to(&mut page, "old 60").await;
    archived(&system, "old 60").await;
    let seen = page.position.clone().unwrap();

    system.nats.kill();
    system.nats.spoil("CHAT_0");
    system.nats.start_again().await;
    for role in [&system.ingest, &system.delivery, &system.archiver] {
        assert_eq!(role.exit_code(PATIENCE).await, SOFTWARE, "{}", role.log());
        assert!(role.log().contains("was replaced"), "{}", role.log());
    }
    start_roles(&system).await;

    let new = texts("new", 30);
    given_out.extend(post_all(&system, &new).await);
    assert_eq!(given_out.iter().collect::<HashSet<_>>().len(), 90, "a position was given out twice");
    let (mut page, welcome) = Page::resume(&system.delivery, ROOM, Some(&seen)).await;
    assert_eq!(welcome["recovered"], false, "{welcome}");
    assert_eq!(read_to(&mut page, "new 30").await, new);
    // A page that was away since the first message has missed the lost ones, and is told too.
    let (mut page, welcome) = Page::resume(&system.delivery, ROOM, Some(&given_out[0])).await;
    assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(false), &json!(given_out[0])));
    let shown = read_to(&mut page, "new 30").await;
    assert_eq!(shown[0], "old 2");
    assert_eq!(shown[shown.len() - 30..], new);
    let messages = archived(&system, "new 30").await;
    assert_eq!(messages.len(), 90, "what was archived before it was lost stays");
    check_archive(&messages, &new);
}

/// After a clean stop the server remembers how long the log was, and goes on behind the lost part.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_log_whose_server_counts_the_lost_end_as_deleted_is_shown() {
    let system = System::start().await;
    let given_out = post_all(&system, &texts("old", 40)).await;
    let second = archived(&system, "old 40").await[1].id;
    system.nats.stop().await;
    system.nats.truncate("CHAT_0", 500);
    system.nats.start_again().await;
    for role in [&system.ingest, &system.delivery, &system.archiver] {
        assert_eq!(role.exit_code(PATIENCE).await, SOFTWARE, "{}", role.log());
    }
    start_roles(&system).await;

    let new = texts("new", 5);
    let positions = post_all(&system, &new).await;
    assert!(positions.iter().all(|position| !given_out.contains(position)));
    let (mut page, welcome) = Page::resume(&system.delivery, ROOM, Some(&given_out[0])).await;
    assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(false), &json!(given_out[0])));
    let shown = read_to(&mut page, "new 5").await;
    assert_eq!(shown[0], "old 2");
    assert_eq!(shown[shown.len() - 5..], new);
    // A decision about a message before the lost part is as whole as any other.
    decide(&system, Method::DELETE, &format!("/messages/{second}?reason=rude"), Value::Null).await;
    decide(&system, Method::DELETE, &format!("/messages/{second}/deletion?reason=harmless"), Value::Null).await;
    let events = page.events(2).await;
    let reasons: Vec<&Value> = events.iter().map(|event| &event["reason"]).collect();
    assert_eq!(reasons, ["rude", "harmless"]);
    assert_eq!(events[1]["message"]["text"], "old 2");
}

/// What is restored, and whether the operator runs the documented command.
struct Restored {
    streams: &'static [&'static str],
    with_command: bool,
}

/// Posts, backs up, posts more and decides about it, restores, and posts again.
async fn restore(Restored { streams, with_command }: Restored) {
    let system = System::start().await;
    post_all(&system, &texts("kept", 5)).await;
    archived(&system, "kept 5").await;
    stop_roles(&system).await;
    system.nats.kill();
    let backup: Folder = system.nats.backup();
    system.nats.start_again().await;
    start_roles(&system).await;

    let (mut page, _) = Page::connect(&system.delivery, ROOM).await;
    let mut given_out = post_all(&system, &texts("lost", 10)).await;
    read_to(&mut page, "lost 10").await;
    page.ack(&page.position.clone().unwrap()).await;
    decide(&system, Method::PUT, "/bans/9", json!({ "reason": "spam" })).await;
    decide(&system, Method::DELETE, "/messages", Value::Null).await;
    archived(&system, "lost 10").await;
    let room = PresenterIdx::try_from(ROOM).unwrap();
    let archive = system.archive().await;
    eventually("the clearing is archived", PATIENCE, async || {
        archive.room(room).await.unwrap().iter().all(|message| message.deleted.is_some()).then_some(())
    })
    .await;
    let seen = page.position.clone().unwrap();
    page.close().await;
    stop_roles(&system).await;
    system.nats.kill();
    system.nats.restore_streams(&backup, streams);
    system.nats.start_again().await;
    if with_command {
        let setup = Command::new(env!("CARGO_BIN_EXE_chatting-server"))
            .args(["setup", "--new-epoch"])
            .envs(system.settings().variables())
            .output()
            .unwrap();
        let answer = String::from_utf8(setup.stdout).unwrap();
        assert!(setup.status.success() && answer.starts_with("CHAT_0: epoch "), "{answer}{:?}", setup.stderr);
    }
    if with_command {
        start_roles(&system).await;
    } else {
        begin_anew(&system, streams.contains(&"CURSORS")).await;
    }

    let new = texts("new", 10);
    given_out.extend(post_all(&system, &new).await);
    assert_eq!(given_out.iter().collect::<HashSet<_>>().len(), 20, "a position was given out twice");
    check_archive(&archived(&system, "new 10").await, &new);
    // A page from before is told of a gap, and a reloaded page shows the new messages.
    let (mut page, welcome) = Page::resume(&system.delivery, ROOM, Some(&seen)).await;
    assert_eq!(welcome["recovered"], false, "{welcome}");
    assert_eq!(read_to(&mut page, "new 10").await, new);
    page.close().await;
    let (mut fresh, _) = Page::connect(&system.delivery, ROOM).await;
    let shown = read_to(&mut fresh, "new 10").await;
    assert_eq!(shown[shown.len() - 10..], new);
}

/// Starts the roles in sequence on a log that went back unannounced. The first role that can notice does: delivery by
/// cursors ahead of the log, the archiver by its records. Roles that started earlier restart.
async fn begin_anew(system: &System, with_cursors: bool) {
    system.ingest.start_again().await;
    system.delivery.start_as_a_service().await;
    system.archiver.spawn_again();
    let all = [&system.archiver, &system.ingest, &system.delivery];
    let (begin_anew, others) = if with_cursors { (&all[..], &all[..0]) } else { (&all[1..2], &all[..1]) };
    for role in begin_anew {
        assert_eq!(role.exit_code(PATIENCE).await, SOFTWARE, "{}", role.log());
        role.start_as_a_service().await;
    }
    for role in others {
        role.ready().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_restored_by_the_procedure_delivers_and_archives_what_is_accepted_afterwards() {
    restore(Restored { streams: &["CHAT_0", "KV_decisions", "CURSORS"], with_command: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_log_with_newer_cursors_shows_every_new_message() {
    restore(Restored { streams: &["CHAT_0", "KV_decisions"], with_command: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_log_whose_cursors_are_ahead_of_it_is_noticed_without_the_command() {
    restore(Restored { streams: &["CHAT_0", "KV_decisions"], with_command: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wholly_restored_log_is_noticed_by_the_archiver_without_the_command() {
    restore(Restored { streams: &["CHAT_0", "KV_decisions", "CURSORS"], with_command: false }).await;
}
