//! What an erasure removes and what it leaves, in both modes, and that nothing removed returns.

use super::*;

/// The expected counts of the receipt. The message in the room that the user cleared counts as deleted by the user, and
/// so does the user's own.
fn counts(messages: i64, mode: &str) -> Value {
    // In the mode `remove` the user's own message in that room is gone before its mark is checked.
    let deleted = if mode == "remove" { 2 } else { 3 };
    json!({ "messages": messages, "decided": 3, "decisionsAbout": 5, "deleted": deleted, "quarantined": 3 })
}

async fn is_erased_everywhere(mode: &str, partitions: u32) {
    let world = World::with_partitions(partitions).await;
    let (archiver, other) = tokio::join!(world.archiver(), world.archiver());
    let (messages, target) = a_life(&world).await;
    archived(&world).await;
    assert!(traces(&world).await.len() > 100);
    let others = world.collection("chatting_log").count_documents(doc! { "userIdx": 8_i64 }).await.unwrap();
    let decisions = world.collection("moderation_log").count_documents(doc! {}).await.unwrap();

    let (status, receipt) = erase(&archiver, mode).await;
    assert_eq!(status, 200, "{receipt}");
    assert_no_traces(&world).await;
    assert_eq!((&receipt["state"], &receipt["mode"]), (&json!("done"), &json!(mode)), "{receipt}");
    assert_eq!(receipt["erased"], counts(messages, mode), "{receipt}");
    assert_eq!(receipt["by"], json!({ "idx": 9, "nickname": "privacy", "role": "moderator" }));
    let time = |member: &str| receipt[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let hours = |member| (time(member) - time("at")).as_secs_f64() / 3_600.0;
    assert!((24.0..24.1).contains(&hours("logHeldUntil")), "{receipt}");
    assert!((48.0..48.1).contains(&hours("keptUntil")), "{receipt}");
    assert!(receipt["stays"].as_array().unwrap().iter().any(|stays| stays["code"] == "log"), "{receipt}");

    // Messages and decisions of others are all there, and deleted messages stay deleted.
    let messages_of_8 = world.collection("chatting_log").count_documents(doc! { "userIdx": 8_i64 }).await.unwrap();
    assert_eq!(messages_of_8, others);
    assert_eq!(world.collection("moderation_log").count_documents(doc! {}).await.unwrap(), decisions);
    assert_eq!(world.documents("quarantine", 1).await.len(), 1);
    let deleted = world.collection("chatting_log").find_one(doc! { "_id": target.to_string() }).await.unwrap().unwrap();
    let by_whom = deleted.get_document("deleted").unwrap().get_document("by").unwrap();
    assert!(by_whom.get_i64("userIdx").unwrap() < 0, "{deleted}");

    // After the whole log again, and a copy of the erasure.
    let removed = doc! { "message": "of somebody else 7" };
    world.collection("chatting_log").delete_one(removed.clone()).await.unwrap();
    read_the_log_again(&world).await;
    let back = world.collection("chatting_log").count_documents(removed).await.unwrap();
    assert_eq!(back, 1, "the log was read again");
    if mode == "remove" {
        assert_no_traces(&world).await;
    }
    // Later messages of the user are not erased.
    let since = by(GONE, 3, "written since");
    world.log.append(&since).await.unwrap();
    archived(&world).await;
    assert_eq!(traces(&world).await.len(), 1);
    let receipts = receipts(&other).await;
    assert_eq!((receipts.len(), &receipts[0]), (1, &receipt));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_user_is_nowhere_in_the_archive_and_stays_so() {
    is_erased_everywhere("remove", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_user_is_nowhere_in_the_archive_with_any_number_of_partitions() {
    is_erased_everywhere("remove", 3).await;
}

/// The user number of the messages with this text.
async fn author(world: &World, text: &str) -> Vec<i64> {
    let texts = doc! { "message": { "$regex": text } };
    let mut found = world.collection("chatting_log").find(texts).await.unwrap();
    let mut authors = Vec::new();
    while found.advance().await.unwrap() {
        let message = found.deserialize_current().unwrap();
        let author = message.get_i64("userIdx").unwrap();
        if author < 0 {
            let (nickname, role) = (message.get_str("nickname").unwrap(), message.get_str("role").unwrap());
            assert_eq!((nickname, role), ("", "viewer"), "{message}");
        }
        authors.push(author);
    }
    authors
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymised_user_leaves_texts_under_one_pseudonym_that_identifies_no_one() {
    let world = World::with_partitions(3).await;
    let (archiver, _other) = tokio::join!(world.archiver(), world.archiver());
    let (messages, _) = a_life(&world).await;
    archived(&world).await;
    let (status, receipt) = erase(&archiver, "anonymise").await;
    assert_eq!(status, 200, "{receipt}");
    assert_eq!(receipt["erased"], counts(messages, "anonymise"), "{receipt}");
    assert!(receipt["stays"].as_array().unwrap().iter().any(|stays| stays["code"] == "texts"), "{receipt}");
    assert!(!receipt.to_string().contains("pseudonym\":"), "{receipt}");
    let authors = author(&world, SECRET).await;
    assert_eq!(authors.len() as i64, messages);
    let pseudonym = authors[0];
    assert!((-(1_i64 << 53) + 1..0).contains(&pseudonym), "{pseudonym}");
    assert!(authors.iter().all(|author| *author == pseudonym));

    // From the log it gets the same pseudonym.
    let one = doc! { "message": { "$regex": SECRET }, "presenterIdx": 1_i64 };
    let removed = world.collection("chatting_log").delete_many(one).await.unwrap().deleted_count;
    assert!(removed > 5);
    read_the_log_again(&world).await;
    let authors = author(&world, SECRET).await;
    assert_eq!(authors.len() as i64, messages);
    assert!(authors.iter().all(|author| *author == pseudonym));
    let found = traces(&world).await;
    assert!(found.iter().all(|trace| !trace.contains(&user(GONE).nickname) && !trace.contains("reason")), "{found:?}");

    // Later messages belong to another erasure, and get another pseudonym.
    world.log.append(&by(GONE, 3, "written since")).await.unwrap();
    archived(&world).await;
    assert_eq!(author(&world, "written since").await, [GONE]);
    let (_, again) = erase(&archiver, "anonymise").await;
    assert_eq!(again["erased"]["messages"], 1, "{again}");
    let since = author(&world, "written since").await;
    assert!(since[0] < 0 && since[0] != pseudonym);
    assert!(author(&world, SECRET).await.iter().all(|author| *author == pseudonym));
    // Removing later messages leaves the anonymised texts.
    let (_, third) = erase(&archiver, "remove").await;
    assert_eq!(third["erased"]["messages"], 0, "{third}");
    assert_eq!(receipts(&archiver).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_an_earlier_log_are_erased_too() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    // No partition of this log has the epoch 1.
    let lines = (1_u64..).zip([secret(1, 1), by(8, 1, "other"), secret(2, 2)]);
    let lines = lines.map(|(sequence, event)| Ok(at(sequence, &event))).collect();
    world.archive.write(lines).await.unwrap();
    assert_eq!(traces(&world).await.len(), 2);
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["erased"]["messages"]), (200, &json!(2)), "{receipt}");
    assert_no_traces(&world).await;
}

/// Every document of the collections that can identify a user, by collection and `_id`.
async fn all_documents(world: &World) -> std::collections::BTreeMap<(&'static str, String), Document> {
    let mut all = std::collections::BTreeMap::new();
    for name in COLLECTIONS {
        let mut documents = world.collection(name).find(doc! {}).await.unwrap();
        while documents.advance().await.unwrap() {
            let document = documents.deserialize_current().unwrap();
            all.insert((name, document.get("_id").unwrap().to_string()), document);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_takes_nothing_of_others_and_nothing_that_came_after_it() {
    for mode in ["remove", "anonymise"] {
        let world = World::start().await;
        let archiver = world.archiver().await;
        a_life(&world).await;
        // Users with a similar number or name.
        for (idx, text) in [(7, "7"), (177, "177"), (770, "770"), (8, "user 77 wrote this")] {
            world.log.append(&by(idx, 3, text)).await.unwrap();
        }
        let banned = UserBanned {
            user: user(177).idx,
            until: None,
            purge_seconds: None,
            by: user(8),
            reason: Some("77".to_owned()),
        };
        world.log.append(&Event::now(presenter(3), Body::UserBanned(banned))).await.unwrap();
        world.append_raw(br#"{"user":{"idx":177}} is no event, 77"#).await;
        archived(&world).await;
        let mut others = all_documents(&world).await;
        others.retain(|_, document| !leads_there(&Bson::Document(document.clone())));
        others.retain(|_, document| !document.to_string().contains(SECRET));
        assert!(others.len() > 200, "{}", others.len());

        let (status, receipt) = erase(&archiver, mode).await;
        assert_eq!(status, 200, "{receipt}");
        let after = all_documents(&world).await;
        for (key, document) in &others {
            assert_eq!(after.get(key), Some(document), "{mode}: it was somebody else's");
        }

        // Later events of the user.
        let since = by(GONE, 3, "written since");
        world.log.append(&since).await.unwrap();
        let deleted = MessageDeleted { target: since.id, by: user(GONE), reason: Some("since".to_owned()) };
        world.log.append(&Event::now(presenter(3), Body::MessageDeleted(deleted))).await.unwrap();
        let banned = UserBanned {
            user: user(GONE).idx,
            until: None,
            purge_seconds: None,
            by: user(8),
            reason: Some("since".to_owned()),
        };
        world.log.append(&Event::now(presenter(3), Body::UserBanned(banned))).await.unwrap();
        world.append_raw(br#"{"user":{"idx":77}} is no event, and came since"#).await;
        archived(&world).await;
        let all = all_documents(&world).await;
        let count = |text: &str| all.values().filter(|document| document.to_string().contains(text)).count();
        assert_eq!((count("written since"), count("came since"), count("\"since\"")), (1, 1, 3), "{mode}");
        // The erasure is processed again, here and by another archiver.
        let _other = world.archiver().await;
        read_the_log_again(&world).await;
        let again = all_documents(&world).await;
        for (key, document) in &all {
            let same = again.get(key).map(|again| without_time(again.clone()));
            assert_eq!(same, Some(without_time(document.clone())), "{mode}: it stood after the erasure, or was erased");
        }
    }
}

/// A quarantined line has the time of its last arrival.
fn without_time(mut document: Document) -> Document {
    if document.contains_key("line") {
        document.remove("at");
    }
    document
}
