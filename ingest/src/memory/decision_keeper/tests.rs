//! What an erasure leaves of saved decisions, and how many of those that wait keep their words.

use chat::{PresenterIdx, Role, RoomSwept};

use super::*;

fn ban(user: i64) -> (Subject, Event) {
    let (room, user) = (PresenterIdx::try_from(42).unwrap(), UserIdx::try_from(user).unwrap());
    let by = User { idx: room.as_user(), nickname: "presenter".to_owned(), role: Role::Presenter };
    let banned = UserBanned { user, until: None, purge_seconds: None, by, reason: Some("raid".to_owned()) };
    (Subject::Ban(Some(room), user), Event::now(room, Body::UserBanned(banned)))
}

#[test]
fn an_erasure_removes_the_user_and_all_texts_from_the_rules_of_sweeps_and_the_reasons_about_the_user() {
    let user = |idx: i64| UserIdx::try_from(idx).unwrap();
    let by = User { idx: user(42), nickname: "presenter".to_owned(), role: Role::Presenter };
    for (users, erased, left, is_described) in
        [(vec![7, 8], 7, vec![8], true), (vec![8], 7, vec![8], false), (vec![8], 42, vec![8], false)]
    {
        let users = Some(users.into_iter().map(user).collect());
        let rule = chat::SweepRule { texts: Some(vec!["raid".to_owned()]), users, ..chat::SweepRule::default() };
        let swept =
            RoomSwept { rule, seconds_back: 60, forward: None, by: by.clone(), reason: Some("raid".to_owned()) };
        let mut event = Event::now(user(42).as_presenter(), Body::RoomSwept(Box::new(swept)));
        assert!(unname(&mut event, user(erased)));
        assert!(erased == 42 || !unname(&mut event, user(erased)), "once");
        let Body::RoomSwept(swept) = event.body else { panic!("it is a sweep") };
        assert_eq!(swept.rule.texts, Some(Vec::new()));
        assert_eq!(swept.rule.users, Some(left.into_iter().map(user).collect()));
        assert_eq!((swept.reason.is_none(), swept.by.nickname.is_empty()), (is_described, erased == 42));
    }
}

fn reason(decision: &Event) -> Option<&str> {
    match &decision.body {
        Body::UserBanned(banned) => banned.reason.as_deref(),
        _ => None,
    }
}

#[test]
fn of_the_decisions_that_wait_for_the_bucket_so_many_keep_their_reasons_and_the_others_wait_without() {
    let mut state = State::default();
    let most = MOST_REASONS as i64;
    for user in 1..=2 * most {
        let (subject, event) = ban(user);
        state.keep(subject, Position { epoch: 1, sequence: user as u64, index: 0 }, event);
    }
    assert_eq!(state.waiting.len(), 2 * MOST_REASONS, "no decision is dropped");
    let waits = |user: i64| &state.waiting[&ban(user).0].1;
    assert!(reason(waits(1)).is_some() && reason(waits(most)).is_some());
    assert!((most + 1..=2 * most).all(|user| reason(waits(user)).is_none()));
    assert_eq!(state.waiting.values().filter(|(_, event)| reason(event).is_some()).count(), MOST_REASONS);
    // Where the bucket has taken some, newer ones keep theirs again.
    (1..=most + 1).for_each(|user| drop(state.waiting.remove(&ban(user).0)));
    let (subject, event) = ban(2 * most + 1);
    state.keep(subject, Position { epoch: 1, sequence: 1, index: 0 }, event);
    assert!(reason(&state.waiting[&subject].1).is_some());
}
