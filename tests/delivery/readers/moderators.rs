//! A room's moderators can read it as its presenter can, while they are moderators.

use chat::{MessageDeleted, ModeratorAdded, ModeratorRemoved, UserBanned, UserUnbanned};

use super::*;

const PATH: &str = "/v1/rooms/42/events";

fn user(idx: i64) -> UserIdx {
    UserIdx::try_from(idx).unwrap()
}

fn presenter() -> User {
    User { idx: user(42), nickname: "presenter".to_owned(), role: chat::Role::Presenter }
}

fn in_room(body: Body) -> Event {
    Event::now(idx(42), body)
}

fn added(idx: i64) -> Event {
    in_room(Body::ModeratorAdded(ModeratorAdded { user: user(idx), by: presenter(), reason: None }))
}

fn removed(idx: i64) -> Event {
    in_room(Body::ModeratorRemoved(ModeratorRemoved { user: user(idx), by: presenter(), reason: None }))
}

fn banned(idx: i64) -> Body {
    Body::UserBanned(UserBanned { user: user(idx), until: None, purge_seconds: None, by: presenter(), reason: None })
}

async fn tell(world: &World, event: &Event) {
    match event.presenter {
        Some(_) => drop(world.log.append(event).await.unwrap()),
        None => drop(world.log.append_everywhere(event).await.unwrap()),
    }
}

/// The stream of the user, once the node admits it.
async fn admitted(node: &Role, token: &str) -> Reader {
    let answer = eventually("the moderator is admitted", PATIENCE, async || {
        let request =
            testkit::client().build().unwrap().get(format!("{}{PATH}?from=now", node.url())).bearer_auth(token);
        let answer = request.send().await.unwrap();
        (answer.status() == 200).then_some(answer)
    });
    Reader::of(answer.await).await.0
}

/// Reads to the end of the stream, which the room's decision brings.
async fn closes(mut reader: Reader) {
    loop {
        match reader.next().await.expect("it says why it ends").0.as_str() {
            "message" | "keepalive" => {}
            "closed" => break,
            other => panic!("{other}"),
        }
    }
    assert!(reader.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_sees_what_the_presenter_sees_on_every_node_until_removed() {
    let world = World::start().await;
    let (node, other) = (world.node().await, world.node().await);
    let helper = token(8, "helper");
    assert_eq!(refused(&node, PATH, Some(&helper)).await, (403, "forbidden".to_owned()));
    world.log.append(&added(8)).await.unwrap();
    let mut readers = vec![admitted(&node, &helper).await, admitted(&other, &helper).await];
    // A node that starts later reads the role from the log.
    readers.push(admitted(&world.node().await, &helper).await);
    let (mut page, _) = Page::connect(&node, 42).await;
    let (target, by) = (message(42, "to be deleted"), presenter());
    world.log.append(&target).await.unwrap();
    let deletion = MessageDeleted { target: target.id, by, reason: Some("a private reason".to_owned()) };
    world.log.append(&in_room(Body::MessageDeleted(deletion))).await.unwrap();
    world.log.append(&added(9)).await.unwrap();
    // The page has the appointment as well, which came before the readers.
    let shown = page.events(4).await;
    assert_eq!(shown[2]["reason"], "a private reason");
    for reader in &mut readers[..2] {
        let seen = reader.events(3).await;
        assert_eq!(seen[1..], shown[2..]);
        assert_eq!(seen[0]["id"], shown[1]["id"]);
    }
    // Other rooms are not theirs.
    assert_eq!(refused(&node, "/v1/rooms/43/events", Some(&helper)).await, (403, "forbidden".to_owned()));

    world.log.append(&removed(8)).await.unwrap();
    for reader in readers.drain(..2) {
        closes(reader).await;
    }
    for node in [&node, &other] {
        assert_eq!(refused(node, PATH, Some(&helper)).await, (403, "forbidden".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_ends_the_stream_of_a_moderator() {
    let world = World::start().await;
    let node = world.node().await;
    for (idx, ban) in [(8, in_room(banned(8))), (9, Event::of_every_room(banned(9)))] {
        let helper = token(idx, "helper");
        world.log.append(&added(idx)).await.unwrap();
        let reader = admitted(&node, &helper).await;
        tell(&world, &ban).await;
        closes(reader).await;
        assert_eq!(refused(&node, PATH, Some(&helper)).await, (403, "forbidden".to_owned()));
    }
    // Neither ban brings the role back that it ended, and only the one from the room ended it.
    for unban in [in_room as fn(Body) -> Event, Event::of_every_room] {
        for idx in [8, 9] {
            let unbanned = UserUnbanned { user: user(idx), by: presenter(), reason: None };
            tell(&world, &unban(Body::UserUnbanned(unbanned))).await;
        }
    }
    admitted(&node, &token(9, "helper")).await;
    assert_eq!(refused(&node, PATH, Some(&token(8, "helper"))).await, (403, "forbidden".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_do_not_learn_who_moderates() {
    let world = World::with(&[("ingest.room.readers", "members")]).await;
    let node = world.node().await;
    let mut viewer = Reader::start(&node, 42, &token(7, "viewer"), "now").await.0;
    let mut analyst = Reader::start(&node, 42, &analyst(), "now").await.0;
    world.log.append(&added(8)).await.unwrap();
    world.log.append(&removed(8)).await.unwrap();
    world.post(42, &["after"]).await;
    for reader in [&mut viewer, &mut analyst] {
        assert_eq!(reader.texts(1).await, ["after"]);
    }
}
