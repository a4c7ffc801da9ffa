//! Who may read a room, and how much each token shows.

use chat::{MessageDeleted, RoomCleared, RoomUpdated, UserBanned, UserErased};

use super::*;

/// A room's setting.
fn readers(value: &str, until: Option<&str>) -> Event {
    let settings = json!({ "readers": value }).as_object().unwrap().clone();
    let until = until.map(|until| json!({ "readers": until }).as_object().unwrap().clone()).unwrap_or_default();
    let changed = vec!["readers".to_owned()];
    Event::now(idx(42), Body::RoomUpdated(RoomUpdated { settings, changed, until, by: decider(), reason: None }))
}

fn decider() -> User {
    User { idx: UserIdx::try_from(3).unwrap(), nickname: "mod".to_owned(), role: chat::Role::Moderator }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shows_what_it_may_see_and_nothing_deleted() {
    let world = World::start().await;
    let node = world.node().await;
    let mut flagged = message(42, "flagged");
    if let Body::MessagePosted(posted) = &mut flagged.body {
        posted.flags = vec!["ko.abuse".to_owned()];
    }
    let deleted = message(42, "deleted in time");
    let user = UserIdx::try_from(7).unwrap();
    let (by, reason) = (decider(), Some("a private reason".to_owned()));
    let settings = json!({ "words": ["a private word"] }).as_object().unwrap().clone();
    let bodies = [
        Body::MessageDeleted(MessageDeleted { target: deleted.id, by: by.clone(), reason: reason.clone() }),
        Body::UserBanned(UserBanned { user, until: None, purge_seconds: None, by: by.clone(), reason: reason.clone() }),
        Body::RoomUpdated(RoomUpdated {
            settings,
            changed: Vec::new(),
            until: Default::default(),
            by: by.clone(),
            reason: reason.clone(),
        }),
        Body::Unknown {
            kind: "note.written".to_owned(),
            members: json!({ "note": "a private note" }).as_object().unwrap().clone(),
        },
    ];
    let of_all_rooms =
        Body::UserBanned(UserBanned { user, until: None, purge_seconds: None, by: by.clone(), reason: reason.clone() });
    world.log.append(&flagged).await.unwrap();
    world.log.append(&deleted).await.unwrap();
    for body in bodies {
        world.log.append(&Event::now(idx(42), body)).await.unwrap();
    }
    world.log.append_everywhere(&Event { presenter: None, ..Event::now(idx(1), of_all_rooms) }).await.unwrap();
    world.post(42, &["end"]).await;

    let (mut whole, _) = Reader::start(&node, 42, &moderator(), "window").await;
    let whole = whole.events(8).await;
    assert_eq!(whole[0]["flags"], json!(["ko.abuse"]));
    assert!(whole[1]["text"].is_null() && whole[1]["deleted"] == true, "{}", whole[1]);
    for decision in &whole[2..5] {
        assert_eq!(decision["reason"], "a private reason");
        assert_eq!(decision["by"]["nickname"], "mod");
    }
    assert_eq!(whole[4]["settings"]["words"], json!(["a private word"]));
    assert_eq!(whole[6]["reason"], "a private reason");

    let (mut analyst, _) = Reader::start(&node, 42, &analyst(), "window").await;
    let seen = analyst.events(6).await;
    let types: Vec<&str> = seen.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let shown = ["message.posted", "message.posted", "message.deleted", "user.banned", "user.banned", "message.posted"];
    assert_eq!(types, shown);
    assert_eq!(seen[0]["flags"], json!(["ko.abuse"]));
    assert_eq!((&seen[2]["target"], &seen[3]["user"]), (&json!(deleted.id), &json!(7)));
    let text = json!(seen).to_string();
    for private in ["deleted in time", "private", "mod", "\"by\""] {
        assert!(!text.contains(private), "{private} is in {text}");
    }

    // Erased users are gone from what a reader is shown afterwards.
    let erased = Body::UserErased(UserErased { user, mode: chat::ErasureMode::Remove, by: by.clone() });
    world.log.append_everywhere(&Event { presenter: None, ..Event::now(idx(1), erased) }).await.unwrap();
    let cleared = Body::RoomCleared(RoomCleared { by, reason });
    world.log.append(&Event::now(idx(42), cleared)).await.unwrap();
    analyst.events(2).await;
    let (mut later, _) = Reader::start(&node, 42, &self::analyst(), "window").await;
    let types: Vec<Value> = later.events(5).await.iter().map(|event| event["type"].clone()).collect();
    assert!(!types.contains(&json!("message.posted")), "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tokens_that_may_see_the_room_open_a_stream() {
    let world = World::start().await;
    // A reader that left is noticed when a keepalive cannot be written.
    let settings = world.settings.clone().set("delivery.max_readers_of_user", "2").set("delivery.keepalive", "1s");
    let node = Role::start("delivery", &settings).await;
    let path = "/v1/rooms/42/events";
    let viewer = token(7, "viewer");
    let forged = signed("another secret, also of more than 32 bytes", json!({ "user_idx": 42, "exp": now() + 60 }));
    let expired = signed(SECRET, json!({ "user_idx": 42, "exp": now() - 600 }));
    let cases = [
        (path, None, 401, "token_missing"),
        (path, Some(forged.as_str()), 401, "token_invalid"),
        (path, Some(&expired), 401, "token_expired"),
        (path, Some(&viewer), 403, "forbidden"),
        ("/v1/rooms/0/events", Some(&viewer), 400, "presenter_idx_invalid"),
        ("/v1/rooms/x/events", Some(&viewer), 400, "presenter_idx_invalid"),
        ("/v1/rooms/7/events?form=now", Some(&viewer), 400, "query_invalid"),
    ];
    for (path, token, status, code) in cases {
        assert_eq!(refused(&node, path, token).await, (status, code.to_owned()), "{path} {token:?}");
    }
    let one = Reader::start(&node, 42, &moderator(), "now").await;
    let _other = Reader::start(&node, 43, &moderator(), "now").await;
    assert_eq!(refused(&node, path, Some(&moderator())).await, (503, "overloaded".to_owned()));
    drop(one);
    eventually("the place of the reader that left is free", PATIENCE, async || {
        let request = testkit::client().build().unwrap().get(format!("{}{path}", node.url())).bearer_auth(moderator());
        (request.send().await.unwrap().status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rooms_setting_admits_viewers_on_every_node_and_sends_them_away_again() {
    let world = World::start().await;
    let node = world.node().await;
    let (path, viewer) = ("/v1/rooms/42/events", token(7, "viewer"));
    assert_eq!(refused(&node, path, Some(&viewer)).await, (403, "forbidden".to_owned()));
    world.log.append(&readers("members", None)).await.unwrap();
    let admitted = async |node: &Role, token: Option<&str>| {
        eventually("the viewer is admitted", PATIENCE, async || {
            let request = testkit::client().build().unwrap().get(format!("{}{path}?from=window", node.url()));
            let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
            let answer = request.send().await.unwrap();
            (answer.status() == 200).then_some(answer)
        })
        .await
    };
    let (mut reader, _) = Reader::of(admitted(&node, Some(&viewer)).await).await;
    assert_eq!(refused(&node, path, None).await, (401, "token_missing".to_owned()));
    let mut flagged = message(42, "flagged");
    if let Body::MessagePosted(posted) = &mut flagged.body {
        posted.flags = vec!["ko.abuse".to_owned()];
    }
    world.log.append(&flagged).await.unwrap();
    let event = reader.event().await;
    // The decision that admits it is not shown to it.
    assert_eq!((&event["text"], event.get("flags")), (&json!("flagged"), None));

    world.log.append(&readers("anyone", None)).await.unwrap();
    let (mut anonymous, _) = Reader::of(admitted(&node, None).await).await;
    assert_eq!(anonymous.texts(1).await, ["flagged"]);
    // A token that is shown has to be valid all the same.
    let expired = signed(SECRET, json!({ "user_idx": 7, "exp": now() - 600 }));
    assert_eq!(refused(&node, path, Some(&expired)).await, (401, "token_expired".to_owned()));
    // A node that starts later knows it too.
    let later = world.node().await;
    let (mut elsewhere, _) = Reader::of(admitted(&later, None).await).await;
    assert_eq!(elsewhere.texts(1).await, ["flagged"]);

    world.log.append(&readers("members", None)).await.unwrap();
    for reader in [&mut anonymous, &mut elsewhere] {
        assert_eq!(reader.next().await.unwrap().0, "closed");
        assert!(reader.next().await.is_none());
    }
    world.post(42, &["to members"]).await;
    assert_eq!(reader.texts(1).await, ["to members"]);
    world.log.append(&readers("off", None)).await.unwrap();
    assert_eq!(reader.next().await.unwrap().0, "closed");
    assert_eq!(refused(&node, path, Some(&viewer)).await, (403, "forbidden".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_setting_ends_the_streams_that_it_admitted() {
    let world = World::with(&[("ingest.room.readers", "off")]).await;
    let node = world.node_with("keepalive", "1s").await;
    let until = chat::now() + Duration::from_secs(3);
    world.log.append(&readers("anyone", Some(&until.to_string()))).await.unwrap();
    let answer = eventually("the viewer is admitted", PATIENCE, async || {
        let answer = reqwest::get(format!("{}/v1/rooms/42/events", node.url())).await.unwrap();
        (answer.status() == 200).then_some(answer)
    })
    .await;
    let (mut reader, _) = Reader::of(answer).await;
    loop {
        match reader.next().await.unwrap().0.as_str() {
            "keepalive" => {}
            "closed" => break,
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused(&node, "/v1/rooms/42/events", None).await, (401, "token_missing".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployment_decides_for_rooms_that_have_not() {
    let world = World::with(&[("ingest.room.readers", "anyone")]).await;
    let node = world.node_with("max_readers_of_address", "1").await;
    world.post(42, &["to anyone"]).await;
    let events = format!("{}/v1/rooms/42/events?from=window", node.url());
    let (mut reader, _) = Reader::of(reqwest::get(events).await.unwrap()).await;
    assert_eq!(reader.texts(1).await, ["to anyone"]);
    assert_eq!(refused(&node, "/v1/rooms/43/events", None).await, (503, "overloaded".to_owned()));
}
