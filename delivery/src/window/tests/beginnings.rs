//! Where a reader begins, and which gaps it is told of.

use super::*;

#[test]
fn a_reader_begins_after_its_position_unless_events_are_missing() {
    let window = evicted();
    let oldest = just_before(at(4, 0));
    for (ask, beginning) in [
        (Ask::After(at(2, 0)), (at(2, 0), true)),
        (Ask::After(at(3, 7)), (at(3, 7), true)),
        (Ask::After(at(4, 0)), (at(4, 0), true)),
        // From a node that has read more of the log: nothing is repeated.
        (Ask::After(at(9, 0)), (at(9, 0), true)),
        // The evicted events went unseen.
        (Ask::Anything, (oldest, false)),
        (Ask::After(at(1, 0)), (oldest, false)),
        (Ask::After(at(1, 9)), (oldest, false)),
        // The log lost the events since, seen or not.
        (Ask::Lost(at(2, 0)), (at(2, 0), false)),
        (Ask::Lost(at(1, 0)), (oldest, false)),
        (Ask::Unknown, (oldest, false)),
    ] {
        assert_eq!(begin(&window, 1, ask), (Some(beginning.0), beginning.1), "{ask:?}");
    }
    assert_eq!(texts(&window, 1, Some(oldest)), ["d"]);
}

#[test]
fn in_a_fully_evicted_room_a_reader_begins_after_the_last_evicted_event() {
    let window = evicted();
    for (ask, beginning) in [
        // It has reached the end of the log, and the evicted events went unseen.
        (Ask::Anything, (at(4, u32::MAX), false)),
        (Ask::After(at(3, 0)), (at(3, 0), true)),
        (Ask::After(at(2, 0)), (at(3, 0), false)),
        (Ask::Unknown, (at(3, 0), false)),
    ] {
        assert_eq!(begin(&window, 2, ask), (Some(beginning.0), beginning.1), "{ask:?}");
    }
    // A room without events.
    assert_eq!(begin(&window, 5, Ask::Anything), (Some(at(4, u32::MAX)), true));
}

#[test]
fn a_quiet_room_has_no_gap_however_old_the_position() {
    let mut window = evicted();
    let later = Instant::now() + Duration::from_secs(1_000);
    window.push((5..500).map(|sequence| message(1, at(sequence, 0), "x")).collect(), later);
    window.evict(later + Duration::from_secs(1_000));
    assert_eq!(begin(&window, 2, Ask::After(at(3, 0))), (Some(at(3, 0)), true));
    // A room without events has missed none either.
    assert_eq!(begin(&window, 5, Ask::After(at(0, u32::MAX))), (Some(at(0, u32::MAX)), true));
    // Once the room is forgotten, the window cannot tell, and reports a gap.
    window.forget_idle_rooms();
    assert_eq!(begin(&window, 2, Ask::After(at(3, 0))), (Some(at(499, 0)), false));
    assert_eq!(begin(&window, 5, Ask::After(at(0, u32::MAX))), (Some(at(499, 0)), false));
    assert_eq!(begin(&window, 2, Ask::After(at(499, 0))), (Some(at(499, 0)), true));
}

#[test]
fn events_hidden_from_clients_leave_no_gap() {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let start = Instant::now();
    window.set_whole_after(7, at(0, u32::MAX));
    let mut connected = message(1, at(2, 0), "{}");
    connected.kept.kind = Kind::Hidden;
    window.push(vec![message(1, at(1, 0), "a"), connected], start);
    window.evict(start + Duration::from_secs(11));
    assert_eq!(window.len(), 0);
    assert_eq!(begin(&window, 1, Ask::After(at(1, 0))), (Some(at(1, 0)), true));
}

#[test]
fn a_position_before_the_windows_start_has_a_gap() {
    let mut window = Window::new(ROOMY);
    assert_eq!(begin(&window, 1, Ask::After(at(99, 0))), (None, false));
    window.set_whole_after(7, at(99, u32::MAX));
    window.push(vec![message(1, at(100, 3), "a")], Instant::now());
    assert_eq!(begin(&window, 1, Ask::After(at(99, 0))), (Some(at(100, 2)), false));
    assert_eq!(begin(&window, 1, Ask::After(at(100, 2))), (Some(at(100, 2)), true));
    assert_eq!(begin(&window, 5, Ask::After(at(100, 3))), (Some(at(100, 3)), true));
    assert_eq!(begin(&window, 5, Ask::After(at(99, 7))), (Some(at(99, u32::MAX)), false));
}

#[test]
fn a_reader_behind_the_eviction_gets_a_gap() {
    let mut window = evicted();
    for (cursor, gap) in [(None, false), (Some(at(1, 0)), true), (Some(at(2, 0)), false), (Some(at(3, 0)), false)] {
        assert_eq!(window.after(room(1), 7, cursor, ALL).gap, gap, "{cursor:?}");
    }
    window.attach(room(9), 7, Arc::default());
    assert!(!window.after(room(9), 7, Some(at(4, 0)), ALL).gap);
}

#[test]
fn batches_lost_by_the_log_are_a_gap_in_every_room() {
    let mut window = Window::new(ROOMY);
    window.set_whole_after(7, at(0, u32::MAX));
    window.push(vec![message(1, at(1, 0), "a"), message(2, at(2, 0), "b")], Instant::now());
    window.attach(room(3), 7, Arc::default());
    // Batches 3 to 10 are lost.
    window.set_whole_after(7, at(10, u32::MAX));
    window.push(vec![message(1, at(11, 0), "c")], Instant::now());
    for presenter in 1..=3 {
        window.attach(room(presenter), 7, Arc::default());
        assert!(window.after(room(presenter), 7, Some(at(2, 0)), ALL).gap, "room {presenter}");
        assert!(!begin(&window, presenter, Ask::After(at(2, 0))).1, "room {presenter}");
        let (cursor, _) = begin(&window, presenter, Ask::After(at(2, 0)));
        assert!(!window.after(room(presenter), 7, cursor, ALL).gap, "room {presenter}");
    }
    let (cursor, whole) = begin(&window, 1, Ask::Anything);
    assert_eq!((texts(&window, 1, cursor), whole), (vec!["c".to_owned()], true));
}

#[test]
fn a_room_with_events_in_the_window_is_not_forgotten() {
    let mut window = evicted();
    window.forget_idle_rooms();
    assert_eq!(texts(&window, 1, None), ["d"]);
    assert_eq!(begin(&window, 1, Ask::After(at(2, 0))), (Some(at(2, 0)), true));
    window.evict(Instant::now() + Duration::from_secs(1_000));
    assert_eq!(window.len(), 0);
}
