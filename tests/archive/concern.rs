//! The archiver reads with majority concern, and no configuration can weaken that.

use mongodb::Client;
use mongodb::bson::{Document, doc};

use super::{PATIENCE, World, deletion, message};
use crate::support::{MongodSet, NatsServer, Role, Settings, connect, eventually};

#[tokio::test]
async fn a_connection_string_that_weakens_the_promise_is_refused_at_start_by_name() {
    let world = World::start().await;
    let mut refused = Vec::new();
    for (query, key) in [
        ("readPreference=secondaryPreferred", "readPreference"),
        ("readPreference=nearest&maxStalenessSeconds=120", "maxStalenessSeconds"),
        ("readPreference=secondary&readPreferenceTags=dc:east", "readPreferenceTags"),
        ("readConcernLevel=local", "readConcernLevel"),
        ("w=1", "w"),
        ("journal=false", "journal"),
        ("wtimeoutMS=100", "wtimeoutMS"),
        ("retryWrites=false", "retryWrites"),
    ] {
        let uri = format!("{}&{query}", world.mongod.uri().replace("://", "://somebody:hunter2@"));
        let archiver = Role::spawn("archiver", &world.settings.clone().set("archiver.uri", &uri));
        refused.push((archiver, query, key));
    }
    for (archiver, query, key) in refused {
        assert_eq!(archiver.exit_code(PATIENCE).await, 64, "{query}");
        let log = archiver.log();
        assert!(log.contains("archiver.uri: says ") && log.contains(key), "{query}: {log}");
        assert!(!log.contains("hunter2"), "{query}: {log}");
    }
    // The options that many hosts provide are the ones in force anyway.
    let uri = format!("{}&retryWrites=true&w=majority&readPreference=primary", world.mongod.uri());
    Role::start("archiver", &world.settings.clone().set("archiver.uri", &uri)).await;
}

/// A set whose last member is two minutes behind, like a member after an outage.
async fn set_with_one_behind() -> MongodSet {
    let set = MongodSet::start().await;
    let client = Client::with_uri_str(set.uri()).await.unwrap();
    let admin = client.database("admin");
    let answer = admin.run_command(doc! { "replSetGetConfig": 1 }).await.unwrap();
    let mut config = answer.get_document("config").unwrap().clone();
    config.insert("version", config.get_i32("version").unwrap() + 1);
    let members = config.get_array_mut("members").unwrap();
    let primary = archiver::primary_of(set.member(0)).await.unwrap().expect("the set is led");
    let host = |member: &Document| member.get_str("host").unwrap().to_owned();
    let behind = members.iter_mut().filter_map(|member| member.as_document_mut());
    let behind = behind.filter(|member| host(member) != primary).last().unwrap();
    behind.extend(doc! { "priority": 0, "secondaryDelaySecs": 120_i64 });
    admin.run_command(doc! { "replSetReconfig": config }).await.unwrap();
    set
}

#[tokio::test]
async fn every_deletion_is_marked_where_a_member_of_the_set_is_far_behind() {
    let (nats, set) = tokio::join!(NatsServer::start(), set_with_one_behind());
    // Each event in its own write: a write must find what an earlier one left.
    let settings = Settings::new().nats(&nats).set("archiver.uri", &set.uri()).set("archiver.batch_events", "1");
    let _archiver = Role::start("archiver", &settings).await;
    let log = connect(&settings.config().nats, "test").await;
    for number in 0..100 {
        let gone = message(1, number.to_string());
        // In sequence, so that each has its own write: the deletion must find the message.
        log.append(&gone).await.unwrap();
        log.append(&deletion(1, gone.id)).await.unwrap();
    }
    let database = Client::with_uri_str(set.uri()).await.unwrap().database("chatting");
    let (messages, decisions) = (database.collection::<Document>("chatting_log"), "moderation_log");
    eventually("all is archived", PATIENCE, async || {
        let decided = database.collection::<Document>(decisions).count_documents(doc! {}).await.ok()?;
        let said = messages.count_documents(doc! {}).await.ok()?;
        ((said, decided) == (100, 100)).then_some(())
    })
    .await;
    eventually("all are marked", PATIENCE, async || {
        let shown = messages.count_documents(doc! { "deleted": { "$exists": false } }).await.ok()?;
        (shown == 0).then_some(())
    })
    .await;
    let archive = archiver::Archive::connect(&settings.config().archiver).await.unwrap();
    let room = archive.room(super::presenter(1)).await.unwrap();
    assert!(
        room.len() == 100 && room.iter().all(|message| message.deleted.is_some()),
        "a reader sees what was deleted"
    );
}
