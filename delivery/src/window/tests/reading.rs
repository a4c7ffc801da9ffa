//! Reading: pages, positions, and the readers to wake.

use super::*;

#[test]
fn a_reader_gets_the_events_after_its_cursor_in_its_room_only() {
    let mut window = Window::new(ROOMY);
    let events = [(1, at(1, 0), "a"), (2, at(1, 1), "b"), (1, at(1, 2), "c"), (1, at(5, 0), "d")];
    window.push(events.map(|(presenter, position, text)| message(presenter, position, text)).into(), Instant::now());
    for (presenter, cursor, expected) in [
        (1, None, vec!["a", "c", "d"]),
        (1, Some(at(0, 9)), vec!["a", "c", "d"]),
        (1, Some(at(1, 0)), vec!["c", "d"]),
        (1, Some(at(1, 1)), vec!["c", "d"]),
        (1, Some(at(4, 0)), vec!["d"]),
        (1, Some(at(5, 0)), vec![]),
        // A cursor from another node can be ahead of this window: nothing is repeated.
        (1, Some(at(9, 0)), vec![]),
        (2, None, vec!["b"]),
        (3, None, vec![]),
    ] {
        assert_eq!(texts(&window, presenter, cursor), expected, "room {presenter} after {cursor:?}");
    }
}

#[test]
fn a_page_is_bounded_and_has_at_least_one_event_if_any_follows() {
    let mut window = Window::new(ROOMY);
    let messages = (1..=9).map(|sequence| message(1, at(sequence, 0), "0123456789")).collect();
    window.push(messages, Instant::now());
    for (limit, expected) in [
        (Limit { events: 4, bytes: 1_000 }, 4),
        (Limit { events: 100, bytes: 35 }, 3),
        (Limit { events: 100, bytes: 40 }, 4),
        (Limit { events: 100, bytes: 1 }, 1),
    ] {
        let page = window.after(room(1), 7, None, limit);
        assert_eq!((page.events.len(), page.is_partial), (expected, true), "{limit:?}");
    }
    for (cursor, limit) in [(None, Limit { events: 9, bytes: 90 }), (Some(at(8, 0)), Limit { events: 1, bytes: 1 })] {
        assert!(!window.after(room(1), 7, cursor, limit).is_partial, "nothing follows");
    }
}

#[test]
fn an_event_of_every_room_is_in_order_in_each_room_of_its_partition() {
    let mut window = Window::new(ROOMY);
    let elsewhere = Position { epoch: 8, sequence: 3, index: 0 };
    let events = vec![
        of_every_room(at(1, 0), "every 1"),
        message(1, at(1, 1), "a"),
        message(2, at(2, 0), "b"),
        of_every_room(at(3, 0), "every 2"),
        of_every_room(elsewhere, "every 2 elsewhere"),
        message(1, at(3, 1), "c"),
        of_every_room(at(3, 2), "every 3"),
    ];
    window.push(events, Instant::now());
    for (presenter, cursor, expected) in [
        (1, None, vec!["every 1", "a", "every 2", "c", "every 3"]),
        (1, Some(at(0, 9)), vec!["every 1", "a", "every 2", "c", "every 3"]),
        (1, Some(at(1, 0)), vec!["a", "every 2", "c", "every 3"]),
        (1, Some(at(3, 0)), vec!["c", "every 3"]),
        (1, Some(at(3, 1)), vec!["every 3"]),
        (1, Some(at(3, u32::MAX)), vec![]),
        (2, None, vec!["every 1", "b", "every 2", "every 3"]),
        (2, Some(at(2, 0)), vec!["every 2", "every 3"]),
        // A room without events.
        (3, None, vec!["every 1", "every 2", "every 3"]),
        (3, Some(at(3, 0)), vec!["every 3"]),
    ] {
        assert_eq!(texts(&window, presenter, cursor), expected, "room {presenter} after {cursor:?}");
    }
    let after = |limit| window.after(room(1), 7, Some(at(1, 0)), limit).events.len();
    assert_eq!(after(Limit { events: 2, bytes: 1_000 }), 2);
    assert_eq!(after(Limit { events: 9, bytes: "aevery 2".len() }), 2);
    assert_eq!(after(Limit { events: 9, bytes: 0 }), 1);
    let page = window.after(room(1), 8, None, ALL);
    assert_eq!(page.events.iter().filter(|kept| *kept.line == *"every 2 elsewhere").count(), 1);
}

#[test]
fn a_reader_with_all_events_of_its_room_has_reached_the_end_of_the_log() {
    let mut window = Window::new(ROOMY);
    window.set_whole_after(7, at(9, u32::MAX));
    let reached = |window: &Window, cursor| window.reached(room(1), 7, cursor);
    assert_eq!(reached(&window, at(9, u32::MAX)), at(9, u32::MAX));
    window.push(vec![message(1, at(10, 0), "a"), message(2, at(10, 1), "b")], Instant::now());
    assert_eq!(reached(&window, at(9, u32::MAX)), at(9, u32::MAX));
    assert_eq!(reached(&window, at(10, 0)), at(10, u32::MAX));
    window.push(vec![message(2, at(20, 0), "c")], Instant::now());
    assert_eq!(reached(&window, at(10, 0)), at(20, u32::MAX));
    // A cursor from a node that has read more of the log.
    assert_eq!(reached(&window, at(30, 0)), at(30, 0));
    window.push(vec![of_every_room(at(21, 0), "every")], Instant::now());
    assert_eq!(reached(&window, at(10, 0)), at(10, 0));
    assert_eq!(reached(&window, at(21, 0)), at(21, u32::MAX));
    // A reader does not reach beyond a gap.
    window.set_whole_after(7, at(40, u32::MAX));
    window.push(vec![message(2, at(41, 0), "d")], Instant::now());
    assert_eq!(reached(&window, at(21, u32::MAX)), at(21, u32::MAX));
}

#[test]
fn a_window_has_come_as_far_as_its_latest_whole_batch() {
    let window = evicted();
    assert!(window.has_come(7, at(4, 0)) && window.has_come(7, at(1, 5)));
    // Batches arrive whole.
    assert!(window.has_come(7, at(4, u32::MAX)));
    assert!(!window.has_come(7, at(5, 0)) && !window.has_come(7, at(9, 0)));
    assert!(!window.has_come(8, Position { epoch: 8, ..at(1, 0) }));
}

#[test]
fn an_event_wakes_the_readers_of_its_room_only() {
    let mut window = Window::new(ROOMY);
    let (one, other): (Arc<Wake>, Arc<Wake>) = Default::default();
    window.attach(room(1), 7, one.clone());
    window.attach(room(2), 7, other.clone());
    let woken = window
        .push(vec![message(1, at(1, 0), "a"), message(3, at(1, 1), "b"), message(1, at(1, 2), "c")], Instant::now());
    assert!(woken.iter().all(|woken| Arc::ptr_eq(woken, &one)) && woken.len() == 1);
    // An event of every room wakes the readers of every room of its partition.
    let elsewhere = Arc::default();
    window.attach(room(4), 8, elsewhere);
    let woken = window.push(vec![message(2, at(2, 0), "d"), of_every_room(at(2, 1), "every")], Instant::now());
    assert!(
        woken.len() == 2 && [&one, &other].iter().all(|reader| woken.iter().any(|woken| Arc::ptr_eq(woken, reader)))
    );
    window.detach(room(1), 7, &one);
    assert!(window.push(vec![message(1, at(3, 0), "e")], Instant::now()).is_empty());
    window.detach(room(2), 7, &other);
    assert!(window.everywhere[&7].wakes.is_empty());
}
