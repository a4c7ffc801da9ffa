//! Each decision in all four places: the caller's answer, the presenter's socket, the archive, and another ingest node.

mod held;
mod pinned;
mod restored;
mod swept;
mod swept_forward;
mod warned;

use std::collections::VecDeque;

use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};

use super::*;
use crate::delivery::page::Page;
use crate::support::Mongod;

/// The four places of a decision.
struct Everything {
    page: Page,
    /// Events of the page that were not checked yet.
    shown: VecDeque<Value>,
    world: World,
    archive: Database,
    // Dropped before the servers.
    delivery: Role,
    _archiver: Role,
    _mongod: Mongod,
}

impl Everything {
    async fn start() -> Everything {
        let (world, mongod) = tokio::join!(World::start(), Mongod::start());
        let settings = world.settings.clone().mongo(&mongod);
        let (delivery, archiver) = tokio::join!(Role::start("delivery", &settings), Role::start("archiver", &settings));
        let (page, _) = Page::connect(&delivery, PRESENTER).await;
        let archive = Client::with_uri_str(mongod.uri()).await.unwrap().database("chatting");
        Everything { page, shown: VecDeque::new(), world, archive, delivery, _archiver: archiver, _mongod: mongod }
    }

    /// A message of the user, through the other node.
    async fn post(&self, user: i64, text: &str) -> Value {
        let answer = self.world.post(&self.world.nodes[1], PRESENTER, user, text).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()
    }

    /// The next event on the presenter's socket.
    async fn next_event(&mut self) -> Value {
        while self.shown.is_empty() {
            // Other frames are keepalives.
            let mut frame = self.page.frame().await;
            self.shown.extend(frame["events"].as_array_mut().into_iter().flat_map(std::mem::take));
        }
        self.shown.pop_front().expect("the loop ends when there is one")
    }

    /// Expects the answered decision on the presenter's socket, with these members. Returns the texts of the messages
    /// before it.
    async fn is_on_the_socket(&mut self, decided: &Value, kind: &str, members: Value) -> Vec<String> {
        let mut before = Vec::new();
        let mut event = loop {
            let event = self.next_event().await;
            match event["id"] == decided["id"] {
                true => break event,
                false => before.extend(event["text"].as_str().map(str::to_owned)),
            }
        };
        assert_eq!(event["position"], decided["position"]);
        assert!(event["at"].as_str().unwrap().ends_with('Z'), "{event}");
        for common in ["v", "id", "position", "at"] {
            event.as_object_mut().unwrap().remove(common);
        }
        let mut expected = members;
        expected["type"] = kind.into();
        assert_eq!(event, expected);
        before
    }

    /// The archived decision.
    async fn archived(&self, decided: &Value) -> Document {
        let decisions = self.archive.collection::<Document>("moderation_log");
        let id = doc! { "_id": decided["id"].as_str().unwrap() };
        eventually("the decision is archived", PATIENCE, async || decisions.find_one(id.clone()).await.unwrap()).await
    }

    /// Waits until the message is deleted. Returns the id of the decision.
    async fn taken_away(&self, message: &Value) -> Document {
        let messages = self.archive.collection::<Document>("chatting_log");
        let id = doc! { "_id": message["id"].as_str().unwrap() };
        eventually("the message is deleted in the archive", PATIENCE, async || {
            let message = messages.find_one(id.clone()).await.unwrap()?;
            message.get_document("deleted").ok().cloned()
        })
        .await
    }
}

fn by_presenter() -> Value {
    json!({ "idx": PRESENTER, "nickname": "presenter", "role": "presenter" })
}

fn by_moderator() -> Value {
    json!({ "idx": MODERATOR, "nickname": "mod", "role": "moderator" })
}

#[track_caller]
fn assert_archived(document: &Document, kind: &str, members: Document) {
    assert_eq!(document.get_str("type").unwrap(), kind, "{document}");
    for (name, value) in members {
        assert_eq!(document.get(&name), Some(&value), "{name} of {document}");
    }
}

/// The same request under the same key, through the other node: the same decision.
async fn known_to_the_other_node(everything: &Everything, path: &str, token: &str, key: &str, decided: &Value) {
    let world = &everything.world;
    let request = world.client.delete(world.nodes[1].url() + path).bearer_auth(token).header("idempotency-key", key);
    eventually("the other node knows the decision", PROMISED, async || {
        let answer = answer(request.try_clone().unwrap()).await;
        (answer.status == 202 && answer.json() == *decided).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_and_a_clearing_are_answered_shown_archived_and_known_to_the_other_node() {
    let mut everything = Everything::start().await;
    let (first, second, third) =
        (everything.post(7, "first").await, everything.post(8, "second").await, everything.post(9, "third").await);
    let world = &everything.world;
    let delete = async |path: &str, token: &str, key: &str| {
        let request = world.client.delete(world.nodes[0].url() + path).bearer_auth(token);
        decided(&answer(request.header("idempotency-key", key)).await)
    };

    let path = format!("/v1/rooms/42/messages/{}?reason=off%20topic", first["id"].as_str().unwrap());
    let deletion = delete(&path, &presenter(), "delete").await;
    known_to_the_other_node(&everything, &path, &presenter(), "delete", &deletion).await;
    let members = json!({
        "presenterIdx": PRESENTER, "target": first["id"], "by": by_presenter(), "reason": "off topic",
    });
    let before = everything.is_on_the_socket(&deletion, "message.deleted", members).await;
    assert_eq!(before, ["first", "second", "third"]);
    let archived = everything.archived(&deletion).await;
    let target = first["id"].as_str().unwrap();
    let members = doc! { "presenterIdx": PRESENTER, "target": target, "reason": "off topic" };
    assert_archived(&archived, "message.deleted", members);
    assert_eq!(archived.get_document("by").unwrap().get_i64("userIdx").unwrap(), PRESENTER);
    let deleted = everything.taken_away(&first).await;
    assert_eq!(deleted.get_str("decision").unwrap(), deletion["id"].as_str().unwrap());

    let world = &everything.world;
    let request = world.client.delete(world.nodes[0].url() + "/v1/rooms/42/messages").bearer_auth(moderator());
    let clearing = decided(&answer(request.header("idempotency-key", "clear")).await);
    known_to_the_other_node(&everything, "/v1/rooms/42/messages", &moderator(), "clear", &clearing).await;
    everything.post(7, "after").await;
    let members = json!({ "presenterIdx": PRESENTER, "by": by_moderator() });
    everything.is_on_the_socket(&clearing, "room.cleared", members).await;
    assert_eq!(everything.next_event().await["text"], "after", "what is said after a clearing is seen");
    assert_archived(&everything.archived(&clearing).await, "room.cleared", doc! { "presenterIdx": PRESENTER });
    for message in [second, third] {
        let deleted = everything.taken_away(&message).await;
        assert_eq!(deleted.get_str("decision").unwrap(), clearing["id"].as_str().unwrap());
    }
    let messages = everything.archive.collection::<Document>("chatting_log");
    let after = eventually("what is said after a clearing is archived", PATIENCE, async || {
        messages.find_one(doc! { "message": "after" }).await.unwrap()
    })
    .await;
    assert!(!after.contains_key("deleted"), "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_a_time_out_and_an_unban_are_answered_shown_archived_and_hold_on_the_other_node() {
    let mut everything = Everything::start().await;
    for (seconds, reason) in [(None, Some("spam")), (Some(600), None)] {
        let world = &everything.world;
        let mut body = json!({});
        body["seconds"] = seconds.into();
        body["reason"] = reason.into();
        let banned = world.ban(&world.nodes[0], 7, body).await;
        let refused = world.is_banned(&world.nodes[1], PRESENTER, 7).await.json();
        let known = world.get(&world.nodes[1], &ban(7), &moderator()).await.json();
        assert_eq!(refused["until"], known["until"]);
        assert_eq!(known["until"].is_string(), seconds.is_some(), "{known}");
        assert_eq!((&known["user"], &known["by"]), (&json!(7), &by_presenter()));
        let mut members = json!({ "presenterIdx": PRESENTER, "user": 7, "by": by_presenter() });
        for (name, value) in [("until", &known["until"]), ("reason", &json!(reason))] {
            if !value.is_null() {
                members[name] = value.clone();
            }
        }
        everything.is_on_the_socket(&banned, "user.banned", members).await;
        let archived = everything.archived(&banned).await;
        assert_archived(&archived, "user.banned", doc! { "presenterIdx": PRESENTER, "userIdx": 7_i64 });
        assert_eq!(archived.get_str("reason").ok(), reason);
        assert_eq!(archived.contains_key("until"), seconds.is_some());

        let world = &everything.world;
        let unbanned = decided(&world.delete(&world.nodes[1], &(ban(7) + "?reason=sorry"), &moderator()).await);
        world.is_heard(&world.nodes[0], PRESENTER, 7).await;
        let members = json!({ "presenterIdx": PRESENTER, "user": 7, "by": by_moderator(), "reason": "sorry" });
        everything.is_on_the_socket(&unbanned, "user.unbanned", members).await;
        let members = doc! { "presenterIdx": PRESENTER, "userIdx": 7_i64, "reason": "sorry" };
        assert_archived(&everything.archived(&unbanned).await, "user.unbanned", members);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appointment_and_its_end_are_answered_shown_archived_and_hold_on_the_other_node() {
    let mut everything = Everything::start().await;
    let world = &everything.world;
    let path = "/v1/rooms/42/moderators/8";
    let added = decided(&world.put(&world.nodes[0], path, &presenter(), json!({ "reason": "a friend" })).await);
    eventually("the other node knows", PROMISED, async || {
        (world.get(&world.nodes[1], path, &moderator()).await.status == 200).then_some(())
    })
    .await;
    let members = json!({ "presenterIdx": PRESENTER, "user": 8, "by": by_presenter(), "reason": "a friend" });
    everything.is_on_the_socket(&added, "moderator.added", members).await;
    let archived = everything.archived(&added).await;
    let members = doc! { "presenterIdx": PRESENTER, "userIdx": 8_i64, "reason": "a friend" };
    assert_archived(&archived, "moderator.added", members);
    assert_eq!(archived.get_document("by").unwrap().get_i64("userIdx").unwrap(), PRESENTER);
    // The moderator's messages have the role.
    let said = everything.post(8, "as a moderator").await;
    let event = everything.next_event().await;
    assert_eq!((&event["id"], &event["user"]["role"]), (&said["id"], &json!("moderator")));
    let messages = everything.archive.collection::<Document>("chatting_log");
    let id = doc! { "_id": said["id"].as_str().unwrap() };
    let message =
        eventually("the message is archived", PATIENCE, async || messages.find_one(id.clone()).await.unwrap());
    assert_eq!(message.await.get_str("role").unwrap(), "moderator");

    let world = &everything.world;
    let removed = decided(&world.delete(&world.nodes[0], path, &moderator()).await);
    eventually("the other node knows", PROMISED, async || {
        (world.get(&world.nodes[1], path, &moderator()).await.status == 404).then_some(())
    })
    .await;
    let members = json!({ "presenterIdx": PRESENTER, "user": 8, "by": by_moderator() });
    everything.is_on_the_socket(&removed, "moderator.removed", members).await;
    let members = doc! { "presenterIdx": PRESENTER, "userIdx": 8_i64 };
    assert_archived(&everything.archived(&removed).await, "moderator.removed", members);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_from_every_room_and_its_end_are_answered_shown_archived_and_hold_on_the_other_node() {
    let mut everything = Everything::start().await;
    let world = &everything.world;
    let everywhere = "/v1/bans/7";
    let banned = decided(&world.put(&world.nodes[0], everywhere, &moderator(), json!({ "reason": "raid" })).await);
    for room in [PRESENTER, 43] {
        world.is_banned(&world.nodes[1], room, 7).await;
    }
    world.is_heard(&world.nodes[1], 7, 7).await;
    // Only readers of the audit of every room see the author and the reason.
    everything.is_on_the_socket(&banned, "user.banned", json!({ "user": 7 })).await;
    let archived = everything.archived(&banned).await;
    assert_archived(&archived, "user.banned", doc! { "userIdx": 7_i64, "reason": "raid" });
    assert!(!archived.contains_key("presenterIdx"), "{archived}");

    let world = &everything.world;
    let unbanned = decided(&world.delete(&world.nodes[1], everywhere, &moderator()).await);
    for room in [PRESENTER, 43] {
        world.is_heard(&world.nodes[0], room, 7).await;
    }
    everything.is_on_the_socket(&unbanned, "user.unbanned", json!({ "user": 7 })).await;
    assert_archived(&everything.archived(&unbanned).await, "user.unbanned", doc! { "userIdx": 7_i64 });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_is_answered_shown_archived_and_holds_on_the_other_node() {
    let mut everything = Everything::start().await;
    let mut all = json!({});
    for (name, value) in super::settings::EXAMPLES {
        let value: Value = serde_json::from_str(value).unwrap();
        let world = &everything.world;
        let body = json!({ "settings": { name: value }, "reason": "raid" });
        let set = decided(&world.patch(&world.nodes[0], SETTINGS, &presenter(), body).await);
        all[name] = value.clone();
        world.has_set(&world.nodes[1], &all).await;
        let shown = world.get(&world.nodes[1], SETTINGS, &presenter()).await.json();
        assert_eq!((&shown["settings"][name], &shown["until"]), (&value, &json!({})), "{name}");
        let members = json!({
            "presenterIdx": PRESENTER, "settings": all, "changed": [name], "by": by_presenter(), "reason": "raid",
        });
        everything.is_on_the_socket(&set, "room.updated", members).await;
        let archived = everything.archived(&set).await;
        assert_archived(&archived, "room.updated", doc! { "presenterIdx": PRESENTER, "reason": "raid" });
        let settings: Value =
            mongodb::bson::deserialize_from_document(archived.get_document("settings").unwrap().clone()).unwrap();
        assert_eq!(settings, all);
    }
}
