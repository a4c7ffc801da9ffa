//! A room's settings: a merge patch, their effect on posts, and that they hold on every node.

use super::*;

/// A value of each setting that differs from the deployment's.
pub(super) const EXAMPLES: [(&str, &str); 10] = [
    ("slowModeSeconds", "3"),
    ("uniqueChat", "true"),
    ("presenterOnly", "true"),
    ("emojiOnly", "true"),
    ("links", "\"trusted\""),
    ("wordPolicy", "\"reject\""),
    ("words", "[\"스포일러\", \"spoiler\"]"),
    ("maxLength", "20"),
    ("messageRate", "{\"messages\":5,\"seconds\":10}"),
    ("readers", "\"members\""),
];

async fn set(world: &World, node: &Role, settings: Value) -> Value {
    decided(&world.patch(node, SETTINGS, &presenter(), json!({ "settings": settings })).await)
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_gives_it_back_to_the_deployment() {
    let world = World::start().await;
    let deployment = world.get(&world.nodes[0], SETTINGS, &presenter()).await.json();
    assert_eq!((&deployment["own"], &deployment["until"]), (&json!({}), &json!({})));

    set(&world, &world.nodes[0], json!({ "maxLength": 20, "slowModeSeconds": 3 })).await;
    world.has_set(&world.nodes[1], &json!({ "maxLength": 20, "slowModeSeconds": 3 })).await;
    set(&world, &world.nodes[1], json!({ "maxLength": null, "uniqueChat": true })).await;
    for node in world.nodes.iter().rev() {
        world.has_set(node, &json!({ "slowModeSeconds": 3, "uniqueChat": true })).await;
    }
    // Resetting an unset setting is a decision too.
    set(&world, &world.nodes[0], json!({ "presenterOnly": null })).await;
    // A list is replaced whole.
    set(&world, &world.nodes[0], json!({ "words": ["one", "two"] })).await;
    set(&world, &world.nodes[0], json!({ "words": ["three"] })).await;
    world.has_set(&world.nodes[1], &json!({ "slowModeSeconds": 3, "uniqueChat": true, "words": ["three"] })).await;
    // A value equal to the deployment's is still the room's own.
    set(&world, &world.nodes[0], json!({ "slowModeSeconds": 0 })).await;
    world.has_set(&world.nodes[1], &json!({ "slowModeSeconds": 0, "uniqueChat": true, "words": ["three"] })).await;

    set(&world, &world.nodes[0], json!({ "slowModeSeconds": null, "uniqueChat": null, "words": null })).await;
    world.has_set(&world.nodes[1], &json!({})).await;
    assert_eq!(world.get(&world.nodes[1], SETTINGS, &presenter()).await.json(), deployment);
}

#[tokio::test]
async fn settings_that_are_changed_at_the_same_moment_through_two_nodes_all_hold() {
    let world = World::start().await;
    for round in 1..=20 {
        let (one, other) = (json!({ "slowModeSeconds": round }), json!({ "maxLength": round }));
        tokio::join!(set(&world, &world.nodes[0], one), set(&world, &world.nodes[1], other));
        for node in &world.nodes {
            world.has_set(node, &json!({ "slowModeSeconds": round, "maxLength": round })).await;
        }
    }
    // One of two conflicting changes holds, the same on all nodes.
    for _ in 0..20 {
        let (one, other) = (json!({ "wordPolicy": "off" }), json!({ "wordPolicy": "mask" }));
        let (first, second) = tokio::join!(set(&world, &world.nodes[0], one), set(&world, &world.nodes[1], other));
        let position = |decided: &Value| decided["position"].as_str().unwrap().parse::<chat::Position>().unwrap();
        let last = if position(&first) > position(&second) { "off" } else { "mask" };
        for node in &world.nodes {
            world.has_set(node, &json!({ "slowModeSeconds": 20, "maxLength": 20, "wordPolicy": last })).await;
        }
    }
    // A node that starts now has replayed the same.
    let later = world.node().await;
    let expected = world.get(&world.nodes[0], SETTINGS, &presenter()).await.json();
    assert_eq!(world.get(&later, SETTINGS, &presenter()).await.json(), expected);
}

#[tokio::test]
async fn an_invalid_setting_is_refused_by_name_and_changes_nothing() {
    let world = World::start().await;
    let cases = [
        ("slowModeSeconds", json!(-1)),
        ("slowModeSeconds", json!(3_601)),
        ("slowModeSeconds", json!("3")),
        ("uniqueChat", json!(1)),
        ("presenterOnly", json!("true")),
        ("emojiOnly", json!("yes")),
        ("links", json!("nobody")),
        ("links", json!(false)),
        ("wordPolicy", json!("Reject")),
        ("words", json!("word")),
        ("words", json!([""])),
        ("words", json!(["x".repeat(51)])),
        ("words", json!(vec!["x"; 201])),
        ("words", json!([1])),
        ("maxLength", json!(0)),
        ("maxLength", json!(501)),
        ("messageRate", json!({ "messages": 0, "seconds": 30 })),
        ("messageRate", json!({ "messages": 100_001, "seconds": 30 })),
        ("messageRate", json!({ "messages": 20, "seconds": 0 })),
        ("messageRate", json!({ "messages": 20 })),
        ("messageRate", json!({ "messages": 20, "seconds": 30, "more": 1 })),
        ("noSuchSetting", json!(1)),
        ("slow_mode_seconds", json!(1)),
        ("noSuchSetting", json!(null)),
    ];
    for (name, value) in cases {
        let body = json!({ "settings": { "uniqueChat": true, name: value } });
        let refused = world.patch(&world.nodes[0], SETTINGS, &presenter(), body).await;
        refused.assert_problem(400, "setting_invalid");
        assert!(refused.json()["detail"].as_str().unwrap().contains(name), "{name} = {value}: {refused:?}");
    }
    let bodies = [
        (json!({ "settings": {} }), "setting_invalid"),
        (json!({}), "body_malformed"),
        (json!({ "settings": [] }), "body_malformed"),
        (json!({ "settings": null }), "body_malformed"),
        (json!({ "settings": { "uniqueChat": true }, "seconds": 0 }), "seconds_invalid"),
        (json!({ "settings": { "uniqueChat": true }, "reason": "" }), "reason_invalid"),
    ];
    for (body, code) in bodies {
        let refused = world.patch(&world.nodes[0], SETTINGS, &presenter(), body).await;
        refused.assert_problem(400, code);
    }
    assert_eq!(world.get(&world.nodes[0], SETTINGS, &presenter()).await.json()["own"], json!({}));
}

#[tokio::test]
async fn a_room_takes_emoji_alone_or_links_from_those_it_trusts_alone() {
    let world = World::start().await;
    let original = async |text: &str| {
        let body = json!({ "presenterIdx": PRESENTER, "userType": "viewer", "textMessage": text });
        let url = world.nodes[1].url() + "/send/message";
        answer(world.client.post(url).header("token", token(7, "nick")).json(&body)).await
    };
    for (settings, code, sentence, refused, taken) in [
        (
            json!({ "emojiOnly": true }),
            "msg_emoji_only",
            "현재 이모지만 보낼 수 있습니다.",
            ["hello 👋", "안녕하세요", "1 2 3"],
            ["👋🏽 🎉", "❤️", "👩‍👩‍👧‍👦"],
        ),
        (
            json!({ "emojiOnly": null, "links": "trusted" }),
            "msg_link_forbidden",
            "이 방에서는 링크를 보낼 수 없습니다.",
            ["look: https://example.com/a", "ｅｘａｍｐｌｅ．ｃｏｍ", "me@example.com"],
            ["no link", "3.14", "그래...요"],
        ),
    ] {
        set(&world, &world.nodes[0], settings).await;
        eventually("the mode holds on the other node", PROMISED, async || {
            let answer = world.post(&world.nodes[1], PRESENTER, 7, refused[0]).await;
            // Before, the room was open or had the mode before this one.
            (answer.status != 202 && answer.json()["code"] == code).then(|| answer.assert_problem(403, code))
        })
        .await;
        for text in refused {
            world.post(&world.nodes[1], PRESENTER, 7, text).await.assert_problem(403, code);
            original(text).await.assert_original_error(403, sentence, "/send/message");
            assert_eq!(world.post(&world.nodes[1], PRESENTER, PRESENTER, text).await.status, 202, "{text}");
            let (path, body) = ("/v1/rooms/42/messages", Some(json!({ "text": text })));
            assert_eq!(world.call(&world.nodes[1], Method::POST, path, &moderator(), body).await.status, 202, "{text}");
            assert_eq!(world.post(&world.nodes[1], 43, 7, text).await.status, 202, "{text}");
        }
        for text in taken {
            assert_eq!(world.post(&world.nodes[1], PRESENTER, 8, text).await.status, 202, "{text}");
        }
    }
}

#[tokio::test]
async fn in_presenter_only_mode_the_presenter_and_moderators_write_and_nobody_else() {
    let world = World::start().await;
    set(&world, &world.nodes[0], json!({ "presenterOnly": true })).await;
    let refused = eventually("the mode holds on the other node", PROMISED, async || {
        let answer = world.post(&world.nodes[1], PRESENTER, 7, "hello?").await;
        (answer.status != 202).then_some(answer)
    })
    .await;
    refused.assert_problem(403, "msg_presenter_only");
    let body = json!({ "presenterIdx": PRESENTER, "userType": "viewer", "textMessage": "hello?" });
    let sent = world.client.post(world.nodes[1].url() + "/send/message").header("token", token(7, "nick")).json(&body);
    let message = "현재 스트리머만 채팅을 보낼 수 있습니다.";
    answer(sent).await.assert_original_error(403, message, "/send/message");

    assert_eq!(world.post(&world.nodes[1], PRESENTER, PRESENTER, "just me").await.status, 202);
    let body = Some(json!({ "text": "and me" }));
    let path = "/v1/rooms/42/messages";
    assert_eq!(world.call(&world.nodes[1], Method::POST, path, &moderator(), body).await.status, 202);
    assert_eq!(world.post(&world.nodes[1], 43, 7, "another room").await.status, 202);
}

#[tokio::test]
async fn the_longest_text_is_what_the_room_says_in_characters_as_people_count_them() {
    let world = World::start().await;
    set(&world, &world.nodes[0], json!({ "maxLength": 3 })).await;
    world.has_set(&world.nodes[1], &json!({ "maxLength": 3 })).await;
    let long = world.post(&world.nodes[1], PRESENTER, 7, "안녕하세").await;
    long.assert_problem(400, "text_too_long");
    assert!(long.json()["detail"].as_str().unwrap().contains('3'), "{long:?}");
    assert_eq!(world.post(&world.nodes[1], PRESENTER, 7, "👨‍👩‍👧가a").await.status, 202);
    // It applies to everyone: no one reads a wall of text.
    world.post(&world.nodes[1], PRESENTER, PRESENTER, "안녕하세").await.assert_problem(400, "text_too_long");
}
