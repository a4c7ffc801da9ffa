//! Warnings as events come: once, again, and in any order.

use super::*;
use crate::body::Role;

fn room(idx: i64) -> PresenterIdx {
    PresenterIdx::try_from(idx).unwrap()
}

fn user(idx: i64) -> UserIdx {
    UserIdx::try_from(idx).unwrap()
}

fn at(sequence: u64) -> Position {
    Position { epoch: 1, sequence, index: 0 }
}

fn by() -> User {
    User { idx: user(3), nickname: "mod".to_owned(), role: Role::Moderator }
}

fn event(body: Body) -> Event {
    Event::now(room(42), body)
}

fn warned(idx: i64) -> Event {
    let reason = Some("no links please".to_owned());
    event(Body::UserWarned(UserWarned { user: user(idx), by: by(), reason }))
}

fn withdrawn(idx: i64) -> Event {
    event(Body::WarningWithdrawn(WarningWithdrawn { user: user(idx), by: by(), reason: None }))
}

fn sent(idx: i64, warning: &Event) -> Event {
    event(Body::WarningSent(WarningSent { user: user(idx), target: warning.id }))
}

#[test]
fn a_warning_is_unsent_until_an_answer_carried_it_and_listed_until_it_is_withdrawn_or_over() {
    let (mut warnings, one, now) = (Warnings::default(), warned(7), crate::now());
    assert!(warnings.apply(at(1), room(42), &one));
    assert_eq!(warnings.unsent(), 1);
    let known = warnings.get(room(42), user(7), now).unwrap();
    assert_eq!((known.id, known.position, known.sent_at), (one.id, at(1), None));
    assert_eq!(warnings.get(room(43), user(7), now), None);
    assert_eq!(warnings.get(room(42), user(8), now), None);

    let told = sent(7, &one);
    assert!(warnings.apply(at(2), room(42), &told));
    assert_eq!(warnings.unsent(), 0);
    assert_eq!(warnings.get(room(42), user(7), now).and_then(|warning| warning.sent_at), Some(told.at));

    let other = warned(7);
    assert!(warnings.apply(at(3), room(42), &other));
    assert_eq!(warnings.unsent(), 1, "a new warning is told again");
    assert_eq!(warnings.get(room(42), user(7), other.at + WARNED_FOR), None);
    assert!(warnings.apply(at(4), room(42), &withdrawn(7)));
    assert_eq!((warnings.unsent(), warnings.get(room(42), user(7), now)), (0, None));
}

#[test]
fn decisions_may_come_in_any_order_and_again() {
    let (one, other) = (warned(7), warned(7));
    let events = [(at(1), one.clone()), (at(2), sent(7, &one)), (at(3), other.clone()), (at(4), sent(7, &other))];
    for first in 0..events.len() {
        let mut warnings = Warnings::default();
        for (position, event) in events[first..].iter().chain(&events) {
            warnings.apply(*position, room(42), event);
        }
        let known = warnings.get(room(42), user(7), crate::now()).unwrap();
        assert_eq!((known.id, known.sent_at.is_some(), warnings.unsent()), (other.id, true, 0), "{first}");
        assert_eq!(warnings.known(room(42), user(7)), Some(at(3)));
        assert_eq!(warnings.known_sent(room(42), user(7)), Some(at(4)));
    }
}

#[test]
fn an_erasure_ends_the_warnings_before_it_and_a_saved_one_without_its_reason_is_none() {
    let (mut warnings, now) = (Warnings::default(), crate::now());
    warnings.apply(at(1), room(42), &warned(7));
    warnings.apply(at(2), room(42), &warned(8));
    warnings.apply(at(3), room(43), &warned(7));
    warnings.apply(at(9), room(44), &warned(7));
    warnings.erase(user(7), at(5), |room| room.get() != 43);
    let is_warned = |room_idx, idx| warnings.get(room(room_idx), user(idx), now).is_some();
    assert!(!is_warned(42, 7) && is_warned(42, 8) && is_warned(43, 7) && is_warned(44, 7));
    assert_eq!(warnings.unsent(), 3);

    let mut saved = warned(7);
    let Body::UserWarned(body) = &mut saved.body else { panic!("it is a warning") };
    body.reason = None;
    let mut warnings = Warnings::default();
    assert!(warnings.apply(at(1), room(42), &saved));
    assert_eq!((warnings.unsent(), warnings.get(room(42), user(7), now)), (0, None));
}

#[test]
fn warnings_are_listed_by_user_and_forgotten_once_they_are_over() {
    let (mut warnings, now) = (Warnings::default(), crate::now());
    for (sequence, idx) in [(1, 9), (2, 7), (3, 8)] {
        warnings.apply(at(sequence), room(42), &warned(idx));
    }
    warnings.apply(at(4), room(42), &withdrawn(8));
    let users = |after| -> Vec<UserIdx> { warnings.of_room(room(42), after, now).map(|(user, _)| user).collect() };
    assert_eq!((users(None), users(Some(user(7)))), (vec![user(7), user(9)], vec![user(9)]));
    warnings.tidy(now);
    assert_eq!((warnings.known(room(42), user(8)), warnings.unsent()), (None, 2));
    warnings.tidy(crate::now() + WARNED_FOR);
    assert_eq!((warnings.rooms.len(), warnings.unsent()), (0, 0));
}
