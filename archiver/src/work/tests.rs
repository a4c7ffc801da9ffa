//! What becomes of each line.

use chat::Event;
use mongodb::bson::serialize_to_bson;
use serde::Serialize;
use serde_json::json;

use super::*;

/// The document of one line and where it goes, as extended JSON with the members in their order: positions are
/// compared member by member.
fn document(line: &Value) -> String {
    let position = Position { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 };
    let mut work = Work::default();
    work.add(Entry::read(position, line.to_string().into()));
    fn json<T: Serialize>(collection: &str, document: &T) -> String {
        format!("{collection}: {}", serde_json::to_string(&serialize_to_bson(document).unwrap()).unwrap())
    }
    let Work { messages, decisions, sessions, quarantine, erasures } = &work;
    let mut documents: Vec<String> = messages.iter().map(|m| json("chatting_log", &m.document)).collect();
    documents.extend(decisions.iter().map(|decision| json("moderation_log", &decision.document)));
    documents.extend(sessions.iter().map(|session| format!("broadcasts: {:?}", session.document)));
    documents.extend(quarantine.iter().map(|q| json("quarantine", &(&q.id, q.cause, &q.reason, &q.users))));
    documents.extend(erasures.iter().map(|erasure| format!("erasures: {erasure:?}")));
    assert!(!documents.is_empty());
    documents.join("\n  ")
}

#[test]
fn every_type_of_event_has_its_place() {
    let by = json!({ "idx": 42, "nickname": "진행자", "role": "presenter" });
    let target = "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3";
    let documents = [
        (
            "message.posted",
            json!({ "user": { "idx": 7, "nickname": "별명", "role": "viewer" }, "text": "안녕 👋" }),
        ),
        ("message.posted", json!({ "user": by, "text": "flagged", "flags": ["profanity"], "later": "member" })),
        (
            "message.posted",
            json!({
                "user": by,
                "text": "thanks",
                "replyTo": target,
                "attributes": { "amount": 5, "badges": [{ "id": "subscriber" }], "color": "#00C853" },
                "emotes": [{ "id": "thx", "start": 0, "end": 6 }],
            }),
        ),
        ("notice.posted", json!({ "user": by, "text": "the quiz starts" })),
        ("message.pinned", json!({ "target": target, "by": by })),
        ("message.unpinned", json!({ "target": target, "by": by })),
        ("message.deleted", json!({ "target": target, "by": by, "reason": "spam" })),
        ("message.restored", json!({ "target": target, "by": by, "reason": "a mistake" })),
        ("message.held", json!({ "target": target, "until": "2026-11-22T10:10:00.000Z", "user": { "idx": 7, "nickname": "별명", "role": "viewer" }, "text": "held", "flags": ["profanity"] })),
        ("message.posted", json!({ "user": { "idx": 7, "nickname": "별명", "role": "viewer" }, "text": "held", "replyTo": target, "attributes": { "amount": 5 }, "emotes": [{ "id": "wait_1", "start": 0, "end": 4 }], "held": { "at": "2026-11-22T09:59:00.000Z", "position": "1879f0c3a1b2c3d4-1e-0", "by": by, "reason": "harmless" } })),
        ("message.denied", json!({ "target": target, "user": 7, "by": by, "reason": "harmful" })),
        ("message.reported", json!({ "target": target, "by": by, "category": "spam", "reason": "a link" })),
        ("report.closed", json!({ "target": target, "by": by, "reason": "harmless" })),
        ("user.banned", json!({ "user": 7, "until": "2026-11-23T10:00:00.000Z", "by": by })),
        ("user.banned", json!({ "user": 7, "purgeSeconds": 600, "by": by })),
        ("user.banned", json!({ "presenterIdx": null, "user": 7, "purgeSeconds": 600, "by": by })),
        ("user.unbanned", json!({ "user": 7, "by": by, "reason": "appeal" })),
        ("user.banned", json!({ "presenterIdx": null, "user": 7, "by": by, "reason": "spam" })),
        ("moderator.added", json!({ "user": 7, "by": by })),
        ("moderator.removed", json!({ "user": 7, "by": by, "reason": "left the team" })),
        ("user.warned", json!({ "user": 7, "by": by, "reason": "no links please" })),
        ("warning.withdrawn", json!({ "user": 7, "by": by })),
        ("warning.sent", json!({ "user": 7, "target": target })),
        ("note.added", json!({ "user": 7, "text": "warned twice elsewhere", "by": by })),
        ("note.deleted", json!({ "user": 7, "target": target, "by": by, "reason": "another user" })),
        ("room.cleared", json!({ "by": by, "reason": "raid" })),
        ("room.updated", json!({ "settings": { "slowModeSeconds": 5 }, "changed": ["slowModeSeconds"], "until": { "slowModeSeconds": "2026-11-23T10:00:00.000Z" }, "by": by, "reason": "raid" })),
        ("room.swept", json!({ "rule": { "texts": ["RAID", "ｒａｉｄ"], "users": [7, 8], "label": "profanity" }, "secondsBack": 600, "by": by, "reason": "raid" })),
        ("room.swept", json!({ "rule": { "texts": ["raid"] }, "secondsBack": 60, "by": by })),
        ("room.swept", json!({ "rule": { "texts": ["raid"] }, "span": { "secondsBack": 60, "forward": "refuse", "forwardUntil": "2026-11-22T12:36:00.000Z" }, "by": by })),
        ("sweep.undone", json!({ "target": target, "by": by, "reason": "a mistake" })),
        ("user.erased", json!({ "presenterIdx": null, "user": 7, "mode": "anonymise", "by": by })),
        ("presenter.connected", json!({ "session": target })),
        ("presenter.disconnected", json!({ "session": target, "reason": "closed" })),
        ("message.translated", json!({ "text": "of a later version" })),
        ("message.deleted", json!({ "target": "not an id", "by": by })),
    ]
    .map(|(kind, members)| {
        let mut line = json!({
            "v": 1,
            "id": "0192f0c1-2d3e-7a4b-8c5d-000000000001",
            "type": kind,
            "presenterIdx": 42,
            "at": "2026-11-22T10:00:00.123Z",
        });
        line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        format!("{kind} {members}\n  {}\n", document(&line))
    });
    insta::assert_snapshot!(documents.concat());
}

#[test]
fn a_position_that_mongodb_cannot_hold_is_put_aside() {
    let mut work = Work::default();
    let event = Event::now(
        PresenterIdx::try_from(1).unwrap(),
        Body::RoomCleared(chat::RoomCleared {
            by: User { idx: chat::UserIdx::try_from(1).unwrap(), nickname: String::new(), role: chat::Role::Presenter },
            reason: None,
        }),
    );
    let position = Position { epoch: u64::MAX, sequence: 1, index: 0 };
    work.add(Entry::read(position, event.to_line()));
    assert_eq!(work.quarantine.len(), 1);
    assert_eq!(work.quarantine[0].cause, Cause::Unmappable);
}
