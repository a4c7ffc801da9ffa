//! Who may make which decision.

use super::*;
use crate::support::token;

/// Every request that moderates a room or reads its moderation.
fn requests(room: i64) -> Vec<(Method, String, Option<Value>)> {
    let of = |path: &str| format!("/v1/rooms/{room}/{path}");
    vec![
        (Method::DELETE, of("messages/019ab5a0-8000-7000-8000-000000000001"), None),
        (Method::DELETE, of("messages/019ab5a0-8000-7000-8000-000000000001/deletion"), None),
        (Method::DELETE, of("messages"), None),
        (Method::POST, of("reports/019ab5a0-8000-7000-8000-000000000001/close"), Some(json!({}))),
        (Method::PUT, of("bans/7"), Some(json!({}))),
        (Method::GET, of("bans/7"), None),
        (Method::GET, of("bans"), None),
        (Method::DELETE, of("bans/7"), None),
        (Method::PUT, of("moderators/8"), Some(json!({}))),
        (Method::GET, of("moderators/8"), None),
        (Method::GET, of("moderators"), None),
        (Method::DELETE, of("moderators/8"), None),
        (Method::PATCH, of("settings"), Some(json!({ "settings": { "uniqueChat": true } }))),
        (Method::GET, of("settings"), None),
    ]
}

/// The same for every room.
fn requests_everywhere() -> Vec<(Method, String, Option<Value>)> {
    vec![
        (Method::PUT, "/v1/bans/7".to_owned(), Some(json!({}))),
        (Method::GET, "/v1/bans/7".to_owned(), None),
        (Method::GET, "/v1/bans".to_owned(), None),
        (Method::DELETE, "/v1/bans/7".to_owned(), None),
    ]
}

async fn all_are_forbidden(world: &World, requests: Vec<(Method, String, Option<Value>)>, token: &str) {
    for (method, path, body) in requests {
        let refused = world.call(&world.nodes[0], method.clone(), &path, token, body).await;
        assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
        refused.assert_problem(403, "forbidden");
    }
}

async fn all_are_allowed(world: &World, requests: Vec<(Method, String, Option<Value>)>, token: &str) {
    for (method, path, body) in requests {
        let allowed = world.call(&world.nodes[0], method.clone(), &path, token, body).await;
        assert_eq!(allowed.status, if method == Method::GET { 200 } else { 202 }, "{method} {path}: {allowed:?}");
    }
}

/// The number of events in the log.
async fn events(world: &World) -> usize {
    let log = world.log().await;
    let mut tail = log.tail(nats::Start::Oldest);
    let status = tail.status();
    let mut events = 0;
    loop {
        tokio::select! {
            more = tail.next() => events += more.unwrap().len(),
            () = status.caught_up() => return events,
        }
    }
}

#[tokio::test]
async fn a_viewer_and_the_presenter_of_another_room_moderate_nothing() {
    let world = World::start().await;
    let tokens = [
        token(7, "viewer"),
        token(43, "another presenter"),
        token_with(json!({ "scope": "chat:read chat:moderator xchat:moderate" })),
        token_with(json!({ "scope": "CHAT:MODERATE" })),
    ];
    for token in tokens {
        all_are_forbidden(&world, requests(PRESENTER), &token).await;
        all_are_forbidden(&world, requests_everywhere(), &token).await;
    }
    all_are_forbidden(&world, requests_everywhere(), &presenter()).await;
    assert_eq!(events(&world).await, 0, "what is forbidden leaves nothing in the log");
}

#[tokio::test]
async fn a_presenter_moderates_their_own_room_and_a_moderator_every_room() {
    let world = World::start().await;
    all_are_allowed(&world, requests(PRESENTER), &presenter()).await;
    for room in [PRESENTER, 43, MODERATOR] {
        all_are_allowed(&world, requests(room), &moderator()).await;
    }
    all_are_allowed(&world, requests_everywhere(), &moderator()).await;
}

#[tokio::test]
async fn without_a_token_nothing_is_decided_or_shown() {
    let world = World::start().await;
    for (method, path, body) in requests(PRESENTER).into_iter().chain(requests_everywhere()) {
        let request = world.client.request(method, world.nodes[0].url() + &path);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        answer(request).await.assert_problem(401, "token_missing");
    }
}

#[tokio::test]
async fn a_presenter_cannot_be_banned_in_their_own_room() {
    let world = World::start().await;
    for token in [presenter(), moderator()] {
        let refused = world.put(&world.nodes[0], &ban(PRESENTER), &token, json!({ "seconds": 60 })).await;
        refused.assert_problem(409, "presenter_not_bannable");
    }
    world.is_heard(&world.nodes[0], PRESENTER, PRESENTER).await;

    // A ban from every room also applies to a presenter, except in their own room.
    decided(&world.put(&world.nodes[0], "/v1/bans/42", &moderator(), json!({})).await);
    world.is_banned(&world.nodes[1], 43, PRESENTER).await;
    world.is_heard(&world.nodes[1], PRESENTER, PRESENTER).await;
    world.ban(&world.nodes[1], 7, json!({})).await;
    world.is_banned(&world.nodes[0], PRESENTER, 7).await;
}

#[tokio::test]
async fn a_banned_moderator_cannot_post_but_can_moderate() {
    let world = World::start().await;
    world.ban(&world.nodes[0], MODERATOR, json!({})).await;
    let body = json!({ "text": "hi" });
    let path = "/v1/rooms/42/messages";
    let refused = world.call(&world.nodes[0], Method::POST, path, &moderator(), Some(body)).await;
    refused.assert_problem(403, "msg_banned");
    decided(&world.delete(&world.nodes[0], path, &moderator()).await);
}

#[tokio::test]
async fn a_presenter_behind_the_gateway_moderates_their_own_room_only() {
    let world = World::start_with(|settings| {
        settings.set("ingest.gateway.mode", "trusted-addresses").set("ingest.gateway.trusted", "127.0.0.0/8,::1/128")
    })
    .await;
    for (room, status) in [(PRESENTER, 202), (43, 403)] {
        let path = format!("/v1/rooms/{room}/bans/7");
        let request = world.client.put(world.nodes[0].url() + &path).json(&json!({}));
        let forwarded = request
            .header("x-forward-userIdx", PRESENTER)
            .header("x-forward-email", "presenter%40example.com")
            .header("x-forward-nickname", "presenter");
        let answer = answer(forwarded).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    world.is_banned(&world.nodes[1], PRESENTER, 7).await;
}

#[tokio::test]
async fn a_decision_that_is_wrong_is_refused_by_a_code_and_leaves_nothing_in_the_log() {
    let world = World::start().await;
    let longest = 14 * 24 * 60 * 60;
    let bans = [
        (json!({ "seconds": 0 }), "seconds_invalid"),
        (json!({ "seconds": longest + 1 }), "seconds_invalid"),
        (json!({ "seconds": -1 }), "seconds_invalid"),
        (json!({ "seconds": 1.5 }), "seconds_invalid"),
        (json!({ "seconds": "60" }), "seconds_invalid"),
        (json!({ "reason": "" }), "reason_invalid"),
        (json!({ "reason": "two\nlines" }), "reason_invalid"),
        (json!({ "reason": "x".repeat(501) }), "reason_invalid"),
        (json!({ "reason": 1 }), "body_malformed"),
        (json!([]), "body_malformed"),
        (json!(null), "body_malformed"),
    ];
    for (body, code) in bans {
        world.put(&world.nodes[0], &ban(7), &presenter(), body).await.assert_problem(400, code);
    }
    let gets = [
        ("/v1/rooms/42/bans?first=0", "query_invalid"),
        ("/v1/rooms/42/bans?first=1001", "query_invalid"),
        ("/v1/rooms/42/bans?first=x", "query_invalid"),
        ("/v1/rooms/42/bans?first=1&first=2", "query_invalid"),
        ("/v1/rooms/42/bans?after=0", "query_invalid"),
        ("/v1/rooms/42/bans?after=x", "query_invalid"),
        ("/v1/rooms/42/bans/0", "user_idx_invalid"),
        ("/v1/rooms/42/bans/x", "user_idx_invalid"),
        ("/v1/rooms/0/bans", "presenter_idx_invalid"),
        ("/v1/rooms/x/settings", "presenter_idx_invalid"),
    ];
    for (path, code) in gets {
        world.get(&world.nodes[0], path, &moderator()).await.assert_problem(400, code);
    }
    let deletes = [
        ("/v1/rooms/42/messages/x".to_owned(), "message_id_invalid"),
        ("/v1/rooms/42/messages?reason=".to_owned(), "reason_invalid"),
        ("/v1/rooms/42/messages?reason=a&reason=b".to_owned(), "query_invalid"),
        ("/v1/rooms/42/messages?reason=%0A".to_owned(), "reason_invalid"),
        (format!("/v1/rooms/42/messages?reason={}", "x".repeat(501)), "reason_invalid"),
    ];
    for (path, code) in deletes {
        world.delete(&world.nodes[0], &path, &moderator()).await.assert_problem(400, code);
    }
    world.delete(&world.nodes[0], &ban(7), &presenter()).await.assert_problem(404, "not_banned");
    world.get(&world.nodes[0], &ban(7), &presenter()).await.assert_problem(404, "not_banned");
    assert_eq!(events(&world).await, 0);

    for seconds in [json!(1), json!(longest), json!(null)] {
        world.ban(&world.nodes[0], 7, json!({ "seconds": seconds })).await;
    }
}
