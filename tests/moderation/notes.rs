//! Notes on users: for the moderators of a room, on every node, and for nobody else.

use chat::{Body, ErasureMode, Event, Role as Of, User, UserErased, UserIdx};

use super::lives_on::let_the_log_age;
use super::*;

fn notes(user: i64) -> String {
    format!("/v1/rooms/{PRESENTER}/users/{user}/notes")
}

impl World {
    async fn note(&self, node: &Role, user: i64, text: &str) -> Value {
        decided(&self.create(node, &notes(user), &moderator(), json!({ "text": text })).await)
    }

    /// The texts of the notes on the user.
    async fn noted(&self, node: &Role, user: i64) -> Vec<Value> {
        let listed = self.get(node, &notes(user), &presenter()).await.json();
        listed["notes"].as_array().unwrap().iter().map(|note| note["text"].clone()).collect()
    }

    /// Within the promised time the node lists these notes on the user.
    async fn has_noted(&self, node: &Role, user: i64, texts: &[&str]) {
        eventually(&format!("the notes are {texts:?}"), PROMISED, async || {
            (self.noted(node, user).await == texts).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn notes_are_listed_on_every_node_in_their_order_until_they_are_deleted() {
    let world = World::start().await;
    let (one, other) = (&world.nodes[0], &world.nodes[1]);
    let first = world.note(one, 7, " warned twice on another account ").await;
    world.has_noted(other, 7, &["warned twice on another account"]).await;
    world.note(other, 7, "apologised").await;
    world.note(other, 8, "another user").await;
    world.has_noted(one, 7, &["warned twice on another account", "apologised"]).await;
    let listed = world.get(one, &notes(7), &presenter()).await.json();
    let by = json!({ "idx": MODERATOR, "nickname": "mod", "role": "moderator" });
    assert_eq!((&listed["notes"][0]["id"], &listed["notes"][0]["by"]), (&first["id"], &by));

    let note = format!("{}/{}", notes(7), first["id"].as_str().unwrap());
    decided(&world.delete(other, &(note.clone() + "?reason=outdated"), &presenter()).await);
    for node in [one, other] {
        world.has_noted(node, 7, &["apologised"]).await;
        world.delete(node, &note, &presenter()).await.assert_problem(404, "note_not_found");
    }
    let of_another = format!("{}/{}", notes(8), first["id"].as_str().unwrap());
    world.delete(one, &of_another, &presenter()).await.assert_problem(404, "note_not_found");
    world.delete(one, &format!("{}/x", notes(7)), &presenter()).await.assert_problem(400, "note_id_invalid");
}

#[tokio::test]
async fn moderators_of_the_room_write_and_read_notes_and_nobody_else_does() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let (appointed, body) = (token(8, "helper"), json!({ "text": "spams" }));
    for user in [token(7, "nick"), appointed.clone()] {
        world.create(node, &notes(7), &user, body.clone()).await.assert_problem(403, "forbidden");
        world.get(node, &notes(7), &user).await.assert_problem(403, "forbidden");
    }
    decided(&world.put(node, "/v1/rooms/42/moderators/8", &presenter(), json!({})).await);
    decided(&world.create(node, &notes(7), &appointed, body.clone()).await);
    world.create(node, "/v1/rooms/43/users/7/notes", &appointed, body).await.assert_problem(403, "forbidden");
    assert_eq!(world.get(node, "/v1/rooms/43/users/7/notes", &moderator()).await.json(), json!({ "notes": [] }));
    for (body, code) in [
        (json!({}), "text_empty"),
        (json!({ "text": " " }), "text_empty"),
        (json!({ "text": "a\nb" }), "text_forbidden_characters"),
        (json!({ "text": "x".repeat(501) }), "text_too_long"),
        (json!({ "text": 5 }), "body_malformed"),
    ] {
        world.create(node, &notes(7), &presenter(), body).await.assert_problem(400, code);
    }
    assert_eq!(world.noted(node, 7).await, ["spams"]);
}

#[tokio::test]
async fn a_user_has_so_many_notes_at_most_and_a_retry_is_one_note() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let once = || {
        let request = world.client.post(node.url() + &notes(7)).bearer_auth(moderator());
        request.header("Idempotency-Key", "one-note").json(&json!({ "text": "note 0" }))
    };
    let first = decided(&answer(once()).await);
    assert_eq!(decided(&answer(once()).await), first);
    for count in 1..50 {
        world.note(node, 7, &format!("note {count}")).await;
    }
    let refused = world.create(node, &notes(7), &moderator(), json!({ "text": "one more" })).await;
    refused.assert_problem(409, "too_many_notes");
    let texts: Vec<String> = (0..50).map(|count| format!("note {count}")).collect();
    assert_eq!(world.noted(node, 7).await, texts);
    world.note(node, 8, "on another user").await;
}

#[tokio::test]
async fn notes_outlive_the_log_and_an_erasure_removes_those_on_the_user_and_the_authors_name() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let deleted = world.note(node, 7, "a mistake").await;
    for user in [7, 8] {
        world.note(node, user, "spams").await;
    }
    decided(&world.delete(node, &format!("{}/{}", notes(7), deleted["id"].as_str().unwrap()), &moderator()).await);
    let log = world.log().await;
    eventually("the deletion is kept", PATIENCE, async || {
        let kept = log.decisions().load().await.unwrap().entries;
        let is_deletion = |entry: &nats::Entry| entry.kind == chat::EventKind::NoteDeleted;
        (kept.len() == 3 && kept.iter().any(is_deletion)).then_some(())
    })
    .await;
    let_the_log_age(&world).await;
    let later = world.node().await;
    assert_eq!(
        (world.noted(&later, 7).await, world.noted(&later, 8).await),
        (vec![json!("spams")], vec![json!("spams")])
    );

    for user in [7, MODERATOR] {
        let by = User { idx: UserIdx::try_from(999).unwrap(), nickname: "privacy".to_owned(), role: Of::Moderator };
        let user = UserIdx::try_from(user).unwrap();
        let erased = Body::UserErased(UserErased { user, mode: ErasureMode::Remove, by });
        log.append(&Event::of_every_room(erased)).await.unwrap();
    }
    for node in [node, &later] {
        eventually("the notes on the user are gone, and the name", PATIENCE, async || {
            let other = world.get(node, &notes(8), &presenter()).await.json();
            let is_unnamed = other["notes"][0]["by"]["nickname"] == "" && other["notes"][0]["text"] == "spams";
            (is_unnamed && world.noted(node, 7).await.is_empty()).then_some(())
        })
        .await;
    }
    eventually("the words are not kept", PATIENCE, async || {
        let kept = log.decisions().load().await.unwrap().entries;
        let said = kept.iter().filter(|entry| String::from_utf8_lossy(&entry.line).contains("spams")).count();
        (said == 1).then_some(())
    })
    .await;
}
