//! Warnings and notes in the audit, and what an erasure leaves of them.

use chat::{Body, Event, NoteAdded, NoteDeleted, UserWarned, WarningSent, WarningWithdrawn};
use serde_json::{Value, json};

use super::reading::{Reader, archive, client, evening, time};
use super::{World, presenter, user};
use crate::ingest::tokens::token_with;
use crate::support::{Role, eventually};

const AUDIT: &str = "/v1/rooms/42/moderation";

/// A decision about the room, this many milliseconds into the evening.
fn decided(ms: i64, body: Body) -> Event {
    Event::now(presenter(42), body).recorded_at(evening(ms))
}

fn warned(idx: i64, by: i64, ms: i64) -> Event {
    let reason = Some("no links please".to_owned());
    decided(ms, Body::UserWarned(UserWarned { user: user(idx).idx, by: user(by), reason }))
}

fn noted(idx: i64, by: i64, ms: i64) -> Event {
    let text = Some("spams elsewhere".to_owned());
    decided(ms, Body::NoteAdded(NoteAdded { user: user(idx).idx, text, by: user(by) }))
}

/// Erases the user, and waits until that is done.
async fn erase(archiver: &Role, idx: i64) {
    let token = token_with(json!({ "user_idx": 9, "nickname": "privacy", "scope": "chat:erase" }));
    let url = format!("{}/v1/users/{idx}", archiver.url());
    let answer = client().delete(format!("{url}?mode=remove")).bearer_auth(&token).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    eventually("the erasure is done", super::PATIENCE, async || {
        let answer = client().get(format!("{url}/erasures")).bearer_auth(&token).send().await.unwrap();
        let receipts: Value = answer.json().await.unwrap();
        (receipts["erasures"][0]["state"] == "done").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_audit_says_who_warned_and_noted_what_about_whom_and_that_a_warning_was_sent() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (warning, note) = (warned(7, 3, 10), noted(7, 3, 30));
    let sent = Event {
        id: chat::EventId::of_sent(warning.id),
        ..decided(20, Body::WarningSent(WarningSent { user: user(7).idx, target: warning.id }))
    };
    let withdrawn = WarningWithdrawn { user: user(7).idx, by: user(42), reason: Some("sorry".to_owned()) };
    let deleted = NoteDeleted { user: user(7).idx, target: note.id, by: user(42), reason: None };
    let events = [
        warning.clone(),
        sent.clone(),
        note.clone(),
        decided(40, Body::NoteDeleted(deleted)),
        decided(50, Body::WarningWithdrawn(withdrawn)),
        warned(8, 3, 60),
    ];
    archive(&world, &events).await;
    let moderator = Reader::moderator(&archiver);
    let by = |idx: i64| json!({ "idx": idx, "nickname": format!("사용자{idx}"), "role": "viewer" });
    let of = |index: usize, ms: i64, kind: &str, members: Value| {
        let mut decision =
            json!({ "id": events[index].id, "type": kind, "presenterIdx": 42, "at": time(ms), "user": 7 });
        decision.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        decision
    };
    let expected = [
        of(0, 10, "user.warned", json!({ "by": by(3), "reason": "no links please" })),
        of(1, 20, "warning.sent", json!({ "target": warning.id })),
        of(2, 30, "note.added", json!({ "by": by(3), "reason": "spams elsewhere" })),
        of(3, 40, "note.deleted", json!({ "by": by(42), "target": note.id })),
        of(4, 50, "warning.withdrawn", json!({ "by": by(42), "reason": "sorry" })),
    ];
    assert_eq!(moderator.all(AUDIT, &[("user", "7")], "decisions", 2).await, expected);
    for decision in &expected {
        let kind = decision["type"].as_str().unwrap();
        let found = moderator.all(AUDIT, &[("type", kind), ("user", "7")], "decisions", 2).await;
        assert_eq!(found, std::slice::from_ref(decision), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_removes_what_was_said_about_the_user_and_the_moderators_name() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    archive(&world, &[warned(7, 3, 10), noted(7, 3, 20), warned(8, 3, 30), noted(8, 3, 40)]).await;
    let moderator = Reader::moderator(&archiver);
    let said = async || -> Vec<(bool, bool, String)> {
        let decisions = moderator.all(AUDIT, &[], "decisions", 10).await;
        let said = decisions.iter().map(|decision| {
            let name = decision["by"]["nickname"].as_str().unwrap().to_owned();
            (decision["user"].as_i64().unwrap() > 0, decision.get("reason").is_some(), name)
        });
        said.collect()
    };
    erase(&archiver, 7).await;
    let name = user(3).nickname;
    let (gone, there) = ((false, false, name.clone()), (true, true, name));
    assert_eq!(said().await, [gone.clone(), gone, there.clone(), there]);
    erase(&archiver, 3).await;
    let unnamed = |is_user: bool| (is_user, is_user, String::new());
    assert_eq!(said().await, [unnamed(false), unnamed(false), unnamed(true), unnamed(true)]);
    // What is archived only after the erasure of the user: nothing, for it is in the log after it.
    archive(&world, &[noted(7, 42, 50)]).await;
    assert_eq!(said().await[4], (true, true, user(42).nickname));
}
