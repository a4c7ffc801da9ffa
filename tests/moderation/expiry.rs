//! Temporary decisions end on every node by themselves.

use std::time::Instant;

use super::*;

/// A second, plus the time until the end is noticed.
const ENDED: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn a_time_out_of_a_second_ends_by_itself_on_both_nodes() {
    let world = World::start().await;
    let started = Instant::now();
    world.ban(&world.nodes[0], 7, json!({ "seconds": 1 })).await;
    world.is_banned(&world.nodes[0], PRESENTER, 7).await;
    // No request concerns this user meanwhile.
    eventually("the second has passed", ENDED, async || (started.elapsed() > ENDED / 2).then_some(())).await;
    for node in &world.nodes {
        let posted = world.post(node, PRESENTER, 7, "back again").await;
        assert_eq!(posted.status, 202, "{posted:?}");
        world.get(node, &ban(7), &presenter()).await.assert_problem(404, "not_banned");
        assert_eq!(world.get(node, "/v1/rooms/42/bans", &presenter()).await.json(), json!({ "bans": [] }));
    }
    world.delete(&world.nodes[1], &ban(7), &presenter()).await.assert_problem(404, "not_banned");
}

#[tokio::test]
async fn a_time_out_holds_until_its_end_and_not_longer() {
    let world = World::start().await;
    world.ban(&world.nodes[0], 7, json!({ "seconds": 2 })).await;
    let until: jiff::Timestamp =
        world.is_banned(&world.nodes[1], PRESENTER, 7).await.json()["until"].as_str().unwrap().parse().unwrap();
    let mut refused = 0;
    eventually("the time-out ends", ENDED * 2, async || {
        let (asked, answer) = (jiff::Timestamp::now(), world.post(&world.nodes[1], PRESENTER, 7, "and now?").await);
        let answered = jiff::Timestamp::now();
        match answer.status.as_u16() {
            202 => assert!(answered >= until, "let in at {answered}, before {until}"),
            _ => assert!(asked < until, "refused at {asked}, after {until}: {answer:?}"),
        }
        refused += 1;
        (answer.status == 202).then_some(())
    })
    .await;
    assert!(refused > 5, "it was asked {refused} times only");
}

#[tokio::test]
async fn a_permanent_ban_and_a_time_out_replace_each_other() {
    let world = World::start().await;
    let started = Instant::now();
    world.ban(&world.nodes[0], 7, json!({ "seconds": 1 })).await;
    world.ban(&world.nodes[0], 7, json!({})).await;
    world.ban(&world.nodes[0], 8, json!({})).await;
    world.ban(&world.nodes[0], 8, json!({ "seconds": 1 })).await;
    eventually("the second has passed", ENDED, async || (started.elapsed() > ENDED / 2).then_some(())).await;
    for node in &world.nodes {
        world.post(node, PRESENTER, 7, "hi").await.assert_problem(403, "msg_banned");
        assert_eq!(world.post(node, PRESENTER, 8, "hi").await.status, 202);
    }
}

#[tokio::test]
async fn a_user_with_two_bans_is_told_the_end_of_the_longer_one() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let everywhere = "/v1/bans/7";
    let until = async |path: &str| world.get(node, path, &moderator()).await.json()["until"].clone();
    for (here, there) in [(60, 600), (600, 60)] {
        world.ban(node, 7, json!({ "seconds": here })).await;
        decided(&world.put(node, everywhere, &moderator(), json!({ "seconds": there })).await);
        let longer = until(&if here > there { ban(7) } else { everywhere.to_owned() }).await;
        assert_eq!(world.is_banned(node, PRESENTER, 7).await.json()["until"], longer);
    }
    world.ban(node, 7, json!({})).await;
    assert!(world.is_banned(node, PRESENTER, 7).await.json().get("until").is_none(), "for good is longest");
    decided(&world.delete(node, &ban(7), &presenter()).await);
    assert_eq!(world.is_banned(node, PRESENTER, 7).await.json()["until"], until(everywhere).await);
}

#[tokio::test]
async fn settings_for_a_second_end_by_themselves_on_both_nodes_and_the_others_stay() {
    let world = World::start().await;
    let started = Instant::now();
    let lasting = json!({ "settings": { "maxLength": 100 } });
    decided(&world.patch(&world.nodes[0], SETTINGS, &presenter(), lasting).await);
    let passing = json!({ "settings": { "presenterOnly": true, "maxLength": 5 }, "seconds": 1 });
    decided(&world.patch(&world.nodes[0], SETTINGS, &presenter(), passing).await);
    let shown = world.get(&world.nodes[0], SETTINGS, &presenter()).await.json();
    assert_eq!(shown["own"], json!({ "maxLength": 5, "presenterOnly": true }));
    assert_eq!(shown["until"]["maxLength"], shown["until"]["presenterOnly"]);
    let later = json!({ "settings": { "uniqueChat": true } });
    decided(&world.patch(&world.nodes[1], SETTINGS, &presenter(), later).await);
    eventually("the second has passed", ENDED, async || (started.elapsed() > ENDED / 2).then_some(())).await;
    for (node, text) in world.nodes.iter().zip(["longer than five", "much longer than five"]) {
        assert_eq!(world.post(node, PRESENTER, 7, text).await.status, 202);
        let shown = world.get(node, SETTINGS, &presenter()).await.json();
        // After the end the deployment's value holds, not the room's earlier one.
        assert_eq!((&shown["own"], &shown["until"]), (&json!({ "uniqueChat": true }), &json!({})), "{shown}");
        assert_eq!(shown["settings"]["maxLength"], 500);
    }
}
