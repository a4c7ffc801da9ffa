//! Lists of bans: complete, in order, and paged without a gap while bans change.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::*;

async fn users(world: &World, node: &Role, path: &str) -> (Vec<i64>, Option<String>) {
    let page = world.get(node, path, &moderator()).await;
    assert_eq!(page.status, 200, "{page:?}");
    let body = page.json();
    let users = body["bans"].as_array().unwrap().iter().map(|ban| ban["user"].as_i64().unwrap()).collect();
    (users, body["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn a_list_has_every_ban_of_its_room_with_author_times_and_reason() {
    let world = World::start().await;
    world.ban(&world.nodes[0], 9, json!({ "reason": "spam" })).await;
    world.ban(&world.nodes[0], 7, json!({ "seconds": 600 })).await;
    world.ban(&world.nodes[0], 8, json!({})).await;
    decided(&world.delete(&world.nodes[0], &ban(8), &presenter()).await);
    decided(&world.put(&world.nodes[0], "/v1/rooms/43/bans/10", &moderator(), json!({})).await);
    decided(&world.put(&world.nodes[0], "/v1/bans/11", &moderator(), json!({})).await);

    let path = "/v1/rooms/42/bans";
    let list = eventually("the other node has the list", PROMISED, async || {
        let list = world.get(&world.nodes[1], path, &presenter()).await.json();
        let there = users(&world, &world.nodes[1], "/v1/bans").await.0 == [11];
        there.then_some(list)
    })
    .await;
    assert!(list.get("next").is_none());
    let bans = list["bans"].as_array().unwrap();
    assert_eq!(bans.iter().map(|ban| ban["user"].as_i64().unwrap()).collect::<Vec<_>>(), [7, 9]);
    assert_eq!(bans[1]["by"], json!({ "idx": 42, "nickname": "presenter", "role": "presenter" }));
    assert_eq!((&bans[1]["reason"], bans[1].get("until")), (&json!("spam"), None));
    assert!(bans[0].get("reason").is_none());
    let time = |member: &str| bans[0][member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("until").duration_since(time("at")).as_secs(), 600);
    assert_eq!(world.get(&world.nodes[1], &ban(9), &presenter()).await.json(), bans[1], "one ban is as in the list");
    assert_eq!(users(&world, &world.nodes[1], "/v1/rooms/43/bans").await.0, [10]);
}

#[tokio::test]
async fn pages_miss_nothing_and_repeat_nothing_while_others_ban_and_unban() {
    let world = World::start().await;
    let node = &world.nodes[0];
    for user in (10..40).step_by(2) {
        world.ban(node, user, json!({})).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    for page in 0.. {
        let (users, next) = users(&world, node, &format!("/v1/rooms/42/bans?first=4{after}")).await;
        assert!(users.len() <= 4);
        seen.extend(users);
        let Some(next) = next else { break };
        after = format!("&after={next}");
        // Bans before and after the page, and the end of its last one.
        world.ban(node, 11 + page, json!({})).await;
        world.ban(node, 51 + page, json!({})).await;
        decided(&world.delete(node, &ban(*seen.last().unwrap()), &presenter()).await);
        assert!(page < 20, "the pages do not end");
    }
    assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
    assert!((10..40).step_by(2).all(|user| seen.contains(&user)), "{seen:?}");

    let last = users(&world, node, "/v1/rooms/42/bans?after=9007199254740991").await;
    assert_eq!(last, (Vec::new(), None));
    let (all, next) = users(&world, node, "/v1/rooms/42/bans?first=1000").await;
    assert!(all.len() > 10 && next.is_none());
}

#[tokio::test]
async fn a_page_with_exactly_the_rest_is_the_last() {
    let world = World::start().await;
    for user in 10..14 {
        world.ban(&world.nodes[0], user, json!({})).await;
    }
    assert_eq!(users(&world, &world.nodes[0], "/v1/rooms/42/bans?first=4").await, (vec![10, 11, 12, 13], None));
    let (users, next) = users(&world, &world.nodes[0], "/v1/rooms/42/bans?first=3").await;
    assert_eq!((users, next.as_deref()), (vec![10, 11, 12], Some("12")));
}

#[tokio::test]
async fn a_page_of_long_reasons_is_shorter_and_no_ban_is_skipped() {
    let world = World::start().await;
    // 500 grapheme clusters of 15 bytes.
    let reason = "\u{1f469}\u{1f3fd}\u{200d}\u{1f680}".repeat(500);
    for user in 100..150 {
        world.ban(&world.nodes[0], user, json!({ "reason": reason })).await;
    }
    eventually("the other node has the last one", PROMISED, async || {
        (world.get(&world.nodes[1], &ban(149), &presenter()).await.status == 200).then_some(())
    })
    .await;
    // A node that starts later has all of them from the bucket.
    let later = world.node().await;
    for node in [&world.nodes[0], &world.nodes[1], &later] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = world.get(node, &format!("/v1/rooms/42/bans?first=1000{after}"), &presenter()).await;
            assert_eq!(page.status, 200, "{page:?}");
            assert!(page.body.len() < 300_000, "{} bytes", page.body.len());
            let page = page.json();
            for ban in page["bans"].as_array().unwrap() {
                assert_eq!((&ban["reason"], &ban["by"]["nickname"]), (&json!(reason), &json!("presenter")));
                seen.push(ban["user"].as_i64().unwrap());
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(seen, (100..150).collect::<Vec<i64>>());
    }
}

/// Each list is many requests to NATS, over the connection that posts use too.
#[tokio::test]
async fn a_user_reads_two_lists_at_once_and_leaves_the_others_to_others() {
    let world = World::start().await;
    let node = &world.nodes[0];
    for room in [PRESENTER, 43] {
        decided(&world.put(node, &format!("/v1/rooms/{room}/bans/7"), &moderator(), json!({ "reason": "spam" })).await);
    }
    let (own, bearer, other) = ("/v1/rooms/42/bans", presenter(), moderator());
    eventually("both lists are there", PROMISED, async || {
        let there = users(&world, node, own).await.0 == [7] && users(&world, node, "/v1/rooms/43/bans").await.0 == [7];
        there.then_some(())
    })
    .await;

    // The lists ask NATS and get no answer, so that they are in progress at once. Until the bucket has the ban, the
    // node answers from memory.
    eventually("only the bucket has the words of the ban", PATIENCE, async || {
        world.nats.pause();
        let asked = tokio::time::timeout(2 * PROMISED, world.get(node, &ban(7), &bearer)).await;
        if asked.is_ok() {
            world.nats.resume();
        }
        asked.is_err().then_some(())
    })
    .await;
    let mut lists: FuturesUnordered<_> = (0..8).map(|_| world.get(node, own, &bearer)).collect();
    for _ in 0..6 {
        lists.next().await.unwrap().assert_problem(503, "overloaded");
    }
    let others = ["/v1/rooms/43/bans", own].map(|path| world.get(node, path, &other));
    let resume = async { world.nats.resume() };
    let (others, ()) = tokio::join!(futures_util::future::join_all(others), resume);
    assert!(others.iter().all(|answer| answer.status == 200), "{others:?}");
    let own_lists: Vec<Answer> = lists.collect().await;
    assert!(own_lists.len() == 2 && own_lists.iter().all(|answer| answer.status == 200), "{own_lists:?}");
    assert_eq!(users(&world, node, own).await.0, [7], "the places are free again");
}
