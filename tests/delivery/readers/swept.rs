//! A sweep and its end, as readers of each kind get them on every node, live and later.

use chat::{RoomSwept, SweepRule, SweepUndone};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_and_its_end_reach_every_reader_on_every_node_with_what_that_reader_may_see() {
    let world = World::with(&[("ingest.room.readers", "members")]).await;
    let (node, other) = (world.node().await, world.node().await);
    let mut readers = Vec::new();
    for (node, token) in [(&node, token(7, "viewer")), (&other, analyst()), (&other, moderator())] {
        readers.push(Reader::start(node, 42, &token, "now").await.0);
    }
    let (one, two) = (message(42, "Raid"), message(42, "hello"));
    let by = User { idx: UserIdx::try_from(3).unwrap(), nickname: "mod".to_owned(), role: chat::Role::Moderator };
    let reason = Some("a private reason".to_owned());
    let rule = SweepRule { texts: Some(vec!["rAID".to_owned()]), ..SweepRule::default() };
    let swept = RoomSwept { rule, seconds_back: 600, forward: None, by: by.clone(), reason: reason.clone() };
    let swept = Event::now(idx(42), Body::RoomSwept(Box::new(swept)));
    let undone = Body::SweepUndone(SweepUndone { target: swept.id, by, reason });
    for event in [&one, &two, &swept, &Event::now(idx(42), undone)] {
        world.log.append(event).await.unwrap();
    }

    let mut seen: Vec<Vec<Value>> = Vec::new();
    for reader in &mut readers {
        let events = reader.events(6).await;
        let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let decisions = ["message.deleted", "room.swept", "message.restored", "sweep.undone"];
        assert_eq!((&types[..2], &types[2..]), (&["message.posted"; 2][..], &decisions[..]));
        assert_eq!((&events[2]["target"], &events[4]["target"]), (&json!(one.id), &json!(one.id)));
        assert_eq!((&events[2]["sweep"], &events[4]["sweep"]), (&json!(swept.id), &json!(swept.id)));
        assert_eq!(events[4]["message"]["text"], "Raid");
        assert!(!json!(events[2..]).to_string().contains("rAID"), "nobody gets the rule");
        seen.push(events);
    }
    for events in &seen[..2] {
        let text = json!(events[2..]).to_string();
        assert!(!text.contains("private") && !text.contains("\"mod\""), "{text}");
    }
    assert_eq!(
        (&seen[2][2]["reason"], &seen[2][5]["reason"]),
        (&json!("a private reason"), &json!("a private reason"))
    );

    // From the beginning, and by each position, also on a node that starts now.
    let later = world.node().await;
    for node in [&node, &later] {
        let (mut reader, _) = Reader::start(node, 42, &moderator(), "window").await;
        let events = reader.events(6).await;
        assert_eq!((&events[0]["text"], &events[2..]), (&json!("Raid"), &seen[2][2..]));
        for (place, event) in seen[0].iter().enumerate().skip(1) {
            let position = event["position"].as_str().unwrap();
            let (mut reader, welcome) = Reader::resume(node, 42, &token(7, "viewer"), position).await;
            assert_eq!(welcome["recovered"], json!(true));
            // A deletion and a restoration come again until the event itself was read.
            let next = if [2, 4].contains(&place) { place } else { place + 1 };
            let rest = &seen[0][next..];
            assert_eq!(reader.events(rest.len()).await, rest);
        }
    }
}
