//! Sweeps with a span forward: posts that come after them, and how long the window knows them.

use chat::{Forward, ForwardAction};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::sweeps::{events, refusing, said, swept, texts_rule, undoing};
use super::*;

#[test]
fn a_post_that_a_sweep_refuses_comes_hidden_and_is_shown_once_the_sweep_is_undone() {
    let mut window = Window::new(ROOMY);
    let swept = refusing(at(1, 0), texts_rule(&["raid"]));
    let sweep = swept.kept.id;
    let (raid, other, late) = (said(7, at(2, 0), "Raid"), said(8, at(2, 1), "hello"), said(9, at(2, 2), "raid"));
    let (first, mut late) = (raid.kept.id, late);
    // Another node's clock says that it was sent after the span.
    late.kept.stored = Timestamp::now() + Duration::from_secs(120);
    window.push(vec![swept, raid, other, late], Instant::now());
    assert_eq!(texts(&window, 1, None)[1..2], ["-"]);
    let shown = events(&window, None);
    assert_eq!((&shown[0]["secondsBack"], &shown[0]["forward"]), (&json!(600), &json!("refuse")));
    assert!(shown[0]["forwardUntil"].is_string() && shown[0].get("span").is_none(), "{}", shown[0]);
    let texts: Vec<&Value> = shown[1..].iter().map(|event| &event["text"]).collect();
    assert_eq!(texts, [&Value::Null, &json!("hello"), &json!("raid")]);

    window.push(vec![undoing(at(3, 0), sweep)], Instant::now());
    let restored = &events(&window, Some(at(2, 2)))[0];
    assert_eq!((&restored["target"], &restored["message"]["text"]), (&json!(first), &json!("Raid")));
    window.push(vec![said(7, at(4, 0), "raid")], Instant::now());
    assert_eq!(events(&window, Some(at(3, 0)))[0]["text"], "raid");
}

#[test]
fn a_release_and_a_span_that_holds_hide_nothing() {
    let mut window = Window::new(ROOMY);
    let until = Timestamp::now() + Duration::from_secs(60);
    let hold = Forward { action: ForwardAction::Hold, until };
    window.push(vec![swept(at(1, 0), texts_rule(&["raid"]), Some(hold)), said(7, at(1, 1), "raid")], Instant::now());
    assert_eq!(events(&window, Some(at(1, 0)))[0]["text"], "raid");
    let mut released = said(7, at(3, 0), "raid");
    released.effect = Effect::EndsHold(released.kept.id);
    window.push(vec![refusing(at(2, 0), texts_rule(&["raid"])), released], Instant::now());
    assert_eq!(events(&window, Some(at(2, 0)))[0]["text"], "raid");
}

#[test]
fn a_sweep_is_known_until_its_span_and_what_it_hides_are_over_even_from_before_the_window() {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let (start, undone, known) = (Instant::now(), refusing(at(1, 0), texts_rule(&["raid"])), at(2, 0));
    let (swept, end) = (refusing(known, texts_rule(&["raid"])), undoing(at(2, 1), undone.kept.id));
    let sweep = swept.kept.id;
    for earlier in [undone, swept, end, said(6, at(2, 2), "raid")] {
        window.begins_after(earlier.partition, earlier.kept.position, earlier.kept.stored);
        window.precede(earlier);
    }
    assert_eq!((window.len(), begin(&window, 1, Ask::After(at(2, 1)))), (0, (Some(at(2, 2)), false)));
    window.push(vec![said(7, at(3, 0), "raid")], start);
    assert_eq!(texts(&window, 1, None), ["-"]);
    window.push(vec![said(8, at(4, 0), "raid")], start + Duration::from_secs(11));
    assert_eq!((window.len(), window.rooms[&room(1)].sweeps.len()), (1, 1));
    let mut later = said(9, at(5, 0), "hello");
    later.kept.stored = Timestamp::now() + Duration::from_secs(600);
    window.push(vec![later], start + Duration::from_secs(12));
    assert_eq!((texts(&window, 1, None).len(), window.rooms[&room(1)].sweeps.len()), (2, 1), "it hides a post");
    window.push(vec![undoing(at(6, 0), sweep)], start + Duration::from_secs(13));
    assert_eq!(events(&window, None)[0]["text"], "raid", "it can still be undone");
    window.evict(start + Duration::from_secs(60));
    assert!(window.rooms[&room(1)].sweeps.is_empty());
}
