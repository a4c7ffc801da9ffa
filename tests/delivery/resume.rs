//! A presenter that returns with the position of its last handled event gets exactly the following events, on any node,
//! or is told of a gap.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;

/// Reconnects to the node and expects exactly the messages from this number on.
async fn resumes(node: &Role, position: &str, expected: &[String]) -> Page {
    let (mut page, welcome) = Page::resume(node, 42, Some(position)).await;
    assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(true), &json!(position)));
    assert_eq!(page.texts(expected.len()).await, expected);
    page.is_served_and_quiet().await;
    page
}

/// Reconnects with a position that is not known any more.
async fn is_told_of_the_gap(node: &Role, position: &str) -> (Page, Value) {
    let (page, welcome) = Page::resume(node, 42, Some(position)).await;
    assert_eq!(welcome["recovered"], false, "{position}");
    (page, welcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_break_exactly_what_was_missed_follows_on_any_node() {
    let world = World::start().await;
    let (one, other) = (world.node().await, world.node().await);
    let (mut page, _) = Page::connect(&one, 42).await;
    world.post(42, &refs(&texts(1, 20))).await;
    assert_eq!(page.texts(20).await, texts(1, 20));
    let position = page.position.clone().unwrap();
    let missed = texts(21, 520);
    world.post(42, &refs(&missed[..250])).await;
    world.post(43, &["to another room"]).await;

    // The client vanishes twice without a close, and the node is killed.
    page.break_off();
    world.post(42, &refs(&missed[250..])).await;
    resumes(&one, &position, &missed).await.break_off();
    resumes(&other, &position, &missed).await.close().await;
    let mut page = resumes(&one, &position, &missed).await;
    one.kill();
    assert_eq!(page.rest().await.1, 1006);
    resumes(&other, &position, &missed).await.close().await;
    one.start_again().await;
    let mut page = resumes(&one, &position, &missed).await;
    world.post(42, &["and on"]).await;
    assert_eq!(page.texts(1).await, ["and on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_another_log_is_a_gap_followed_by_the_oldest_events() {
    let world = World::start().await;
    let node = world.node().await;
    let last = world.post(42, &refs(&texts(1, 3))).await;
    let of_a_later_log = Position { epoch: last.epoch + 1, ..last };
    let of_an_earlier_log = Position { epoch: last.epoch - 1, ..last };
    for position in ["", "garbage", "1-2", &of_a_later_log.to_string(), &of_an_earlier_log.to_string()] {
        let (mut page, welcome) = is_told_of_the_gap(&node, position).await;
        assert_eq!(page.texts(3).await, texts(1, 3));
        // The position of the welcome is as valid as any.
        let position = welcome["position"].as_str().unwrap();
        resumes(&node, position, &texts(1, 3)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_left_the_window_for_its_bytes_is_a_gap() {
    let world = World::start().await;
    let node = world.node_with("window_bytes", "40000").await;
    let (mut page, _) = Page::connect(&node, 42).await;
    world.post(42, &["first"]).await;
    page.events(1).await;
    let first = page.position.clone().unwrap();
    page.close().await;
    world.post(42, &refs(&texts(1, 400))).await;
    world.post(43, &["mark"]).await;
    let (mut mark, _) = Page::connect(&node, 43).await;
    assert_eq!(mark.texts(1).await, ["mark"]);

    let (mut page, welcome) = is_told_of_the_gap(&node, &first).await;
    let seen = page.texts_to("message 400").await;
    assert!((20..400).contains(&seen.len()), "{} of 400 are held", seen.len());
    assert_eq!(seen, texts(401 - seen.len(), 400));
    let begins: Position = welcome["position"].as_str().unwrap().parse().unwrap();
    assert!(begins > first.parse().unwrap(), "{welcome}");
}

/// Waits until events of that time have left a window of one second. No node reports that.
async fn is_older_than_the_window(said: Instant) {
    let age = Duration::from_millis(1_200);
    eventually("it has left the window", PATIENCE, async || (said.elapsed() >= age).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_left_the_window_for_its_age_is_a_gap_unless_nothing_followed() {
    let world = World::start().await;
    let node = world.node_with("window_seconds", "1").await;
    let (mut page, _) = Page::connect(&node, 42).await;
    world.post(42, &["first"]).await;
    page.events(1).await;
    let first = page.position.clone().unwrap();
    world.post(42, &["second"]).await;
    let said = Instant::now();
    page.events(1).await;
    let second = page.position.clone().unwrap();
    page.close().await;
    // A page that reconnects repeatedly waits for its turn, and messages of that time leave the window meanwhile.
    is_older_than_the_window(said).await;
    let (page, welcome) = eventually("the window is empty", PATIENCE, async || {
        let (page, welcome) = Page::resume(&node, 42, Some(&first)).await;
        (welcome["recovered"] == false).then_some((page, welcome))
    })
    .await;
    let begins: Position = welcome["position"].as_str().unwrap().parse().unwrap();
    assert!(begins >= second.parse().unwrap(), "{welcome}");
    page.close().await;
    // However old the position is: nothing followed.
    resumes(&node, &second, &[]).await;
    world.post(42, &["third"]).await;
    resumes(&node, &second, &["third".to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_window_begins_later_does_not_claim_to_know_what_was_before() {
    let world = World::start().await;
    let [first, second] =
        [world.post(42, &["first"]).await, world.post(42, &["second"]).await].map(|at| at.to_string());
    is_older_than_the_window(Instant::now()).await;
    // Its first window is empty and begins after the last event.
    let node = world.node_with("window_seconds", "1").await;
    // It has read further back than its window, and knows that nothing came after the second.
    resumes(&node, &second, &[]).await.break_off();
    let (page, welcome) = is_told_of_the_gap(&node, &first).await;
    page.break_off();
    resumes(&node, welcome["position"].as_str().unwrap(), &[]).await.break_off();
    let (_, welcome) = Page::connect(&node, 42).await;
    world.post(42, &["third"]).await;
    resumes(&node, welcome["position"].as_str().unwrap(), &["third".to_owned()]).await;
}

/// The position of the page's next keepalive.
async fn kept_alive(page: &mut Page) -> String {
    let keepalive = page.frame().await;
    assert_eq!(keepalive["type"], "keepalive", "{keepalive}");
    keepalive["position"].as_str().unwrap().to_owned()
}

/// The node of a quiet room is replaced by one whose window is shorter than the silence. Returns that one, and the
/// position of the room's message.
async fn a_quiet_room_is_whole_on_a_new_node(beside: impl AsyncFn(&World)) -> (World, Role, String) {
    let world = World::start().await;
    let node = world.node_with("keepalive_seconds", "1").await;
    let (mut page, _) = Page::connect(&node, 42).await;
    let position = world.post(42, &["all that is said here"]).await.to_string();
    assert_eq!(page.texts(1).await, ["all that is said here"]);
    beside(&world).await;
    // Each comes after a second of silence, so the room is quiet for longer than the next node's window.
    for _ in 0..3 {
        kept_alive(&mut page).await;
    }
    let next = world.node_with("window_seconds", "1").await;
    beside(&world).await;
    kept_alive(&mut page).await;
    let reached = kept_alive(&mut page).await;
    page.ack(&reached).await;
    world.saved(42, reached.parse().unwrap()).await;
    node.kill();

    resumes(&next, &reached, &[]).await.break_off();
    // The saved cursor works as well.
    let (_, welcome) = Page::connect(&next, 42).await;
    assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(true), &json!(reached)));
    world.post(42, &["and on"]).await;
    resumes(&next, &reached, &["and on".to_owned()]).await.break_off();
    (world, next, position)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_room_beside_a_busy_one_has_missed_nothing_on_a_new_node() {
    let beside = async |world: &World| {
        world.post(43, &refs(&texts(1, 50))).await;
    };
    let (_world, next, position) = a_quiet_room_is_whole_on_a_new_node(beside).await;
    // Others wrote since then, and the new node does not hold that.
    is_told_of_the_gap(&next, &position).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_room_of_a_quiet_log_has_missed_nothing_on_a_new_node() {
    a_quiet_room_is_whole_on_a_new_node(async |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_position_of_a_welcome_may_be_acknowledged() {
    let world = World::start().await;
    let node = world.node().await;
    let last = world.post(42, &["first"]).await;
    let before = Position { epoch: last.epoch + 1, ..last };
    let (mut page, welcome) = is_told_of_the_gap(&node, &before.to_string()).await;
    let begins = welcome["position"].as_str().unwrap();
    page.ack(begins).await;
    world.saved(42, begins.parse().unwrap()).await;
    assert_eq!(page.texts(1).await, ["first"]);
    page.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_position_of_a_welcome_may_be_acknowledged_before_the_node_has_come_to_it() {
    let world = World::start().await;
    let node = world.node().await;
    let last = world.post(42, &["before"]).await;
    // The node reads past a batch without events, and knows no position of it.
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    let stored = async_nats::jetstream::new(client).publish("chat.0", "\n".into()).await.unwrap().await.unwrap();
    let empty = Position { sequence: stored.sequence, index: u32::MAX, ..last };
    let (mut page, welcome) = Page::resume(&node, 42, Some(&empty.to_string())).await;
    assert_eq!((&welcome["position"], &welcome["recovered"]), (&json!(empty.to_string()), &json!(true)));
    page.ack(&empty.to_string()).await;
    page.is_served_and_quiet().await;
    world.post(42, &["after"]).await;
    assert_eq!(page.texts(1).await, ["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_log_never_reached_is_a_gap_and_hides_nothing() {
    let world = World::start().await;
    let node = world.node().await;
    let last = world.post(42, &["before"]).await;
    for ahead in [1, 20, 0x1000, u64::MAX - last.sequence] {
        let ahead = Position { sequence: last.sequence + ahead, index: 0, ..last };
        let (mut page, _) = is_told_of_the_gap(&node, &ahead.to_string()).await;
        assert_eq!(page.texts(1).await, ["before"], "{ahead}");
        // Beyond the events that the sessions append.
        let beyond = Position { sequence: ahead.sequence.saturating_add(20), ..ahead };
        page.ack(&beyond.to_string()).await;
        page.is_told("bad_position").await;
    }
    let (mut page, _) = Page::resume(&node, 42, Some(&last.to_string())).await;
    let texts = texts(1, 40);
    for text in &texts {
        world.post(42, &[text]).await;
    }
    assert_eq!(page.texts(40).await, texts);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_position_the_saved_cursor_counts_and_its_gap_is_told_too() {
    let world = World::start().await;
    let node = world.node_with("window_bytes", "40000").await;
    let (mut page, welcome) = Page::connect(&node, 42).await;
    assert_eq!(welcome["recovered"], true);
    let first = world.post(42, &["first"]).await;
    page.events(1).await;
    page.ack(&first.to_string()).await;
    world.saved(42, first).await;
    page.close().await;
    let (page, welcome) = Page::connect(&node, 42).await;
    assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(true), &json!(first.to_string())));
    page.close().await;
    world.post(42, &refs(&texts(1, 400))).await;
    let recovered = eventually("the node has read them all", PATIENCE, async || {
        let (_, welcome) = Page::connect(&node, 42).await;
        (welcome["position"] != first.to_string()).then(|| welcome["recovered"].clone())
    })
    .await;
    assert_eq!(recovered, false);
}

/// Reconnects, with this position or none, until the node reports a gap.
async fn is_told_in_the_end(node: &Role, position: Option<&str>) {
    eventually("a gap is told", PATIENCE, async || {
        let (page, welcome) = Page::resume(node, 42, position).await;
        page.break_off();
        (welcome["recovered"] == false).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_welcomed_to_an_empty_room_learns_of_events_that_left_the_window_since() {
    let world = World::start().await;
    let node = world.node_with("window_seconds", "2").await;
    // It disconnects before any message and any keepalive.
    let (page, welcome) = Page::connect(&node, 42).await;
    page.break_off();
    let begins = welcome["position"].as_str().expect("every welcome has a position");
    world.post(42, &["first", "second"]).await;
    let (mut page, welcome) = Page::resume(&node, 42, Some(begins)).await;
    assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(true), &json!(begins)));
    assert_eq!(page.texts(2).await, ["first", "second"]);
    page.break_off();
    is_told_in_the_end(&node, Some(begins)).await;
    // A page that kept no position gets the gap from the cursor that was saved at its first connection.
    is_told_in_the_end(&node, None).await;
    let (mut page, _) = Page::connect(&node, 42).await;
    world.post(42, &["third"]).await;
    assert_eq!(page.texts(1).await, ["third"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_connection_reports_events_that_left_the_window_unseen() {
    let world = World::start().await;
    let node = world.node_with("window_seconds", "1").await;
    let (page, _) = Page::connect(&node, 43).await;
    page.close().await;
    world.post(42, &["unseen"]).await;
    let beside = world.post(43, &["beside"]).await;
    let before = Position { index: u32::MAX, sequence: beside.sequence - 1, ..beside }.to_string();
    eventually("the window is empty", PATIENCE, async || {
        let (_, welcome) = Page::resume(&node, 43, Some(&before)).await;
        (welcome["recovered"] == false).then_some(())
    })
    .await;
    // Every session is told of the gap until one acknowledges beyond it.
    for _ in 0..2 {
        let (page, welcome) = Page::connect(&node, 42).await;
        assert_eq!(welcome["recovered"], false);
        page.close().await;
    }
    // Also by a node that never had the lost events.
    eventually("it is saved that nothing was seen", PATIENCE, async || world.cursors.get(idx(42))).await;
    let later = world.node_with("window_seconds", "1").await;
    let (mut page, welcome) = Page::connect(&later, 42).await;
    assert_eq!(welcome["recovered"], false);
    let begins = welcome["position"].as_str().unwrap();
    page.ack(begins).await;
    world.saved(42, begins.parse().unwrap()).await;
    page.close().await;
    let (_, welcome) = Page::connect(&node, 42).await;
    assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(true), &json!(begins)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presenter_of_the_original_who_leaves_an_empty_room_leaves_a_cursor_too() {
    let world = World::start().await;
    let node = world.node().await;
    let mut presenter = Presenter::connect(&node, 42).await;
    world.session(42, None).await;
    presenter.socket.close(None).await.unwrap();
    let cursor = eventually("a cursor is saved", PATIENCE, async || world.cursors.get(idx(42))).await;
    let first = world.post(42, &["first"]).await;
    assert!(cursor < first, "{cursor} is not before {first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_the_log_lost_before_the_node_read_them_are_a_gap() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut page, _) = Page::connect(&node, 42).await;
    world.post(42, &["before"]).await;
    page.events(1).await;
    let before = page.position.clone().unwrap();
    // The session's own event would be the last, and the log keeps only the last one.
    eventually("the beginning of the session is in the log", PATIENCE, async || {
        let extent = world.log.extent(Some(idx(42))).await.unwrap();
        (extent.last.sequence >= 2).then_some(())
    })
    .await;
    world.nats.kill();
    // Its connection is broken, and it makes no new one while it is paused.
    node.pause();
    world.nats.start_again().await;
    world.post(42, &["lost"]).await;
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let mut config = context.get_stream("CHAT_0").await.unwrap().cached_info().config.clone();
    (config.max_messages, config.discard) = (1, async_nats::jetstream::stream::DiscardPolicy::Old);
    context.update_stream(config).await.unwrap();
    world.post(42, &["after"]).await;
    node.resume();
    assert_eq!(page.rest().await, (Vec::new(), 4201));
    let (mut page, _) = is_told_of_the_gap(&node, &before).await;
    assert_eq!(page.texts(1).await, ["after"]);
}
