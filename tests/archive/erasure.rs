//! A user who is erased: gone from every collection, at once and for good, whatever is killed, comes late or comes again.

use std::time::Duration;

use archiver::Archive;
use async_nats::jetstream;
use chat::{
    Body, ErasureMode, Event, EventId, EventKind, MessageDeleted, MessagePosted, RoomCleared, User, UserBanned,
    UserErased,
};
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::reading::{archived, client};
use super::{PATIENCE, World, message, presenter, user};
use crate::ingest::tokens::token_with;
use crate::log::everything;
use crate::support::{Proxy, Role, Settings, eventually};

/// Who is erased in these tests.
const GONE: i64 = 77;

/// What nobody may find afterwards: in texts of that user, and nowhere else.
const SECRET: &str = "the secret";

/// Everything that the archiver keeps, but for what says that somebody was erased.
const COLLECTIONS: [&str; 5] = ["chatting_log", "moderation_log", "broadcasts", "quarantine", "erased_ids"];

fn by(idx: i64, room: i64, text: impl Into<String>) -> Event {
    let posted = MessagePosted { user: user(idx), text: text.into(), flags: Vec::new() };
    Event::now(presenter(room), Body::MessagePosted(posted))
}

fn secret(room: i64, number: usize) -> Event {
    by(GONE, room, format!("{SECRET} {number}"))
}

fn erased(mode: ErasureMode) -> Event {
    Event::of_every_room(Body::UserErased(UserErased { user: user(GONE).idx, mode, by: user(9) }))
}

/// A request to erase the user.
async fn erase(archiver: &Role, mode: &str) -> (StatusCode, Value) {
    let url = format!("{}/v1/users/{GONE}?mode={mode}", archiver.url());
    let token = token_with(json!({ "user_idx": 9, "nickname": "privacy", "scope": "chat:erase" }));
    let answer = client().delete(url).bearer_auth(token).send().await.unwrap();
    let (status, location) = (answer.status(), answer.headers().get("location").cloned());
    let body = answer.text().await.unwrap();
    assert_eq!(location.is_some(), status == 202, "{status}: {body}");
    (status, serde_json::from_str(&body).unwrap())
}

/// The receipts, the last one first.
async fn receipts(archiver: &Role) -> Vec<Value> {
    let url = format!("{}/v1/users/{GONE}/erasures", archiver.url());
    let token = token_with(json!({ "user_idx": 9, "scope": "chat:erase" }));
    let answer = client().get(url).bearer_auth(token).send().await.unwrap();
    let body: Value = answer.error_for_status().unwrap().json().await.unwrap();
    body["erasures"].as_array().unwrap().clone()
}

async fn done(archiver: &Role) -> Value {
    eventually("the erasure is done", PATIENCE, async || {
        let receipt = receipts(archiver).await.into_iter().next()?;
        (receipt["state"] == "done").then_some(receipt)
    })
    .await
}

/// Where in the archive something leads to the user, but for their number as that of a room.
async fn traces(world: &World) -> Vec<String> {
    let mut traces = Vec::new();
    for name in COLLECTIONS {
        let mut documents = world.collection(name).find(doc! {}).await.unwrap();
        while documents.advance().await.unwrap() {
            let document = documents.deserialize_current().unwrap();
            let text = document.to_string();
            let names = text.contains(&user(GONE).nickname) || text.contains(SECRET);
            if names || leads_there(&Bson::Document(document)) {
                traces.push(format!("{name}: {text}"));
            }
        }
    }
    traces
}

fn leads_there(value: &Bson) -> bool {
    match value {
        Bson::Document(document) => {
            document.iter().any(|(name, value)| name != "presenterIdx" && name != "position" && leads_there(value))
        }
        Bson::Array(values) => values.iter().any(leads_there),
        Bson::Int64(number) => *number == GONE,
        _ => false,
    }
}

async fn assert_no_traces(world: &World) {
    let traces = traces(world).await;
    assert!(traces.is_empty(), "{} documents lead to the user, such as {}", traces.len(), traces[0]);
}

/// Makes every archiver go through the whole log once more.
async fn read_the_log_again(world: &World) {
    let context = jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    for partition in 0..world.settings.config().nats.partitions {
        let stream = context.get_stream(format!("CHAT_{partition}")).await.unwrap();
        stream.delete_consumer("archiver").await.unwrap();
        eventually("an archiver reads from the beginning", PATIENCE, async || {
            stream.consumer_info("archiver").await.ok()
        })
        .await;
    }
    archived(world).await;
}

/// Everything in which a user can be, among what others wrote. Answers with how many messages are the user's, and one
/// of somebody else that the user has deleted.
async fn a_life(world: &World) -> (i64, EventId) {
    let (mut count, mut events) = (0, Vec::new());
    for number in 0..200 {
        let room = 1 + number as i64 % 12;
        events.push(by(8, room, format!("of somebody else {number}")));
        if number % 2 == 0 {
            count += 1;
            events.push(secret(room, number));
        }
    }
    let gone = user(GONE);
    let reason = Some(format!("{SECRET} reason"));
    let own_room = User { role: chat::Role::Presenter, ..gone.clone() };
    let deleted = by(8, GONE, "in the room of who is erased, and deleted");
    let target = deleted.id;
    events.push(deleted);
    events.push(Event {
        body: Body::MessagePosted(MessagePosted {
            user: own_room.clone(),
            text: format!("{SECRET} of the presenter"),
            flags: vec!["ko.abuse".to_owned()],
        }),
        ..secret(GONE, 0)
    });
    let in_own_room = |body| Event::now(presenter(GONE), body);
    events.push(in_own_room(Body::MessageDeleted(MessageDeleted { target, by: own_room.clone(), reason: None })));
    events.push(by(8, GONE, "cleared"));
    events.push(in_own_room(Body::RoomCleared(RoomCleared { by: own_room.clone(), reason: None })));
    let user_8 = user(8).idx;
    let ban = |user, by, reason| Body::UserBanned(UserBanned { user, until: None, by, reason });
    events.push(in_own_room(ban(user_8, own_room, None)));
    events.push(Event::of_every_room(ban(gone.idx, user(3), reason.clone())));
    events.push(Event::now(presenter(2), ban(gone.idx, user(3), reason.clone())));
    // Somebody says why a message of the user had to go.
    let (hers, first) = (secret(4, 1_000), secret(5, 1_001));
    let deleted = MessageDeleted { target: hers.id, by: user(3), reason };
    events.extend([hers, first.clone(), Event::now(presenter(4), Body::MessageDeleted(deleted))]);
    count += 2;
    for event in events {
        world.log.append(&event).await.unwrap();
    }
    let head = r#""v":99,"id":"0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3","type":"message.posted","presenterIdx":1"#;
    let line = format!(r#"{{{head},"user":{{"idx":{GONE},"nickname":"사용자{GONE}"}},"text":"{SECRET}"}}"#);
    let other = format!(r#"{{{head},"user":{{"idx":8,"nickname":"x"}}}}"#);
    // A deletion of a later version says why a message of the user had to go.
    archived(world).await;
    let deletion = format!(r#"{{{head},"target":"{}","reason":"{SECRET} reason"}}"#, first.id);
    world.append_raw(format!("{line}\nnot JSON \"idx\": {GONE}, {SECRET}\n{other}\n{deletion}").as_bytes()).await;
    (count + 1, target)
}

/// What of the life above is erased, as a receipt has it. The message in the room that the user cleared counts as deleted
/// by the user, and so does the user's own.
fn counts(messages: i64, mode: &str) -> Value {
    // In the mode `remove` the user's own message in that room is gone before its mark is looked at.
    let deleted = if mode == "remove" { 2 } else { 3 };
    json!({ "messages": messages, "decided": 3, "decisionsAbout": 3, "deleted": deleted, "quarantined": 3 })
}

async fn is_erased_everywhere(mode: &str, partitions: u32) {
    let world = World::with_partitions(partitions).await;
    let (archiver, other) = tokio::join!(world.archiver(), world.archiver());
    let (messages, target) = a_life(&world).await;
    archived(&world).await;
    assert!(traces(&world).await.len() > 100);
    let others = world.collection("chatting_log").count_documents(doc! { "userIdx": 8_i64 }).await.unwrap();
    let decisions = world.collection("moderation_log").count_documents(doc! {}).await.unwrap();

    let (status, receipt) = erase(&archiver, mode).await;
    assert_eq!(status, 200, "{receipt}");
    assert_no_traces(&world).await;
    assert_eq!((&receipt["state"], &receipt["mode"]), (&json!("done"), &json!(mode)), "{receipt}");
    assert_eq!(receipt["erased"], counts(messages, mode), "{receipt}");
    assert_eq!(receipt["by"], json!({ "idx": 9, "nickname": "privacy", "role": "moderator" }));
    let time = |member: &str| receipt[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let hours = |member| (time(member) - time("at")).as_secs_f64() / 3_600.0;
    assert!((24.0..24.1).contains(&hours("logHeldUntil")), "{receipt}");
    assert!((48.0..48.1).contains(&hours("keptUntil")), "{receipt}");
    assert!(receipt["stays"].as_array().unwrap().iter().any(|stays| stays["code"] == "log"), "{receipt}");

    // What others wrote and decided is all there, what they deleted is deleted.
    let messages_of_8 = world.collection("chatting_log").count_documents(doc! { "userIdx": 8_i64 }).await.unwrap();
    assert_eq!(messages_of_8, others);
    assert_eq!(world.collection("moderation_log").count_documents(doc! {}).await.unwrap(), decisions);
    assert_eq!(world.documents("quarantine", 1).await.len(), 1);
    let deleted = world.collection("chatting_log").find_one(doc! { "_id": target.to_string() }).await.unwrap().unwrap();
    let by_whom = deleted.get_document("deleted").unwrap().get_document("by").unwrap();
    assert!(by_whom.get_i64("userIdx").unwrap() < 0, "{deleted}");

    // Whatever comes again: all of the log, and a copy of the erasure.
    let removed = doc! { "message": "of somebody else 7" };
    world.collection("chatting_log").delete_one(removed.clone()).await.unwrap();
    read_the_log_again(&world).await;
    let back = world.collection("chatting_log").count_documents(removed).await.unwrap();
    assert_eq!(back, 1, "the log was read again");
    if mode == "remove" {
        assert_no_traces(&world).await;
    }
    // What the user writes from then on is not erased.
    let since = by(GONE, 3, "written since");
    world.log.append(&since).await.unwrap();
    archived(&world).await;
    assert_eq!(traces(&world).await.len(), 1);
    let receipts = receipts(&other).await;
    assert_eq!((receipts.len(), &receipts[0]), (1, &receipt));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_is_nowhere_in_the_archive_and_stays_so() {
    is_erased_everywhere("remove", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_is_nowhere_in_the_archive_whatever_the_number_of_partitions() {
    is_erased_everywhere("remove", 3).await;
}

/// The number under the messages that say this.
async fn author(world: &World, text: &str) -> Vec<i64> {
    let texts = doc! { "message": { "$regex": text } };
    let mut found = world.collection("chatting_log").find(texts).await.unwrap();
    let mut authors = Vec::new();
    while found.advance().await.unwrap() {
        let message = found.deserialize_current().unwrap();
        let author = message.get_i64("userIdx").unwrap();
        if author < 0 {
            let (nickname, role) = (message.get_str("nickname").unwrap(), message.get_str("role").unwrap());
            assert_eq!((nickname, role), ("", "viewer"), "{message}");
        }
        authors.push(author);
    }
    authors
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_anonymised_leaves_texts_under_one_pseudonym_that_leads_to_nobody() {
    let world = World::with_partitions(3).await;
    let (archiver, _other) = tokio::join!(world.archiver(), world.archiver());
    let (messages, _) = a_life(&world).await;
    archived(&world).await;
    let (status, receipt) = erase(&archiver, "anonymise").await;
    assert_eq!(status, 200, "{receipt}");
    assert_eq!(receipt["erased"], counts(messages, "anonymise"), "{receipt}");
    assert!(receipt["stays"].as_array().unwrap().iter().any(|stays| stays["code"] == "texts"), "{receipt}");
    assert!(!receipt.to_string().contains("pseudonym\":"), "{receipt}");
    let authors = author(&world, SECRET).await;
    assert_eq!(authors.len() as i64, messages);
    let pseudonym = authors[0];
    assert!((-(1_i64 << 53) + 1..0).contains(&pseudonym), "{pseudonym}");
    assert!(authors.iter().all(|author| *author == pseudonym));

    // From the log it comes under the same one.
    let one = doc! { "message": { "$regex": SECRET }, "presenterIdx": 1_i64 };
    let removed = world.collection("chatting_log").delete_many(one).await.unwrap().deleted_count;
    assert!(removed > 5);
    read_the_log_again(&world).await;
    let authors = author(&world, SECRET).await;
    assert_eq!(authors.len() as i64, messages);
    assert!(authors.iter().all(|author| *author == pseudonym));
    let found = traces(&world).await;
    assert!(found.iter().all(|trace| !trace.contains(&user(GONE).nickname) && !trace.contains("reason")), "{found:?}");

    // What they wrote since is another erasure's, and another pseudonym's.
    world.log.append(&by(GONE, 3, "written since")).await.unwrap();
    archived(&world).await;
    assert_eq!(author(&world, "written since").await, [GONE]);
    let (_, again) = erase(&archiver, "anonymise").await;
    assert_eq!(again["erased"]["messages"], 1, "{again}");
    let since = author(&world, "written since").await;
    assert!(since[0] < 0 && since[0] != pseudonym);
    assert!(author(&world, SECRET).await.iter().all(|author| *author == pseudonym));
    // And removing what is written since leaves the anonymised texts.
    let (_, third) = erase(&archiver, "remove").await;
    assert_eq!(third["erased"]["messages"], 0, "{third}");
    assert_eq!(receipts(&archiver).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_log_and_not_archived_yet_does_not_get_into_the_archive() {
    let world = World::with_partitions(2).await;
    let settings = world.settings.clone().set("archiver.batch_events", "50");
    let archiver = Role::start("archiver", &settings).await;
    // The archiver is ready and has all of this before it.
    archiver.pause();
    for number in 0..4_000 {
        let event = if number % 2 == 0 { secret(1 + number as i64 % 16, number) } else { by(8, 1, "other") };
        let log = world.log.clone();
        if number % 100 == 0 {
            log.append(&event).await.unwrap();
        } else {
            // Many at a time; the last one of a hundred is waited for.
            tokio::spawn(async move { log.append(&event).await.unwrap() });
        }
    }
    eventually("everything is in the log", PATIENCE, async || {
        let mut tail = world.log.tail(nats::Start::Oldest);
        let mut seen = 0;
        while let Ok(Ok(entries)) = tokio::time::timeout(Duration::from_millis(300), tail.next()).await {
            seen += entries.len();
        }
        (seen >= 4_000).then_some(())
    })
    .await;
    archiver.resume();
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!(status, 200, "{receipt}");
    // Not even for a moment.
    eventually("everything is archived", PATIENCE, async || {
        assert_no_traces(&world).await;
        let archived = world.collection("chatting_log").count_documents(doc! {}).await.unwrap();
        (archived == 2_000).then_some(())
    })
    .await;
    archived(&world).await;
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_killed_again_and_again_is_finished_and_counts_right() {
    let world = World::start().await;
    let settings = world.settings.clone().set("archiver.retention.sweep_seconds", "1");
    let archiver = Role::start("archiver", &settings).await;
    const MESSAGES: usize = 20_000;
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..MESSAGES {
        let (log, event) = (world.log.clone(), secret(1 + number as i64 % 4, number));
        appends.spawn(async move { log.append(&event).await.unwrap() });
        if appends.len() >= 500 {
            appends.join_next().await;
        }
    }
    appends.join_all().await;
    archived(&world).await;
    // Whoever asks is cut off by the first death, and does not come back.
    let url = format!("{}/v1/users/{GONE}", archiver.url());
    let token = token_with(json!({ "user_idx": 9, "scope": "chat:erase" }));
    let asked = tokio::spawn(client().delete(url).bearer_auth(token).send());
    let left = || async { world.collection("chatting_log").count_documents(doc! {}).await.unwrap() };
    let mut known = MESSAGES as u64;
    for _ in 0..4 {
        known = eventually("it is going on", PATIENCE, async || Some(left().await).filter(|left| *left < known)).await;
        if known == 0 {
            break;
        }
        archiver.kill();
        archiver.start_again().await;
    }
    assert!(asked.await.unwrap().is_err(), "it was killed before it was done");
    let receipt = done(&archiver).await;
    assert_eq!(receipt["erased"]["messages"], MESSAGES, "{receipt}");
    archived(&world).await;
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archivers_that_erase_the_same_at_the_same_time_count_it_once() {
    let world = World::with_partitions(3).await;
    let settings = world.settings.clone().set("archiver.retention.sweep_seconds", "1");
    let (one, two) = tokio::join!(Role::start("archiver", &settings), Role::start("archiver", &settings));
    let count = 6_000;
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..count {
        let (log, event) = (world.log.clone(), secret(1 + number as i64 % 16, number));
        appends.spawn(async move { log.append(&event).await.unwrap() });
    }
    appends.join_all().await;
    archived(&world).await;
    // A copy in each partition, each of which somebody reads; and twice.
    let event = erased(ErasureMode::Remove);
    world.log.append(&event).await.unwrap();
    world.log.append(&event).await.unwrap();
    let receipt = done(&one).await;
    archived(&world).await;
    assert_eq!(done(&two).await["erased"]["messages"], count, "{receipt}");
    assert_eq!(receipts(&two).await.len(), 1);
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_accepted_while_the_log_is_away_and_done_once_it_is_back() {
    let world = World::start().await;
    let settings = world
        .settings
        .clone()
        .set("archiver.retention.sweep_seconds", "1")
        .set("archiver.http.request_timeout_ms", "12000")
        .set("nats.append_deadline_ms", "1000");
    let archiver = Role::start("archiver", &settings).await;
    let (_, _) = a_life(&world).await;
    archived(&world).await;
    world.nats.kill();
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["state"]), (202, &json!("running")), "{receipt}");
    assert_eq!(receipt.get("logHeldUntil"), None);
    world.nats.start_again().await;
    let receipt = done(&archiver).await;
    assert!(receipt["logHeldUntil"].is_string(), "{receipt}");
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_begun_before_the_log_lost_its_end_is_done_and_stands_in_the_log_once() {
    let world = World::start().await;
    let way = Proxy::start(world.nats.url().replace("nats://", "")).await;
    let settings = world
        .settings
        .clone()
        .set("archiver.retention.sweep_seconds", "1")
        .set("archiver.http.request_timeout_ms", "12000")
        .set("nats.append_deadline_ms", "1000")
        .set("nats.urls", &way.url());
    let archiver = Role::start("archiver", &settings).await;
    a_life(&world).await;
    archived(&world).await;
    way.refuse();
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["state"]), (202, &json!("running")), "{receipt}");
    crate::support::log(&world.settings).await.begin_epoch().await.unwrap();
    way.release();
    assert_eq!(archiver.exit_code(PATIENCE).await, 70);
    archiver.start_as_a_service().await;
    done(&archiver).await;
    assert_no_traces(&world).await;
    let log = crate::support::log(&world.settings).await;
    let copies = crate::log::everything(&log).await.iter().filter(|entry| entry.kind == EventKind::UserErased).count();
    assert_eq!(copies, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_erase_erases_nobody() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    world.log.append(&secret(1, 1)).await.unwrap();
    archived(&world).await;
    let client = client();
    let scope = |scope: &str| token_with(json!({ "user_idx": GONE, "scope": scope }));
    for (path, token, status, code) in [
        ("/v1/users/77", Some(scope("chat:moderate chat:read")), 403, "forbidden"),
        ("/v1/users/77", Some(scope("")), 403, "forbidden"),
        ("/v1/users/77", None, 401, "token_missing"),
        ("/v1/users/0", Some(scope("chat:erase")), 400, "user_idx_invalid"),
        ("/v1/users/-77", Some(scope("chat:erase")), 400, "user_idx_invalid"),
        ("/v1/users/9007199254740992", Some(scope("chat:erase")), 400, "user_idx_invalid"),
        ("/v1/users/77?mode=both", Some(scope("chat:erase")), 400, "query_invalid"),
    ] {
        let mut request = client.delete(archiver.url() + path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code, "{path}");
    }
    let path = archiver.url() + "/v1/users/77/erasures";
    assert_eq!(client.get(path).bearer_auth(scope("chat:read")).send().await.unwrap().status(), 403);
    assert!(receipts(&archiver).await.is_empty());
    assert_eq!(traces(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_erased_message_that_stands_after_the_erasure_does_not_come_back() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let id = EventId::derived(Some(presenter(1)), user(GONE).idx, "key");
    let event = Event { id, ..secret(1, 1) };
    // Of another key: it is new.
    let other = Event { id: EventId::derived(Some(presenter(1)), user(GONE).idx, "other"), ..secret(1, 2) };
    world.log.append(&event).await.unwrap();
    archived(&world).await;
    let (status, _) = erase(&archiver, "remove").await;
    assert_eq!(status, 200);
    for event in [&event, &other, &event] {
        world.log.append(event).await.unwrap();
    }
    archived(&world).await;
    let room = world.room(1, 1).await;
    assert_eq!(room.iter().map(|message| message.id).collect::<Vec<_>>(), [other.id]);
    read_the_log_again(&world).await;
    assert_eq!(world.room(1, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_an_earlier_log_is_erased_too() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    // The epoch 1 is no partition's of this log.
    let lines = (1_u64..).zip([secret(1, 1), by(8, 1, "other"), secret(2, 2)]);
    let lines = lines.map(|(sequence, event)| Ok(super::broadcasts::at(sequence, &event))).collect();
    world.archive.write(lines).await.unwrap();
    assert_eq!(traces(&world).await.len(), 2);
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["erased"]["messages"]), (200, &json!(2)), "{receipt}");
    assert_no_traces(&world).await;
}

/// A nickname comes out of a token, and whoever signs tokens may put anything there.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasers_nickname_turns_no_text_round_in_the_receipt_or_the_log() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let nickname = "pri\u{202E}vacy\n\u{2066}!\u{2069}";
    let token = token_with(json!({ "user_idx": 9, "nickname": nickname, "scope": "chat:erase" }));
    let url = format!("{}/v1/users/{GONE}?mode=remove", archiver.url());
    let answer = client().delete(url).bearer_auth(token).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");

    assert_eq!(done(&archiver).await["by"]["nickname"], "privacy!");
    let entries = everything(&world.log).await;
    let erasures: Vec<UserErased> = entries
        .iter()
        .filter_map(|entry| match entry.event().unwrap().body {
            Body::UserErased(erased) => Some(erased),
            _ => None,
        })
        .collect();
    assert_eq!(erasures.len(), 1);
    assert_eq!(erasures[0].by.nickname, "privacy!");
}

/// The receipts' documents say when they go, and the tombstone is not gone before the log is.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_to_hold_its_events_longer_lengthens_the_life_of_tombstones() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    world.log.append(&secret(1, 1)).await.unwrap();
    let (_, receipt) = erase(&archiver, "remove").await;
    assert_eq!(archiver.terminate().await, 0);
    let settings: Settings = world.settings.clone().set("nats.max_age_hours", "72");
    let longer = Role::start("archiver", &settings).await;
    let later = receipts(&longer).await.remove(0);
    let hours = |receipt: &Value, member: &str| {
        let time = |member: &str| receipt[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        ((time(member) - time("at")).as_secs_f64() / 3_600.0).round()
    };
    assert_eq!([hours(&receipt, "logHeldUntil"), hours(&receipt, "keptUntil")], [24.0, 48.0]);
    assert_eq!([hours(&later, "logHeldUntil"), hours(&later, "keptUntil")], [72.0, 96.0]);
    let indexes = world.collection("erasures").list_index_names().await.unwrap();
    assert!(indexes.contains(&"expires_by_expiresAt".to_owned()), "{indexes:?}");
    let _: Document = world.collection("erasures").find_one(doc! {}).await.unwrap().unwrap();
    world.log.append(&message(1, "the end")).await.unwrap();
    assert_eq!(world.room(1, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_comes_at_the_same_moment_as_what_it_is_about_misses_nothing() {
    let mongod = crate::support::Mongod::start().await;
    let config = super::config(&mongod).archiver;
    let archives = [Archive::connect(&config).await.unwrap(), Archive::connect(&config).await.unwrap()];
    let lines = |first: u64, events: &[Event]| {
        let lines = (first..).zip(events).map(|(sequence, event)| Ok(super::broadcasts::at(sequence, event)));
        lines.collect::<Vec<_>>()
    };
    const ROUNDS: i64 = 400;
    for round in 1..=ROUNDS {
        let (gone, other) = (1_000 + round, 9_000 + round);
        let target = by(other, round, "of somebody else");
        let deleted = MessageDeleted { target: target.id, by: user(gone), reason: None };
        let decision = Event::now(presenter(round), Body::MessageDeleted(deleted));
        let mode = if round % 2 == 0 { ErasureMode::Remove } else { ErasureMode::Anonymise };
        let erased = UserErased { user: user(gone).idx, mode, by: user(9) };
        let erased = Event::of_every_room(Body::UserErased(erased));
        let first = 10 * round.unsigned_abs();
        let hers = by(gone, round, "before");
        let deleted = MessageDeleted { target: hers.id, by: user(other), reason: Some(WHY.to_owned()) };
        let deletion = lines(first + 4, &[Event::now(presenter(round), Body::MessageDeleted(deleted))]);
        let life = lines(first, &[target, hers, decision]);
        let erasure = lines(first + 5, &[erased]);
        // Each of the two gets ahead of the other by turns, a little further each time.
        let behind = async |turns: i64| {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let turns = round / 2 % 40;
        let (life_behind, erasure_behind) = if round % 4 < 2 { (turns, 0) } else { (0, turns) };
        let (one, two, three) = tokio::join!(
            async {
                behind(life_behind).await;
                archives[0].write(life).await
            },
            async {
                behind(round % 40).await;
                archives[0].write(deletion).await
            },
            async {
                behind(erasure_behind).await;
                archives[1].write(erasure).await
            }
        );
        one.unwrap();
        two.unwrap();
        three.unwrap();
    }
    let database = Client::with_uri_str(mongod.uri()).await.unwrap().database("chatting");
    let leads = |path: &str| doc! { path: { "$gte": 1_000_i64, "$lt": 9_000_i64 } };
    for (collection, path) in
        [("chatting_log", "userIdx"), ("chatting_log", "deleted.by.userIdx"), ("moderation_log", "by.userIdx")]
    {
        let found = database.collection::<Document>(collection).count_documents(leads(path)).await.unwrap();
        assert_eq!(found, 0, "{path} of {collection} leads to somebody");
    }
    for (collection, path) in [("chatting_log", "deleted.reason"), ("moderation_log", "reason")] {
        let found = database.collection::<Document>(collection).count_documents(doc! { path: WHY }).await.unwrap();
        assert_eq!(found, 0, "{path} of {collection} says why a message was deleted that is erased");
    }
    let marked = doc! { "deleted.by.userIdx": { "$lt": 0_i64 } };
    let marked = database.collection::<Document>("chatting_log").count_documents(marked).await.unwrap();
    assert_eq!(marked as i64, ROUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_archiver_had_stored_without_knowing_of_the_erasure_goes_when_its_batch_comes_again() {
    for mode in [ErasureMode::Remove, ErasureMode::Anonymise] {
        let world = World::start().await;
        let line = |sequence, event: &Event| Ok(super::broadcasts::at(sequence, event));
        let ban = UserBanned { user: user(8).idx, until: None, by: user(GONE), reason: None };
        let (message, ban) = (secret(1, 1), Event::now(presenter(1), Body::UserBanned(ban)));
        let batch = || vec![line(1, &message), line(2, &ban)];
        world.archive.write(batch()).await.unwrap();
        let (message, ban) = (world.documents("chatting_log", 1).await, world.documents("moderation_log", 1).await);
        world.archive.write(vec![line(3, &erased(mode))]).await.unwrap();
        let receipt = world.documents("erasures", 1).await.into_values().next().unwrap();
        assert_eq!(receipt.get_str("state").unwrap(), "done");
        // It had looked for erasures before that one was there, and dies after its insert.
        for (collection, document) in [("chatting_log", message), ("moderation_log", ban)] {
            let document = document.into_values().next().unwrap();
            let id = doc! { "_id": document.get_str("_id").unwrap() };
            world.collection(collection).replace_one(id, document).upsert(true).await.unwrap();
        }
        world.archive.write(batch()).await.unwrap();
        let found = traces(&world).await;
        assert!(found.iter().all(|trace| !trace.contains(&user(GONE).nickname)), "{found:?}");
        assert_eq!(found.len(), if mode == ErasureMode::Remove { 0 } else { 1 }, "{found:?}");
    }
}

/// Why a message of the user was deleted.
const WHY: &str = "posted her own address";

#[tokio::test(flavor = "multi_thread")]
async fn why_a_message_was_deleted_goes_with_it_in_whichever_order_all_of_it_is_archived() {
    let mongod = crate::support::Mongod::start().await;
    let client = Client::with_uri_str(mongod.uri()).await.unwrap();
    let (hers, other) = (by(GONE, 1, "hers"), by(8, 1, "of somebody else"));
    let deleted = |target, reason: &str| {
        let body = MessageDeleted { target, by: user(3), reason: Some(reason.to_owned()) };
        Event::now(presenter(1), Body::MessageDeleted(body))
    };
    let cleared = RoomCleared { by: user(3), reason: Some("a raid".to_owned()) };
    let decisions = [
        (3, deleted(hers.id, WHY)),
        (4, deleted(other.id, "rude")),
        (5, Event::now(presenter(1), Body::RoomCleared(cleared))),
        (6, deleted(hers.id, WHY)),
        // Decided while the erasure was on its way.
        (8, deleted(hers.id, WHY)),
    ];
    let mut number = 0;
    for mode in [ErasureMode::Remove, ErasureMode::Anonymise] {
        let groups = [vec![(1, hers.clone()), (2, other.clone())], decisions.to_vec(), vec![(7, erased(mode))]];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            number += 1;
            let mut config = super::config(&mongod).archiver;
            config.database = format!("order_{number}");
            let archive = Archive::connect(&config).await.unwrap();
            let lines = |group: &[(u64, Event)]| {
                group.iter().map(|(place, event)| Ok(super::broadcasts::at(*place, event))).collect::<Vec<_>>()
            };
            for group in order {
                archive.write(lines(&groups[group])).await.unwrap();
            }
            // A copy of a decision whose place is before that of the one that is there; then all of it at once.
            archive.write(lines(&[(2, decisions[3].1.clone())])).await.unwrap();
            archive.write(lines(&groups.concat())).await.unwrap();
            let mut reasons = Vec::new();
            for collection in ["chatting_log", "moderation_log"] {
                let mut documents =
                    client.database(&config.database).collection::<Document>(collection).find(doc! {}).await.unwrap();
                while documents.advance().await.unwrap() {
                    let document = documents.deserialize_current().unwrap();
                    assert!(!document.to_string().contains(WHY), "{mode:?} {order:?}: {collection} has {document}");
                    let mark = document.get_document("deleted").unwrap_or(&document);
                    reasons.extend(mark.get_str("reason").ok().map(str::to_owned));
                }
            }
            reasons.sort();
            assert_eq!(reasons, ["a raid", "rude", "rude"], "{mode:?} {order:?}");
            let decided = client.database(&config.database).collection::<Document>("moderation_log");
            assert_eq!(decided.count_documents(doc! { "by.userIdx": 3_i64 }).await.unwrap(), 5, "{mode:?} {order:?}");
        }
    }
}

/// Every document of the collections that may lead to somebody, by collection and `_id`.
async fn all_documents(world: &World) -> std::collections::BTreeMap<(&'static str, String), Document> {
    let mut all = std::collections::BTreeMap::new();
    for name in COLLECTIONS {
        let mut documents = world.collection(name).find(doc! {}).await.unwrap();
        while documents.advance().await.unwrap() {
            let document = documents.deserialize_current().unwrap();
            all.insert((name, document.get("_id").unwrap().to_string()), document);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_takes_nothing_of_others_and_nothing_that_came_after_it() {
    for mode in ["remove", "anonymise"] {
        let world = World::start().await;
        let archiver = world.archiver().await;
        a_life(&world).await;
        // Who could be taken for the user.
        for (idx, text) in [(7, "7"), (177, "177"), (770, "770"), (8, "user 77 wrote this")] {
            world.log.append(&by(idx, 3, text)).await.unwrap();
        }
        let banned = UserBanned { user: user(177).idx, until: None, by: user(8), reason: Some("77".to_owned()) };
        world.log.append(&Event::now(presenter(3), Body::UserBanned(banned))).await.unwrap();
        world.append_raw(br#"{"user":{"idx":177}} is no event, 77"#).await;
        archived(&world).await;
        let mut others = all_documents(&world).await;
        others.retain(|_, document| !leads_there(&Bson::Document(document.clone())));
        others.retain(|_, document| !document.to_string().contains(SECRET));
        assert!(others.len() > 200, "{}", others.len());

        let (status, receipt) = erase(&archiver, mode).await;
        assert_eq!(status, 200, "{receipt}");
        let after = all_documents(&world).await;
        for (key, document) in &others {
            assert_eq!(after.get(key), Some(document), "{mode}: it was somebody else's");
        }

        // What the user does from then on.
        let since = by(GONE, 3, "written since");
        world.log.append(&since).await.unwrap();
        let deleted = MessageDeleted { target: since.id, by: user(GONE), reason: Some("since".to_owned()) };
        world.log.append(&Event::now(presenter(3), Body::MessageDeleted(deleted))).await.unwrap();
        let banned = UserBanned { user: user(GONE).idx, until: None, by: user(8), reason: Some("since".to_owned()) };
        world.log.append(&Event::now(presenter(3), Body::UserBanned(banned))).await.unwrap();
        world.append_raw(br#"{"user":{"idx":77}} is no event, and came since"#).await;
        archived(&world).await;
        let all = all_documents(&world).await;
        let count = |text: &str| all.values().filter(|document| document.to_string().contains(text)).count();
        assert_eq!((count("written since"), count("came since"), count("\"since\"")), (1, 1, 3), "{mode}");
        // The erasure comes up again, here and in another archiver.
        let _other = world.archiver().await;
        read_the_log_again(&world).await;
        let again = all_documents(&world).await;
        for (key, document) in &all {
            let same = again.get(key).map(|again| without_time(again.clone()));
            assert_eq!(same, Some(without_time(document.clone())), "{mode}: it stood after the erasure, or was erased");
        }
    }
}

/// A line in quarantine says when it came there last.
fn without_time(mut document: Document) -> Document {
    if document.contains_key("line") {
        document.remove("at");
    }
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_one_partition_does_not_take_is_running_and_is_done_once_that_does() {
    let mut world = World::with_partitions(3).await;
    world.settings = world
        .settings
        .clone()
        .set("archiver.retention.sweep_seconds", "1")
        .set("archiver.http.request_timeout_ms", "12000")
        .set("nats.append_deadline_ms", "1000");
    let archiver = world.archiver().await;
    a_life(&world).await;
    archived(&world).await;
    let context = jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    let resize = async |max_bytes| {
        let mut config = context.get_stream("CHAT_1").await.unwrap().cached_info().config.clone();
        config.max_bytes = max_bytes;
        context.update_stream(config).await.unwrap();
    };
    resize(1).await;
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["state"]), (202, &json!("running")), "{receipt}");
    resize(1 << 30).await;
    let receipt = done(&archiver).await;
    assert_no_traces(&world).await;
    let (_, again) = (archived(&world).await, receipts(&archiver).await);
    assert_eq!((again.len(), &again[0]["id"]), (1, &receipt["id"]), "{again:?}");
}
