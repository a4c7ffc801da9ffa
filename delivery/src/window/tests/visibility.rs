//! What deletions and erasures hide.

use super::*;

#[test]
fn a_deletion_removes_the_text_and_keeps_the_place() {
    let mut window = Window::new(ROOMY);
    let now = Instant::now();
    let (one, two) = (message(1, at(1, 0), "one"), message(1, at(2, 0), "two"));
    let target = one.kept.id;
    let before = window.bytes;
    window.push(vec![one, two, message(2, at(3, 0), "other")], now);
    let full = window.bytes;
    // The id has no meaning in another room.
    window.push(vec![removal(2, at(4, 0), Effect::Deletes(target))], now);
    assert_eq!(texts(&window, 1, None), ["one", "two"]);
    window.push(vec![removal(1, at(5, 0), Effect::Deletes(target))], now);
    assert_eq!(texts(&window, 1, None), ["-", "two", "{}"]);
    window.push(vec![removal(1, at(6, 0), Effect::Deletes(target))], now);
    assert_eq!(window.bytes, full + 3 * ("{}".len() + INDEX_BYTES));
    window.push(vec![removal(1, at(7, 0), Effect::Clears), message(1, at(8, 0), "after")], now);
    assert_eq!(texts(&window, 1, None), ["-", "-", "{}", "{}", "{}", "after"]);
    assert_eq!(texts(&window, 2, None), ["other", "{}"]);
    window.evict(now + Duration::from_secs(601));
    assert_eq!((window.bytes, window.len()), (before, 0));
}

#[test]
fn an_erasure_hides_the_users_earlier_messages_in_every_room_of_the_partition() {
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
    let deleted = removal(1, at(1, 3), Effect::Deletes(messages[0].kept.id));
    window.push(messages.into_iter().chain([deleted]).collect(), start);
    assert_eq!(whose(&window, 1, 7), ["Deleted 7", "Message 8", "other"]);
    let after = by(7, 1, at(2, 1));
    window.push(vec![erasure(7, at(2, 0)), after], start + Duration::from_secs(5));
    // The author of a deleted message is hidden, too.
    assert_eq!(whose(&window, 1, 7), ["hidden", "Message 8", "other", "other", "Message 7"]);
    assert_eq!(whose(&window, 2, 7), ["hidden", "other"]);
    // Each partition has its own copy, at its own position.
    assert_eq!(whose(&window, 5, 8), ["Message 7"]);
    // Another user, and the same one again.
    window.push(vec![erasure(8, at(3, 0)), erasure(7, at(3, 1))], start + Duration::from_secs(6));
    assert_eq!(whose(&window, 1, 7), ["hidden", "hidden", "other", "other", "hidden", "other", "other"]);
    assert_eq!(window.everywhere[&7].erasures.len(), 3);
    window.evict(start + Duration::from_secs(16));
    assert_eq!(window.everywhere[&7].erasures.len(), 2);
    window.evict(start + Duration::from_secs(17));
    assert_eq!((window.len(), window.everywhere[&7].erasures.len()), (0, 0));
}

#[test]
fn a_line_that_is_not_an_object_is_hidden_from_everyone() {
    let entry = |kind: &str, line: &'static [u8]| Entry {
        position: at(1, 0),
        id: EventId::new(),
        kind: kind.into(),
        presenter: Some(room(1)),
        at: chat::now(),
        stored: chat::now(),
        line: bytes::Bytes::from_static(line),
        trace: None,
    };
    let shows = |kind, line| match Incoming::new(7, entry(kind, line)).kept.shown().unwrap() {
        Shown::Nothing => None,
        Shown::Message(line)
        | Shown::Other(line, _)
        | Shown::Held(line, _)
        | Shown::ForModerators(line, _)
        | Shown::Everywhere(line, _) => Some(line.to_owned()),
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

fn ban(of: i64, by: i64, position: Position) -> Incoming {
    let (user, by, reason) = (user(of).idx, user(by), Some("doxxed".to_owned()));
    decision(position, Body::UserBanned(chat::UserBanned { user, until: None, purge_seconds: None, by, reason }))
}

#[test]
fn decisions_about_erased_users_are_withheld_in_part() {
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
    // An unknown author counts as erased by any erasure.
    let mut expected =
        vec![(false, true), (true, false), (false, true), (false, true), (false, false), (true, false), (true, false)];
    // Decided after the erasure, about messages from before.
    let after = vec![erasure(7, at(3, 0)), deletion(of_theirs, 7, at(4, 0)), ban(7, 7, at(4, 1))];
    window.push(after, Instant::now());
    expected.extend([(false, true), (false, false)]);
    assert_eq!(withheld(&window), expected);
}
