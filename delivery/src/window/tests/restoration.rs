//! What restorations show again, as a client of `chat.v1` gets it.

use serde_json::{Value, json};

use super::*;
use crate::dialects::v1;
use crate::visibility::Visibility;

fn restoration(target: EventId, position: Position) -> Incoming {
    let reason = Some("a mistake".to_owned());
    decision(position, Body::MessageRestored(chat::MessageRestored { target, by: user(3), reason }))
}

fn clear(position: Position) -> Incoming {
    decision(position, Body::RoomCleared(chat::RoomCleared { by: user(3), reason: None }))
}

/// The events of room 1, without their positions.
fn events(window: &Window) -> Vec<Value> {
    let events = window.after(room(1), 7, None, ALL).events;
    let object = |kept: &Kept| v1::object(kept, Visibility::default()).unwrap().map(|object| object.into_owned());
    events.iter().filter_map(object).map(|object| serde_json::from_str(&object).unwrap()).collect()
}

/// What a client reads in the events: a text, `-` for a deleted one, or the text of a restored message.
fn read(window: &Window) -> Vec<String> {
    let read = |event: &Value| match event["type"].as_str().unwrap() {
        "message.posted" => event["text"].as_str().unwrap_or("-").to_owned(),
        "message.restored" => format!("again {}", event["message"]["text"].as_str().unwrap_or("-")),
        "message.deleted" => "deleted".to_owned(),
        other => other.to_owned(),
    };
    events(window).iter().map(read).collect()
}

#[test]
fn a_restored_message_is_shown_in_its_place_and_in_its_restoration_until_deleted_again() {
    let mut window = Window::new(ROOMY);
    let now = Instant::now();
    let mut push = |events: Vec<Incoming>| {
        window.push(events, now);
        read(&window)
    };
    let (one, two) = (by(7, 1, at(1, 0)), by(8, 1, at(1, 1)));
    let (first, second) = (one.kept.id, two.kept.id);
    assert_eq!(push(vec![one, two, deletion(first, 3, at(2, 0))]), ["-", "8", "deleted"]);
    let mut expected = vec!["7", "8", "deleted", "again 7"];
    assert_eq!(push(vec![restoration(first, at(3, 0))]), expected);
    // Once more: it is shown, and both restorations have it.
    expected.push("again 7");
    assert_eq!(push(vec![restoration(first, at(4, 0))]), expected);
    let hidden = ["-", "8", "deleted", "again -", "again -", "deleted"];
    assert_eq!(push(vec![deletion(first, 3, at(5, 0))]), hidden);
    let back = ["7", "8", "deleted", "again -", "again -", "deleted", "again 7"];
    assert_eq!(push(vec![restoration(first, at(6, 0))]), back);
    let cleared = push(vec![clear(at(7, 0))]);
    assert_eq!(cleared, ["-", "-", "deleted", "again -", "again -", "deleted", "again -", "room.cleared"]);
    let second_alone = push(vec![restoration(second, at(8, 0))]);
    assert_eq!((&*second_alone[0], &*second_alone[1], &*second_alone[8]), ("-", "8", "again 8"));
}

#[test]
fn a_restoration_carries_the_message_with_its_position_and_without_request_members() {
    let mut window = Window::new(ROOMY);
    let posted = MessagePosted { flags: vec!["a".to_owned()], ..MessagePosted::new(user(7), "\"request\":1") };
    let event = Event::now(room(1), Body::MessagePosted(posted));
    let request =
        chat::Request { key: chat::KeyId::of_event(event.id), digest: chat::RequestDigest::of("key", "text") };
    let event = Event { request: Some(request), ..event };
    let message = Incoming::new(7, Entry::read(at(1, 0), event.to_line()).unwrap());
    let before = window.bytes;
    window.push(vec![message, deletion(event.id, 3, at(2, 0)), restoration(event.id, at(3, 0))], Instant::now());
    let shown = events(&window);
    let mut expected = shown[0].clone();
    expected["position"] = json!("7-1-0");
    assert_eq!(shown[2]["message"], expected);
    assert_eq!((&shown[2]["reason"], &expected["flags"]), (&json!("a mistake"), &json!(["a"])));
    assert!(expected.get("request").is_none() && expected["text"] == "\"request\":1");
    let lines: usize = window.after(room(1), 7, None, ALL).events.iter().map(Kept::bytes).sum();
    assert_eq!(window.bytes, lines + 3 * INDEX_BYTES);
    window.evict(Instant::now() + Duration::from_secs(601));
    assert_eq!((window.bytes, window.len()), (before, 0));
}

#[test]
fn a_restoration_of_an_evicted_or_foreign_message_carries_no_text() {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let (start, later) = (Instant::now(), Instant::now() + Duration::from_secs(5));
    let (old, elsewhere) = (by(7, 1, at(1, 0)), by(8, 2, at(1, 1)));
    let (gone, foreign) = (old.kept.id, elsewhere.kept.id);
    window.push(vec![old, elsewhere, deletion(gone, 3, at(2, 0))], start);
    window.push(vec![restoration(gone, at(3, 0)), restoration(foreign, at(3, 1))], later);
    assert_eq!(read(&window), ["7", "deleted", "again 7", "again -"]);
    // Its restoration keeps what it shows, until a deletion.
    window.evict(start + Duration::from_secs(11));
    assert_eq!(read(&window), ["again 7", "again -"]);
    window.push(vec![restoration(gone, at(4, 0))], later);
    assert_eq!(read(&window), ["again 7", "again -", "again -"]);
    window.push(vec![deletion(gone, 3, at(5, 0))], later);
    assert_eq!(read(&window), ["again -", "again -", "again -", "deleted"]);
}

#[test]
fn a_restoration_shows_neither_text_nor_reason_of_an_erased_users_message() {
    for is_erased_first in [true, false] {
        let mut window = Window::new(ROOMY);
        let message = by(7, 1, at(1, 0));
        let target = message.kept.id;
        window.push(vec![message, deletion(target, 3, at(2, 0))], Instant::now());
        let (erased, restored) = if is_erased_first { (at(3, 0), at(4, 0)) } else { (at(4, 0), at(3, 0)) };
        let mut events = vec![erasure(7, erased), restoration(target, restored)];
        events.sort_by_key(|incoming| incoming.kept.position);
        window.push(events, Instant::now());
        // Also once the window does not know of the erasure any more.
        for forgets in [false, true] {
            if forgets {
                window.set_whole_after(7, erased);
                window.everywhere.get_mut(&7).unwrap().erasures.clear();
                window.push(vec![restoration(target, at(5, 0))], Instant::now());
            }
            let page = window.after(room(1), 7, Some(at(1, 0)), ALL);
            let shown =
                |kept: &Kept| v1::object(kept, Visibility::default()).unwrap().map(|object| object.into_owned());
            let after_erasure = |kept: &&Kept| !forgets || kept.position > erased;
            let shown: Vec<String> = page.events.iter().filter(after_erasure).filter_map(shown).collect();
            let shown = shown.concat();
            assert!(shown.contains("message.restored"), "{shown}");
            assert!(!shown.contains(r#""text""#) && !shown.contains("doxxed"), "{is_erased_first} {forgets}: {shown}");
        }
    }
}

/// A message of room 1, sent so many seconds after 1970.
fn sent(idx: i64, second: i64, position: Position) -> Incoming {
    let posted = MessagePosted::new(user(idx), format!("{idx} at {second}"));
    at_second(second, position, Body::MessagePosted(posted))
}

fn at_second(second: i64, position: Position, body: Body) -> Incoming {
    let at = jiff::Timestamp::from_second(second).unwrap();
    let event = Event { at, ..Event::now(room(1), body) };
    Incoming::new(7, Entry::read(position, event.to_line()).unwrap())
}

fn ban(idx: i64, second: i64, purge_seconds: Option<u32>, position: Position) -> Incoming {
    let banned = chat::UserBanned { user: user(idx).idx, until: None, purge_seconds, by: user(3), reason: None };
    at_second(second, position, Body::UserBanned(banned))
}

#[test]
fn a_purging_ban_deletes_the_users_latest_messages_and_a_restoration_undoes_it() {
    let mut window = Window::new(ROOMY);
    let now = Instant::now();
    let (old, first, other) = (sent(7, 99, at(1, 0)), sent(7, 100, at(1, 1)), sent(8, 105, at(1, 2)));
    // By a clock that is a second ahead, and by none that is believed.
    let (ahead, late) = (sent(7, 111, at(1, 3)), sent(7, 105, at(3, 0)));
    let target = first.kept.id;
    window.push(vec![old, first, other, ahead, ban(7, 110, Some(10), at(2, 0)), late], now);
    assert_eq!(read(&window), ["7 at 99", "-", "8 at 105", "-", "user.banned", "7 at 105"]);
    window.push(vec![restoration(target, at(4, 0)), ban(7, 112, None, at(5, 0))], now);
    let back = ["7 at 99", "7 at 100", "8 at 105", "-", "user.banned", "7 at 105", "again 7 at 100", "user.banned"];
    assert_eq!(read(&window), back);
    window.push(vec![ban(8, 112, Some(3_600), at(6, 0)), ban(7, 112, Some(12), at(6, 1))], now);
    assert_eq!(read(&window)[..7], ["7 at 99", "-", "-", "-", "user.banned", "-", "again -"]);
}

#[test]
fn a_purge_dates_messages_as_the_archive_does() {
    let mut window = Window::new(ROOMY);
    let stored = jiff::Timestamp::from_second(100).unwrap();
    let mut push = |second: i64, position: Position| {
        let mut incoming = sent(7, second, position);
        // More than a clock may be off: the time when the batch was stored counts.
        incoming.kept.stored = stored;
        window.push(vec![incoming], Instant::now());
    };
    push(50, at(1, 0));
    push(150, at(1, 1));
    push(95, at(1, 2));
    window.push(vec![ban(7, 103, Some(5), at(2, 0))], Instant::now());
    assert_eq!(read(&window), ["-", "-", "7 at 95", "user.banned"]);
}
