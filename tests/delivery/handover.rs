//! The newest session of a presenter wins, on any node, and both together write every message once.

use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::support::token;

/// Posts numbered messages until the stop. Returns their number.
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

/// A second session takes over during posts, `times` times. Returns the rooms in which messages came twice.
async fn race(world: &World, first: &Role, second: &Role, times: i64) -> Vec<i64> {
    let mut repeated = Vec::new();
    for room in 1..=times {
        let stop = CancellationToken::new();
        let posting = keep_posting(&world.log, room, &stop);
        let mut older = Presenter::connect(first, room).await;
        let mut seen = older.chats(3).await;
        world.session(room, None).await;
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
        repeated.extend((from < seen.len()).then_some(room));
    }
    repeated
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_node_the_newest_session_goes_on_exactly_where_the_older_one_stopped() {
    let world = World::start().await;
    let node = world.node().await;
    assert_eq!(race(&world, &node, &node, 50).await, Vec::<i64>::new(), "messages came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn across_nodes_the_newest_session_goes_on_where_the_older_one_stopped() {
    let world = World::start().await;
    // On any machine: this test is about the wait of the newer session, not its length.
    let one = world.node_with("handover_timeout_ms", "20000").await;
    let other = world.node_with("handover_timeout_ms", "20000").await;
    // A node waits for a session of which it has heard. The claim may be on its way when the newer session begins.
    // Whatever was seen comes twice then, however much that is.
    let repeated = race(&world, &one, &other, 50).await;
    assert!(repeated.len() < 10, "messages came twice in the rooms {repeated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_concurrent_sessions_remains() {
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

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_two_concurrent_pages_on_two_nodes_remains_a_hundred_times() {
    let world = World::start().await;
    let nodes = [world.node().await, world.node().await];
    for room in 1..=100 {
        let starting = [&nodes[0], &nodes[1]].map(|node| async {
            let mut page = Page::open(node).await;
            page.say_start(&token(room, "presenter"), None).await;
            page
        });
        let pages = futures_util::future::join_all(starting).await;
        let watching = pages.into_iter().map(|mut page| tokio::spawn(async move { page.rest().await }));
        let (loser, _, mut winner) = futures_util::future::select_all(watching).await;
        assert_eq!(loser.unwrap(), (Vec::new(), 4002), "room {room}");
        let winner = winner.pop().unwrap();
        assert!(!winner.is_finished(), "nobody is left in room {room}");
        winner.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_page_wins_within_a_second_and_the_older_gets_no_further_event() {
    let world = World::start().await;
    let nodes = [world.node().await, world.node().await];
    for room in 1..=20 {
        let stop = CancellationToken::new();
        let posting = keep_posting(&world.log, room, &stop);
        let (mut older, _) = Page::connect(&nodes[0], room).await;
        older.frame().await;
        let reading = tokio::spawn(async move {
            let (events, code) = older.rest().await;
            (events, code, std::time::Instant::now())
        });
        let (mut newer, _) = Page::resume(&nodes[1], room, None).await;
        let welcomed = std::time::Instant::now();
        let frame = newer.frame().await;
        let (seen, code, closed) = reading.await.unwrap();
        assert_eq!(code, 4002, "room {room}");
        let took = closed.saturating_duration_since(welcomed);
        assert!(took < Duration::from_secs(1), "the older one of room {room} was closed after {took:?}");
        stop.cancel();
        let posted = texts(1, posting.await.unwrap());
        let mut all: Vec<String> = frame["events"].as_array().unwrap().iter().map(page::text_of).collect();
        if all.last() != posted.last() {
            all.extend(newer.texts_to(posted.last().unwrap()).await);
        }
        // Nothing was acknowledged: the newer one gets everything, and the older one the beginning.
        assert_eq!(all, posted, "room {room}");
        assert!(seen.len() <= posted.len());
    }
}

/// A page of the original that reads nothing is replaced during a blocked write. Its successor gets the unread
/// messages.
async fn replaces_a_slow_reader(world: &World, room: i64, first: &Role, second: &Role) {
    const MESSAGES: usize = 256;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let headers = [("token", token(room, "presenter"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut slow = Presenter::handshake_on(socket, first, &headers).await.unwrap();
    world.session(room, None).await;
    // 16 MB: more than both kernels buffer.
    let large = "x".repeat(64 * 1024);
    for number in 1..=MESSAGES {
        world.log.append(&message(room, format!("{number} {large}"))).await.unwrap();
    }
    let mut newer = Presenter::connect(second, room).await;
    let number = |text: &String| text.split(' ').next().unwrap().parse::<usize>().unwrap();
    let mut later = Vec::new();
    while later.last() != Some(&MESSAGES) {
        later.extend(newer.chats(1).await.iter().map(number));
    }
    newer.is_served_and_quiet().await;
    // It reads what the kernel had buffered, to the end.
    let seen: Vec<usize> = slow.rest().await.0.iter().map(number).collect();
    assert!(seen.len() < MESSAGES, "nothing had to wait");
    assert_eq!(seen, (1..=seen.len()).collect::<Vec<_>>(), "the older session of room {room}");
    assert_eq!(later, (later[0]..=MESSAGES).collect::<Vec<_>>(), "the newer session of room {room}");
    assert!(later[0] <= seen.len() + 1, "room {room} misses what is between {} and {}", seen.len(), later[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_a_slow_original_page_did_not_take_reach_the_next_one() {
    let world = World::start().await;
    // Messages that the node had not written when the session ended are lost with the socket.
    let one = world.node_with("close_timeout_ms", "1").await;
    let other = world.node().await;
    replaces_a_slow_reader(&world, 42, &one, &other).await;
    replaces_a_slow_reader(&world, 43, &one, &one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_node_notices_its_lost_claim_before_it_writes_the_backlog() {
    let world = World::start().await;
    let (one, other) = (world.node().await, world.node().await);
    let (mut older, _) = Page::connect(&one, 42).await;
    world.post(42, &["before"]).await;
    assert_eq!(older.texts(1).await, ["before"]);
    let held = world.session(42, None).await;
    one.pause();
    // During the rest of its lease, and afterwards.
    world.post(42, &refs(&texts(1, 100))).await;
    eventually("the lease runs out", PATIENCE, async || world.presence.session(idx(42)).is_none().then_some(())).await;
    world.post(42, &refs(&texts(101, 200))).await;
    let (mut newer, _) = Page::resume(&other, 42, older.position.as_deref()).await;
    world.session(42, Some(&held)).await;
    assert_eq!(newer.texts(200).await, texts(1, 200));
    one.resume();
    assert_eq!(older.rest().await, (Vec::new(), 4002));
    newer.is_served_and_quiet().await;
}
