//! Held messages: for moderators until they are released or denied.

use chat::{Hold, MessageDenied, MessageHeld, MessageReleased};

use super::*;
use crate::dialects::v1;
use crate::visibility::Visibility;

const MODERATOR: Visibility = Visibility { moderates: false, erases: false, holds: true };

fn posted(by: i64) -> MessagePosted {
    MessagePosted::new(user(by), format!("of {by}"))
}

fn held(target: EventId, by: i64, position: Position) -> Incoming {
    let until = "2026-11-22T12:45:00Z".parse().unwrap();
    decision(position, Body::MessageHeld(Box::new(MessageHeld { target, until, posted: posted(by) })))
}

/// An event with the id of the message.
fn decided(target: EventId, position: Position, body: Body) -> Incoming {
    let event = Event { id: target, ..Event::now(room(1), body) };
    Incoming::new(partition_of(position), Entry::read(position, event.to_line()).unwrap())
}

fn released(target: EventId, by: i64, position: Position) -> Incoming {
    let hold = Hold { at: chat::now(), position: at(1, 0), by: user(3), reason: Some("private".to_owned()) };
    let released = MessageReleased { posted: posted(by), held: hold };
    decided(target, position, Body::MessageReleased(Box::new(released)))
}

fn denied(target: EventId, by: i64, position: Position) -> Incoming {
    let denied = MessageDenied { target, user: user(by).idx, by: user(3), reason: Some("private".to_owned()) };
    decided(target, position, Body::MessageDenied(denied))
}

/// The types and texts of what a client with this visibility sees of room 1.
fn seen(window: &Window, visibility: Visibility) -> Vec<String> {
    let events = window.after(room(1), 7, None, ALL).events;
    let objects = events.iter().filter_map(|kept| v1::object(kept, visibility).unwrap());
    let seen = |object: std::borrow::Cow<'_, str>| {
        let event: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert!(event.get("held").is_none(), "{event}");
        format!("{} {}", event["type"].as_str().unwrap_or("-"), event["text"].as_str().unwrap_or("-"))
    };
    objects.map(seen).collect()
}

fn window(incoming: Vec<Incoming>) -> Window {
    let mut window = Window::new(ROOMY);
    window.set_whole_after(7, at(0, u32::MAX));
    window.push(incoming, Instant::now());
    window
}

#[test]
fn only_moderators_see_a_held_message_until_its_release() {
    let (first, second) = (EventId::new(), EventId::new());
    let waiting = || vec![held(first, 7, at(1, 0)), held(second, 8, at(2, 0))];
    assert_eq!(seen(&window(waiting()), MODERATOR), ["message.held of 7", "message.held of 8"]);
    assert!(seen(&window(waiting()), Visibility::default()).is_empty());

    let mut incoming = waiting();
    incoming.extend([released(first, 7, at(3, 0)), denied(second, 8, at(4, 0))]);
    let window = window(incoming);
    assert_eq!(seen(&window, MODERATOR), ["message.posted of 7", "message.denied -"]);
    assert_eq!(seen(&window, Visibility::default()), ["message.posted of 7"]);
}

#[test]
fn a_released_message_looks_like_any_other() {
    let target = EventId::new();
    let window = window(vec![released(target, 7, at(1, 0))]);
    let events = window.after(room(1), 7, None, ALL).events;
    assert!(chat::PostedLine::scan(events[0].line.as_bytes()).is_some(), "{}", events[0].line);
    assert_eq!(events[0].id, target);
}

#[test]
fn deletions_clears_purges_and_erasures_end_a_hold() {
    let target = EventId::new();
    let since = jiff::Timestamp::MIN;
    let ends = [
        deletion(target, 3, at(2, 0)),
        removal(1, at(2, 0), Effect::Clears),
        removal(1, at(2, 0), Effect::Purges(user(7).idx, since)),
        erasure(7, at(2, 0)),
    ];
    for end in ends {
        let shown = seen(&window(vec![held(target, 7, at(1, 0)), end]), MODERATOR);
        assert!(!shown.iter().any(|shown| shown.starts_with("message.held")), "{shown:?}");
    }
    let others = [deletion(EventId::new(), 3, at(2, 0)), removal(1, at(2, 0), Effect::Purges(user(8).idx, since))];
    for other in others {
        let shown = seen(&window(vec![held(target, 7, at(1, 0)), other]), MODERATOR);
        assert_eq!(shown[0], "message.held of 7");
    }
}
