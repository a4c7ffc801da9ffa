//! The replay as data: events in, rules out.

use chat::{ModeratorAdded, Role, RoomUpdated, User, UserUnbanned};
use jiff::ToSpan;
use serde_json::{Map, Value, json};

use super::*;
use crate::moderation::settings::tests::deployment;

fn rules() -> Rules {
    Rules::new(deployment())
}

fn at(sequence: u64) -> Position {
    Position { epoch: 1, sequence, index: 0 }
}

fn room(idx: i64) -> PresenterIdx {
    PresenterIdx::try_from(idx).unwrap()
}

fn user(idx: i64) -> UserIdx {
    UserIdx::try_from(idx).unwrap()
}

fn by() -> User {
    User { idx: user(3), nickname: "mod".to_owned(), role: Role::Moderator }
}

fn event(room: Option<PresenterIdx>, body: Body) -> Event {
    Event { presenter: room, ..Event::now(self::room(1), body) }
}

fn ban(room: Option<PresenterIdx>, until: Option<Timestamp>) -> Event {
    event(room, Body::UserBanned(UserBanned { user: user(7), until, purge_seconds: None, by: by(), reason: None }))
}

fn unban(room: Option<PresenterIdx>) -> Event {
    event(room, Body::UserUnbanned(UserUnbanned { user: user(7), by: by(), reason: None }))
}

fn set(settings: Value, changed: &[&str], until: Value) -> Event {
    let object = |value: Value| -> Map<String, Value> { value.as_object().unwrap().clone() };
    let changed = changed.iter().map(|name| (*name).to_owned()).collect();
    let (settings, until) = (object(settings), object(until));
    event(Some(room(1)), Body::RoomUpdated(RoomUpdated { settings, changed, until, by: by(), reason: None }))
}

#[test]
fn a_ban_holds_in_its_room_until_it_ends() {
    let (rules, now) = (rules(), chat::now());
    rules.apply(at(1), &ban(Some(room(1)), Some(now + 60.seconds())), now);
    assert!(rules.ban(room(1), user(7), now).is_some());
    assert!(rules.ban(room(2), user(7), now).is_none());
    assert!(rules.ban(room(1), user(8), now).is_none());
    assert!(rules.ban(room(1), user(7), now + 60.seconds()).is_none());
    rules.apply(at(2), &unban(Some(room(1))), now);
    assert!(rules.ban(room(1), user(7), now).is_none());
}

#[test]
fn a_ban_from_every_room_holds_everywhere_but_in_the_own() {
    let (rules, now) = (rules(), chat::now());
    rules.apply(at(1), &ban(None, None), now);
    assert!(rules.ban(room(1), user(7), now).is_some());
    assert!(rules.ban(room(7), user(7), now).is_none());
    // Unbanning in one room is about another subject.
    rules.apply(at(2), &unban(Some(room(1))), now);
    assert!(rules.ban(room(1), user(7), now).is_some());
    rules.apply(at(3), &unban(None), now);
    assert!(rules.ban(room(1), user(7), now).is_none());
}

#[test]
fn an_older_decision_than_the_known_one_changes_nothing() {
    let (rules, now) = (rules(), chat::now());
    assert_eq!(rules.apply(at(5), &unban(Some(room(1))), now).len(), 1);
    assert!(rules.apply(at(4), &ban(Some(room(1)), None), now).is_empty());
    assert!(rules.ban(room(1), user(7), now).is_none());
    rules.apply(at(9), &set(json!({"uniqueChat": true}), &[], json!({})), now);
    assert!(rules.apply(at(8), &set(json!({}), &[], json!({})), now).is_empty());
    assert!(rules.current(room(1), now).settings.unique_chat);
}

#[test]
fn two_changes_made_at_the_same_moment_both_hold() {
    let (rules, now) = (rules(), chat::now());
    rules.apply(at(1), &set(json!({"uniqueChat": true}), &["uniqueChat"], json!({})), now);
    // Made by a node that had not replayed the first.
    let second = set(json!({"slowModeSeconds": 5}), &["slowModeSeconds"], json!({}));
    let [(_, kept)] = &rules.apply(at(2), &second, now)[..] else { panic!("one decision is saved") };
    let settings = rules.current(room(1), now).settings.clone();
    assert_eq!((settings.unique_chat, settings.slow_mode_seconds), (true, 5));
    // The saved decision contains both, for nodes that load nothing else.
    let other = self::rules();
    other.load(at(2), kept, now);
    assert_eq!(other.current(room(1), now).settings, settings);
}

#[test]
fn a_setting_ends_without_anyone_asking() {
    let (rules, now) = (rules(), chat::now());
    let until = format!("{}", now + 60.seconds());
    rules.apply(at(1), &set(json!({"slowModeSeconds": 5}), &[], json!({"slowModeSeconds": until})), now);
    assert_eq!(rules.current(room(1), now).settings.slow_mode_seconds, 5);
    assert_eq!(rules.current(room(1), now + 60.seconds()).settings.slow_mode_seconds, 0);
}

#[test]
fn bans_are_listed_by_user_page_by_page() {
    let (rules, now) = (rules(), chat::now());
    for (sequence, idx) in [(1, 9), (2, 7), (3, 8)] {
        let banned = UserBanned { user: user(idx), until: None, purge_seconds: None, by: by(), reason: None };
        rules.apply(at(sequence), &event(Some(room(1)), Body::UserBanned(banned)), now);
    }
    rules.apply(at(4), &ban(Some(room(2)), None), now);
    rules.apply(at(5), &ban(None, None), now);
    let list = |room, after, first| -> Vec<i64> {
        rules.bans(room, after, first, now).iter().map(|ban| ban.user.get()).collect()
    };
    assert_eq!(list(Some(room(1)), None, 2), [7, 8]);
    assert_eq!(list(Some(room(1)), Some(user(8)), 2), [9]);
    assert_eq!(list(Some(room(2)), None, 9), [7]);
    assert_eq!(list(None, None, 9), [7]);
}

#[test]
fn bans_that_have_ended_are_forgotten() {
    let (rules, now) = (rules(), chat::now());
    rules.apply(at(1), &ban(Some(room(1)), Some(now + 1.seconds())), now);
    rules.apply(at(2), &ban(Some(room(2)), None), now);
    rules.apply(at(3), &unban(Some(room(3))), now);
    let until = format!("{}", now + 1.seconds());
    rules.apply(at(4), &set(json!({"slowModeSeconds": 5}), &[], json!({"slowModeSeconds": until})), now);
    rules.tidy(now + 2.seconds());
    let state = rules.state.read();
    assert_eq!(state.bans.keys().collect::<Vec<_>>(), [&(Some(room(2)), user(7))]);
    assert!(state.rooms.is_empty());
}

fn appointed(idx: i64) -> Event {
    event(Some(room(1)), Body::ModeratorAdded(ModeratorAdded { user: user(idx), by: by(), reason: None }))
}

#[test]
fn a_ban_of_a_moderator_is_saved_as_two_decisions_and_of_a_viewer_as_one() {
    let (rules, now) = (rules(), chat::now());
    rules.apply(at(1), &appointed(7), now);
    assert!(rules.moderates(room(1), user(7), now));
    let saved = rules.apply(at(2), &ban(Some(room(1)), None), now);
    assert!(!rules.moderates(room(1), user(7), now));
    let subjects: Vec<Subject> = saved.iter().map(|(subject, _)| *subject).collect();
    assert_eq!(subjects, [Subject::Ban(Some(room(1)), user(7)), Subject::Moderator(room(1), user(7))]);
    assert!(saved.iter().all(|(subject, event)| Subject::of(event) == Some(*subject)));
    assert_eq!(rules.apply(at(3), &ban(Some(room(2)), None), now).len(), 1);
    assert_eq!(rules.apply(at(4), &ban(Some(room(1)), None), now).len(), 1, "the role has ended already");
    // A node that loads what was saved, in either order, decides alike.
    for order in [[0, 1], [1, 0]] {
        let other = self::rules();
        order.iter().for_each(|index| other.load(at(2), &saved[*index].1, now));
        other.apply(at(1), &appointed(7), now);
        assert!(!other.moderates(room(1), user(7), now));
    }
}

#[test]
fn a_saved_ban_ends_no_role_by_itself_so_that_the_log_does_and_the_end_is_saved() {
    let (rules, now) = (rules(), chat::now());
    // The end of the role was not saved before every node was killed.
    rules.load(at(2), &ban(Some(room(1)), None), now);
    rules.load(at(1), &appointed(7), now);
    let saved = rules.apply(at(2), &ban(Some(room(1)), None), now);
    assert_eq!(saved.iter().map(|(subject, _)| *subject).collect::<Vec<_>>(), [Subject::Moderator(room(1), user(7))]);
    assert!(!rules.moderates(room(1), user(7), now));
}

#[test]
fn a_ban_from_every_room_suspends_a_role_until_it_ends() {
    let (rules, now) = (rules(), chat::now());
    rules.apply(at(1), &appointed(7), now);
    rules.apply(at(2), &ban(None, Some(now + 60.seconds())), now);
    assert!(!rules.moderates(room(1), user(7), now));
    assert!(rules.appointment(room(1), user(7)).is_some());
    assert!(rules.moderates(room(1), user(7), now + 60.seconds()));
}

#[test]
fn new_settings_of_the_deployment_count_where_a_room_has_set_nothing_itself() {
    let (rules, now) = (rules(), chat::now());
    rules.apply(
        at(1),
        &set(json!({"slowModeSeconds": 9, "words": ["crate"]}), &["slowModeSeconds", "words"], json!({})),
        now,
    );
    let length = |idx| rules.current(room(idx), now).settings.max_length;
    let before = deployment().max_length;
    assert_eq!((length(1), length(2)), (before, before));

    rules.set_deployment(Settings { max_length: before - 1, slow_mode_seconds: 77, ..deployment() });
    assert_eq!((length(1), length(2)), (before - 1, before - 1));
    let slow = |idx| rules.current(room(idx), now).settings.slow_mode_seconds;
    assert_eq!((slow(1), slow(2)), (9, 77));
    assert!(rules.current(room(1), now).words.is_some(), "the room's own words stay");
}
