//! The queue of reports, and what an erasure leaves of it.

use chat::{Body, Event, EventId, MessageReported, MessageRestored, ReportClosed, RoomCleared, UserBanned};
use mongodb::bson::doc;
use serde_json::{Value, json};

use super::reading::{Reader, archive, client, evening, said, texts, time};
use super::{PATIENCE, World, deletion, presenter, user};
use crate::ingest::tokens::token_with;
use crate::support::{Role, eventually};

const QUEUE: &str = "/v1/rooms/42/reports";

/// A report of the message by the user, this many milliseconds into the evening.
fn reported(target: EventId, by: i64, ms: i64, category: &str) -> Event {
    let reason = Some(format!("the words of user {by}"));
    let reported = MessageReported { target, by: user(by), category: category.to_owned(), reason };
    Event::now(presenter(42), Body::MessageReported(reported)).recorded_at(evening(ms))
}

fn closed(target: EventId, room: i64) -> Event {
    let closed = ReportClosed { target, by: user(42), reason: Some("harmless".to_owned()) };
    Event::now(presenter(room), Body::ReportClosed(closed))
}

/// The texts of the queue's messages in that state.
async fn queue(reader: &Reader<'_>, state: &str) -> Vec<String> {
    let reports = reader.all(QUEUE, &[("state", state)], "reports", 2).await;
    assert!(reports.iter().all(|report| report["state"] == state), "{reports:?}");
    reports.iter().map(|report| report["message"]["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_queue_has_each_reported_message_once_with_its_reports() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (rude, fine) = (said(42, 7, 0, "rude"), said(42, 8, 5, "fine"));
    archive(&world, &[rude.clone(), fine.clone(), said(43, 7, 6, "of another room")]).await;
    let reports = [
        reported(rude.id, 10, 10, "harassment"),
        reported(rude.id, 11, 20, "spam"),
        reported(fine.id, 10, 30, "other"),
        // Ingest has forgotten the first report of this user.
        reported(rude.id, 10, 40, "hate"),
        // The archive has no such message.
        reported(EventId::new(), 10, 50, "spam"),
    ];
    archive(&world, &reports).await;
    let owner = Reader::with(&archiver, json!({ "user_idx": 42 }));
    let found = owner.all(QUEUE, &[], "reports", 1).await;
    let text = |report: &Value| report["message"]["text"].clone();
    assert_eq!(found.iter().map(text).collect::<Vec<_>>(), ["rude", "fine"], "the one reported last comes first");
    assert_eq!(owner.all(QUEUE, &[], "reports", 100).await, found);
    let by = |idx: i64| json!({ "idx": idx, "nickname": format!("사용자{idx}"), "role": "viewer" });
    let report = |index: usize, idx: i64, ms: i64, category: &str| {
        json!({ "id": reports[index].id.to_string(), "at": time(ms), "by": by(idx), "category": category,
                "reason": format!("the words of user {idx}") })
    };
    let mut first = found[0].clone();
    first.as_object_mut().unwrap().remove("message");
    let expected = json!({
        "state": "open", "count": 2, "firstAt": time(10), "lastAt": time(40),
        "categories": { "harassment": 1, "spam": 1 },
        "reports": [report(3, 10, 40, "hate"), report(1, 11, 20, "spam"), report(0, 10, 10, "harassment")],
    });
    assert_eq!(first, expected);

    for reader in [Reader::analyst(&archiver), Reader::with(&archiver, json!({ "user_idx": 10 }))] {
        assert_eq!(reader.refused(QUEUE, &[]).await.1, "forbidden");
    }
    assert_eq!(owner.refused("/v1/rooms/43/reports", &[]).await.1, "forbidden");
    assert_eq!(owner.refused(QUEUE, &[("state", "lost")]).await.1, "query_invalid");
    assert_eq!(owner.refused(QUEUE, &[("after", "x")]).await.1, "cursor_invalid");
    // Reports decide nothing, so the audit does not list them.
    archive(&world, &[deletion(42, rude.id), deletion(42, fine.id)]).await;
    let audit = owner.all("/v1/rooms/42/moderation", &[], "decisions", 10).await;
    let counts: Vec<&Value> = audit.iter().map(|decision| &decision["reports"]).collect();
    assert_eq!(counts, [&json!(2), &json!(1)], "{audit:?}");
}

#[tokio::test]
async fn reports_are_closed_by_the_next_decision_about_the_message_and_opened_by_the_next_report() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let reader = Reader::moderator(&archiver);
    let messages: Vec<Event> =
        ["closed", "deleted", "banned", "open"].into_iter().zip(7..).map(|(text, by)| said(42, by, 0, text)).collect();
    archive(&world, &messages).await;
    let reports: Vec<Event> = messages.iter().map(|message| reported(message.id, 20, 10, "spam")).collect();
    archive(&world, &reports).await;
    assert_eq!(queue(&reader, "open").await, ["open", "banned", "deleted", "closed"]);
    // A moderator of another room closes nothing here.
    archive(&world, &[closed(messages[0].id, 43)]).await;
    assert_eq!(queue(&reader, "closed").await, Vec::<String>::new());

    let ban = UserBanned { user: user(9).idx, until: None, purge_seconds: None, by: user(42), reason: None };
    let ban = Event::now(presenter(42), Body::UserBanned(ban));
    let closing = [closed(messages[0].id, 42), deletion(42, messages[1].id), ban];
    archive(&world, &closing).await;
    assert_eq!(queue(&reader, "open").await, ["open"]);
    let found = reader.all(QUEUE, &[("state", "closed")], "reports", 10).await;
    let types: Vec<&str> = found.iter().map(|report| report["closed"]["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["user.banned", "message.deleted", "report.closed"]);
    assert_eq!(found[2]["closed"]["reason"], "harmless");
    let audit = reader.all("/v1/rooms/42/moderation", &[("type", "report.closed")], "decisions", 10).await;
    assert_eq!((texts(&audit, "target"), &audit[0]["reports"]), (vec![messages[0].id.to_string().as_str()], &json!(1)));

    // A restoration opens nothing, and another report does.
    let restored = MessageRestored { target: messages[1].id, by: user(42), reason: None };
    archive(&world, &[Event::now(presenter(42), Body::MessageRestored(restored))]).await;
    assert_eq!(queue(&reader, "open").await, ["open"]);
    archive(&world, &[reported(messages[1].id, 21, 90, "spam")]).await;
    assert_eq!(queue(&reader, "open").await, ["deleted", "open"]);
    archive(&world, &[Event::now(presenter(42), Body::RoomCleared(RoomCleared { by: user(42), reason: None }))]).await;
    assert_eq!(queue(&reader, "open").await, Vec::<String>::new());
}

async fn erase(archiver: &Role, user: i64) {
    let token = token_with(json!({ "user_idx": 9, "nickname": "privacy", "scope": "chat:erase" }));
    let url = format!("{}/v1/users/{user}?mode=anonymise", archiver.url());
    eventually("the erasure is done", PATIENCE, async || {
        let answer = client().delete(&url).bearer_auth(&token).send().await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_erasure_takes_the_words_of_the_reporter_and_those_about_the_author() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (rude, fine) = (said(42, 7, 0, "rude"), said(42, 8, 5, "fine"));
    archive(&world, &[rude.clone(), fine.clone()]).await;
    let reports = [
        reported(rude.id, 10, 10, "hate"),
        reported(rude.id, 11, 20, "hate"),
        reported(fine.id, 10, 30, "hate"),
        reported(fine.id, 11, 40, "hate"),
    ];
    archive(&world, &reports).await;
    erase(&archiver, 10).await;
    erase(&archiver, 7).await;
    // An archiver that reads the log again finds the erasures.
    archive(&world, &reports).await;
    let reasons = world.collection("moderation_log");
    let kept = reasons.count_documents(doc! { "reason": { "$exists": true } }).await.unwrap();
    assert_eq!(kept, 1, "of the user who stays, about a message whose author stays");
    let named = reasons.count_documents(doc! { "$or": [{ "by.userIdx": 10_i64 }, { "by.nickname": "사용자10" }] });
    assert_eq!(named.await.unwrap(), 0);
    let found = Reader::moderator(&archiver).all(QUEUE, &[], "reports", 10).await;
    let of = |text: &str| found.iter().find(|report| report["message"]["text"] == text).unwrap();
    assert_eq!((&of("rude")["count"], &of("fine")["count"]), (&json!(2), &json!(2)));
    assert_eq!(of("fine")["reports"][0]["reason"], "the words of user 11");
    assert!(of("fine")["reports"][1]["by"]["idx"].as_i64().unwrap() < 0);
}
