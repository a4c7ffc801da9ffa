//! Eviction: shares, events of every room, and memory.

use proptest::prelude::*;

use super::*;

#[test]
fn an_evicted_event_of_every_room_is_a_gap_in_every_room() {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let start = Instant::now();
    window.set_whole_after(7, at(0, u32::MAX));
    let empty = window.bytes;
    window.push(vec![message(1, at(1, 0), "a"), of_every_room(at(2, 0), "every")], start);
    window.push(vec![message(1, at(3, 0), "b")], start + Duration::from_secs(8));
    assert_eq!(begin(&window, 5, Ask::Anything), (Some(just_before(at(2, 0))), true));
    window.evict(start + Duration::from_secs(11));
    assert_eq!(texts(&window, 1, None), ["b"]);
    for presenter in [1, 5] {
        assert!(!begin(&window, presenter, Ask::After(at(1, 0))).1, "room {presenter}");
        assert!(window.after(room(presenter), 7, Some(at(1, 0)), ALL).gap, "room {presenter}");
        assert_eq!(begin(&window, presenter, Ask::After(at(2, 0))), (Some(at(2, 0)), true), "room {presenter}");
        assert!(!window.after(room(presenter), 7, Some(at(2, 0)), ALL).gap, "room {presenter}");
    }
    window.evict(start + Duration::from_secs(19));
    assert_eq!((window.bytes, window.len()), (empty, 0));
}

#[test]
fn the_memory_of_a_burst_is_released() {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let start = Instant::now();
    window.push((1..=10_000).map(|sequence| message(1, at(sequence, 0), "a")).collect(), start);
    window.push(vec![message(1, at(10_001, 0), "b")], start + Duration::from_secs(11));
    assert_eq!(window.len(), 1);
    let Queue { kept, came, .. } = &window.rooms[&room(1)].events;
    assert!(kept.capacity().max(came.capacity()) <= 64, "{}, {}", kept.capacity(), came.capacity());
}

#[test]
fn a_well_filled_or_small_queue_keeps_its_memory() {
    let shrunk = |capacity: usize, length: usize| {
        let mut queue: VecDeque<u8> = VecDeque::with_capacity(capacity);
        queue.extend(std::iter::repeat_n(0, length));
        shrink(&mut queue);
        queue.capacity()
    };
    for (capacity, length) in [(1_024, 300), (1_024, 256), (64, 5), (40, 5)] {
        assert_eq!(shrunk(capacity, length), capacity, "{length} of {capacity}");
    }
    // Only half is freed, so that the queue does not grow again at once.
    assert_eq!(shrunk(1_024, 255), 512);
    assert_eq!(shrunk(1_024, 3), 512);
    assert_eq!(shrunk(40, 0), 0);
}

/// Messages: the room, the bytes, and the seconds before it.
fn said() -> impl Strategy<Value = Vec<(i64, usize, u64)>> {
    let loud = (2..6_i64, 0..2_000_usize, 0..2_u64);
    let quiet = (1..2_i64, 0..100_usize, 0..3_u64);
    prop::collection::vec(prop_oneof![9 => loud, 1 => quiet], 1..400)
}

proptest! {
    #[test]
    fn a_room_within_its_share_loses_nothing_early_whatever_other_rooms_write(said in said()) {
        // Five rooms. The first never exceeds a fifth.
        let bounds = Bounds { age: Duration::from_secs(60), bytes: 5 * 40 * (100 + INDEX_BYTES) };
        let (mut window, mut own): (_, VecDeque<(Position, Instant, usize)>) = (Window::new(bounds), VecDeque::new());
        let mut now = Instant::now();
        window.set_whole_after(7, at(0, u32::MAX));
        for (sequence, (presenter, bytes, seconds)) in (1..).zip(said) {
            now += Duration::from_secs(seconds);
            own.retain(|(_, came, _)| now - *came <= bounds.age);
            let held: usize = own.iter().map(|(_, _, bytes)| bytes).sum();
            let presenter = if held + bytes + INDEX_BYTES > bounds.bytes / 5 { 2.max(presenter) } else { presenter };
            if presenter == 1 {
                own.push_back((at(sequence, 0), now, bytes + INDEX_BYTES));
            }
            window.push(vec![message(presenter, at(sequence, 0), &"x".repeat(bytes))], now);
            prop_assert!(window.bytes <= bounds.bytes);
            let begins = own.front().map(|(first, ..)| just_before(*first));
            let page = window.after(room(1), 7, begins, ALL);
            prop_assert!(!page.gap);
            let held: Vec<Position> = page.events.iter().map(|kept| kept.position).collect();
            prop_assert_eq!(held, own.iter().map(|(position, ..)| *position).collect::<Vec<_>>());
        }
    }
}

#[test]
fn decisions_about_every_room_have_a_share_of_their_own() {
    // An eighth of it holds two of these events.
    let bounds = Bounds { age: Duration::from_secs(60), bytes: 16 * (1_000 + INDEX_BYTES) };
    let mut window = Window::new(bounds);
    window.set_whole_after(7, at(0, u32::MAX));
    let text = "x".repeat(1_000);
    window.push(vec![message(1, at(1, 0), "a")], Instant::now());
    window.push((2..200).map(|sequence| message(2, at(sequence, 0), &text)).collect(), Instant::now());
    window.push(vec![of_every_room(at(200, 0), &text), of_every_room(at(201, 0), &text)], Instant::now());
    window.push((202..300).map(|sequence| message(2, at(sequence, 0), &text)).collect(), Instant::now());
    assert_eq!(texts(&window, 1, Some(at(0, u32::MAX))), ["a", &text, &text]);
    assert!(!window.after(room(1), 7, Some(at(0, u32::MAX)), ALL).gap);
    window.push(vec![of_every_room(at(300, 0), &text)], Instant::now());
    assert!(window.after(room(1), 7, Some(at(0, u32::MAX)), ALL).gap);
    assert!(!window.after(room(1), 7, Some(at(200, 0)), ALL).gap);
}
