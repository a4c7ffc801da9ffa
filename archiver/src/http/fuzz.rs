//! What holds for any query and any cursor. A check panics where it does not. The fuzz targets in `fuzz/` call the
//! checks, and the test below replays their corpus. Compiled for both alone.

use axum::extract::FromRequestParts as _;
use axum::http::Request;
use axum::http::request::Parts;
use axum::response::IntoResponse as _;
use chat::{LARGEST_IDX, SessionId, folded, is_attribute_name};
use futures_util::FutureExt as _;
use serde::de::DeserializeOwned;
use unicode_segmentation::UnicodeSegmentation as _;

use super::access::Sight;
use super::messages::{FilterQuery, WhereQuery, WhoseQuery};
use super::parameters::{FromQuery, PageQuery, Query, SpanQuery, TimelineQuery};
use super::refusal::Refusal;
use super::time_format::{QueryTime, time};
use crate::query::broadcasts::{Broadcast, Segment};
use crate::query::cursor::Cursor;
use crate::query::sequence::{Only, Sequence};
use crate::query::timeline::{Timeline, TimelineKind};

const ROOM: i64 = 42;

/// The query of a search. What is accepted is within its bounds, and the rest is refused with a code.
pub fn search(query: &[u8]) {
    let Ok(query) = str::from_utf8(query) else { return };
    let Ok(request) = Request::get(format!("/v1/rooms/42/messages?{query}")).body(()) else { return };
    let (mut parts, ()) = request.into_parts();
    if let Some(PageQuery { first, .. }) = read(&mut parts) {
        assert!((1..=1_000).contains(&first.0));
    }
    if let Some(FromQuery { from }) = read(&mut parts) {
        assert!((0..1_000_000_000_000).contains(&from.0));
    }
    let _: Option<TimelineQuery> = read(&mut parts);
    let idxs = [
        read::<WhoseQuery>(&mut parts).and_then(|query| Some(query.user?.get())),
        read::<WhereQuery>(&mut parts).and_then(|query| Some(query.room?.get())),
    ];
    assert!(idxs.into_iter().flatten().all(|idx| (1..=LARGEST_IDX).contains(&idx)));
    let Some(span) = read::<SpanQuery>(&mut parts) else { return };
    for at in [span.from, span.to].into_iter().flatten() {
        let told = time(at.date());
        // A time of the year 10000, which an offset can make of one of 9999, is told as the end of 9999.
        if told != "9999-12-31T23:59:59.999Z" {
            assert_eq!(QueryTime::try_from(told.clone()), Ok(at), "{told}");
        }
    }
    let span = span.span();
    let Some(filter) = read::<FilterQuery>(&mut parts) else { return };
    let asks_for_deleted = ["deleted=", "decision="].iter().any(|name| query.contains(name));
    match filter.criteria(span, Sight::Everything) {
        Ok(criteria) => {
            if let Some(text) = criteria.text {
                // Folding makes at most 18 bytes of a character, and no character of a byte.
                assert!(!text.is_empty() && text.graphemes(true).count() <= 18 * 100);
                assert_eq!(folded(&text), text, "it is folded as archived texts are");
            }
            if let Some(attribute) = criteria.attribute {
                assert!(attribute.path.split('.').all(is_attribute_name), "no operator of MongoDB is a path");
            }
        }
        Err(refusal) => panic!("whoever sees everything may ask for it: {refusal:?}"),
    }
    if let Some(filter) = read::<FilterQuery>(&mut parts)
        && let Err(refusal) = filter.criteria(span, Sight::Shown)
    {
        assert!(matches!(refusal, Refusal::Forbidden(_)) && (asks_for_deleted || query.contains('%')));
    }
}

fn read<T: DeserializeOwned>(parts: &mut Parts) -> Option<T> {
    match Query::<T>::from_request_parts(parts, &()).now_or_never().expect("nothing is waited for") {
        Ok(Query(query)) => Some(query),
        Err(refusal) => {
            assert!(matches!(refusal, Refusal::QueryInvalid(_)));
            let answer = refusal.into_response();
            assert_eq!(answer.status(), 400);
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            None
        }
    }
}

/// A cursor that a client sends back. It is one of one list alone, in whatever form it comes, and no number in it is
/// too large for the arithmetic of a recording.
pub fn cursor(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let broadcast: SessionId = "01890a5d-ac96-774b-bcce-b302099a8050".parse().expect("it is an id");
    let room = Sequence::Room { presenter_idx: ROOM, only: Only::All };
    let user = Sequence::User { user_idx: ROOM, presenter_idx: None };
    let mut lists = 0;
    for sequence in [&room, &user] {
        if let Some(key) = Cursor::parse(text, sequence) {
            lists += 1;
            let written = Cursor::new(sequence, &key).expect("it was read from a cursor").to_string();
            assert_eq!(Cursor::parse(&written, sequence), Some(key));
        }
    }
    if let Some(key) = Cursor::parse_session(text, ROOM) {
        lists += 1;
        assert_eq!(Cursor::parse_session(&Cursor::of_session(ROOM, &key).to_string(), ROOM), Some(key));
    }
    for of_room in [None, Some(ROOM)] {
        if let Some(key) = Cursor::parse_decision(text, of_room) {
            lists += 1;
            assert_eq!(Cursor::parse_decision(&Cursor::of_decision(of_room, &key).to_string(), of_room), Some(key));
        }
    }
    if let Some(latest) = Cursor::parse_report(text, ROOM) {
        lists += 1;
        let written = Cursor::of_report(ROOM, latest).expect("it was read from a cursor").to_string();
        assert_eq!(Cursor::parse_report(&written, ROOM), Some(latest));
    }
    if let Some(place) = Cursor::parse_place(text, ROOM, broadcast) {
        lists += 1;
        let written = Cursor::of_place(ROOM, broadcast, &place).expect("it was read from a cursor").to_string();
        assert_eq!(Cursor::parse_place(&written, ROOM, broadcast), Some(place));
        recording(place.time());
    }
    assert!(lists <= 1, "a cursor is of one list");
}

/// Any time has an offset in a recording, and any offset a time that is not before it.
fn recording(at: i64) {
    for end in [None, Some(1_700_000_000_350)] {
        let segment = |start: i64, end| Segment { start: 1_700_000_000_000 + start, end };
        let segments = vec![segment(0, Some(1_700_000_000_100)), segment(300, end)];
        let broadcast = Broadcast { id: String::new(), segments };
        for kind in [TimelineKind::Segments, TimelineKind::Wall] {
            let timeline = Timeline::new(&broadcast, kind);
            let offset = timeline.offset(at);
            assert!(offset >= 0 && offset <= timeline.offset(at.saturating_add(1)));
            for asked in [at, offset] {
                if let Some(found) = timeline.at(asked) {
                    assert!(timeline.offset(found) >= asked || found == i64::MAX);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_corpus_of_the_fuzz_targets_holds() {
        replay("cursor", cursor);
        replay("search", search);
    }
}
