//! Clocks that are wrong: whatever a node says of the time, nothing is missing from a search or a replay.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use nats::Event;

use super::broadcast::Session;
use super::reading::{Reader, archive, archive_many, texts};
use super::{World, deletion, message};

/// The event, by a clock that is so far ahead.
fn ahead(by: SignedDuration, event: Event) -> Event {
    let at = Timestamp::from_millisecond((Timestamp::now() + by).as_millisecond()).unwrap();
    Event { at, belated: false, ..event }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The session seems to have begun an hour ago, and of what was said since only one message seems to be of that hour.
#[tokio::test]
async fn a_broadcast_that_began_by_a_clock_that_was_behind_has_everything_in_its_replay() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 0);
    archive(&world, &[ahead(-HOUR, session.begins(42))]).await;
    let message = |number: usize| {
        let by = if number == 15 { SECOND - HOUR } else { SignedDuration::ZERO };
        ahead(by, message(42, format!("message {number}")))
    };
    let messages: Vec<Event> = (0..20).map(message).collect();
    let gone = [messages[2].id, messages[17].id];
    archive(&world, &messages).await;
    archive(&world, &gone.map(|target| ahead(-HOUR, deletion(42, target)))).await;
    archive(&world, &[ahead(SignedDuration::ZERO, session.ends(42, "closed"))]).await;

    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let expected: Vec<String> = messages.iter().map(|event| event.id.to_string()).collect();
    let expected: Vec<&String> =
        expected.iter().filter(|id| !gone.iter().any(|gone| gone.to_string() == **id)).collect();
    let broadcast = reader.get(&path, &[]).await;
    assert_eq!(broadcast["messages"], 18, "{broadcast}");
    assert_eq!(texts(&reader.all(&format!("{path}/replay"), &[], "messages", 7).await, "id"), expected);
    let since = (Timestamp::now() - HOUR - SECOND).to_string();
    assert_eq!(texts(&reader.all("/v1/rooms/42/messages", &[("from", &since)], "messages", 7).await, "id"), expected);
}

/// Nearly as far from each other as clocks may be: every stretch of time has all that was sent in it.
#[tokio::test]
async fn a_search_by_time_finds_everything_however_the_clocks_differ() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    // From 4 s behind, as the appending takes its time too, to 9 s ahead: all mixed up between two that are as far apart.
    let message = |ms: i64| ahead(SignedDuration::from_millis(ms), message(42, format!("{ms} ms ahead")));
    let mut messages = vec![message(9_000)];
    archive(&world, &messages).await;
    messages.extend((1..199).map(|number| message(number * 7_919 % 13_000 - 4_000)));
    archive_many(&world, messages[1..].to_vec()).await;
    messages.push(message(-4_000));
    archive(&world, &messages[199..]).await;
    let reader = Reader::analyst(&archiver);
    let mut times: Vec<Timestamp> = messages.iter().map(|event| event.at).collect();
    times.sort();
    for (from, to) in (0..200).step_by(23).flat_map(|from| (from..200).step_by(31).map(move |to| (from, to))) {
        let (from, to) = (times[from], times[to]);
        let query = [("from", from.to_string()), ("to", to.to_string())];
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let found = reader.all("/v1/rooms/42/messages", &query, "messages", 50).await;
        let found: BTreeSet<&str> = texts(&found, "id").into_iter().collect();
        let expected: BTreeSet<String> = messages
            .iter()
            .filter(|event| from <= event.at && event.at < to)
            .map(|event| event.id.to_string())
            .collect();
        assert_eq!(found, expected.iter().map(String::as_str).collect(), "from {from} to {to}");
    }
}
