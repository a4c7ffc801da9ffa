//! The archiver as a process, between a real nats-server and a real mongod: the promises of
//! `docs/reference/archive-schema.md`.

mod audit;
mod broadcast;
mod broadcast_exports;
mod broadcasts;
#[cfg(feature = "browser")]
mod browser;
mod clocks;
mod commutes;
mod concern;
mod decisions;
mod erasure;
mod exports;
mod extras;
mod gaps;
mod keeps;
mod moderators;
mod notes;
pub(crate) mod outages;
mod poison;
mod quarantine;
mod reading;
mod recording;
mod replay;
mod replay_events;
mod reports;
mod restored;
mod retention;
mod room;
mod search;
mod statistics;
mod status;
mod sweeps;
mod trace;
mod trace_node;

use std::collections::HashMap;
use std::time::Duration;

use archiver::{Archive, ArchivedMessage};
use chat::{Body, Event, EventId, MessageDeleted, MessagePosted, Position, PresenterIdx, Role, User, UserIdx};
use chatting_server::config::Config;
use conf::{Size, Span};
use mongodb::bson::{Document, doc};
use mongodb::options::{CollectionOptions, ReadConcern};
use mongodb::{Client, Collection};
use nats::Log;

use crate::support::{self, Mongod, NatsServer, Settings, eventually};

/// Long enough for a slow machine, and short enough to detect a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// The servers, the log as ingest uses it, and the archive as its readers use it. Tests start the archiver.
struct World {
    nats: NatsServer,
    mongod: Mongod,
    log: Log,
    archive: Archive,
    settings: Settings,
    database: mongodb::Database,
}

impl World {
    async fn start() -> World {
        World::with_partitions(1).await
    }

    async fn with_partitions(partitions: u32) -> World {
        World::with(partitions, &[]).await
    }

    /// With this number of partitions, and further arguments of mongod.
    async fn with(partitions: u32, mongod: &[&str]) -> World {
        let (nats, mongod) = tokio::join!(NatsServer::start(), Mongod::start_with(mongod));
        let mut config = config(&mongod);
        // Each partition reserves this much, and no test needs more.
        (config.nats.partitions, config.nats.max_size) = (partitions, Size::from_mib(1 << 10));
        config.nats.urls = vec![nats.url().into()];
        // Tests share their machine, and write faster than people.
        (config.nats.append_deadline, config.nats.append_queue_wait) = (Span::from_secs(60), Span::from_secs(30));
        let log = support::connect(&config.nats, "test").await;
        let archive = Archive::connect(&config.archiver).await.unwrap();
        let settings = Settings::new()
            .nats(&nats)
            .mongo(&mongod)
            .set("nats.partitions", &partitions.to_string())
            .set("nats.max_size", &format!("{} B", config.nats.max_size.bytes()));
        let database = Client::with_uri_str(mongod.uri()).await.unwrap().database("chatting");
        World { nats, mongod, log, archive, settings, database }
    }

    async fn archiver(&self) -> support::Role {
        support::Role::start("archiver", &self.settings).await
    }

    /// Read with majority concern, as the archiver reads: it may be a moment behind the primary.
    fn collection(&self, name: &str) -> Collection<Document> {
        let options = CollectionOptions::builder().read_concern(ReadConcern::majority()).build();
        self.database.collection_with_options(name, options)
    }

    /// Waits until there are this many documents, and returns them by `_id`.
    async fn documents(&self, collection: &str, count: u64) -> HashMap<String, Document> {
        let documents = self.collection(collection);
        eventually(&format!("{collection} holds {count} documents"), PATIENCE, async || {
            (documents.count_documents(doc! {}).await.unwrap() >= count).then_some(())
        })
        .await;
        let mut found = HashMap::new();
        let mut cursor = documents.find(doc! {}).await.unwrap();
        while cursor.advance().await.unwrap() {
            let document = cursor.deserialize_current().unwrap();
            found.insert(document.get_str("_id").unwrap().to_owned(), document);
        }
        found
    }

    /// Waits until the room has this many messages, and returns them.
    async fn room(&self, presenter: i64, count: usize) -> Vec<ArchivedMessage> {
        let presenter = PresenterIdx::try_from(presenter).unwrap();
        eventually(&format!("room {presenter} has {count} messages"), PATIENCE, async || {
            let room = self.archive.room(presenter).await.ok()?;
            (room.len() >= count).then_some(room)
        })
        .await
    }

    /// Appends bytes unchecked.
    async fn append_raw(&self, batch: &[u8]) {
        let client = async_nats::connect(self.nats.url()).await.unwrap();
        let context = async_nats::jetstream::new(client);
        context.publish("chat.0", batch.to_vec().into()).await.unwrap().await.unwrap();
    }
}

/// The default configuration, with this mongod.
fn config(mongod: &Mongod) -> Config {
    let mut config = Config::load(None).unwrap();
    config.archiver.uri = mongod.uri().into();
    config
}

fn presenter(idx: i64) -> PresenterIdx {
    PresenterIdx::try_from(idx).unwrap()
}

fn user(idx: i64) -> User {
    User { idx: UserIdx::try_from(idx).unwrap(), nickname: format!("사용자{idx}"), role: Role::Viewer }
}

fn message(room: i64, text: impl Into<String>) -> Event {
    let posted = MessagePosted::new(user(7), text);
    Event::now(presenter(room), Body::MessagePosted(posted))
}

fn deletion(room: i64, target: EventId) -> Event {
    let deleted = MessageDeleted { target, by: user(room), reason: Some("$spam".to_owned()) };
    Event::now(presenter(room), Body::MessageDeleted(deleted))
}

/// Appends `count` messages to rooms 1 to 4 concurrently. Returns id, position and text of each.
async fn append_many(log: &Log, label: &str, count: usize) -> Vec<(EventId, Position, String)> {
    let mut appended = Vec::new();
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..count {
        let event = message(1 + number as i64 % 4, format!("{label} {number}"));
        let log = log.clone();
        appends.spawn(async move {
            let Body::MessagePosted(posted) = &event.body else { unreachable!("it is a message") };
            let position = log.append(&event).await.unwrap();
            (event.id, position, posted.text.clone())
        });
        if appends.len() >= 64 {
            appended.push(appends.join_next().await.unwrap().unwrap());
        }
    }
    appended.extend(appends.join_all().await);
    appended
}

/// The archive has exactly the appended messages, each once and unchanged, in log order.
async fn assert_archived(world: &World, appended: &[(EventId, Position, String)]) {
    world.documents("chatting_log", appended.len() as u64).await;
    let mut archived = Vec::new();
    for room in 1..=4 {
        let messages = world.archive.room(presenter(room)).await.unwrap();
        assert!(messages.is_sorted_by_key(|message| message.position), "room {room} is out of order");
        archived.extend(messages.into_iter().map(|message| (message.id, message.position, message.message)));
    }
    let mut appended = appended.to_vec();
    appended.sort();
    archived.sort();
    assert_eq!(archived.len(), appended.len());
    assert!(archived == appended, "the archive differs from what was appended");
}
