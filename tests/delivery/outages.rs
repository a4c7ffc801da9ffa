//! Presenters, nodes and the nats-server fail and return. The presenter gets exactly the missed messages.

use super::*;
use crate::support::token;

#[tokio::test(flavor = "multi_thread")]
async fn a_presenter_who_was_away_gets_what_it_missed_on_the_same_node_and_on_another() {
    let world = World::start().await;
    let (one, other) = (world.node().await, world.node().await);
    let mut posted = 0;
    for node in [&one, &one, &other, &one] {
        let mut presenter = Presenter::connect(node, 42).await;
        let missed = texts(posted.max(1), posted);
        assert_eq!(presenter.chats(missed.len()).await, missed);
        let now = texts(posted + 1, posted + 10);
        world.post(42, &refs(&now)).await;
        assert_eq!(presenter.chats(10).await, now);
        presenter.is_served_and_quiet().await;
        presenter.socket.close(None).await.unwrap();
        assert_eq!(presenter.rest().await.0, Vec::<String>::new());
        posted += 10;
        // One more during its absence.
        posted += 1;
        world.post(42, &refs(&texts(posted, posted))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presenter_of_a_killed_node_gets_what_it_missed_on_another() {
    let world = World::start().await;
    let (one, other) = (world.node().await, world.node().await);
    let mut presenter = Presenter::connect(&one, 42).await;
    let last = world.post(42, &refs(&texts(1, 50))).await;
    assert_eq!(presenter.chats(50).await, texts(1, 50));
    world.saved(42, last).await;
    one.kill();
    assert_eq!(presenter.rest().await, (Vec::new(), 1006));
    world.post(42, &refs(&texts(51, 60))).await;
    let mut presenter = Presenter::connect(&other, 42).await;
    assert_eq!(presenter.chats(10).await, texts(51, 60));
    presenter.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_started_again_reads_its_window_before_it_is_ready() {
    let world = World::start().await;
    let node = world.node().await;
    let mut presenter = Presenter::connect(&node, 42).await;
    world.post(42, &["first"]).await;
    assert_eq!(presenter.chats(1).await, ["first"]);
    assert_eq!(node.terminate().await, 0);
    let many = texts(1, 3_000);
    let appending = many.iter().map(|text| async { world.log.append(&message(43, text.as_str())).await.unwrap() });
    futures_util::future::join_all(appending).await;
    world.post(42, &["second"]).await;
    node.start_again().await;
    // It is the last event of the log, and available at once.
    let mut presenter = Presenter::connect(&node, 42).await;
    assert_eq!(presenter.chats(1).await, ["second"]);
    let mut presenter = Presenter::connect(&node, 43).await;
    let mut seen = presenter.chats(3_000).await;
    seen.sort();
    let mut many = many;
    many.sort();
    assert_eq!(seen, many);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_tells_every_presenter_to_reconnect_and_leaves_nothing_behind() {
    let world = World::start().await;
    let node = world.node().await;
    let mut presenters = Vec::new();
    for room in 1..=20 {
        let last = world.post(room, &["hello"]).await;
        let mut presenter = Presenter::connect(&node, room).await;
        assert_eq!(presenter.chats(1).await, ["hello"]);
        presenters.push((room, last, presenter));
    }
    let mut waiting = Presenter::open(&node).await;
    assert_eq!(node.terminate().await, 0);
    assert_eq!(waiting.rest().await.1, 4200);
    for (room, last, presenter) in &mut presenters {
        assert_eq!(presenter.rest().await, (Vec::new(), 4200), "room {room}");
        world.saved(*room, *last).await;
        eventually("the claim is withdrawn", PATIENCE, async || {
            world.presence.session(idx(*room)).is_none().then_some(())
        })
        .await;
    }
    assert!(!node.log().contains(r#""level":"ERROR""#), "{}", node.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presenter_stays_connected_while_the_nats_server_is_killed_and_restarted() {
    let world = World::start().await;
    let node = world.node().await;
    let mut presenter = Presenter::connect(&node, 42).await;
    for round in 0..2 {
        let before = texts(round * 20 + 1, round * 20 + 10);
        world.post(42, &refs(&before)).await;
        assert_eq!(presenter.chats(10).await, before);
        world.nats.kill();
        presenter.is_served_and_quiet().await;
        // A newcomer is told to retry.
        let mut other = Presenter::connect(&node, 43).await;
        assert_eq!(other.rest().await.1, 4102);
        world.nats.start_again().await;
        let after = texts(round * 20 + 11, round * 20 + 20);
        world.post(42, &refs(&after)).await;
        assert_eq!(presenter.chats(10).await, after);
    }
    presenter.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_suspended_writes_nothing_to_a_session_that_was_replaced_meanwhile() {
    let world = World::start().await;
    let (one, other) = (world.node().await, world.node().await);
    for room in 1..=3 {
        let mut presenter = Presenter::connect(&one, room).await;
        let before = world.post(room, &["before"]).await;
        assert_eq!(presenter.chats(1).await, ["before"]);
        world.saved(room, before).await;
        let older = world.session(room, None).await;
        one.pause();
        eventually("the lease runs out", PATIENCE, async || world.presence.session(idx(room)).is_none().then_some(()))
            .await;
        let mut newer = Presenter::connect(&other, room).await;
        world.session(room, Some(&older)).await;
        world.post(room, &["after"]).await;
        assert_eq!(newer.chats(1).await, ["after"]);
        one.resume();
        assert_eq!(presenter.rest().await, (Vec::new(), 4002));
        newer.is_served_and_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_log_ends_the_node_with_an_error() {
    let world = World::start().await;
    let node = world.node().await;
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    async_nats::jetstream::new(client).delete_stream("CHAT_0").await.unwrap();
    // An operator recreates it.
    world.settings.set_up().await;
    let settings = world.settings.clone();
    let second = Role::spawn("delivery", &settings);
    assert_ne!(node.exit_code(Duration::from_secs(60)).await, 0);
    assert!(node.log().contains("replaced"), "{}", node.log());
    second.ready().await;
    let mut presenter = Presenter::handshake(&second, &[("token", &token(42, "presenter"))]).await.unwrap();
    presenter.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_presenters_of_a_killed_node_catches_up_and_the_others_notice_little() {
    const PRESENTERS: i64 = 1_000;
    let world = World::start().await;
    let (one, other) = (world.node().await, std::sync::Arc::new(world.node().await));
    let (mut calm, _) = Page::connect(&other, 9_999).await;
    let mut pages = Vec::new();
    for rooms in (1..=PRESENTERS).collect::<Vec<_>>().chunks(100) {
        pages.extend(futures_util::future::join_all(rooms.iter().map(|room| Page::connect(&one, *room))).await);
    }
    let log = &world.log;
    let post = async |text: &str| {
        let all = (1..=PRESENTERS).map(|room| {
            let event = message(room, text);
            async move { log.append(&event).await.unwrap() }
        });
        futures_util::future::join_all(all).await;
    };
    post("before").await;
    for (page, _) in &mut pages {
        assert_eq!(page.texts(1).await, ["before"]);
    }
    one.kill();
    post("missed").await;
    let started = std::time::Instant::now();
    let coming = pages.into_iter().zip(1..=PRESENTERS).map(|((page, _), room)| {
        let other = other.clone();
        tokio::spawn(async move {
            let (mut page, welcome) = Page::resume(&other, room, page.position.as_deref()).await;
            assert_eq!(welcome["recovered"], true);
            assert_eq!(page.texts(1).await, ["missed"]);
            page
        })
    });
    let coming = tokio::spawn(futures_util::future::join_all(coming.collect::<Vec<_>>()));
    let mut worst = Duration::ZERO;
    while !coming.is_finished() {
        let sent = std::time::Instant::now();
        world.post(9_999, &["calm"]).await;
        assert_eq!(calm.texts(1).await, ["calm"]);
        worst = worst.max(sent.elapsed());
    }
    let took = started.elapsed();
    for page in coming.await.unwrap() {
        page.unwrap().is_served_and_quiet().await;
    }
    assert!(took < PATIENCE && worst < Duration::from_secs(2), "it took {took:?}, a message {worst:?}");
}
