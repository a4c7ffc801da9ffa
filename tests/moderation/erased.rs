//! An erasure removes a moderator's name from decisions in force, and lifts no ban of the erased user.

use chat::{Body, ErasureMode, Event, Role as Of, User, UserErased, UserIdx};

use super::*;

fn erased(idx: i64) -> Event {
    let user = UserIdx::try_from(idx).unwrap();
    let by = User { idx: UserIdx::try_from(999).unwrap(), nickname: "privacy".to_owned(), role: Of::Moderator };
    Event::of_every_room(Body::UserErased(UserErased { user, mode: ErasureMode::Remove, by }))
}

/// The author of the ban of the user, in the room or in every room.
async fn name_under(world: &World, node: &Role, path: &str) -> String {
    let known = world.get(node, path, &moderator()).await.json();
    assert_eq!(known["by"]["idx"], MODERATOR, "{known}");
    known["by"]["nickname"].as_str().unwrap().to_owned()
}

async fn takes_names_and_lifts_no_ban(partitions: u32) {
    let world = World::start_with(|settings| settings.set("nats.partitions", &partitions.to_string())).await;
    let node = &world.nodes[0];
    // Room 42 and every room: with several partitions they are in different ones.
    decided(&world.put(node, &ban(7), &moderator(), json!({ "reason": "spam" })).await);
    decided(&world.put(node, "/v1/bans/8", &moderator(), json!({})).await);
    decided(&world.patch(node, SETTINGS, &moderator(), json!({ "settings": { "maxLength": 60 } })).await);
    world.ban(node, 9, json!({})).await;
    let log = world.log().await;
    let kept = async || {
        let entries = log.decisions().load().await.unwrap().entries;
        entries.iter().map(|entry| String::from_utf8(entry.line.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    eventually("the decisions are kept", PATIENCE, async || (kept().await.len() == 4).then_some(())).await;
    assert_eq!(name_under(&world, node, &ban(7)).await, "mod");

    log.append(&erased(MODERATOR)).await.unwrap();
    log.append(&erased(7)).await.unwrap();
    for node in &world.nodes {
        for path in [ban(7), "/v1/bans/8".to_owned()] {
            eventually("the name is gone", PATIENCE, async || {
                name_under(&world, node, &path).await.is_empty().then_some(())
            })
            .await;
        }
    }
    let lines = eventually("the name is not kept", PATIENCE, async || {
        Some(kept().await).filter(|lines| lines.iter().all(|line| !line.contains(r#""mod""#)))
    })
    .await;
    assert_eq!(lines.len(), 4);
    assert_eq!(lines.iter().filter(|line| line.contains(r#""nickname":"presenter""#)).count(), 1, "{lines:?}");
    // A node that starts later has every ban and no name either.
    let later = world.node().await;
    for node in [&world.nodes[0], &world.nodes[1], &later] {
        assert_eq!(name_under(&world, node, &ban(7)).await, "");
        world.is_banned(node, PRESENTER, 7).await;
        world.is_banned(node, 43, 8).await;
        let settings = world.get(node, SETTINGS, &presenter()).await.json();
        assert_eq!(settings["own"], json!({ "maxLength": 60 }));
    }
    // Later decisions have a name.
    decided(&world.put(node, &ban(10), &moderator(), json!({})).await);
    assert_eq!(name_under(&world, node, &ban(10)).await, "mod");
}

#[tokio::test]
async fn the_name_of_an_erased_moderator_goes_and_the_ban_of_an_erased_user_stays() {
    takes_names_and_lifts_no_ban(1).await;
}

#[tokio::test]
async fn the_name_of_an_erased_moderator_goes_whatever_the_number_of_partitions() {
    takes_names_and_lifts_no_ban(3).await;
}
