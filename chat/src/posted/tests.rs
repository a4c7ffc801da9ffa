//! What the scanner accepts, serde reads as the same event.

use proptest::prelude::*;
use uuid::Uuid;

use super::scanner::SAFE_DIGITS;
use super::*;
use crate::{Attributes, Body, Emote, Emotes, Event, EventKind, Head};

/// Reads a line by serde alone.
fn slow(line: &[u8]) -> Option<Event> {
    let Head { id, kind, presenter, at, belated, key, request, .. } = Head::parsed(line).ok()?;
    let request = request.map(|digest| crate::Request { key: key.unwrap_or(KeyId::of_event(id)), digest });
    let body = Body::parsed(&kind, line).ok()?;
    Some(Event { id, presenter, at, belated, request, body })
}

fn event() -> impl Strategy<Value = Event> {
    let role = prop::sample::select(vec![Role::Viewer, Role::Moderator, Role::Presenter]);
    let user = (1..=i64::MAX, any::<String>(), role).prop_map(|(idx, nickname, role)| User {
        idx: UserIdx::stored(idx).unwrap(),
        nickname,
        role,
    });
    let flags = prop::collection::vec(any::<String>(), 0..3);
    let reply_to = prop::option::of(any::<u128>());
    let attributes = prop::option::weighted(0.2, prop::collection::btree_map("[a-z]{1,4}", "[a-z\"\\\\]{0,4}", 0..3));
    let emote = (any::<String>(), any::<u32>(), any::<u32>()).prop_map(|(id, start, end)| Emote { id, start, end });
    let emotes = prop::option::weighted(0.2, prop::collection::vec(emote, 0..3));
    let message = (user, any::<String>(), flags, reply_to, attributes, emotes).prop_map(
        |(user, text, flags, reply_to, attributes, emotes)| {
            let reply_to = reply_to.map(|id| EventId(Uuid::from_u128(id)));
            let attributes = attributes.map(|members| Attributes::parse(&serde_json::json!(members)).unwrap());
            let emotes = emotes.map(Emotes::from);
            MessagePosted { flags, reply_to, attributes, emotes, ..MessagePosted::new(user, text) }
        },
    );
    // From the year 0 to the end of 9999.
    let at = -62_167_219_200_000..253_402_207_199_999_i64;
    let request = prop::option::of((any::<u128>(), any::<String>()));
    (1..=i64::MAX, at, any::<bool>(), any::<u128>(), request, message).prop_map(
        |(presenter, at, belated, id, request, message)| Event {
            id: EventId(Uuid::from_u128(id)),
            presenter: Some(PresenterIdx::stored(presenter).unwrap()),
            at: Timestamp::from_millisecond(at).unwrap(),
            belated,
            request: request.map(|(key, text)| crate::Request {
                key: KeyId(Uuid::from_u128(key)),
                digest: RequestDigest::of("key", &text),
            }),
            body: Body::MessagePosted(message),
        },
    )
}

/// Whatever the scan accepts, serde reads as the same event.
fn agrees(line: &[u8]) -> Result<(), TestCaseError> {
    if let Some(posted) = PostedLine::scan(line) {
        let event = slow(line);
        prop_assert_eq!(Event::from_line(line).ok(), event.clone());
        let event = event.expect("serde reads what the scan accepts");
        prop_assert_eq!(event.body.kind(), EventKind::MessagePosted);
        // Copied into a frame, the parts are what would be written anew.
        prop_assert_eq!(posted.at_text, format!("{:.3}", event.at));
        prop_assert_eq!(posted.id_text, event.id.to_string());
        prop_assert_eq!(posted.user_text, posted.user.to_string());
        let Body::MessagePosted(message) = event.body else { panic!("checked above") };
        prop_assert_eq!(posted.nickname_json, serde_json::to_string(&message.user.nickname).unwrap());
        prop_assert_eq!(posted.text_json, serde_json::to_string(&message.text).unwrap());
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_scanner_reads_written_lines_as_serde_does(event in event()) {
        let line = event.to_line();
        prop_assert_eq!(&line, &event.serialized());
        // Larger numbers, attributes and emotes are left to serde.
        let is_small = |idx: i64| idx < 10_i64.pow(SAFE_DIGITS as u32);
        let Body::MessagePosted(message) = &event.body else { panic!("it is a message") };
        let is_scanned = is_small(message.user.idx.get())
            && event.presenter.is_some_and(|room| is_small(room.get()))
            && message.attributes.is_none()
            && message.emotes.is_none();
        prop_assert_eq!(PostedLine::scan(&line).is_some(), is_scanned);
        prop_assert_eq!(slow(&line), Some(event.clone()));
        prop_assert_eq!(Event::from_line(&line), Ok(event));
        agrees(&line)?;
    }

    #[test]
    fn a_changed_line_is_left_to_serde_or_means_the_same(
        event in event(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut line = event.to_line().to_vec();
        for (at, byte, change) in changes {
            let at = at.index(line.len());
            match change {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                _ => {
                    line.remove(at);
                }
            }
            agrees(&line)?;
        }
    }

    #[test]
    fn a_time_is_what_the_calendar_says(at in -62_167_219_200_000..253_402_207_199_999_i64) {
        let at = Timestamp::from_millisecond(at).unwrap();
        prop_assert_eq!(time(format!("{at:.3}").as_bytes()), Some(at));
    }
}

#[test]
fn another_form_is_left_to_serde() {
    const LINE: &str = concat!(
        r#"{"v":1,"id":"019ab5a0-8000-7000-8000-00000000000a","type":"message.posted","presenterIdx":42,"#,
        r#""at":"2026-11-22T12:34:56.789Z","user":{"idx":7,"nickname":"n","role":"viewer"},"text":"a b"}"#
    );
    assert!(PostedLine::scan(LINE.as_bytes()).is_some());
    for (from, to) in [
        ("00a\"", "00A\""),
        (":42", ":042"),
        (":42", ": 42"),
        (":42", ":0"),
        (":42", ":-42"),
        (":42", ":1000000000000000000"),
        ("11-22", "11-31"),
        ("11-22", "02-29"),
        ("56.789Z", "60.789Z"),
        ("56.789Z", "56.78Z"),
        ("789Z", "789z"),
        ("a b", r"a\/b"),
        ("a b", r"a\u0041b"),
        ("a b", r"a\u000ab"),
        ("a b", r"a\u001Fb"),
        ("a b", "a\tb"),
        ("a b\"", r#"a b","later":1"#),
        ("\"}", "\"} "),
        ("\"a b\"", r#""a b","flags":[]"#),
        ("\"text\"", r#""flags":["a"],"text""#),
        ("\"a b\"", r#""a b","replyTo":null"#),
        ("\"a b\"", r#""a b","replyTo":"019AB5A0-8000-7000-8000-00000000000A""#),
        ("\"a b\"", r#""a b","attributes":{"color":"red"}"#),
        ("\"a b\"", r#""a b","emotes":[{"id":"a","start":0,"end":1}]"#),
    ] {
        let line = LINE.replace(from, to);
        assert_ne!(line, LINE, "{from}");
        assert_eq!(PostedLine::scan(line.as_bytes()), None, "{line}");
    }
    assert!(PostedLine::scan(LINE.replace("a b", r"a\u001f\n\\b").as_bytes()).is_some());
    assert_eq!(PostedLine::scan(&LINE.as_bytes()[..LINE.len() - 1]), None);
}
