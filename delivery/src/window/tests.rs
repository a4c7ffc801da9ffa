//! The window against examples, and against a model that keeps everything and counts anew each time.

use chat::{Body, ErasureMode, Event, EventId, MessagePosted, User, UserErased};
use nats::Entry;
use proptest::prelude::*;

use super::*;

const ALL: Limit = Limit { events: usize::MAX, bytes: usize::MAX };
const ROOMY: Bounds = Bounds { age: Duration::from_secs(600), bytes: usize::MAX };

fn room(presenter: i64) -> PresenterIdx {
    PresenterIdx::try_from(presenter).unwrap()
}

fn at(sequence: u64, index: u32) -> Position {
    Position { epoch: 7, sequence, index }
}

/// In these tests a partition has the number of its epoch.
fn partition_of(position: Position) -> u32 {
    position.epoch as u32
}

fn kept(position: Position, text: &str, kind: Kind) -> Kept {
    let (about, withheld) = (About::Nobody, Withheld::default());
    Kept { position, line: text.into(), kind, id: EventId::new(), about, withheld }
}

fn message(presenter: i64, position: Position, text: &str) -> Incoming {
    let kept = kept(position, text, Kind::Message);
    Incoming { partition: partition_of(position), presenter: Some(room(presenter)), kept, removes: Removes::Nothing }
}

fn of_every_room(position: Position, text: &str) -> Incoming {
    let kept = kept(position, text, Kind::Everywhere);
    Incoming { partition: partition_of(position), presenter: None, kept, removes: Removes::Nothing }
}

fn removal(presenter: i64, position: Position, removes: Removes) -> Incoming {
    let mut incoming = message(presenter, position, "{}");
    (incoming.kept.kind, incoming.removes) = (Kind::Other, removes);
    if matches!(removes, Removes::One(_)) {
        // Nobody is named in these texts.
        incoming.kept.about = About::Unknown;
    }
    incoming
}

/// What a reader sees: the texts, `-` where one was deleted.
fn texts(window: &Window, presenter: i64, cursor: Option<Position>) -> Vec<String> {
    let text = |kept: Kept| match kept.kind {
        Kind::Deleted => "-".to_owned(),
        Kind::Hidden => "hidden".to_owned(),
        _ => kept.line.to_string(),
    };
    window.after(room(presenter), 7, cursor, ALL).events.into_iter().map(text).collect()
}

#[test]
fn a_reader_gets_what_follows_its_cursor_in_its_room_alone() {
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
        // A cursor from another node can be ahead of this window: what it has seen is not shown again.
        (1, Some(at(9, 0)), vec![]),
        (2, None, vec!["b"]),
        (3, None, vec![]),
    ] {
        assert_eq!(texts(&window, presenter, cursor), expected, "room {presenter} after {cursor:?}");
    }
}

#[test]
fn a_page_is_bounded_but_never_empty_while_there_is_something() {
    let mut window = Window::new(ROOMY);
    let messages = (1..=9).map(|sequence| message(1, at(sequence, 0), "0123456789")).collect();
    window.push(messages, Instant::now());
    for (limit, expected) in [
        (Limit { events: 4, bytes: 1_000 }, 4),
        (Limit { events: 100, bytes: 35 }, 3),
        (Limit { events: 100, bytes: 40 }, 4),
        (Limit { events: 100, bytes: 1 }, 1),
    ] {
        assert_eq!(window.after(room(1), 7, None, limit).events.len(), expected, "{limit:?}");
    }
}

#[test]
fn an_event_of_every_room_stands_at_its_place_in_each_room_of_its_partition() {
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
        // Nothing was ever said there.
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
    assert_eq!(page.events.iter().filter(|kept| kept.line.as_str() == "every 2 elsewhere").count(), 1);
}

#[test]
fn an_event_of_every_room_that_was_evicted_is_missed_in_every_room() {
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
fn a_reader_who_has_everything_of_its_room_has_reached_the_end_of_the_log() {
    let mut window = Window::new(ROOMY);
    window.set_whole_after(7, at(9, u32::MAX));
    let reached = |window: &Window, cursor| window.reached(room(1), 7, cursor);
    assert_eq!(reached(&window, at(9, u32::MAX)), at(9, u32::MAX));
    window.push(vec![message(1, at(10, 0), "a"), message(2, at(10, 1), "b")], Instant::now());
    assert_eq!(reached(&window, at(9, u32::MAX)), at(9, u32::MAX));
    assert_eq!(reached(&window, at(10, 0)), at(10, u32::MAX));
    window.push(vec![message(2, at(20, 0), "c")], Instant::now());
    assert_eq!(reached(&window, at(10, 0)), at(20, u32::MAX));
    // It comes from a node that has read more of the log.
    assert_eq!(reached(&window, at(30, 0)), at(30, 0));
    window.push(vec![of_every_room(at(21, 0), "every")], Instant::now());
    assert_eq!(reached(&window, at(10, 0)), at(10, 0));
    assert_eq!(reached(&window, at(21, 0)), at(21, u32::MAX));
    // What is missing is not reached.
    window.set_whole_after(7, at(40, u32::MAX));
    window.push(vec![message(2, at(41, 0), "d")], Instant::now());
    assert_eq!(reached(&window, at(21, u32::MAX)), at(21, u32::MAX));
}

#[test]
fn deleted_texts_are_gone_and_the_places_stay() {
    let mut window = Window::new(ROOMY);
    let now = Instant::now();
    let (one, two) = (message(1, at(1, 0), "one"), message(1, at(2, 0), "two"));
    let target = one.kept.id;
    let before = window.bytes;
    window.push(vec![one, two, message(2, at(3, 0), "other")], now);
    let full = window.bytes;
    // In another room the id means nothing.
    window.push(vec![removal(2, at(4, 0), Removes::One(target))], now);
    assert_eq!(texts(&window, 1, None), ["one", "two"]);
    window.push(vec![removal(1, at(5, 0), Removes::One(target))], now);
    assert_eq!(texts(&window, 1, None), ["-", "two", "{}"]);
    window.push(vec![removal(1, at(6, 0), Removes::One(target))], now);
    assert_eq!(window.bytes, full + 3 * ("{}".len() + INDEX_BYTES));
    window.push(vec![removal(1, at(7, 0), Removes::All), message(1, at(8, 0), "after")], now);
    assert_eq!(texts(&window, 1, None), ["-", "-", "{}", "{}", "{}", "after"]);
    assert_eq!(texts(&window, 2, None), ["other", "{}"]);
    window.evict(now + Duration::from_secs(601));
    assert_eq!((window.bytes, window.len()), (before, 0));
}

/// A message as the log has it, by that user, or what erases the user.
fn incoming(presenter: Option<i64>, position: Position, body: Body) -> Incoming {
    let event = match presenter {
        Some(presenter) => Event::now(room(presenter), body),
        None => Event::of_every_room(body),
    };
    Incoming::new(partition_of(position), Entry::read(position, event.to_line()).unwrap())
}

fn user(idx: i64) -> User {
    User { idx: UserIdx::try_from(idx).unwrap(), nickname: "별명".to_owned(), role: chat::Role::Viewer }
}

fn by(idx: i64, presenter: i64, position: Position) -> Incoming {
    let posted = MessagePosted { user: user(idx), text: format!("{idx}"), flags: Vec::new() };
    incoming(Some(presenter), position, Body::MessagePosted(posted))
}

fn erasure(idx: i64, position: Position) -> Incoming {
    let erased = UserErased { user: user(idx).idx, mode: ErasureMode::Remove, by: user(3) };
    incoming(None, position, Body::UserErased(erased))
}

#[test]
fn of_a_user_who_was_erased_nothing_from_before_is_handed_out_in_any_room_of_the_partition() {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let start = Instant::now();
    let whose = |window: &Window, presenter, epoch| {
        let page = window.after(room(presenter), epoch, None, ALL);
        let whose = |kept: &Kept| match kept.kind {
            Kind::Hidden => "hidden".to_owned(),
            Kind::Other | Kind::Everywhere => "other".to_owned(),
            kind => format!("{kind:?} {}", kept.author().unwrap()),
        };
        page.events.iter().map(whose).collect::<Vec<_>>()
    };
    let elsewhere = Position { epoch: 8, sequence: 1, index: 0 };
    let messages = vec![by(7, 1, at(1, 0)), by(8, 1, at(1, 1)), by(7, 2, at(1, 2)), by(7, 5, elsewhere)];
    let deleted = removal(1, at(1, 3), Removes::One(messages[0].kept.id));
    window.push(messages.into_iter().chain([deleted]).collect(), start);
    assert_eq!(whose(&window, 1, 7), ["Deleted 7", "Message 8", "other"]);
    let after = by(7, 1, at(2, 1));
    window.push(vec![erasure(7, at(2, 0)), after], start + Duration::from_secs(5));
    // Not even who wrote what was deleted.
    assert_eq!(whose(&window, 1, 7), ["hidden", "Message 8", "other", "other", "Message 7"]);
    assert_eq!(whose(&window, 2, 7), ["hidden", "other"]);
    // Each partition has a copy of its own, at its place.
    assert_eq!(whose(&window, 5, 8), ["Message 7"]);
    // Another one, and the same again.
    window.push(vec![erasure(8, at(3, 0)), erasure(7, at(3, 1))], start + Duration::from_secs(6));
    assert_eq!(whose(&window, 1, 7), ["hidden", "hidden", "other", "other", "hidden", "other", "other"]);
    assert_eq!(window.everywhere[&7].erasures.len(), 3);
    window.evict(start + Duration::from_secs(16));
    assert_eq!(window.everywhere[&7].erasures.len(), 2);
    window.evict(start + Duration::from_secs(17));
    assert_eq!((window.len(), window.everywhere[&7].erasures.len()), (0, 0));
}

/// Where a reader of the room begins that asks for this, and whether nothing is missing.
fn begin(window: &Window, presenter: i64, ask: Ask) -> (Option<Position>, bool) {
    let beginning = window.begin(room(presenter), 7, ask);
    (beginning.cursor, beginning.whole)
}

/// Rooms 1 and 2 of a log that is known from its beginning; what came in the batches 1 to 3 is evicted.
fn evicted() -> Window {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let start = Instant::now();
    window.set_whole_after(7, at(0, u32::MAX));
    window.push(vec![message(1, at(1, 0), "a"), message(1, at(2, 0), "b"), message(2, at(3, 0), "c")], start);
    window.push(vec![message(1, at(4, 0), "d")], start + Duration::from_secs(11));
    assert_eq!(window.len(), 1);
    window
}

#[test]
fn a_reader_begins_after_its_position_if_nothing_is_missing() {
    let window = evicted();
    let oldest = just_before(at(4, 0));
    for (ask, beginning) in [
        (Ask::After(at(2, 0)), (at(2, 0), true)),
        (Ask::After(at(3, 7)), (at(3, 7), true)),
        (Ask::After(at(4, 0)), (at(4, 0), true)),
        // It comes from a node that has read more of the log: nothing that it has seen is shown again.
        (Ask::After(at(9, 0)), (at(9, 0), true)),
        // Nobody has seen what was evicted.
        (Ask::Anything, (oldest, false)),
        (Ask::After(at(1, 0)), (oldest, false)),
        (Ask::After(at(1, 9)), (oldest, false)),
        // What it has seen since was lost, with what was accepted and not shown yet.
        (Ask::Lost(at(2, 0)), (at(2, 0), false)),
        (Ask::Lost(at(1, 0)), (oldest, false)),
        (Ask::Unknown, (oldest, false)),
    ] {
        assert_eq!(begin(&window, 1, ask), (Some(beginning.0), beginning.1), "{ask:?}");
    }
    assert_eq!(texts(&window, 1, Some(oldest)), ["d"]);
}

#[test]
fn in_a_room_of_which_nothing_is_held_a_reader_begins_after_what_was_evicted() {
    let window = evicted();
    for (ask, beginning) in [
        // It has reached the end of the log, and nobody has seen what was evicted.
        (Ask::Anything, (at(4, u32::MAX), false)),
        (Ask::After(at(3, 0)), (at(3, 0), true)),
        (Ask::After(at(2, 0)), (at(3, 0), false)),
        (Ask::Unknown, (at(3, 0), false)),
    ] {
        assert_eq!(begin(&window, 2, ask), (Some(beginning.0), beginning.1), "{ask:?}");
    }
    // Nothing was ever said there.
    assert_eq!(begin(&window, 5, Ask::Anything), (Some(at(4, u32::MAX)), true));
}

#[test]
fn a_presenter_of_a_quiet_room_has_missed_nothing_however_old_its_position() {
    let mut window = evicted();
    let later = Instant::now() + Duration::from_secs(1_000);
    window.push((5..500).map(|sequence| message(1, at(sequence, 0), "x")).collect(), later);
    window.evict(later + Duration::from_secs(1_000));
    assert_eq!(begin(&window, 2, Ask::After(at(3, 0))), (Some(at(3, 0)), true));
    // A room that never had an event has missed none either.
    assert_eq!(begin(&window, 5, Ask::After(at(0, u32::MAX))), (Some(at(0, u32::MAX)), true));
    // Once the room is forgotten it cannot be told any more, and is not claimed.
    window.forget_idle_rooms();
    assert_eq!(begin(&window, 2, Ask::After(at(3, 0))), (Some(at(499, 0)), false));
    assert_eq!(begin(&window, 5, Ask::After(at(0, u32::MAX))), (Some(at(499, 0)), false));
    assert_eq!(begin(&window, 2, Ask::After(at(499, 0))), (Some(at(499, 0)), true));
}

#[test]
fn what_no_client_sees_is_not_missed() {
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
fn what_was_before_the_window_began_may_have_been_missed() {
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
fn a_reader_whose_place_is_gone_is_told() {
    let mut window = evicted();
    for (cursor, gap) in [(None, false), (Some(at(1, 0)), true), (Some(at(2, 0)), false), (Some(at(3, 0)), false)] {
        assert_eq!(window.after(room(1), 7, cursor, ALL).gap, gap, "{cursor:?}");
    }
    window.attach(room(9), 7, Arc::default());
    assert!(!window.after(room(9), 7, Some(at(4, 0)), ALL).gap);
}

#[test]
fn what_the_log_lost_before_it_was_read_is_a_gap_in_every_room() {
    let mut window = Window::new(ROOMY);
    window.set_whole_after(7, at(0, u32::MAX));
    window.push(vec![message(1, at(1, 0), "a"), message(2, at(2, 0), "b")], Instant::now());
    window.attach(room(3), 7, Arc::default());
    // The batches 3 to 10 are gone.
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
fn only_what_has_come_counts_as_come() {
    let window = evicted();
    assert!(window.has_come(7, at(4, 0)) && window.has_come(7, at(1, 5)));
    // Batches come whole.
    assert!(window.has_come(7, at(4, u32::MAX)));
    assert!(!window.has_come(7, at(5, 0)) && !window.has_come(7, at(9, 0)));
    assert!(!window.has_come(8, Position { epoch: 8, ..at(1, 0) }));
}

#[test]
fn what_is_no_object_is_kept_from_everyone() {
    let entry = |kind: &str, line: &'static [u8]| Entry {
        position: at(1, 0),
        id: EventId::new(),
        kind: kind.into(),
        presenter: Some(room(1)),
        at: chat::now(),
        stored: chat::now(),
        line: bytes::Bytes::from_static(line),
    };
    let shows = |kind, line| match Incoming::new(7, entry(kind, line)).kept.shown().unwrap() {
        Shown::Nothing => None,
        Shown::Message(line) | Shown::Other(line, _) | Shown::Everywhere(line, _) => Some(line.to_owned()),
        Shown::Deleted(deleted) => panic!("{deleted:?}"),
    };
    assert_eq!(shows("poll.opened", b"{}").as_deref(), Some("{}"));
    for (kind, line) in [
        ("poll.opened", b"[1]".as_slice()),
        ("poll.opened", b"{\"x\":\"\xff\"}"),
        ("message.posted", b""),
        ("presenter.connected", b"{}"),
        ("presenter.disconnected", b"{}"),
    ] {
        assert_eq!(shows(kind, line), None, "{kind}");
    }
}

#[test]
fn only_the_readers_of_the_room_are_woken() {
    let mut window = Window::new(ROOMY);
    let (one, other): (Arc<Notify>, Arc<Notify>) = Default::default();
    window.attach(room(1), 7, one.clone());
    window.attach(room(2), 7, other.clone());
    let woken = window.push(vec![message(1, at(1, 0), "a"), message(3, at(1, 1), "b")], Instant::now());
    assert!(woken.iter().all(|woken| Arc::ptr_eq(woken, &one)) && woken.len() == 1);
    // Those of every room of the partition, where it is of every room.
    let elsewhere = Arc::default();
    window.attach(room(4), 8, elsewhere);
    let woken = window.push(vec![of_every_room(at(1, 2), "every")], Instant::now());
    assert!(
        woken.len() == 2 && [&one, &other].iter().all(|reader| woken.iter().any(|woken| Arc::ptr_eq(woken, reader)))
    );
    window.detach(room(1), 7, &one);
    assert!(window.push(vec![message(1, at(2, 0), "c")], Instant::now()).is_empty());
    window.detach(room(2), 7, &other);
    assert!(window.everywhere[&7].readers.is_empty());
}

#[test]
fn a_burst_gives_its_memory_back() {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let start = Instant::now();
    window.push((1..=10_000).map(|sequence| message(1, at(sequence, 0), "a")).collect(), start);
    window.push(vec![message(1, at(10_001, 0), "b")], start + Duration::from_secs(11));
    assert_eq!(window.len(), 1);
    let Queue { kept, came, .. } = &window.rooms[&room(1)].events;
    assert!(kept.capacity().max(came.capacity()) <= 64, "{}, {}", kept.capacity(), came.capacity());
}

#[test]
fn a_queue_that_is_well_used_or_small_keeps_its_memory() {
    let shrunk = |capacity: usize, length: usize| {
        let mut queue: VecDeque<u8> = VecDeque::with_capacity(capacity);
        queue.extend(std::iter::repeat_n(0, length));
        shrink(&mut queue);
        queue.capacity()
    };
    for (capacity, length) in [(1_024, 300), (1_024, 256), (64, 5), (40, 5)] {
        assert_eq!(shrunk(capacity, length), capacity, "{length} of {capacity}");
    }
    // Half of it is given back, so that it does not grow again at once.
    assert_eq!(shrunk(1_024, 255), 512);
    assert_eq!(shrunk(1_024, 3), 512);
    assert_eq!(shrunk(40, 0), 0);
}

#[test]
fn a_room_of_which_something_is_held_is_not_forgotten() {
    let mut window = evicted();
    window.forget_idle_rooms();
    assert_eq!(texts(&window, 1, None), ["d"]);
    assert_eq!(begin(&window, 1, Ask::After(at(2, 0))), (Some(at(2, 0)), true));
    window.evict(Instant::now() + Duration::from_secs(1_000));
    assert_eq!(window.len(), 0);
}

/// What may happen to a window.
#[derive(Debug, Clone)]
enum Step {
    Message {
        presenter: i64,
        bytes: usize,
    },
    /// Of the message that came so many messages ago, in whichever room.
    Delete {
        ago: usize,
    },
    Clear {
        presenter: i64,
    },
    /// In that of the two partitions.
    Everywhere {
        partition: usize,
        bytes: usize,
    },
    Pass {
        seconds: u64,
    },
    Read {
        presenter: i64,
        ago: usize,
        events: usize,
        bytes: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let presenter = 1..5_i64;
    prop_oneof![
        8 => (presenter.clone(), 0..60_usize).prop_map(|(presenter, bytes)| Step::Message { presenter, bytes }),
        2 => (0..30_usize).prop_map(|ago| Step::Delete { ago }),
        1 => presenter.clone().prop_map(|presenter| Step::Clear { presenter }),
        1 => (0..2_usize, 0..60_usize).prop_map(|(partition, bytes)| Step::Everywhere { partition, bytes }),
        2 => (0..20_u64).prop_map(|seconds| Step::Pass { seconds }),
        4 => (presenter, 0..40_usize, 1..10_usize, 1..200_usize)
            .prop_map(|(presenter, ago, events, bytes)| Step::Read { presenter, ago, events, bytes }),
    ]
}

/// An event that came at some time.
struct Came {
    of: Option<PresenterIdx>,
    kept: Kept,
    at: Instant,
    is_evicted: bool,
}

/// Everything that ever came, in order.
#[derive(Default)]
struct Model {
    events: Vec<Came>,
}

impl Model {
    fn held(&self) -> impl Iterator<Item = &Came> {
        self.events.iter().filter(|came| !came.is_evicted)
    }

    fn bytes(&self) -> usize {
        self.bytes_of(|_| true)
    }

    fn bytes_of(&self, counts: impl Fn(&Came) -> bool) -> usize {
        self.held().filter(|came| counts(came)).map(|came| came.kept.bytes() + INDEX_BYTES).sum()
    }

    fn evict(&mut self, bounds: Bounds, now: Instant) {
        for came in &mut self.events {
            came.is_evicted |= now - came.at > bounds.age;
        }
        while self.bytes() > bounds.bytes {
            let epoch = |came: &Came| came.kept.position.epoch;
            let in_room = |room| self.bytes_of(move |came| came.of == Some(room));
            let rooms: Vec<PresenterIdx> = self.held().filter_map(|came| came.of).collect();
            let largest = rooms.into_iter().max_by_key(|room| (in_room(*room), *room));
            let everywhere = self.bytes_of(|came| came.of.is_none());
            let index = match largest.filter(|_| everywhere <= bounds.bytes / PART_EVERYWHERE) {
                Some(room) => self.events.iter().position(|came| !came.is_evicted && came.of == Some(room)),
                None => {
                    let in_partition = |of| self.bytes_of(move |came| came.of.is_none() && epoch(came) == of);
                    let of = if in_partition(100) > in_partition(101) { 100 } else { 101 };
                    self.events.iter().position(|came| !came.is_evicted && came.of.is_none() && epoch(came) == of)
                }
            };
            self.events[index.unwrap()].is_evicted = true;
        }
    }

    fn remove(&mut self, presenter: Option<PresenterIdx>, removes: Removes) {
        for Came { of, kept, .. } in &mut self.events {
            let removed = match removes {
                Removes::Nothing => false,
                Removes::One(target) => kept.id == target,
                Removes::All => true,
                Removes::Of(_) => unreachable!("no step erases anybody"),
            };
            if *of == presenter && kept.kind == Kind::Message && removed {
                kept.kind = Kind::Deleted;
            }
        }
    }
}

/// Two partitions, each with an epoch and a sequence of its own.
fn next(sequences: &mut [u64; 2], partition: usize) -> Position {
    sequences[partition] += 1;
    let sequence = sequences[partition];
    Position { epoch: 100 + partition as u64, sequence, index: (sequence % 3) as u32 }
}

fn partition(presenter: i64) -> usize {
    usize::from(presenter % 2 == 1)
}

proptest! {
    #[test]
    fn the_window_is_as_a_model_that_keeps_everything(steps in prop::collection::vec(step(), 1..200)) {
        let bounds = Bounds { age: Duration::from_secs(60), bytes: 20 * (30 + INDEX_BYTES) };
        let (mut window, mut model, mut sequences) = (Window::new(bounds), Model::default(), [0, 0]);
        let mut now = Instant::now();
        (100..=101).for_each(|epoch| window.set_whole_after(epoch as u32, Position { epoch, sequence: 0, index: u32::MAX }));
        for step in steps {
            let incoming = match step {
                Step::Message { presenter, bytes } => {
                    Some(message(presenter, next(&mut sequences, partition(presenter)), &"x".repeat(bytes)))
                }
                Step::Delete { ago } => model.events.iter().rev().nth(ago).map(|Came { of, kept, .. }| {
                    let presenter = of.map_or(1, PresenterIdx::get);
                    removal(presenter, next(&mut sequences, partition(presenter)), Removes::One(kept.id))
                }),
                Step::Clear { presenter } => {
                    Some(removal(presenter, next(&mut sequences, partition(presenter)), Removes::All))
                }
                Step::Everywhere { partition, bytes } => {
                    Some(of_every_room(next(&mut sequences, partition), &"x".repeat(bytes)))
                }
                Step::Pass { seconds } => {
                    now += Duration::from_secs(seconds);
                    window.evict(now);
                    model.evict(bounds, now);
                    None
                }
                Step::Read { presenter, ago, events, bytes } => {
                    let (presenter, epoch) = (room(presenter), 100 + partition(presenter) as u64);
                    let of_room =
                        |came: &&Came| came.of.map_or(came.kept.position.epoch == epoch, |of| of == presenter);
                    let all: Vec<_> = model.events.iter().filter(of_room).collect();
                    let cursor = all.iter().rev().nth(ago).map(|came| came.kept.position);
                    let follows = |kept: &Kept| cursor.is_none_or(|cursor| kept.position > cursor);
                    // Also one that stands after some that are held: what is of every room goes in its own time.
                    let missed = all.iter().any(|came| came.is_evicted && follows(&came.kept));
                    let (mut expected, mut size) = (Vec::new(), 0);
                    let all_seen = all.last().is_some_and(|came| Some(came.kept.position) == cursor);
                    for Came { kept, .. } in all.into_iter().filter(|came| !came.is_evicted && follows(&came.kept)) {
                        size += kept.bytes().max(1);
                        if expected.len() == events || (!expected.is_empty() && size > bytes) {
                            break;
                        }
                        expected.push(kept.clone());
                    }
                    let page = window.after(presenter, epoch as u32, cursor, Limit { events, bytes });
                    prop_assert_eq!(page.events, expected);
                    if let Some(cursor) = cursor {
                        let whole = window.begin(presenter, epoch as u32, Ask::After(cursor)).whole;
                        let last = Position { epoch, sequence: sequences[partition(presenter.get())], index: u32::MAX };
                        let reached = if all_seen { last } else { cursor };
                        prop_assert_eq!(window.reached(presenter, epoch as u32, cursor), reached);
                        prop_assert_eq!(page.gap, missed);
                        prop_assert_eq!(whole, !missed);
                    }
                    None
                }
            };
            if let Some(incoming) = incoming {
                model.remove(incoming.presenter, incoming.removes);
                let Incoming { presenter: of, kept, .. } = &incoming;
                model.events.push(Came { of: *of, kept: kept.clone(), at: now, is_evicted: false });
                model.evict(bounds, now);
                window.push(vec![incoming], now);
            }
            prop_assert_eq!(window.bytes, model.bytes());
            prop_assert!(window.bytes <= bounds.bytes);
            prop_assert_eq!(window.len(), model.held().count());
        }
    }
}

/// Who says how much in a room, again and again.
fn said() -> impl Strategy<Value = Vec<(i64, usize, u64)>> {
    let loud = (2..6_i64, 0..2_000_usize, 0..2_u64);
    let quiet = (1..2_i64, 0..100_usize, 0..3_u64);
    prop::collection::vec(prop_oneof![9 => loud, 1 => quiet], 1..400)
}

proptest! {
    #[test]
    fn a_room_within_its_share_loses_nothing_before_its_time_whatever_others_say(said in said()) {
        // Five rooms, of which the first never says more than a fifth.
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

/// A decision of the log in room 1.
fn decision(position: Position, body: Body) -> Incoming {
    incoming(Some(1), position, body)
}

fn deletion(target: EventId, by: i64, position: Position) -> Incoming {
    let reason = Some("doxxed".to_owned());
    decision(position, Body::MessageDeleted(chat::MessageDeleted { target, by: user(by), reason }))
}

fn ban(of: i64, by: i64, position: Position) -> Incoming {
    let (user, by, reason) = (user(of).idx, user(by), Some("doxxed".to_owned()));
    decision(position, Body::UserBanned(chat::UserBanned { user, until: None, by, reason }))
}

#[test]
fn what_decisions_say_of_users_who_were_erased_is_withheld() {
    let withheld = |window: &Window| -> Vec<(bool, bool)> {
        let page = window.after(room(1), 7, None, ALL);
        let of = |kept: &Kept| matches!(kept.kind, Kind::Other).then_some((kept.withheld.by, kept.withheld.reason));
        page.events.iter().filter_map(of).collect()
    };
    let mut window = Window::new(ROOMY);
    let (theirs, others) = (by(7, 1, at(1, 0)), by(8, 1, at(1, 1)));
    let (of_theirs, of_others) = (theirs.kept.id, others.kept.id);
    let cleared = chat::RoomCleared { by: user(7), reason: Some("raid".to_owned()) };
    let events = vec![
        theirs,
        others,
        deletion(of_theirs, 3, at(2, 0)),
        deletion(of_others, 7, at(2, 1)),
        deletion(EventId::new(), 3, at(2, 2)),
        ban(7, 3, at(2, 3)),
        ban(8, 3, at(2, 4)),
        ban(8, 7, at(2, 5)),
        decision(at(2, 6), Body::RoomCleared(cleared)),
    ];
    window.push(events, Instant::now());
    assert_eq!(withheld(&window), [(false, false); 7]);
    // Nobody can tell who wrote what is not here: the reason goes with anybody who is erased.
    let mut expected =
        vec![(false, true), (true, false), (false, true), (false, true), (false, false), (true, false), (true, false)];
    // Decided afterwards, about what was written before.
    let after = vec![erasure(7, at(3, 0)), deletion(of_theirs, 7, at(4, 0)), ban(7, 7, at(4, 1))];
    window.push(after, Instant::now());
    expected.extend([(false, true), (false, false)]);
    assert_eq!(withheld(&window), expected);
}

#[test]
fn what_decisions_about_every_room_take_is_theirs_and_no_rooms() {
    // An eighth of it is as much as two of these.
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
