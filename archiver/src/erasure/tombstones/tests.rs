//! Which erasure covers which event, and what a batch loses to erasures.

use mongodb::bson::DateTime;
use nats::Entry;
use serde_json::{Value, json};

use super::*;
use crate::mongo::documents::{ErasureCounts, ErasureState};

const PSEUDONYM: i64 = -1_234;

fn at(epoch: i64, sequence: i64) -> PositionDocument {
    PositionDocument { epoch, sequence, index: 3 }
}

/// An erasure in a log with the epochs 11 and 12 and these known copies.
fn erasure(id: &str, user: i64, mode: ErasureMode, positions: &[PositionDocument]) -> ErasureDocument {
    ErasureDocument {
        id: id.to_owned(),
        user_idx: user,
        mode,
        at: DateTime::from_millis(1_000),
        by: UserDocument { user_idx: 3, nickname: "staff".to_owned(), role: Role::Moderator },
        pseudonym: PSEUDONYM,
        epochs: vec![11, 12],
        positions: positions.to_vec(),
        state: ErasureState::Running,
        counts: ErasureCounts::default(),
        pages: 0,
        page: None,
        finished_at: None,
        recorded_at: None,
        log_held_until: None,
        expires_at: None,
    }
}

/// A batch of these events, each at the position with its number in epoch 11.
fn batch(events: &[(u64, &str, Value)]) -> Work {
    let mut work = Work::default();
    for (sequence, kind, members) in events {
        let mut line = json!({
            "v": 1,
            "id": format!("0192f0c1-2d3e-7a4b-8c5d-{sequence:012}"),
            "type": kind,
            "presenterIdx": 42,
            "at": "2026-11-22T10:00:00.123Z",
        });
        line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        work.add(Entry::read(Position { epoch: 11, sequence: *sequence, index: 3 }, line.to_string().into()));
    }
    work
}

fn user(idx: i64, role: &str) -> Value {
    json!({ "idx": idx, "nickname": format!("name {idx}"), "role": role })
}

fn posted(idx: i64, role: &str) -> Value {
    json!({ "user": user(idx, role), "text": format!("text of {idx}") })
}

#[test]
fn an_erasure_is_about_what_its_user_did_before_it_and_the_first_one_after_counts() {
    let tombstones = Tombstones(vec![
        erasure("first", 7, ErasureMode::Remove, &[at(11, 10), at(12, 20)]),
        erasure("second", 7, ErasureMode::Anonymise, &[at(11, 30), at(12, 40)]),
        // A copy that is not known yet covers nothing.
        erasure("half", 8, ErasureMode::Remove, &[at(11, 50)]),
    ]);
    for (user, position, expected) in [
        (7, at(11, 5), Some("first")),
        (7, PositionDocument { index: 2, ..at(11, 10) }, Some("first")),
        (7, at(11, 10), Some("second")),
        (7, at(11, 29), Some("second")),
        (7, at(11, 30), None),
        (7, at(11, 31), None),
        (7, at(12, 15), Some("first")),
        (7, at(12, 35), Some("second")),
        (8, at(11, 49), Some("half")),
        (8, at(12, 1), None),
        (9, at(11, 1), None),
        // An earlier log, an epoch between the two, and a later one.
        (7, at(2, 9_999), Some("first")),
        (7, at(13, 1), None),
        (8, at(2, 1), None),
    ] {
        let covering = tombstones.covering(user, position).map(|erasure| erasure.id.as_str());
        assert_eq!(covering, expected, "user {user} at {position:?}");
    }
    assert!(tombstones.has_removed(7) && tombstones.has_removed(8) && !tombstones.has_removed(9));
    assert!(!Tombstones(vec![erasure("second", 7, ErasureMode::Anonymise, &[])]).has_removed(7));
}

#[test]
fn of_two_erasures_the_nearer_one_counts_in_whichever_order_they_were_wanted() {
    let (near, far) = ([at(11, 20), at(12, 20)], [at(11, 40), at(12, 40)]);
    let tombstones = Tombstones(vec![
        erasure("wanted first", 7, ErasureMode::Remove, &far),
        erasure("wanted second", 7, ErasureMode::Anonymise, &near),
    ]);
    assert_eq!(tombstones.covering(7, at(11, 5)).unwrap().id, "wanted second");
    assert_eq!(tombstones.covering(7, at(11, 20)).unwrap().id, "wanted first");
}

#[test]
fn an_anonymised_user_is_named_nowhere_in_earlier_events() {
    let tombstones = Tombstones(vec![erasure("e", 7, ErasureMode::Anonymise, &[at(11, 100), at(12, 100)])]);
    let work = batch(&[
        (1, "message.posted", posted(7, "viewer")),
        (2, "message.posted", posted(7, "presenter")),
        (3, "message.posted", posted(8, "presenter")),
        (4, "room.cleared", json!({ "by": user(7, "presenter"), "reason": "raid" })),
        (5, "user.banned", json!({ "user": 7, "by": user(8, "moderator"), "reason": "what 7 said" })),
        (6, "user.banned", json!({ "user": 9, "by": user(8, "presenter"), "reason": "what 9 said" })),
        (7, "of.a.later.version", json!({ "user": 7 })),
        (8, "of.a.later.version", json!({ "user": 9 })),
        (101, "message.posted", posted(7, "viewer")),
        (102, "user.banned", json!({ "user": 7, "by": user(7, "moderator"), "reason": "since" })),
        (103, "of.a.later.version", json!({ "user": 7 })),
    ]);
    let censored = tombstones.censor(&work);

    let messages: Vec<_> = censored.messages.iter().map(|message| &message.document).collect();
    let names: Vec<_> = messages.iter().map(|m| (m.user_idx, m.nickname.as_str(), m.role)).collect();
    assert_eq!(
        names,
        [
            (PSEUDONYM, "", Role::Viewer),
            // A room has one presenter.
            (PSEUDONYM, "", Role::Viewer),
            (8, "name 8", Role::Presenter),
            (7, "name 7", Role::Viewer),
        ]
    );
    assert_eq!(messages[0].text(), "text of 7", "the text stays");
    let decisions: Vec<_> = censored
        .decisions
        .iter()
        .map(|Lined { document, .. }| {
            let by = document.by.as_ref().unwrap();
            (by.user_idx, by.nickname.as_str(), by.role, document.user_idx, document.reason.as_deref())
        })
        .collect();
    assert_eq!(
        decisions,
        [
            (PSEUDONYM, "", Role::Moderator, None, Some("raid")),
            (8, "name 8", Role::Moderator, Some(PSEUDONYM), None),
            (8, "name 8", Role::Presenter, Some(9), Some("what 9 said")),
            (7, "name 7", Role::Moderator, Some(7), Some("since")),
        ]
    );
    let lines: Vec<&str> = censored.quarantine.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(lines, ["b-8-3", "b-67-3"]);
    assert!(tombstones.removed(&work).is_empty());
}

#[test]
fn no_earlier_message_of_a_removed_user_is_left() {
    let tombstones = Tombstones(vec![
        erasure("of 7", 7, ErasureMode::Remove, &[at(11, 100), at(12, 100)]),
        erasure("of 8", 8, ErasureMode::Anonymise, &[at(11, 100), at(12, 100)]),
    ]);
    let work = batch(&[
        (1, "message.posted", posted(7, "viewer")),
        (2, "message.posted", posted(8, "viewer")),
        (3, "message.posted", posted(9, "viewer")),
        (4, "message.posted", posted(7, "viewer")),
        (101, "message.posted", posted(7, "viewer")),
    ]);
    let users = |work: &Work| work.messages.iter().map(|m| m.document.user_idx).collect::<Vec<_>>();
    assert_eq!(users(&tombstones.censor(&work)), [PSEUDONYM, 9, 7]);
    let removed = tombstones.removed(&work);
    let [(erasure, messages)] = removed.as_slice() else { panic!("{removed:?}") };
    let sequences: Vec<_> = messages.iter().map(|id| id.trim_start_matches("0192f0c1-2d3e-7a4b-8c5d-")).collect();
    assert_eq!((erasure.id.as_str(), sequences), ("of 7", vec!["000000000001", "000000000004"]));
}

#[test]
fn the_erasures_about_a_batch_are_those_that_something_in_it_stands_before() {
    let copies = [at(11, 50), at(12, 50)];
    let tombstones = Tombstones(
        [("author", 1), ("moderator", 2), ("banned", 3), ("in a line", 4), ("later", 5), ("nobody", 6)]
            .map(|(id, user)| erasure(id, user, ErasureMode::Remove, &copies))
            .to_vec(),
    );
    let work = batch(&[
        (1, "message.posted", posted(1, "viewer")),
        (2, "user.banned", json!({ "user": 3, "by": user(2, "moderator") })),
        (3, "of.a.later.version", json!({ "user": 4 })),
        (60, "message.posted", posted(5, "viewer")),
    ]);
    assert_eq!(work.people(), [1, 2, 3, 4, 5].into());
    let about: Vec<&str> = tombstones.about(&work).map(|erasure| erasure.id.as_str()).collect();
    assert_eq!(about, ["author", "moderator", "banned", "in a line"]);
}
