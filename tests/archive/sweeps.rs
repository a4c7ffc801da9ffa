//! An undone sweep is as if it had never been, in every answer of the archive. The audit alone tells.

use chat::{Body, Event, EventId, MessagePosted, Role, RoomSwept, Similarity, SweepRule, SweepUndone, User};
use mongodb::bson::doc;
use serde_json::json;

use super::broadcast::Session;
use super::reading::{Reader, archive, archive_many, evening, said, texts, time};
use super::restored::{answers, stored};
use super::{World, deletion, presenter, user};

/// A sweep of the room at that time of the evening, ten minutes back.
fn sweep(room: i64, ms: i64, rule: SweepRule) -> Event {
    let swept = RoomSwept { rule, seconds_back: 600, forward: None, by: user(3), reason: Some("raid".to_owned()) };
    Event::now(presenter(room), Body::RoomSwept(Box::new(swept))).recorded_at(evening(ms))
}

fn undoing(room: i64, target: EventId) -> Event {
    let undone = SweepUndone { target, by: user(42), reason: Some("a mistake".to_owned()) };
    Event::now(presenter(room), Body::SweepUndone(undone)).recorded_at(evening(50_000))
}

fn of_texts(texts: &[&str]) -> SweepRule {
    SweepRule { texts: Some(texts.iter().map(|text| (*text).to_owned()).collect()), ..SweepRule::default() }
}

#[tokio::test]
async fn an_undone_sweep_is_in_every_answer_as_if_it_had_never_been() {
    let world = World::start().await;
    let (archiver, other) = tokio::join!(world.archiver(), world.archiver());
    let session = Session::new(0, 60_000);
    let (begins, ends) = (session.begins(42), session.ends(42, "closed"));
    let raid: Vec<Event> = (0..500).map(|nth| said(42, 7 + nth % 90, 1_000 + nth, "It went WRONG")).collect();
    archive(&world, &[begins, said(42, 8, 2_000, "right"), said(43, 7, 2_000, "it went wrong"), ends]).await;
    archive_many(&world, raid.clone()).await;
    let never = answers(&archiver).await;

    let swept = sweep(42, 30_000, of_texts(&["ｉｔ went wrong"]));
    archive(&world, std::slice::from_ref(&swept)).await;
    let without = answers(&archiver).await;
    let differ = never.iter().zip(&without).filter(|(never, without)| never != without).count();
    assert_eq!(differ, never.len(), "every answer is without them: {without:#?}");
    let id = swept.id.to_string();
    let reader = Reader::moderator(&archiver);
    let deleted = reader.all("/v1/rooms/42/messages", &[("decision", &id)], "messages", 200).await;
    assert_eq!(deleted.len(), 500);
    assert!(deleted.iter().all(|message| message["deleted"]["reason"].is_null()), "the audit has the reason");

    // A moderator of another room does not undo it, and neither does a decision about something else.
    let not_it = [undoing(43, swept.id), undoing(42, raid[0].id)];
    archive(&world, &not_it).await;
    assert_eq!(answers(&other).await, without);
    archive(&world, &[undoing(42, swept.id)]).await;
    assert_eq!(answers(&other).await, never);

    // Again, with a deletion of one of them, which stays.
    let (again, gone) = (sweep(42, 31_000, of_texts(&["it went wrong"])), deletion(42, raid[0].id));
    archive(&world, &[deletion(42, raid[0].id)]).await;
    let without_one = answers(&archiver).await;
    archive(&world, &[again.clone(), gone]).await;
    archive(&world, &[undoing(42, again.id), undoing(42, again.id)]).await;
    assert_eq!(answers(&archiver).await, without_one);

    let audit = Reader::moderator(&archiver).all("/v1/rooms/42/moderation", &[("by", "3")], "decisions", 10).await;
    assert_eq!(texts(&audit, "type"), ["room.swept"; 2]);
    assert_eq!((&audit[0]["sweptFrom"], &audit[0]["reason"]), (&json!(time(30_000 - 600_000)), &json!("raid")));
    let query = [("type", "sweep.undone"), ("order", "asc")];
    let audit = Reader::moderator(&other).all("/v1/rooms/42/moderation", &query, "decisions", 10).await;
    assert_eq!((audit.len(), &audit[1]["target"]), (4, &json!(id)));
}

#[tokio::test]
async fn a_rule_selects_by_text_user_flag_and_time_and_viewers_unless_it_names_users() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let moderator = User { role: Role::Moderator, ..user(9) };
    let flagged = |by: i64, ms: i64| {
        let posted = MessagePosted { flags: vec!["ko.abuse".to_owned()], ..MessagePosted::new(user(by), "flagged") };
        Event::now(presenter(42), Body::MessagePosted(posted)).recorded_at(evening(ms))
    };
    let by_moderator = Event::now(presenter(42), Body::MessagePosted(MessagePosted::new(moderator, "raid")));
    let events = [
        said(42, 7, 0, "raid"),
        said(42, 7, 700_000, "raid"),
        said(42, 8, 700_001, "raid"),
        by_moderator.recorded_at(evening(700_002)),
        flagged(7, 700_003),
        flagged(8, 700_004),
        said(43, 7, 700_005, "raid"),
    ];
    archive(&world, &events).await;
    let rule = |texts: Option<&str>, users: Option<i64>, label: Option<&str>| SweepRule {
        texts: texts.map(|text| vec![text.to_owned()]),
        similarity: None,
        users: users.map(|idx| vec![user(idx).idx]),
        label: label.map(str::to_owned),
    };
    for (rule, expected) in [
        (rule(Some("RAID"), None, None), vec![1, 2]),
        (rule(Some("raid"), Some(9), None), vec![3]),
        (rule(None, Some(7), None), vec![1, 4]),
        (rule(None, None, Some("ko.abuse")), vec![4, 5]),
        (rule(Some("flagged"), Some(8), Some("ko.abuse")), vec![5]),
        (rule(None, None, None), vec![]),
    ] {
        let swept = sweep(42, 800_000, rule.clone());
        archive(&world, std::slice::from_ref(&swept)).await;
        let deleted: Vec<bool> = stored(&world).await.iter().map(|message| message.contains_key("deleted")).collect();
        let expected: Vec<bool> = (0..events.len()).map(|place| expected.contains(&place)).collect();
        assert_eq!(deleted, expected, "{rule:?}");
        archive(&world, &[undoing(42, swept.id)]).await;
        assert!(stored(&world).await.iter().all(|message| !message.contains_key("deleted")));
    }
}

#[tokio::test]
async fn a_sweep_by_similarity_marks_similar_texts_on_whichever_side_of_it_they_are_archived() {
    let world = World::start().await;
    let (archiver, other) = tokio::join!(world.archiver(), world.archiver());
    // More than two pages of messages that are compared, of which every third is similar.
    let raid =
        |number: i64| if number % 3 == 0 { format!("join the club {number}!") } else { format!("number {number}") };
    let events: Vec<Event> = (0..2_100).map(|number| said(42, 7, 1_000 + number, &raid(number))).collect();
    let (before, after) = events.split_at(2_000);
    let session = Session::new(0, 60_000);
    archive(&world, &[session.begins(42), session.ends(42, "closed")]).await;
    archive_many(&world, before.to_vec()).await;
    let never = answers(&archiver).await;
    let similarity = Similarity::try_from(70).ok();
    let swept = sweep(42, 30_000, SweepRule { similarity, ..of_texts(&["ＪＯＩＮ the club 1!"]) });
    archive(&world, std::slice::from_ref(&swept)).await;
    let reader = Reader::moderator(&other);
    let id = swept.id.to_string();
    let deleted = reader.all("/v1/rooms/42/messages", &[("decision", &id)], "messages", 200).await;
    assert_eq!(deleted.len(), 667);
    assert!(deleted.iter().all(|message| message["text"].as_str().unwrap().starts_with("join the club")));
    archive(&world, &[undoing(42, swept.id)]).await;
    assert_eq!(answers(&other).await, never);
    // What comes after it in the log stays.
    archive_many(&world, after.to_vec()).await;
    let again = sweep(42, 31_000, SweepRule { similarity, ..of_texts(&["join the club 1!"]) });
    archive(&world, std::slice::from_ref(&again)).await;
    let later = said(42, 8, 30_500, "join the club 1!");
    archive(&world, std::slice::from_ref(&later)).await;
    let messages = world.collection("chatting_log");
    assert_eq!(messages.count_documents(doc! { "deleted": { "$exists": true } }).await.unwrap(), 700);
}

#[tokio::test]
async fn a_message_without_its_text_stays_deleted_and_an_old_rule_is_removed() {
    let settings = |world: &World| world.settings.clone().set("archiver.retention.sweep", "1s");
    let world = World::start().await;
    let gone = said(42, 7, 1_000, "raid");
    // Older than the log.
    let swept = sweep(42, 30_000, of_texts(&["raid"]));
    let _archiver = crate::support::Role::start("archiver", &settings(&world)).await;
    archive(&world, &[gone.clone(), swept.clone()]).await;
    let before = stored(&world).await;
    assert!(before[0].contains_key("deleted"));
    let decisions = world.collection("moderation_log");
    let with_rule = doc! { "_id": swept.id.to_string(), "rule": { "$exists": true } };
    crate::support::eventually("the rule is removed", super::PATIENCE, async || {
        (decisions.count_documents(with_rule.clone()).await.unwrap() == 0).then_some(())
    })
    .await;
    // As retention does.
    let text = doc! { "$unset": { "message": "", "folded": "" } };
    world.collection("chatting_log").update_one(doc! { "_id": gone.id.to_string() }, text).await.unwrap();
    let before = stored(&world).await;
    archive(&world, &[undoing(42, swept.id)]).await;
    assert_eq!(stored(&world).await, before);
}
