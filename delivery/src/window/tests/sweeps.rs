//! What sweeps hide and their ends show again, in the window and in the page of a client of `chat.v1`.

use std::collections::BTreeMap;

use chat::{Forward, ForwardAction, RoomSwept, SweepRule, SweepUndone};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialects::v1;
use crate::visibility::Visibility;

pub(super) fn said(idx: i64, position: Position, text: &str) -> Incoming {
    decision(position, Body::MessagePosted(MessagePosted::new(user(idx), text)))
}

pub(super) fn sweep(position: Position, rule: SweepRule) -> Incoming {
    swept(position, rule, None)
}

pub(super) fn swept(position: Position, rule: SweepRule, forward: Option<Forward>) -> Incoming {
    let swept = RoomSwept { rule, seconds_back: 600, forward, by: user(3), reason: Some("raid".to_owned()) };
    decision(position, Body::RoomSwept(Box::new(swept)))
}

/// A sweep that refuses posts for a minute.
pub(super) fn refusing(position: Position, rule: SweepRule) -> Incoming {
    let until = Timestamp::now() + Duration::from_secs(60);
    swept(position, rule, Some(Forward { action: ForwardAction::Refuse, until }))
}

pub(super) fn undoing(position: Position, target: EventId) -> Incoming {
    let reason = Some("a mistake".to_owned());
    decision(position, Body::SweepUndone(SweepUndone { target, by: user(3), reason }))
}

fn restoration(target: EventId, position: Position) -> Incoming {
    decision(position, Body::MessageRestored(chat::MessageRestored { target, by: user(3), reason: None }))
}

pub(super) fn texts_rule(texts: &[&str]) -> SweepRule {
    SweepRule { texts: Some(texts.iter().map(|text| (*text).to_owned()).collect()), ..SweepRule::default() }
}

/// The events of room 1 after the cursor, with their positions.
pub(super) fn events(window: &Window, cursor: Option<Position>) -> Vec<Value> {
    let events = window.after(room(1), 7, cursor, ALL).events;
    let object = |kept: &Kept| {
        let object = v1::object(kept, Visibility::default()).unwrap()?;
        let mut object: Value = serde_json::from_str(&object).unwrap();
        object["position"] = kept.position.to_string().into();
        Some(object)
    };
    events.iter().filter_map(object).collect()
}

/// What a page of a client shows: the texts by message. A client hides what is deleted, and shows what is restored.
#[derive(Debug, Default, PartialEq, Eq)]
struct PageOfClient(BTreeMap<String, Option<String>>);

impl PageOfClient {
    fn take(&mut self, event: &Value) {
        let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
        match event["type"].as_str().unwrap() {
            "message.posted" => {
                self.0.insert(id(event), event["text"].as_str().map(str::to_owned));
            }
            "message.deleted" => _ = self.0.insert(event["target"].as_str().unwrap().to_owned(), None),
            "message.restored" => {
                let message = &event["message"];
                if message.is_object() {
                    self.0.insert(id(message), message["text"].as_str().map(str::to_owned));
                }
            }
            "room.cleared" => self.0.values_mut().for_each(|text| *text = None),
            _ => {}
        }
    }
}

#[test]
fn a_sweep_reaches_a_client_as_deletions_and_its_end_as_restorations_just_before_the_events() {
    let mut window = Window::new(ROOMY);
    let (one, two, other) = (said(7, at(1, 0), "Raid"), said(8, at(1, 1), "ＲＡＩＤ"), said(9, at(1, 2), "hello"));
    let ids = [one.kept.id, two.kept.id].map(|id| json!(id));
    let swept = sweep(at(2, 4), texts_rule(&["raid"]));
    let (id, undone) = (swept.kept.id, undoing(at(3, 0), swept.kept.id));
    window.push(vec![one, two, other, swept], Instant::now());
    let shown = events(&window, None);
    let texts: Vec<Option<&str>> = shown[..3].iter().map(|event| event["text"].as_str()).collect();
    assert_eq!(texts, [None, None, Some("hello")]);
    for (event, target) in shown[3..5].iter().zip(&ids) {
        assert_eq!((&event["type"], &event["target"]), (&json!("message.deleted"), target));
        assert_eq!((&event["position"], &event["sweep"]), (&json!("7-2-3"), &json!(id)));
        assert_eq!(
            (&event["by"]["idx"], &event["reason"], &event["presenterIdx"]),
            (&json!(3), &json!("raid"), &json!(1))
        );
        assert_eq!((&event["v"], &event["at"]), (&json!(1), &shown[5]["at"]));
    }
    assert_ne!(shown[3]["id"], shown[4]["id"]);
    let last = &shown[5];
    assert_eq!((&last["type"], &last["id"], &last["position"]), (&json!("room.swept"), &json!(id), &json!("7-2-4")));
    assert!(last.get("rule").is_none() && last.get("messages").is_none(), "no client gets the rule: {last}");
    // The same ids at every reading, so that a client that reads again recognises them.
    assert_eq!(events(&window, Some(at(2, 2)))[..], shown[3..]);
    assert!(events(&window, Some(at(2, 4))).is_empty());

    window.push(vec![undone], Instant::now());
    let shown = events(&window, Some(at(2, 4)));
    let restored: Vec<&Value> = shown.iter().map(|event| &event["message"]["text"]).collect();
    assert_eq!(restored, [&json!("Raid"), &json!("ＲＡＩＤ"), &Value::Null]);
    for (event, target) in shown[..2].iter().zip(&ids) {
        assert_eq!(
            (&event["type"], &event["target"], &event["sweep"]),
            (&json!("message.restored"), target, &json!(id))
        );
        assert_eq!((&event["reason"], &event["message"]["id"]), (&json!("a mistake"), target));
    }
    assert_eq!((&shown[2]["type"], &shown[2]["target"]), (&json!("sweep.undone"), &json!(id)));
}

#[test]
fn an_undone_sweep_shows_exactly_what_nothing_else_hides() {
    let mut window = Window::new(ROOMY);
    let messages: Vec<Incoming> = (0..5).map(|index| said(7 + i64::from(index), at(1, index), "raid")).collect();
    let ids: Vec<EventId> = messages.iter().map(|message| message.kept.id).collect();
    window.push(messages, Instant::now());
    let first = sweep(at(2, 0), texts_rule(&["raid"]));
    let users = Some(vec![user(8).idx, user(9).idx]);
    let second = sweep(at(3, 0), SweepRule { users, ..SweepRule::default() });
    let (one, two) = (first.kept.id, second.kept.id);
    window.push(vec![first, second], Instant::now());
    let left = |window: &Window| texts(window, 1, None)[..5].iter().map(|text| text != "-").collect::<Vec<_>>();
    // Also by the first sweep, but restored since; and by a deletion.
    window.push(vec![restoration(ids[2], at(4, 0)), deletion(ids[3], 3, at(5, 0))], Instant::now());
    assert_eq!(left(&window), [false, false, true, false, false]);
    window.push(vec![undoing(at(6, 0), one)], Instant::now());
    assert_eq!(left(&window), [true, false, true, false, true]);
    for (position, again) in [(at(7, 0), one), (at(8, 0), EventId::new()), (at(9, 0), two), (at(10, 0), two)] {
        window.push(vec![undoing(position, again)], Instant::now());
    }
    assert_eq!(left(&window), [true, true, true, false, true]);
}

#[test]
fn what_is_hidden_or_erased_after_the_end_of_a_sweep_is_not_shown_with_it() {
    let mut window = Window::new(ROOMY);
    let (one, two) = (said(7, at(1, 0), "raid"), said(8, at(1, 1), "raid"));
    let first = one.kept.id;
    let swept = sweep(at(2, 0), texts_rule(&["raid"]));
    let undone = undoing(at(3, 0), swept.kept.id);
    window.push(vec![one, two, swept, undone, deletion(first, 3, at(4, 0))], Instant::now());
    let restored = |window: &Window| {
        let restorations = events(window, None).into_iter().filter(|event| event["type"] == "message.restored");
        restorations.map(|event| event["message"]["text"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(restored(&window), [Value::Null, json!("raid")]);
    window.push(vec![erasure(8, at(5, 0))], Instant::now());
    assert_eq!(restored(&window), [Value::Null, Value::Null]);
    assert!(!format!("{:?}", events(&window, None)).contains("a mistake"), "the reason may be about the erased user");
}

#[test]
fn the_bytes_of_a_sweep_are_counted_and_leave_with_it() {
    let mut window = Window::new(ROOMY);
    let before = window.bytes;
    let now = Instant::now();
    let swept = sweep(at(2, 0), texts_rule(&["raid"]));
    let undone = undoing(at(3, 0), swept.kept.id);
    window.push(vec![said(7, at(1, 0), "raid"), swept, undone], now);
    let lines: usize = window.rooms[&room(1)].events.kept.iter().map(Kept::bytes).sum();
    assert_eq!(window.bytes, lines + 3 * INDEX_BYTES);
    window.push(vec![sweep(at(4, 0), texts_rule(&["raid"]))], now);
    assert_eq!(window.rooms[&room(1)].sweeps.len(), 1);
    window.evict(now + Duration::from_secs(601));
    assert_eq!((window.bytes, window.rooms[&room(1)].sweeps.len()), (before, 0));
}

#[test]
fn a_large_sweep_is_in_one_page_and_in_as_many_frames_as_the_protocol_allows() {
    let mut window = Window::new(ROOMY);
    let messages = (0..1_500).map(|index| said(7, at(1, index), "raid")).collect();
    window.push(messages, Instant::now());
    let swept = sweep(at(2, 0), texts_rule(&["raid"]));
    window.push(vec![swept], Instant::now());
    let limit = Limit { events: 1_000, bytes: 32 * 1024 };
    let page = window.after(room(1), 7, Some(at(1, 1_500)), limit);
    assert_eq!((page.events.len(), page.is_partial), (1_501, false));
    let (mut rest, mut frames) = (&page.events[..], Vec::new());
    while !rest.is_empty() {
        let (frame, after) = rest.split_at(v1::fitting(rest));
        let text = v1::frame(frame, |kept| v1::object(kept, Visibility::default())).unwrap();
        assert!(frame.len() <= 1_000 && text.len() < 512 * 1024, "{} events, {} bytes", frame.len(), text.len());
        frames.push(text);
        rest = after;
    }
    assert!(frames.len() > 1);
    let last: Value = serde_json::from_str(frames.last().unwrap()).unwrap();
    assert_eq!(last["position"], "7-2-0");
    // A client that has seen only a part gets all of it again.
    let first: Value = serde_json::from_str(&frames[0]).unwrap();
    let again = window.after(room(1), 7, first["position"].as_str().unwrap().parse().ok(), limit);
    assert_eq!(again.events, page.events);
}

/// A step of the test, about the message or the sweep that came so many before.
#[derive(Debug, Clone)]
enum Step {
    Say { author: i64, text: bool },
    Delete { ago: usize },
    Restore { ago: usize },
    Purge { author: i64 },
    Clear,
    Sweep { text: Option<bool>, author: Option<i64>, refuses: bool },
    Undo { ago: usize },
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    let author = 7..10_i64;
    prop_oneof![
        8 => (author.clone(), any::<bool>()).prop_map(|(author, text)| Step::Say { author, text }),
        2 => (0..8_usize).prop_map(|ago| Step::Delete { ago }),
        2 => (0..8_usize).prop_map(|ago| Step::Restore { ago }),
        1 => author.clone().prop_map(|author| Step::Purge { author }),
        1 => Just(Step::Clear),
        4 => (prop::option::of(any::<bool>()), prop::option::of(author), any::<bool>())
            .prop_map(|(text, author, refuses)| Step::Sweep { text, author, refuses }),
        4 => (0..4_usize).prop_map(|ago| Step::Undo { ago }),
        3 => Just(Step::Read),
    ]
}

fn text(is_raid: bool) -> &'static str {
    if is_raid { "raid" } else { "hello" }
}

/// A message, and what the events after it mean for it.
struct Message {
    id: EventId,
    author: i64,
    is_raid: bool,
    is_deleted: bool,
    sweeps: Vec<EventId>,
}

impl Message {
    fn is_shown(&self) -> bool {
        !self.is_deleted && self.sweeps.is_empty()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The model keeps for each message what hides it. A sweep that is undone leaves nothing there: it is as if it had
    /// never been.
    #[test]
    fn the_window_and_a_client_show_what_nothing_hides(steps in prop::collection::vec(step(), 1..60)) {
        let mut window = Window::new(ROOMY);
        window.set_whole_after(7, at(0, u32::MAX));
        let (mut messages, mut sweeps): (Vec<Message>, Vec<EventId>) = (Vec::new(), Vec::new());
        let mut refusing_sweeps: Vec<(EventId, Option<bool>, Option<i64>)> = Vec::new();
        let (mut client, mut cursor) = (PageOfClient::default(), None);
        for (place, step) in steps.into_iter().chain([Step::Read]).enumerate() {
            let position = at(1 + place as u64 / 3, place as u32 % 3);
            let target = |messages: &[Message], ago: usize| messages.iter().rev().nth(ago).map(|message| message.id);
            let incoming = match step {
                Step::Say { author, text: is_raid } => {
                    let said = said(author, position, text(is_raid));
                    let id = said.kept.id;
                    let is_about = |(_, text, of): &&(EventId, Option<bool>, Option<i64>)| {
                        text.is_none_or(|text| text == is_raid) && of.is_none_or(|of| of == author)
                    };
                    let sweeps = refusing_sweeps.iter().filter(is_about).map(|(sweep, ..)| *sweep).collect();
                    messages.push(Message { id, author, is_raid, is_deleted: false, sweeps });
                    said
                }
                Step::Delete { ago } => {
                    let Some(target) = target(&messages, ago) else { continue };
                    messages.iter_mut().filter(|message| message.id == target).for_each(|it| it.is_deleted = true);
                    deletion(target, 3, position)
                }
                Step::Restore { ago } => {
                    let Some(target) = target(&messages, ago) else { continue };
                    for message in messages.iter_mut().filter(|message| message.id == target) {
                        message.is_deleted = false;
                        message.sweeps.clear();
                    }
                    restoration(target, position)
                }
                // As a purge: a client would hide them by the author, and this one by what the window says.
                Step::Purge { author } => {
                    messages.iter_mut().filter(|it| it.author == author).for_each(|it| it.is_deleted = true);
                    client.0.retain(|id, _| !messages.iter().any(|it| it.author == author && it.id.to_string() == *id));
                    let banned = chat::UserBanned {
                        user: user(author).idx, until: None, purge_seconds: Some(600), by: user(3), reason: None,
                    };
                    decision(position, Body::UserBanned(banned))
                }
                Step::Clear => {
                    messages.iter_mut().for_each(|message| message.is_deleted = true);
                    decision(position, Body::RoomCleared(chat::RoomCleared { by: user(3), reason: None }))
                }
                Step::Sweep { text: is_raid, author, refuses } => {
                    let texts = is_raid.map(|is_raid| vec![text(is_raid).to_owned()]);
                    let users = author.map(|author| vec![user(author).idx]);
                    let rule = SweepRule { texts, users, ..SweepRule::default() };
                    let swept = if refuses { refusing(position, rule) } else { sweep(position, rule) };
                    if refuses && (is_raid.is_some() || author.is_some()) {
                        refusing_sweeps.push((swept.kept.id, is_raid, author));
                    }
                    for message in &mut messages {
                        let is_about = is_raid.is_none_or(|is_raid| is_raid == message.is_raid)
                            && author.is_none_or(|author| author == message.author);
                        if is_about && (is_raid.is_some() || author.is_some()) {
                            message.sweeps.push(swept.kept.id);
                        }
                    }
                    sweeps.push(swept.kept.id);
                    swept
                }
                Step::Undo { ago } => {
                    let Some(sweep) = sweeps.iter().rev().nth(ago).copied() else { continue };
                    messages.iter_mut().for_each(|message| message.sweeps.retain(|other| *other != sweep));
                    refusing_sweeps.retain(|(other, ..)| *other != sweep);
                    undoing(position, sweep)
                }
                Step::Read => {
                    let read = window.after(room(1), 7, cursor, ALL);
                    events(&window, cursor).iter().for_each(|event| client.take(event));
                    cursor = read.events.last().map_or(cursor, |last| Some(last.position));
                    continue;
                }
            };
            window.push(vec![incoming], Instant::now());
            let shown: BTreeMap<String, Option<String>> = messages
                .iter()
                .map(|it| (it.id.to_string(), it.is_shown().then(|| text(it.is_raid).to_owned())))
                .collect();
            let mut fresh = PageOfClient::default();
            let of_window = events(&window, None).into_iter().filter(|event| event["type"] == "message.posted");
            of_window.for_each(|event| fresh.take(&event));
            prop_assert_eq!(&fresh.0, &shown);
        }
        let hidden_by_purge = |id: &String| !client.0.contains_key(id);
        for message in &messages {
            let id = message.id.to_string();
            let is_shown = message.is_shown();
            // A message that was purged and not restored is no longer in this client's page.
            prop_assert!(hidden_by_purge(&id) || client.0[&id].is_some() == is_shown, "{id} of {client:?}");
            prop_assert!(!is_shown || !hidden_by_purge(&id));
        }
    }
}
