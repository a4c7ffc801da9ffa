//! The newest session of a presenter wins, on whichever node, and between them every message is written once.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

/// Posts numbered messages until it is told to stop, and returns how many.
fn keep_posting(log: &Log, room: i64, stop: &CancellationToken) -> JoinHandle<usize> {
    let (log, stop) = (log.clone(), stop.clone());
    tokio::spawn(async move {
        let mut posted = 0;
        while !stop.is_cancelled() {
            posted += 1;
            log.append(&message(room, format!("message {posted}"))).await.unwrap();
        }
        posted
    })
}

/// A second session comes while messages do, `times` times; returns how many messages came twice.
async fn race(world: &World, first: &Role, second: &Role, times: i64) -> usize {
    let mut repeated = 0;
    for room in 1..=times {
        let stop = CancellationToken::new();
        let posting = keep_posting(&world.log, room, &stop);
        let mut older = Presenter::connect(first, room).await;
        let mut seen = older.chats(3).await;
        let mut newer = Presenter::connect(second, room).await;
        let (rest, code) = older.rest().await;
        assert_eq!(code, 4002, "room {room}");
        seen.extend(rest);
        let mut later = newer.chats(3).await;
        stop.cancel();
        let posted = texts(1, posting.await.unwrap());
        while later.last() != posted.last() {
            later.extend(newer.chats(1).await);
        }
        newer.is_served_and_quiet().await;

        assert_eq!(seen, posted[..seen.len()], "the older session of room {room}");
        let from = posted.iter().position(|text| *text == later[0]).unwrap();
        assert_eq!(later, posted[from..], "the newer session of room {room}");
        assert!(from <= seen.len(), "room {room} misses what is between {} and {from}", seen.len());
        repeated += seen.len() - from;
    }
    repeated
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_node_the_newest_session_goes_on_exactly_where_the_older_one_stopped() {
    let world = World::start().await;
    let node = world.node().await;
    assert_eq!(race(&world, &node, &node, 50).await, 0, "messages came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn across_nodes_the_newest_session_goes_on_where_the_older_one_stopped() {
    let world = World::start().await;
    // However slow the machine is: here it is to be seen that the newer session waits, not for how long.
    let one = world.node_with("handover_timeout_ms", "20000").await;
    let other = world.node_with("handover_timeout_ms", "20000").await;
    // The goodbye of the older session and its cursor reach the other node by different streams. Where the goodbye is
    // the faster one, what came since the save before comes again.
    let repeated = race(&world, &one, &other, 50).await;
    assert!(repeated < 100, "{repeated} messages came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sessions_that_come_at_once_exactly_one_remains() {
    let world = World::start().await;
    let nodes = [world.node().await, world.node().await];
    for room in 1..=25 {
        let connecting = [&nodes[0], &nodes[1], &nodes[0], &nodes[1]].map(|node| Presenter::connect(node, room));
        let presenters = futures_util::future::join_all(connecting).await;
        let mut watching: Vec<JoinHandle<u16>> =
            presenters.into_iter().map(|mut presenter| tokio::spawn(async move { presenter.rest().await.1 })).collect();
        for _ in 0..3 {
            let (code, _, rest) = futures_util::future::select_all(watching).await;
            assert_eq!(code.unwrap(), 4002, "room {room}");
            watching = rest;
        }
        let last = watching.pop().unwrap();
        assert!(!last.is_finished(), "nobody is left in room {room}");
        last.abort();
    }
}
