//! A rolling restart: a stopping node announces it, and its presenters move to another node before it ends, without a
//! loss.

use std::collections::HashSet;
use std::time::Instant;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout_at;
use tokio_tungstenite::tungstenite::Error;
use tokio_util::sync::CancellationToken;

use super::presenter::Seen;
use super::*;

const PRESENTERS: i64 = 200;

/// The outcome for a page of the stopped node.
struct Moved {
    events: Vec<Value>,
    /// From the notice to the welcome elsewhere.
    took: Duration,
    within_ms: u64,
    code: u16,
}

/// Reads until the node announces its stop, moves to the other node within the given time, and reads on to the message
/// `last`.
async fn moves(mut page: Page, room: i64, to: &Role, last: &str) -> Moved {
    let mut events = Vec::new();
    let take = |events: &mut Vec<Value>, frame: Value| {
        events.extend(frame["events"].as_array().unwrap_or_else(|| panic!("{frame}")).iter().cloned());
    };
    let within_ms = loop {
        let frame = page.frame().await;
        match frame["type"].as_str() {
            Some("reconnect") => break frame["withinMs"].as_u64().unwrap(),
            _ => take(&mut events, frame),
        }
    };
    let noticed = Instant::now();
    let at = Duration::from_millis(within_ms) * u32::try_from(room).unwrap() / u32::try_from(PRESENTERS).unwrap();
    let going = noticed + at;
    // Events continue until it moves, or until the node has waited long enough for late pages.
    let closed = loop {
        match timeout_at(going.into(), page.see()).await {
            Err(_) => break None,
            Ok(Seen::Frame(frame)) => take(&mut events, frame),
            Ok(Seen::Closed(code)) => break Some(code),
            Ok(Seen::Text(text)) => panic!("not a frame: {text}"),
        }
    };
    let position = page.position.clone();
    let (mut next, welcome) = Page::resume(to, room, position.as_deref()).await;
    assert_eq!(welcome["recovered"], true);
    let took = noticed.elapsed();
    let code = match closed {
        Some(code) => code,
        None => {
            let (rest, code) = page.rest().await;
            events.extend(rest);
            code
        }
    };
    while !events.iter().any(|event| event["text"] == last) {
        let frame = next.frame().await;
        take(&mut events, frame);
    }
    Moved { events, took, within_ms, code }
}

#[tokio::test(flavor = "multi_thread")]
async fn presenters_of_a_stopping_node_are_elsewhere_in_time_and_miss_nothing() {
    let world = World::start().await;
    let old = world.node_with("drain_spread_ms", "1000").await;
    let new = world.node().await;
    let mut pages = Vec::new();
    for room in 1..=PRESENTERS {
        pages.push((room, Page::connect(&old, room).await.0));
    }
    let stop = CancellationToken::new();
    let posting = tokio::spawn({
        let (log, stop) = (world.log.clone(), stop.clone());
        async move {
            let mut number = 0;
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            while !stop.is_cancelled() {
                pace.tick().await;
                number += 1;
                let all = (1..=PRESENTERS).map(|room| {
                    let event = message(room, format!("message {number}"));
                    let log = log.clone();
                    async move { log.append(&event).await.unwrap() }
                });
                futures_util::future::join_all(all).await;
            }
            let last = (1..=PRESENTERS).map(|room| (room, message(room, "last")));
            for (_, event) in last {
                log.append(&event).await.unwrap();
            }
            number
        }
    });
    let new = std::sync::Arc::new(new);
    let mut moving = JoinSet::new();
    for (room, page) in pages {
        let new = new.clone();
        moving.spawn(async move { (room, moves(page, room, &new, "last").await) });
    }
    let stopping = Instant::now();
    assert_eq!(old.terminate().await, 0);
    assert!(stopping.elapsed() < Duration::from_secs(8), "it took {:?}", stopping.elapsed());
    stop.cancel();
    let posted = posting.await.unwrap();
    let mut slowest = Duration::ZERO;
    while let Some(moved) = moving.join_next().await {
        let (room, Moved { events, took, within_ms, code }) = moved.unwrap();
        assert_eq!(within_ms, 1_000);
        // A late page is closed first.
        assert!(matches!(code, 4002 | 4200), "room {room} was closed with {code}");
        slowest = slowest.max(took);
        let mut seen = HashSet::new();
        let texts_seen: Vec<&str> = events
            .iter()
            .filter(|event| seen.insert(event["id"].as_str().unwrap()))
            .map(|event| event["text"].as_str().unwrap())
            .collect();
        let mut expected = texts(1, posted);
        expected.push("last".to_owned());
        assert_eq!(texts_seen, expected, "room {room}");
    }
    assert!(slowest < Duration::from_secs(5), "the slowest presenter took {slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_is_not_ready_and_refuses_newcomers_while_its_presenters_leave() {
    let world = World::start().await;
    let node = world.node_with("drain_spread_ms", "2000").await;
    let (mut page, _) = Page::connect(&node, 42).await;
    let mut original = Presenter::connect(&node, 43).await;
    world.session(43, None).await;
    let ready = format!("{}/readyz", node.url());
    // Not the time at which the page noticed, which is later on a busy machine.
    let told = Instant::now();
    let (exit, (), (), ()) = tokio::join!(
        node.terminate(),
        async {
            assert_eq!(page.frame().await["type"], "reconnect");
            // It stays and is served. It is closed after its time, plus a margin for a handshake in progress.
            world.post(42, &["still here"]).await;
            let events = page.events(1).await;
            page.ack(events[0]["position"].as_str().unwrap()).await;
            assert_eq!(page.see().await, Seen::Closed(4200));
            assert!(told.elapsed() >= Duration::from_millis(2_200), "closed after {:?}", told.elapsed());
            let position: Position = page.position.as_ref().unwrap().parse().unwrap();
            world.saved(42, position).await;
        },
        // A page of the original cannot be told, and is closed earlier.
        async { assert_eq!(original.rest().await.1, 4200) },
        async {
            eventually("it is not ready", PATIENCE, async || {
                let response = reqwest::get(&ready).await.unwrap();
                (response.status() == 503).then_some(())
            })
            .await;
            match Page::handshake(&node, &[]).await {
                Err(Error::Http(response)) => {
                    assert_eq!(
                        (response.status().as_u16(), &response.headers()["retry-after"]),
                        (503, &"1".parse().unwrap())
                    );
                }
                other => panic!("not refused: {:?}", other.map(|_| ())),
            }
        },
    );
    assert_eq!(exit, 0);
    assert!(!node.log().contains(r#""level":"ERROR""#), "{}", node.log());
}
