//! A long broadcast: its figures and its replay. With `CONSOLE_FIGURES=FILE` the test makes it a broadcast of 1,000,000
//! messages, or of `CONSOLE_MESSAGES`, and writes there how long the page took (docs/lab/console.md).

use std::f64::consts::PI;
use std::fmt::Write as _;

use chat::Position;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::Client;
use mongodb::bson::{DateTime, Document, doc};

use super::figures::{Meter, Recording};
use super::*;

/// MongoDB may take minutes for a million messages on a busy machine.
const LONG: Duration = Duration::from_secs(600);

/// Four hours.
const SECONDS: i64 = 4 * 60 * 60;

/// Writes the messages of the broadcast into the archive, spread over its time and behind its begin in the log.
async fn fill(world: &World, begun: (Timestamp, Position), messages: usize) {
    let client = Client::with_uri_str(world.servers.1.uri()).await.unwrap();
    let collection = client.database("chatting").collection::<Document>("chatting_log");
    let texts: Vec<String> = support::sample().into_iter().map(|line| line.text).collect();
    let (at, position) = begun;
    let (epoch, sequence) = (position.epoch as i64, position.sequence as i64);
    let document = |number: usize| {
        // More in some minutes than in others. A few users write most.
        let part = number as f64 / messages as f64;
        let ms = ((part + (part * 12.0 * PI).sin() / 90.0) * (SECONDS * 1_000) as f64) as i64;
        let user = 1 + (number * 7_919 % 1_000 * (number * 104_729 % 1_000) / 1_000) as i64;
        let text = format!("{} {number}", texts[number * 31 % texts.len()]);
        let sent_at = DateTime::from_millis(at.as_millisecond() + ms);
        doc! {
            "_id": EventId::new().to_string(), "presenterIdx": ROOM, "userIdx": user,
            "nickname": format!("시청자{user}"), "role": "viewer", "folded": text.to_lowercase(), "message": text,
            "sentAt": sent_at, "archivedAt": sent_at,
            "position": { "epoch": epoch, "sequence": sequence, "index": 1 + number as i64 }, "flags": [],
        }
    };
    let chunks = stream::iter((0..messages).map(document)).chunks(1_000);
    let inserts = chunks.map(|chunk| async { collection.insert_many(chunk).ordered(false).await.map(|_| ()) });
    inserts.buffer_unordered(3).try_collect::<()>().await.unwrap();
}

/// Does this in the page, and measures until it shows that. The page looks when it has changed: it has no other work.
async fn measure(console: &Console, what: &str, action: &str, is_shown: &str) {
    let measured = format!(
        "{{
            const start = performance.now();
            const look = () => {{
                if (!({is_shown})) return;
                observer.disconnect();
                performance.measure('{what}', {{ start }});
            }};
            const observer = new MutationObserver(look);
            observer.observe(document, {{ subtree: true, childList: true, characterData: true }});
            {action};
            look();
        }}"
    );
    console.page.evaluate(&measured).await;
    let is_measured = format!("performance.getEntriesByName('{what}').length === 1");
    eventually(what, LONG, async || (console.page.evaluate(&is_measured).await == true).then_some(())).await;
}

/// Milliseconds of a measure.
async fn duration(console: &Console, what: &str) -> f64 {
    let duration = format!("performance.getEntriesByName('{what}')[0].duration");
    console.page.evaluate(&duration).await.as_f64().unwrap()
}

/// What the page has asked the archive for since it was opened: the number of answers, their bytes, and how long it
/// waited for one or more of them, in milliseconds.
const ANSWERS: &str = "(() => {
    const entries = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/v1/'));
    const spans = entries.map(({ requestStart, responseStart }) => [requestStart, responseStart]);
    spans.sort(([one], [other]) => one - other);
    let [waited, until] = [0, 0];
    for (const [from, to] of spans) {
        waited += Math.max(0, to - Math.max(from, until));
        until = Math.max(until, to);
    }
    const bytes = entries.reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0);
    return { answers: entries.length, bytes, waited };
})()";

/// Answers that a broadcast of any length takes: itself, four figures, and the other broadcasts of the room.
const MOST_ANSWERS: u64 = 6;

/// Their bytes, and elements of the page, for a broadcast of any length.
const MOST_BYTES: u64 = 100_000;
const MOST_ELEMENTS: u64 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_broadcast_has_its_figures_and_is_replayed_from_any_place() {
    let world = World::start().await;
    let figures = std::env::var_os("CONSOLE_FIGURES");
    let messages = match std::env::var("CONSOLE_MESSAGES") {
        Ok(messages) => messages.parse().unwrap(),
        Err(_) if figures.is_some() => 1_000_000,
        Err(_) => 5_000,
    };
    let at = Timestamp::from_millisecond(1_763_805_600_000).unwrap();
    let (session, room) = (SessionId::new(), PresenterIdx::try_from(ROOM).unwrap());
    let begins = Event::now(room, Body::PresenterConnected(PresenterConnected { session })).recorded_at(at);
    let reason = "closed".to_owned();
    let ends = Event::now(room, Body::PresenterDisconnected(PresenterDisconnected { session, reason }));
    let position = world.log.append(&begins).await.unwrap();
    world.append(&[ends.recorded_at(at + Duration::from_secs(SECONDS as u64))]).await;
    world.archived().await;
    fill(&world, (at, position), messages).await;

    let console = world.open("rooms/42/broadcasts", &analyst()).await;
    console.page.look((1_280, 800), "light").await;
    console.shows("tbody th", "2025").await;
    console.page.evaluate("performance.clearResourceTimings()").await;
    let mut meter = Meter::start(&console.page).await;
    let mut costs = Vec::new();
    let link = "document.querySelector('tbody th a').click()";
    measure(&console, "facts", link, "document.querySelector('.facts dd') !== null").await;
    costs.push(meter.read().await);
    measure(&console, "chart", "", "document.querySelector('.chart :is(canvas, .outcome)') !== null").await;
    costs.push(meter.read().await);
    measure(&console, "lists", "", "document.querySelector('.progress.is-done') !== null").await;
    costs.push(meter.read().await);
    assert_eq!(console.texts(".facts dd").await[3].replace(',', ""), messages.to_string());
    // A part whose question takes MongoDB too long says so in its own place.
    let failed = console.texts(":is(.chart, .columns) [data-state=failed]").await;
    let rankings = console.page.evaluate("document.querySelectorAll('.ranking').length").await.as_u64().unwrap();
    assert!(rankings == 2 || figures.is_some() && !failed.is_empty(), "{rankings} lists: {failed:?}");
    // The page is as large as that of a short broadcast.
    let answers = console.page.evaluate(ANSWERS).await;
    assert!(answers["answers"].as_u64().unwrap() <= MOST_ANSWERS, "{answers}");
    assert!(answers["bytes"].as_u64().unwrap() <= MOST_BYTES, "{answers}");
    let elements = console.page.evaluate("document.querySelectorAll('*').length").await.as_u64().unwrap();
    assert!(elements <= MOST_ELEMENTS, "{elements} elements");
    console.picture("large-broadcast").await;
    let middle = SECONDS * 500;
    let replay = format!("location.hash = '#/rooms/42/broadcasts/{session}/replay?t={middle}'");
    measure(&console, "replay", &replay, "document.querySelector('.replay .message') !== null").await;
    costs.push(meter.read().await);
    console.shows(".replay .message time", "1:59:").await;
    let mut durations = Vec::new();
    for what in ["facts", "chart", "lists", "replay"] {
        durations.push(duration(&console, what).await);
    }

    // The place can be chosen once the length is known.
    eventually("the archive has counted", LONG, async || {
        let time = console.texts(".clock-time").await;
        time.first().is_some_and(|time| time.ends_with("/ 4:00:00")).then_some(())
    })
    .await;
    // A quarter of an hour further, and at sixteen times the speed to the next minute.
    console.fill("input[type=range]", "8100").await;
    console.shows(".replay .message time", "2:14:").await;
    let recording = Recording::start(&console.page).await;
    console.fill(".clock select", "16").await;
    console.click(".clock button").await;
    console.shows(".replay .message time", "2:17:").await;
    let played = recording.end().await;
    assert_eq!(console.page.evaluate("document.querySelectorAll('.message').length < 120").await, true);
    if let Some(file) = figures {
        let mut report = format!(
            "| {messages} messages | wall clock ms | processor ms of the page | tasks over 50 ms |\n|---|---|---|---|\n"
        );
        let steps = [
            "click on the broadcast until its figures are shown",
            "from there until the chart is drawn",
            "from there until all lists are shown",
            "click on the middle of the chart until the chat is shown",
        ];
        for ((what, ms), cost) in steps.iter().zip(durations).zip(costs) {
            writeln!(report, "| {what} | {ms:.0} | {cost} |").unwrap();
        }
        writeln!(report, "\nUntil all lists were shown: {answers}, {elements} elements").unwrap();
        writeln!(report, "\nLongest task of the replay at 16×: {}", played.longest_task()).unwrap();
        writeln!(report, "\nMain thread, the replay at 16×: {}", played.per_second()).unwrap();
        writeln!(report, "\nParts that failed: {failed:?}").unwrap();
        std::fs::write(file, report).unwrap();
    }
    console.is_clean().await;
}
