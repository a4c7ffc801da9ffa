//! Warnings reach the readers who moderate the room, and notes reach nobody.

use chat::{NoteAdded, UserWarned, WarningSent, WarningWithdrawn};

use super::*;
use crate::delivery::page::Page;

#[tokio::test(flavor = "multi_thread")]
async fn warnings_reach_the_moderators_readers_alone_and_notes_nobody() {
    let world = World::with(&[("ingest.room.readers", "members")]).await;
    let node = world.node().await;
    let (mut page, _) = Page::connect(&node, 42).await;
    let mut moderators = Vec::new();
    for token in [moderator(), token(42, "presenter")] {
        moderators.push(Reader::start(&node, 42, &token, "now").await.0);
    }
    let mut others = Vec::new();
    for token in [analyst(), token(7, "viewer")] {
        others.push(Reader::start(&node, 42, &token, "now").await.0);
    }
    let by = User { idx: UserIdx::try_from(3).unwrap(), nickname: "mod".to_owned(), role: chat::Role::Moderator };
    let user = UserIdx::try_from(7).unwrap();
    let reason = Some("a private reason".to_owned());
    let in_room = |body: Body| Event::now(idx(42), body);
    let warned = in_room(Body::UserWarned(UserWarned { user, by: by.clone(), reason: reason.clone() }));
    let sent = in_room(Body::WarningSent(WarningSent { user, target: warned.id }));
    let noted = in_room(Body::NoteAdded(NoteAdded { user, text: reason, by: by.clone() }));
    let withdrawn = in_room(Body::WarningWithdrawn(WarningWithdrawn { user, by, reason: None }));
    for event in [&warned, &sent, &noted, &withdrawn] {
        world.log.append(event).await.unwrap();
    }
    world.post(42, &["after"]).await;

    for reader in &mut moderators {
        let events = reader.events(4).await;
        let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["user.warned", "warning.sent", "warning.withdrawn", "message.posted"]);
        assert_eq!((&events[0]["user"], &events[0]["reason"]), (&json!(7), &json!("a private reason")));
        assert_eq!(events[1]["target"], json!(warned.id));
    }
    for reader in &mut others {
        assert_eq!(reader.texts(1).await, ["after"]);
    }
    assert_eq!(page.texts(1).await, ["after"], "a relay forwards what it does not know");
}
