//! Tickets, for readers that cannot send a token: each opens what its maker may see, on every node, no more often and
//! no longer than it says.

use chat::{ModeratorAdded, ModeratorRemoved, RoomUpdated};
use futures_util::future::join_all;

use super::*;

const TICKETS: &str = "/v1/rooms/42/tickets";

/// Asks for a ticket of room 42.
async fn post(node: &Role, token: &str, body: Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}{TICKETS}", node.url())).bearer_auth(token).json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let status = answer.status().as_u16();
    if status == 201 {
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    }
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

/// A ticket of room 42, and the answer that it came in.
async fn ticket(node: &Role, token: &str, body: Value) -> (String, Value) {
    let (status, answer) = post(node, token, body).await;
    assert_eq!(status, 201, "{answer}");
    (answer["ticket"].as_str().unwrap().to_owned(), answer)
}

async fn one_use(node: &Role, token: &str) -> String {
    let (ticket, answer) = ticket(node, token, json!({ "kind": "one_use" })).await;
    assert_eq!((&answer["kind"], &answer["expiresInSeconds"]), (&json!("one_use"), &json!(30)));
    ticket
}

async fn long_lived(node: &Role, token: &str, view: &str) -> (String, Value) {
    ticket(node, token, json!({ "kind": "long_lived", "name": "OBS", "view": view })).await
}

async fn list(node: &Role, token: &str) -> Vec<Value> {
    let request = reqwest::Client::new().get(format!("{}{TICKETS}", node.url())).bearer_auth(token);
    let answer: Value = serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
    answer["tickets"].as_array().unwrap().clone()
}

async fn revoke(node: &Role, token: &str, id: &str) -> (u16, String) {
    let request = reqwest::Client::new().delete(format!("{}{TICKETS}/{id}", node.url())).bearer_auth(token);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

fn path(ticket: &str) -> String {
    format!("/v1/rooms/42/events?from=window&ticket={ticket}")
}

async fn open(node: &Role, ticket: &str) -> Reader {
    let answer = reqwest::get(format!("{}{}", node.url(), path(ticket))).await.unwrap();
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    Reader::of(answer).await.0
}

fn presenter() -> User {
    User { idx: UserIdx::try_from(42).unwrap(), nickname: "presenter".to_owned(), role: chat::Role::Presenter }
}

fn flagged() -> Event {
    let mut flagged = message(42, "flagged");
    if let Body::MessagePosted(posted) = &mut flagged.body {
        posted.flags = vec!["ko.abuse".to_owned()];
    }
    flagged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_use_ticket_opens_one_stream_on_any_node() {
    let world = World::start().await;
    let nodes = [world.node().await, world.node().await];
    world.post(42, &["before"]).await;
    let secret = one_use(&nodes[0], &moderator()).await;
    // Another room's path does not use it.
    let elsewhere = path(&secret).replace("42", "43");
    assert_eq!(refused(&nodes[1], &elsewhere, None).await, (401, "ticket_invalid".to_owned()));
    // Nor does a token beside it, or a parameter that is wrong.
    for (path, token) in [(path(&secret), Some(moderator())), (path(&secret) + "&form=now", None)] {
        let (status, code) = refused(&nodes[1], &path, token.as_deref()).await;
        assert!(matches!((status, code.as_str()), (400, "query_invalid") | (401, "token_missing")), "{status} {code}");
    }
    let answers = join_all((0..10).map(|number| {
        let url = format!("{}{}", nodes[number % 2].url(), path(&secret));
        async { reqwest::get(url).await.unwrap() }
    }))
    .await;
    let (mut opened, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status() == 200);
    assert_eq!(opened.len(), 1);
    assert!(refused.iter().all(|answer| answer.status() == 401), "{refused:?}");
    let (mut reader, _) = Reader::of(opened.remove(0)).await;
    world.post(42, &["after"]).await;
    assert_eq!(reader.texts(2).await, ["before", "after"]);
    for node in &nodes {
        assert_eq!(super::refused(node, &path(&secret), None).await, (401, "ticket_invalid".to_owned()));
        assert!(!node.log().contains(&secret) && !node.log().contains("once_"), "{}", node.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_use_ticket_shows_what_its_token_shows_and_ends_with_it() {
    let world = World::with(&[("auth.leeway", "0s"), ("ingest.room.readers", "members")]).await;
    let (node, other) = (world.node().await, world.node().await);
    world.log.append(&flagged()).await.unwrap();
    for (token, body, flags) in [
        (token(42, "presenter"), json!({ "kind": "one_use" }), json!(["ko.abuse"])),
        (analyst(), json!({ "kind": "one_use", "view": "own" }), json!(["ko.abuse"])),
        (token(42, "presenter"), json!({ "kind": "one_use", "view": "viewer" }), Value::Null),
        (token(7, "viewer"), json!({ "kind": "one_use" }), Value::Null),
    ] {
        let (ticket, _) = ticket(&node, &token, body.clone()).await;
        assert_eq!(open(&other, &ticket).await.event().await["flags"], flags, "{body}");
    }
    let short = signed(SECRET, json!({ "user_idx": 7, "exp": now() + 6 }));
    let mut reader = open(&other, &one_use(&node, &short).await).await;
    reader.event().await;
    assert_eq!(reader.next().await.unwrap().0, "expired");
    assert!(reader.next().await.is_none());

    // The room closes itself to its viewers, also to one that has a ticket.
    let secret = one_use(&node, &token(7, "viewer")).await;
    let settings = json!({ "readers": "off" }).as_object().unwrap().clone();
    let changed = vec!["readers".to_owned()];
    let updated = RoomUpdated { settings, changed, until: Default::default(), by: presenter(), reason: None };
    world.log.append(&Event::now(idx(42), Body::RoomUpdated(updated))).await.unwrap();
    eventually("the room is closed", PATIENCE, async || {
        (post(&other, &token(7, "viewer"), json!({ "kind": "one_use" })).await.0 == 403).then_some(())
    })
    .await;
    assert_eq!(refused(&other, &path(&secret), None).await, (403, "forbidden".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_lived_ticket_opens_streams_through_restarts_until_it_is_revoked_anywhere() {
    let world = World::start().await;
    let (one, other) = (world.node().await, world.node().await);
    let owner = token(42, "presenter");
    let (kept, _) = long_lived(&one, &owner, "own").await;
    let (secret, made) = long_lived(&one, &owner, "viewer").await;
    assert_eq!((&made["kind"], &made["name"], &made["by"]), (&json!("long_lived"), &json!("OBS"), &json!(42)));
    let listed = list(&other, &owner).await;
    assert_eq!((listed.len(), &listed[1]["id"], &listed[1]["grantor"]), (2, &made["id"], &json!("presenter")));
    assert!(!json!(listed).to_string().contains(&secret["long_".len()..]));

    world.log.append(&flagged()).await.unwrap();
    let (mut whole, mut viewer) = (open(&one, &kept).await, open(&one, &secret).await);
    assert_eq!(whole.event().await["flags"], json!(["ko.abuse"]));
    assert_eq!(viewer.event().await["flags"], Value::Null);
    // It goes on as an `EventSource` does, with the same address.
    drop(viewer);
    world.post(42, &["meanwhile"]).await;
    assert_eq!(one.terminate().await, 0);
    one.start_again().await;
    for node in [&one, &other] {
        let answer = reqwest::Client::new()
            .get(format!("{}{}", node.url(), path(&secret)))
            .header("last-event-id", &whole.last)
            .send();
        let (mut reader, welcome) = Reader::of(answer.await.unwrap()).await;
        assert_eq!(welcome["recovered"], true);
        assert_eq!(reader.texts(1).await, ["meanwhile"]);
    }

    // In a quiet room, on both nodes.
    let mut revoked = vec![open(&one, &secret).await, open(&other, &secret).await];
    let mut stays = open(&other, &kept).await;
    for reader in revoked.iter_mut().chain([&mut stays]) {
        reader.events(2).await;
    }
    let id = made["id"].as_str().unwrap();
    assert_eq!(revoke(&other, &owner, id).await, (204, String::new()));
    for mut reader in revoked {
        assert_eq!(reader.next().await.unwrap().0, "closed");
        assert!(reader.next().await.is_none());
    }
    for node in [&one, &other] {
        assert_eq!(refused(node, &path(&secret), None).await, (401, "ticket_invalid".to_owned()));
        assert_eq!(revoke(node, &owner, id).await, (404, "ticket_not_found".to_owned()));
    }
    world.post(42, &["after"]).await;
    assert_eq!(stays.texts(1).await, ["after"]);
    assert_eq!(list(&one, &owner).await.len(), 1);
    let exposed = reqwest::get(format!("{}/metrics", one.admin_url())).await.unwrap().text().await.unwrap();
    for text in [exposed, one.log(), other.log()] {
        assert!(!text.contains("long_") && !text.contains(&kept[5..]), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_moderate_the_room_have_long_lived_tickets_and_a_moderators_end_with_the_role() {
    let world = World::start().await;
    let (node, other) = (world.node().await, world.node().await);
    let long = json!({ "kind": "long_lived", "name": "overlay", "view": "viewer" });
    for stranger in [token(7, "viewer"), analyst()] {
        assert_eq!(post(&node, &stranger, long.clone()).await.1["code"], "forbidden");
        let listing = reqwest::Client::new().get(format!("{}{TICKETS}", node.url())).bearer_auth(&stranger);
        assert_eq!(listing.send().await.unwrap().status(), 403);
        assert_eq!(revoke(&node, &stranger, "x").await, (403, "forbidden".to_owned()));
    }
    // The scope ends with the token, and shows no more than viewers see for longer.
    let own = json!({ "kind": "long_lived", "name": "overlay", "view": "own" });
    let (status, problem) = post(&node, &moderator(), own.clone()).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    let (of_scope, _) = ticket(&node, &moderator(), long.clone()).await;

    let helper = token(8, "helper");
    let by = presenter();
    let added = Body::ModeratorAdded(ModeratorAdded { user: 8.try_into().unwrap(), by: by.clone(), reason: None });
    world.log.append(&Event::now(idx(42), added)).await.unwrap();
    let (of_helper, _) = eventually("the helper moderates the room", PATIENCE, async || {
        let (status, answer) = post(&node, &helper, own.clone()).await;
        (status == 201).then(|| (answer["ticket"].as_str().unwrap().to_owned(), answer))
    })
    .await;
    world.log.append(&flagged()).await.unwrap();
    let mut reader = open(&other, &of_helper).await;
    while reader.event().await["flags"] != json!(["ko.abuse"]) {}
    let removed = Body::ModeratorRemoved(ModeratorRemoved { user: 8.try_into().unwrap(), by, reason: None });
    world.log.append(&Event::now(idx(42), removed)).await.unwrap();
    loop {
        match reader.next().await.expect("it says why it ends").0.as_str() {
            "message" | "keepalive" => {}
            "closed" => break,
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused(&other, &path(&of_helper), None).await, (403, "forbidden".to_owned()));
    assert_eq!(open(&other, &of_scope).await.event().await["text"], "flagged");
    let grantors: Vec<Value> =
        list(&other, &moderator()).await.iter().map(|ticket| ticket["grantor"].clone()).collect();
    assert_eq!(grantors, [json!("scope"), json!("moderator")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_bounded_and_bad_requests_are_told_what_is_wrong() {
    let world = World::start().await;
    let rate = [("count", "70"), ("seconds", "3600")];
    let settings = rate.iter().fold(world.settings.clone(), |settings, (member, value)| {
        settings.set(&format!("delivery.ticket_rate.{member}"), value)
    });
    let nodes = [Role::start("delivery", &settings).await, Role::start("delivery", &settings).await];
    let (node, owner) = (&nodes[0], token(42, "presenter"));
    let long = json!({ "kind": "long_lived", "name": "overlay" });
    for _ in 0..45 {
        assert_eq!(post(node, &owner, long.clone()).await.0, 201);
    }
    // On both nodes at once: the bound is not a node's.
    let made = join_all((0..10).map(|number| post(&nodes[number % 2], &owner, long.clone()))).await;
    let count = |status| made.iter().filter(|(found, _)| *found == status).count();
    assert_eq!((count(201), count(409)), (5, 5), "{made:?}");
    assert_eq!(list(&nodes[1], &owner).await.len(), 50);
    assert_eq!(post(node, &owner, long.clone()).await.1["code"], "too_many_tickets");

    let raw = async |body: String| {
        let request = reqwest::Client::new().post(format!("{}{TICKETS}", node.url())).bearer_auth(&owner).body(body);
        let answer = request.send().await.unwrap();
        let (status, bytes) = (answer.status().as_u16(), answer.bytes().await.unwrap());
        (status, serde_json::from_slice::<Value>(&bytes).unwrap()["code"].clone())
    };
    for body in ["{", "[]", "7", r#"{"kind":"x"}"#, r#"{"kind":"long_lived"}"#, r#"{"kind":"one_use","view":"all"}"#] {
        assert_eq!(raw(body.to_owned()).await, (400, json!("body_malformed")), "{body}");
    }
    assert_eq!(raw("x".repeat(5_000)).await, (413, json!("body_too_large")));
    assert_eq!(raw(String::new()).await.0, 201);
    assert_eq!(revoke(node, &owner, "x").await, (400, "ticket_id_invalid".to_owned()));
    let forged = ["once_", "long_"].map(|kind| kind.to_owned() + &"A".repeat(43));
    for bad in ["", "x", "once_", "long_AAAA", &forged[0], &forged[1]] {
        assert_eq!(refused(node, &path(bad), None).await, (401, "ticket_invalid".to_owned()), "{bad}");
    }
    let anonymous = reqwest::Client::new().post(format!("{}{TICKETS}", node.url())).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);

    let mut limited = None;
    for _ in 0..=70 {
        let (status, answer) = post(node, &owner, json!({ "kind": "one_use" })).await;
        if status == 429 {
            limited = Some(answer);
            break;
        }
    }
    assert_eq!(limited.expect("70 requests are too many")["code"], "ticket_rate_limited");
    // Others are not.
    one_use(node, &moderator()).await;
}
