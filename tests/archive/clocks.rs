//! Wrong clocks: no message is missing from a search or a replay, whatever a node's clock says.

use chat::Event;
use jiff::{SignedDuration, Timestamp};

use super::broadcast::Session;
use super::reading::{Reader, archive, archive_many, texts};
use super::{World, deletion, message};

/// The event, with the time of a clock that is this far ahead.
fn ahead(by: SignedDuration, event: Event) -> Event {
    let at = Timestamp::from_millisecond((Timestamp::now() + by).as_millisecond()).unwrap();
    Event { at, belated: false, ..event }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The session seems to have begun an hour ago, and only one message seems to be of that hour.
#[tokio::test]
async fn the_replay_of_a_broadcast_that_began_on_a_slow_clock_is_complete() {
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

/// Clocks differ by nearly the maximum. A search for any period finds every message sent in it.
#[tokio::test]
async fn a_search_by_time_finds_every_message_despite_differing_clocks() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    // From 5 s behind (appending takes time too) to 2 s ahead, interleaved between two messages that far apart.
    let message = |ms: i64| ahead(SignedDuration::from_millis(ms), message(42, format!("{ms} ms ahead")));
    let mut messages = vec![message(1_900)];
    archive(&world, &messages).await;
    messages.extend((1..199).map(|number| message(number * 7_919 % 6_900 - 5_000)));
    archive_many(&world, messages[1..].to_vec()).await;
    messages.push(message(-5_000));
    archive(&world, &messages[199..]).await;
    let reader = Reader::analyst(&archiver);
    let all = reader.all("/v1/rooms/42/messages", &[], "messages", 50).await;
    let sent: Vec<(Timestamp, &str)> =
        texts(&all, "sentAt").into_iter().map(|sent| sent.parse().unwrap()).zip(texts(&all, "id")).collect();
    assert_eq!(sent.len(), 200);
    let mut times: Vec<Timestamp> = sent.iter().map(|(at, _)| *at).collect();
    times.sort();
    // Also from a time before all messages: the first result is not the first in the log.
    let beginnings = times.iter().step_by(37).flat_map(|at| [*at, *at - 4 * SECOND]);
    let ends: Vec<Timestamp> = times.iter().step_by(47).flat_map(|at| [*at, *at + 4 * SECOND]).collect();
    let stretches = beginnings.flat_map(|from| ends.iter().map(move |to| (from, *to)));
    for (from, to) in stretches.filter(|(from, to)| from < to) {
        let query = [("from", from.to_string()), ("to", to.to_string())];
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let found = reader.all("/v1/rooms/42/messages", &query, "messages", 50).await;
        let expected: Vec<&str> = sent.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, id)| *id).collect();
        assert_eq!(texts(&found, "id"), expected, "from {from} to {to}");
    }
}
