//! Erasure of a user: from every collection, at once and permanently, despite kills, late events and repetitions.

mod orders;
mod outages;
mod requests;
mod traces;

use std::time::Duration;

use archiver::Archive;
use async_nats::jetstream;
use chat::{
    Body, ErasureMode, Event, EventId, EventKind, MessageDeleted, MessagePosted, MessageRestored, RoomCleared, User,
    UserBanned, UserErased,
};
use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::broadcasts::at;
use super::reading::{archived, client};
use super::{PATIENCE, World, config, message, presenter, user};
use crate::ingest::tokens::token_with;
use crate::log::everything;
use crate::support::{Proxy, Role, Settings, eventually};

/// The erased user.
const GONE: i64 = 77;

/// A string that only texts of that user contain. It must not be found afterwards.
const SECRET: &str = "the secret";

/// Every collection of the archiver, except those that record erasures.
const COLLECTIONS: [&str; 5] = ["chatting_log", "moderation_log", "broadcasts", "quarantine", "erased_ids"];

fn by(idx: i64, room: i64, text: impl Into<String>) -> Event {
    let posted = MessagePosted::new(user(idx), text);
    Event::now(presenter(room), Body::MessagePosted(posted))
}

fn secret(room: i64, number: usize) -> Event {
    by(GONE, room, format!("{SECRET} {number}"))
}

fn erased(mode: ErasureMode) -> Event {
    Event::of_every_room(Body::UserErased(UserErased { user: user(GONE).idx, mode, by: user(9) }))
}

/// Requests the erasure of the user.
async fn erase(archiver: &Role, mode: &str) -> (StatusCode, Value) {
    try_to_erase(archiver, mode).await.expect("the archiver answers")
}

/// The same. None: the connection ended without an answer.
async fn try_to_erase(archiver: &Role, mode: &str) -> Option<(StatusCode, Value)> {
    let url = format!("{}/v1/users/{GONE}?mode={mode}", archiver.url());
    let token = token_with(json!({ "user_idx": 9, "nickname": "privacy", "scope": "chat:erase" }));
    let answer = client().delete(url).bearer_auth(token).send().await.ok()?;
    let (status, location) = (answer.status(), answer.headers().get("location").cloned());
    let body = answer.text().await.ok()?;
    assert_eq!(location.is_some(), status == 202, "{status}: {body}");
    Some((status, serde_json::from_str(&body).unwrap()))
}

/// The receipts, newest first.
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

/// Every place in the archive that identifies the user, except their number as that of a room.
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

/// Makes the archivers read the whole log again.
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

/// Events of every kind that involve the user, among those of others. Returns the number of the user's messages, and a
/// message of another user that the user deleted.
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
            flags: vec!["ko.abuse".to_owned()],
            ..MessagePosted::new(own_room.clone(), format!("{SECRET} of the presenter"))
        }),
        ..secret(GONE, 0)
    });
    let in_own_room = |body| Event::now(presenter(GONE), body);
    events.push(in_own_room(Body::MessageDeleted(MessageDeleted { target, by: own_room.clone(), reason: None })));
    events.push(by(8, GONE, "cleared"));
    events.push(in_own_room(Body::RoomCleared(RoomCleared { by: own_room.clone(), reason: None })));
    let user_8 = user(8).idx;
    let ban = |user, by, reason| Body::UserBanned(UserBanned { user, until: None, purge_seconds: None, by, reason });
    events.push(in_own_room(ban(user_8, own_room, None)));
    events.push(Event::of_every_room(ban(gone.idx, user(3), reason.clone())));
    events.push(Event::now(presenter(2), ban(gone.idx, user(3), reason.clone())));
    // A reason for the deletion of a message of the user.
    let (hers, first, back) = (secret(4, 1_000), secret(5, 1_001), secret(4, 1_002));
    let delete = |target| Body::MessageDeleted(MessageDeleted { target, by: user(3), reason: reason.clone() });
    // And one for a restoration.
    let restored = MessageRestored { target: back.id, by: user(3), reason: reason.clone() };
    let decided = [delete(hers.id), delete(back.id), Body::MessageRestored(restored)];
    events.extend([hers, first.clone(), back]);
    events.extend(decided.map(|decided| Event::now(presenter(4), decided)));
    count += 3;
    for event in events {
        world.log.append(&event).await.unwrap();
    }
    let head = r#""v":99,"id":"0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3","type":"message.posted","presenterIdx":1"#;
    let line = format!(r#"{{{head},"user":{{"idx":{GONE},"nickname":"사용자{GONE}"}},"text":"{SECRET}"}}"#);
    let other = format!(r#"{{{head},"user":{{"idx":8,"nickname":"x"}}}}"#);
    // The same in a deletion of a later version.
    archived(world).await;
    let deletion = format!(r#"{{{head},"target":"{}","reason":"{SECRET} reason"}}"#, first.id);
    world.append_raw(format!("{line}\nnot JSON \"idx\": {GONE}, {SECRET}\n{other}\n{deletion}").as_bytes()).await;
    (count + 1, target)
}
