//! `chatting-server quarantine` as an operator uses it: beside running archivers, and repeatedly.

use chat::{Body, Event, Position, UserBanned};
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};

use super::reading::archived;
use super::{World, deletion, message, presenter, user};
use crate::support::Settings;

/// The output of the command, and its exit code.
struct Answer {
    code: i32,
    text: String,
    error: String,
}

async fn quarantine(settings: &Settings, arguments: &[&str]) -> Answer {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_chatting-server"));
    let output = command.arg("quarantine").args(arguments).envs(settings.variables()).output().await.unwrap();
    Answer {
        code: output.status.code().unwrap(),
        text: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A validator that refuses certain texts.
async fn forbid(world: &World, collection: &str, validator: Document) {
    world.database.run_command(doc! { "collMod": collection, "validator": validator }).await.unwrap();
}

async fn allow(world: &World, collection: &str) {
    forbid(world, collection, doc! {}).await;
}

fn no_forbidden_text() -> Document {
    doc! { "message": { "$not": { "$regex": "forbidden" } } }
}

#[tokio::test]
async fn refused_lines_are_archived_once_the_validator_is_gone() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    forbid(&world, "chatting_log", no_forbidden_text()).await;
    let mut positions = Vec::new();
    let events = ["first", "forbidden one", "between", "forbidden two", "last"].map(|text| message(1, text));
    for event in &events {
        positions.push(world.log.append(event).await.unwrap());
    }
    world.append_raw(b"garbage").await;
    archived(&world).await;

    let still = quarantine(&world.settings, &["retry", "--all"]).await;
    assert_eq!(still.code, 1, "{}", still.error);
    assert!(still.text.starts_with("archived 0, kept 3\n"), "{}", still.text);
    assert_eq!(world.documents("quarantine", 3).await.len(), 3);

    allow(&world, "chatting_log").await;
    let one = quarantine(&world.settings, &["retry", &positions[3].to_string()]).await;
    assert_eq!((one.code, one.text.as_str()), (0, "archived 1, kept 0\n"), "{}", one.error);
    let refused = quarantine(&world.settings, &["retry", "--cause", "refused"]).await;
    assert_eq!((refused.code, refused.text.as_str()), (0, "archived 1, kept 0\n"), "{}", refused.error);
    let room = world.archive.room(presenter(1)).await.unwrap();
    let kept: Vec<_> = room.iter().map(|message| (message.id, message.position)).collect();
    let expected: Vec<_> = events.iter().map(|event| event.id).zip(positions.iter().copied()).collect();
    assert_eq!(kept, expected);

    // A malformed line stays, and a repetition changes nothing.
    let again = quarantine(&world.settings, &["retry", "--cause", "refused"]).await;
    assert_eq!((again.code, again.text.as_str()), (0, "archived 0, kept 0\n"));
    let gone = quarantine(&world.settings, &["retry", &positions[3].to_string()]).await;
    assert_eq!((gone.code, gone.text), (1, format!("archived 0, kept 0\n{}: not in quarantine\n", positions[3])));
    assert_eq!(world.documents("quarantine", 1).await.len(), 1);
    assert_eq!(archiver.terminate().await, 0);
}

#[tokio::test]
async fn a_line_that_is_still_refused_is_kept_with_the_new_reason() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    forbid(&world, "chatting_log", no_forbidden_text()).await;
    let position = world.log.append(&message(1, "forbidden")).await.unwrap().to_string();
    archived(&world).await;
    allow(&world, "chatting_log").await;
    world.log.append(&message(1, "unlike it")).await.unwrap();
    archived(&world).await;
    let index = doc! { "createIndexes": "chatting_log", "indexes": [{ "name": "one", "key": { "userIdx": 1 }, "unique": true }] };
    world.database.run_command(index).await.unwrap();
    let before = world.documents("quarantine", 1).await.remove(&position).unwrap();
    let kept = quarantine(&world.settings, &["retry", &position]).await;
    assert_eq!((kept.code, kept.text), (1, format!("archived 0, kept 1\n{position}: kept, see quarantine show\n")));
    let after = world.documents("quarantine", 1).await.remove(&position).unwrap();
    assert_eq!(after.get_str("reason").unwrap(), "a unique index of the collection refuses it (11000)");
    assert_eq!((after.get("line"), after.get("at")), (before.get("line"), before.get("at")));
}

#[tokio::test]
async fn a_message_that_was_deleted_while_it_was_in_quarantine_is_archived_as_deleted() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    forbid(&world, "chatting_log", no_forbidden_text()).await;
    let gone = message(1, "forbidden");
    world.log.append(&gone).await.unwrap();
    let decision = deletion(1, gone.id);
    world.log.append(&decision).await.unwrap();
    archived(&world).await;
    allow(&world, "chatting_log").await;
    assert_eq!(quarantine(&world.settings, &["retry", "--all"]).await.code, 0);
    let room = world.archive.room(presenter(1)).await.unwrap();
    assert_eq!(room[0].deleted.as_ref().map(|deleted| deleted.decision), Some(decision.id));
}

#[tokio::test]
async fn concurrent_quarantine_retries_beside_an_archiver_archive_everything_once() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    forbid(&world, "chatting_log", no_forbidden_text()).await;
    let mut batch = Vec::new();
    for number in 0..450 {
        batch.extend_from_slice(&message(1 + number % 3, format!("forbidden {number}")).to_line());
        batch.push(b'\n');
    }
    world.append_raw(&batch).await;
    archived(&world).await;
    assert_eq!(world.documents("quarantine", 450).await.len(), 450);
    allow(&world, "chatting_log").await;
    let retry = || quarantine(&world.settings, &["retry", "--all"]);
    let (one, other, third, ()) = tokio::join!(retry(), retry(), retry(), async {
        for number in 0..20 {
            world.log.append(&message(1, format!("meanwhile {number}"))).await.unwrap();
        }
    });
    archived(&world).await;
    let count = |answer: &Answer| {
        assert_eq!(answer.code, 0, "{}", answer.error);
        let count = answer.text.strip_prefix("archived ").and_then(|text| text.strip_suffix(", kept 0\n")).unwrap();
        count.parse::<u64>().unwrap()
    };
    assert_eq!(count(&one) + count(&other) + count(&third), 450);
    assert_eq!(world.documents("chatting_log", 470).await.len(), 470);
    assert!(world.documents("quarantine", 0).await.is_empty());
}

#[tokio::test]
async fn a_decision_of_every_room_keeps_its_meaning_and_is_one_document() {
    let world = World::with_partitions(2).await;
    let _archiver = world.archiver().await;
    forbid(&world, "moderation_log", doc! { "reason": { "$ne": "forbidden" } }).await;
    let ban = |reason: &str| {
        let banned = UserBanned {
            user: user(7).idx,
            until: None,
            purge_seconds: None,
            by: user(3),
            reason: Some(reason.to_owned()),
        };
        Event { presenter: None, ..Event::now(presenter(1), Body::UserBanned(banned)) }
    };
    let (refused, kept_elsewhere) = (ban("forbidden"), ban("of a later version"));
    let first: Position = world.log.append(&refused).await.unwrap();
    archived(&world).await;
    // As left by a version that could not parse the event: a line from each partition.
    let second = Position { epoch: first.epoch + 1, sequence: 9, index: 0 };
    let copies = [second, Position { sequence: 9, ..first }];
    for position in copies {
        let line = Bson::String(String::from_utf8(kept_elsewhere.to_line().to_vec()).unwrap());
        let kept = doc! {
            "_id": position.to_string(), "cause": "malformed", "reason": "version 2", "at": DateTime::now(), "line": line,
        };
        world.collection("quarantine").insert_one(kept).await.unwrap();
    }
    allow(&world, "moderation_log").await;
    // The last one counts.
    for position in [second, copies[1], first] {
        let one = quarantine(&world.settings, &["retry", &position.to_string()]).await;
        assert_eq!(one.code, 0, "{}{}", one.text, one.error);
    }
    let decisions = world.documents("moderation_log", 2).await;
    assert_eq!(decisions.len(), 2);
    for (event, position) in [(&refused, first), (&kept_elsewhere, copies[1])] {
        let decision = &decisions[&event.id.to_string()];
        assert!(!decision.contains_key("presenterIdx"), "{decision}");
        let stands = decision.get_document("position").unwrap();
        assert_eq!(stands.get_i64("epoch").unwrap() as u64, position.epoch);
        assert_eq!(stands.get_i64("sequence").unwrap() as u64, position.sequence);
    }
}

#[tokio::test]
async fn the_list_shows_texts_only_on_request_and_escapes_control_characters() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    world.append_raw(b"{\"text\":\"secret \xec\x95\x88\xeb\x85\x95\"} \x1b[2J").await;
    world.append_raw(b"\xff\xfe not UTF-8").await;
    forbid(&world, "chatting_log", no_forbidden_text()).await;
    let position = world.log.append(&message(1, "forbidden")).await.unwrap().to_string();
    archived(&world).await;

    let list = quarantine(&world.settings, &["list"]).await;
    assert_eq!(list.code, 0, "{}", list.error);
    assert_eq!(list.text.lines().count(), 4, "{}", list.text);
    assert!(list.text.ends_with("3 of 3 lines in quarantine\n"), "{}", list.text);
    assert!(!list.text.contains("secret") && !list.text.contains("forbidden"), "{}", list.text);
    let refused = quarantine(&world.settings, &["list", "--cause", "refused"]).await;
    let fields: Vec<&str> = refused.text.lines().next().unwrap().split('\t').collect();
    assert_eq!((fields[0], fields[1]), (position.as_str(), "refused"));
    assert_eq!(fields[4], "a validator of the collection refuses it (121)");
    let first = quarantine(&world.settings, &["list", "--first", "2", "--lines"]).await;
    assert!(first.text.ends_with("2 of 3 lines in quarantine\n"), "{}", first.text);
    assert!(first.text.contains("secret 안녕") && first.text.contains(r"\u{1b}[2J"), "{}", first.text);
    assert!(!first.text.contains('\u{1b}'));

    let show = quarantine(&world.settings, &["show", &position]).await;
    assert_eq!(show.code, 0, "{}", show.error);
    assert!(show.text.contains(&format!("position: {position}\ncause: refused\n")), "{}", show.text);
    assert!(show.text.contains(r#""text":"forbidden""#), "{}", show.text);
    assert_eq!(quarantine(&world.settings, &["show", "18-1-0"]).await.code, 1);

    let one = quarantine(&world.settings, &["discard", &position]).await;
    assert_eq!((one.code, one.text.as_str()), (0, "discarded 1\n"));
    let twice = quarantine(&world.settings, &["discard", &position]).await;
    assert_eq!((twice.code, twice.text.as_str()), (1, "discarded 0\n"));
    let rest = quarantine(&world.settings, &["discard", "--cause", "malformed"]).await;
    assert_eq!((rest.code, rest.text.as_str()), (0, "discarded 2\n"));
}

#[tokio::test]
async fn a_document_that_was_changed_by_hand_is_left_alone_and_the_others_are_archived() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let quarantined = world.collection("quarantine");
    let event = message(1, "put aside");
    let binary = |bytes: Vec<u8>| Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes });
    for (id, cause, line) in [
        ("1-1-0", "refused", binary(event.to_line().to_vec())),
        ("1-1-1", "of a later version", Bson::String("{}".to_owned())),
        ("not a position", "refused", Bson::String("{}".to_owned())),
        ("1-1-2", "refused", Bson::Int32(7)),
    ] {
        let kept = doc! { "_id": id, "cause": cause, "reason": "", "at": DateTime::now(), "line": line };
        quarantined.insert_one(kept).await.unwrap();
    }
    let all = quarantine(&world.settings, &["retry", "--all"]).await;
    assert_eq!((all.code, all.text.as_str()), (0, "archived 1, kept 0\n"), "{}", all.error);
    assert!(all.error.contains("not a position"), "{}", all.error);
    assert_eq!(world.room(1, 1).await[0].id, event.id);
    assert_eq!(world.documents("quarantine", 3).await.len(), 3);
}

#[tokio::test]
async fn the_exit_code_reports_what_could_not_be_done() {
    let world = World::start().await;
    let wrong = world.settings.clone().set("archiver.uri", "http://mongo");
    let answer = quarantine(&wrong, &["list"]).await;
    assert_eq!(answer.code, 64, "{}", answer.error);
    assert!(answer.error.contains("archiver.uri"), "{}", answer.error);
    world.mongod.kill();
    let away = world.settings.clone().set("archiver.server_selection_timeout_ms", "500");
    let answer = quarantine(&away, &["retry", "--all"]).await;
    assert_eq!((answer.code, answer.text.as_str()), (1, ""), "{}", answer.error);
    assert!(answer.error.contains("archiving the quarantine"), "{}", answer.error);
}
