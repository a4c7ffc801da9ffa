//! A room's moderators can read its archive as its presenter can, while they are moderators.

use chat::{Body, Event, ModeratorAdded, ModeratorRemoved, UserBanned};
use nats::Subject;
use serde_json::json;

use super::reading::{Reader, archive, breaks_off, said, texts};
use super::replay::cut_twice;
use super::{PATIENCE, World, deletion, presenter, user};
use crate::support::eventually;

const HELPER: i64 = 8;

fn added() -> Event {
    Event::now(
        presenter(42),
        Body::ModeratorAdded(ModeratorAdded { user: user(HELPER).idx, by: user(42), reason: None }),
    )
}

fn removed() -> Event {
    let removed = ModeratorRemoved { user: user(HELPER).idx, by: user(42), reason: None };
    Event::now(presenter(42), Body::ModeratorRemoved(removed))
}

/// Puts the decision into the log and the saved decisions, as an ingest node does.
async fn decide(world: &World, event: &Event) {
    let position = world.log.append(event).await.unwrap();
    let subject = Subject::of(event).expect("it is a lasting decision");
    world.log.decisions().keep(subject, position, event).await.unwrap();
}

#[tokio::test]
async fn a_moderator_reads_of_the_room_what_its_presenter_reads_until_removed() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (gone, stays) = (said(42, 7, 0, "deleted"), said(42, 7, 5, "stays"));
    archive(&world, &[gone.clone(), stays, said(43, 7, 7, "of another room")]).await;
    archive(&world, &[deletion(42, gone.id)]).await;
    let helper = Reader::with(&archiver, json!({ "user_idx": HELPER }));
    let paths = ["/v1/rooms/42/messages", "/v1/rooms/42/moderation", "/v1/rooms/42/broadcasts"];
    for path in paths {
        let (status, code, detail) = helper.refused(path, &[]).await;
        assert_eq!((status.as_u16(), code.as_str()), (403, "forbidden"), "{path}");
        assert!(detail.contains("moderators"), "{detail}");
    }

    decide(&world, &added()).await;
    let owner = Reader::with(&archiver, json!({ "user_idx": 42 }));
    for path in paths {
        assert_eq!(helper.get(path, &[]).await, owner.get(path, &[]).await, "{path}");
    }
    let deleted = helper.all("/v1/rooms/42/messages", &[("deleted", "only")], "messages", 10).await;
    assert_eq!(texts(&deleted, "text"), ["deleted"]);
    for path in ["/v1/rooms/43/messages", "/v1/moderation", "/v1/users/7/messages"] {
        assert_eq!(helper.refused(path, &[]).await.1, "forbidden", "{path}");
    }
    // The audit has the appointment.
    archive(&world, &[]).await;
    let audit = owner.all("/v1/rooms/42/moderation", &[("type", "moderator.added")], "decisions", 10).await;
    assert_eq!((&audit[0]["user"], &audit[0]["by"]["idx"]), (&json!(HELPER), &json!(42)));

    // A ban from every room suspends the role.
    let ban = |until| {
        Body::UserBanned(UserBanned { user: user(HELPER).idx, until, purge_seconds: None, by: user(900), reason: None })
    };
    decide(&world, &Event::of_every_room(ban(None))).await;
    assert_eq!(helper.refused(paths[0], &[]).await.1, "forbidden");
    decide(&world, &Event::of_every_room(ban(Some(chat::now())))).await;
    helper.get(paths[0], &[]).await;

    decide(&world, &removed()).await;
    for path in paths {
        assert_eq!(helper.refused(path, &[]).await.1, "forbidden", "{path}");
    }
}

#[tokio::test]
async fn the_stream_of_a_moderator_who_is_removed_breaks_off() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (session, _, _) = cut_twice(&world).await;
    decide(&world, &added()).await;
    let helper = Reader::with(&archiver, json!({ "user_idx": HELPER }));
    // Unbroken it would last 159 s.
    let path = format!("/v1/rooms/42/broadcasts/{}/replay/events", session.id);
    let mut answer = helper.ask(&path, &[]).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.chunk().await.unwrap().is_some());
    decide(&world, &removed()).await;
    assert!(breaks_off(&mut answer).await, "it is seen not to be whole");
    assert_eq!(helper.refused(&path, &[]).await.1, "forbidden");
}

#[tokio::test]
async fn while_the_log_cannot_be_reached_services_read_on_and_roles_are_not_guessed() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    archive(&world, &[said(42, 7, 0, "hello")]).await;
    decide(&world, &added()).await;
    world.nats.kill();
    let (path, helper) = ("/v1/rooms/42/messages", Reader::with(&archiver, json!({ "user_idx": HELPER })));
    let refused = eventually("the role is not known", PATIENCE, async || {
        let answer = helper.ask(path, &[]).await;
        (answer.status() != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.status(), 503);
    for claims in [json!({ "user_idx": 42 }), json!({ "user_idx": 900, "scope": "chat:read" })] {
        let reader = Reader::with(&archiver, claims);
        assert_eq!(reader.all(path, &[], "messages", 10).await.len(), 1);
    }
}
