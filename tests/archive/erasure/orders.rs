//! Erasures and the events that they concern are archived in any order, concurrently, and repeatedly.

use super::*;

/// The reason of a deletion of a message of the user.
const WHY: &str = "posted her own address";

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_not_archived_before_their_erasure_never_are() {
    let world = World::with_partitions(2).await;
    let settings = world.settings.clone().set("archiver.batch_events", "50");
    let archiver = Role::start("archiver", &settings).await;
    // The archiver is ready, and everything below is still unread.
    archiver.pause();
    for number in 0..4_000 {
        let event = if number % 2 == 0 { secret(1 + number as i64 % 16, number) } else { by(8, 1, "other") };
        let log = world.log.clone();
        if number % 100 == 0 {
            log.append(&event).await.unwrap();
        } else {
            // Concurrently, except that every hundredth is awaited.
            tokio::spawn(async move { log.append(&event).await.unwrap() });
        }
    }
    eventually("everything is in the log", PATIENCE, async || {
        let mut tail = world.log.tail(nats::Start::Oldest);
        let mut seen = 0;
        while let Ok(Ok(entries)) = tokio::time::timeout(Duration::from_millis(300), tail.next()).await {
            seen += entries.len();
        }
        (seen >= 4_000).then_some(())
    })
    .await;
    archiver.resume();
    // A paused archiver refuses requests that were sent before it noticed the pause.
    let (status, receipt) = eventually("the archiver takes the request", PATIENCE, async || {
        try_to_erase(&archiver, "remove").await.filter(|(status, _)| *status != 503)
    })
    .await;
    assert_eq!(status, 200, "{receipt}");
    // Not even for a moment.
    eventually("everything is archived", PATIENCE, async || {
        assert_no_traces(&world).await;
        let archived = world.collection("chatting_log").count_documents(doc! {}).await.unwrap();
        (archived == 2_000).then_some(())
    })
    .await;
    archived(&world).await;
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_erased_message_that_stands_after_the_erasure_does_not_come_back() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let id = EventId::derived(Some(presenter(1)), user(GONE).idx, "key");
    let event = Event { id, ..secret(1, 1) };
    // With another key, so it is a new message.
    let other = Event { id: EventId::derived(Some(presenter(1)), user(GONE).idx, "other"), ..secret(1, 2) };
    world.log.append(&event).await.unwrap();
    archived(&world).await;
    let (status, _) = erase(&archiver, "remove").await;
    assert_eq!(status, 200);
    for event in [&event, &other, &event] {
        world.log.append(event).await.unwrap();
    }
    archived(&world).await;
    let room = world.room(1, 1).await;
    assert_eq!(room.iter().map(|message| message.id).collect::<Vec<_>>(), [other.id]);
    read_the_log_again(&world).await;
    assert_eq!(world.room(1, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_comes_at_the_same_moment_as_what_it_is_about_misses_nothing() {
    let mongod = crate::support::Mongod::start().await;
    let config = config(&mongod).archiver;
    let archives = [Archive::connect(&config).await.unwrap(), Archive::connect(&config).await.unwrap()];
    let lines = |first: u64, events: &[Event]| {
        let lines = (first..).zip(events).map(|(sequence, event)| Ok(at(sequence, event)));
        lines.collect::<Vec<_>>()
    };
    const ROUNDS: i64 = 200;
    for round in 1..=ROUNDS {
        let (gone, other) = (1_000 + round, 9_000 + round);
        let target = by(other, round, "of somebody else");
        let deleted = MessageDeleted { target: target.id, by: user(gone), reason: None };
        let decision = Event::now(presenter(round), Body::MessageDeleted(deleted));
        let mode = if round % 2 == 0 { ErasureMode::Remove } else { ErasureMode::Anonymise };
        let erased = UserErased { user: user(gone).idx, mode, by: user(9) };
        let erased = Event::of_every_room(Body::UserErased(erased));
        let first = 10 * round.unsigned_abs();
        let hers = by(gone, round, "before");
        let deleted = MessageDeleted { target: hers.id, by: user(other), reason: Some(WHY.to_owned()) };
        let deletion = lines(first + 4, &[Event::now(presenter(round), Body::MessageDeleted(deleted))]);
        let life = lines(first, &[target, hers, decision]);
        let erasure = lines(first + 5, &[erased]);
        // The two alternate in getting ahead, by a little more each time.
        let behind = async |turns: i64| {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let turns = round / 2 % 40;
        let (life_behind, erasure_behind) = if round % 4 < 2 { (turns, 0) } else { (0, turns) };
        let (one, two, three) = tokio::join!(
            async {
                behind(life_behind).await;
                archives[0].write(life).await
            },
            async {
                behind(round % 40).await;
                archives[0].write(deletion).await
            },
            async {
                behind(erasure_behind).await;
                archives[1].write(erasure).await
            }
        );
        one.unwrap();
        two.unwrap();
        three.unwrap();
    }
    let database = Client::with_uri_str(mongod.uri()).await.unwrap().database("chatting");
    let leads = |path: &str| doc! { path: { "$gte": 1_000_i64, "$lt": 9_000_i64 } };
    for (collection, path) in
        [("chatting_log", "userIdx"), ("chatting_log", "deleted.by.userIdx"), ("moderation_log", "by.userIdx")]
    {
        let found = database.collection::<Document>(collection).count_documents(leads(path)).await.unwrap();
        assert_eq!(found, 0, "{path} of {collection} leads to somebody");
    }
    for (collection, path) in [("chatting_log", "deleted.reason"), ("moderation_log", "reason")] {
        let found = database.collection::<Document>(collection).count_documents(doc! { path: WHY }).await.unwrap();
        assert_eq!(found, 0, "{path} of {collection} says why a message was deleted that is erased");
    }
    let marked = doc! { "deleted.by.userIdx": { "$lt": 0_i64 } };
    let marked = database.collection::<Document>("chatting_log").count_documents(marked).await.unwrap();
    assert_eq!(marked as i64, ROUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_a_killed_archiver_stored_before_it_knew_of_the_erasure_go_with_the_redelivery() {
    for mode in [ErasureMode::Remove, ErasureMode::Anonymise] {
        let world = World::start().await;
        let line = |sequence, event: &Event| Ok(at(sequence, event));
        let ban = UserBanned { user: user(8).idx, until: None, purge_seconds: None, by: user(GONE), reason: None };
        let (message, ban) = (secret(1, 1), Event::now(presenter(1), Body::UserBanned(ban)));
        let batch = || vec![line(1, &message), line(2, &ban)];
        world.archive.write(batch()).await.unwrap();
        let (message, ban) = (world.documents("chatting_log", 1).await, world.documents("moderation_log", 1).await);
        world.archive.write(vec![line(3, &erased(mode))]).await.unwrap();
        let receipt = world.documents("erasures", 1).await.into_values().next().unwrap();
        assert_eq!(receipt.get_str("state").unwrap(), "done");
        // As of an archiver that looked for erasures before this one, inserted, and died.
        for (collection, document) in [("chatting_log", message), ("moderation_log", ban)] {
            let document = document.into_values().next().unwrap();
            let id = doc! { "_id": document.get_str("_id").unwrap() };
            world.collection(collection).replace_one(id, document).upsert(true).await.unwrap();
        }
        world.archive.write(batch()).await.unwrap();
        let found = traces(&world).await;
        assert!(found.iter().all(|trace| !trace.contains(&user(GONE).nickname)), "{found:?}");
        assert_eq!(found.len(), if mode == ErasureMode::Remove { 0 } else { 1 }, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_a_deletion_is_erased_with_its_message_in_any_order() {
    let mongod = crate::support::Mongod::start().await;
    let client = Client::with_uri_str(mongod.uri()).await.unwrap();
    let (hers, other) = (by(GONE, 1, "hers"), by(8, 1, "of somebody else"));
    let deleted = |target, reason: &str| {
        let body = MessageDeleted { target, by: user(3), reason: Some(reason.to_owned()) };
        Event::now(presenter(1), Body::MessageDeleted(body))
    };
    let cleared = RoomCleared { by: user(3), reason: Some("a raid".to_owned()) };
    let decisions = [
        (3, deleted(hers.id, WHY)),
        (4, deleted(other.id, "rude")),
        (5, Event::now(presenter(1), Body::RoomCleared(cleared))),
        (6, deleted(hers.id, WHY)),
        // Decided while the erasure was in progress.
        (8, deleted(hers.id, WHY)),
    ];
    let mut number = 0;
    for mode in [ErasureMode::Remove, ErasureMode::Anonymise] {
        let groups = [vec![(1, hers.clone()), (2, other.clone())], decisions.to_vec(), vec![(7, erased(mode))]];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            number += 1;
            let mut config = config(&mongod).archiver;
            config.database = format!("order_{number}");
            let archive = Archive::connect(&config).await.unwrap();
            let lines =
                |group: &[(u64, Event)]| group.iter().map(|(place, event)| Ok(at(*place, event))).collect::<Vec<_>>();
            for group in order {
                archive.write(lines(&groups[group])).await.unwrap();
            }
            // A copy of a decision at an earlier position than the archived one, and then everything again.
            archive.write(lines(&[(2, decisions[3].1.clone())])).await.unwrap();
            archive.write(lines(&groups.concat())).await.unwrap();
            let mut reasons = Vec::new();
            for collection in ["chatting_log", "moderation_log"] {
                let mut documents =
                    client.database(&config.database).collection::<Document>(collection).find(doc! {}).await.unwrap();
                while documents.advance().await.unwrap() {
                    let document = documents.deserialize_current().unwrap();
                    assert!(!document.to_string().contains(WHY), "{mode:?} {order:?}: {collection} has {document}");
                    let mark = document.get_document("deleted").unwrap_or(&document);
                    reasons.extend(mark.get_str("reason").ok().map(str::to_owned));
                }
            }
            reasons.sort();
            assert_eq!(reasons, ["a raid", "rude", "rude"], "{mode:?} {order:?}");
            let decided = client.database(&config.database).collection::<Document>("moderation_log");
            assert_eq!(decided.count_documents(doc! { "by.userIdx": 3_i64 }).await.unwrap(), 5, "{mode:?} {order:?}");
        }
    }
}
