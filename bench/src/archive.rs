//! The archiver's catch-up after an outage, compared with a bare `insert_many` of the same documents in the same run:
//! same driver, collection, indexes, write concern, documents per request and concurrent requests.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::{self, consumer::PullConsumer};
use chat::{Body, Event, MessageDeleted, MessagePosted, PresenterIdx, Role, User, UserIdx};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, WriteConcern};
use mongodb::{Client, Collection, Database};
use testkit::Server;

use crate::process;
use crate::system::Archive;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Messages in the log
    #[arg(long, default_value_t = 500_000)]
    messages: usize,
    /// Events per batch of the log
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Delete one message in this many; 0: none
    #[arg(long, default_value_t = 0)]
    one_deleted_of: usize,
    /// Rounds. Each measures both, and the medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Concurrent requests of the bare insert, and `archiver.batches_in_hand`
    #[arg(long, default_value_t = 3)]
    in_hand: usize,
    /// After each round, let the archiver read the log again into the same database, where every document exists
    #[arg(long)]
    again: bool,
}

/// Equal to `archiver.batch_events`, so that both send requests of the same size.
const BATCH_EVENTS: usize = 1_000;

/// As in the recordings that this project was tested with.
const ROOMS: usize = 52;
const USERS: usize = 5_000;

/// The interval between progress checks.
const POLL: Duration = Duration::from_millis(10);

/// Longer than any round.
const PATIENCE: Duration = Duration::from_secs(900);

/// The result of one measurement.
#[derive(Debug, Clone, Copy)]
struct Turn {
    documents_a_second: f64,
    /// CPU seconds per 100,000 documents: MongoDB, NATS, archiver.
    processor: [f64; 3],
    /// The archiver's peak resident memory, in bytes.
    memory: u64,
}

struct World {
    servers: Archive,
    in_hand: usize,
    client: Client,
    log: jetstream::Context,
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let world = World::start(arguments.in_hand).await?;
    let began = Instant::now();
    let deletions = world.fill(arguments).await?;
    let expected = (arguments.messages, deletions);
    eprintln!("the log holds {} messages after {:.0} s", arguments.messages, began.elapsed().as_secs_f64());
    // Not measured: it warms up, and produces the documents to insert.
    world.catch_up("documents", expected).await?;
    let documents = world.documents().await?;
    let (mut bare, mut archiver, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        let name = format!("round_{round}");
        // The order alternates.
        if round % 2 == 1 {
            bare.push(world.insert("bare", &documents).await?);
            archiver.push(world.catch_up(&name, expected).await?);
        } else {
            archiver.push(world.catch_up(&name, expected).await?);
            bare.push(world.insert("bare", &documents).await?);
        }
        if arguments.again {
            again.push(world.catch_up(&name, expected).await?);
        }
        world.client.database(&name).drop().await?;
    }
    println!("{} messages in batches of {}, {} deletions", arguments.messages, arguments.batch, deletions);
    println!("| | documents/s | of the bare insert | CPU s / 100,000: mongod, nats-server, archiver | memory MB |");
    println!("|---|---|---|---|---|");
    let base = median(&mut bare).context("no round")?;
    for (what, turns) in [("bare insert_many", &mut bare), ("archiver", &mut archiver), ("… again", &mut again)] {
        let Some(Turn { documents_a_second, processor: [mongod, nats, own], memory }) = median(turns) else { continue };
        println!(
            "| {what} | {documents_a_second:.0} | {:.2} | {mongod:.2}, {nats:.2}, {own:.2} | {:.0} |",
            documents_a_second / base.documents_a_second,
            memory as f64 / 1e6,
        );
    }
    Ok(())
}

/// The median by rate.
fn median(turns: &mut [Turn]) -> Option<Turn> {
    turns.sort_by(|one, other| one.documents_a_second.total_cmp(&other.documents_a_second));
    turns.get(turns.len() / 2).copied()
}

impl World {
    async fn start(in_hand: usize) -> anyhow::Result<World> {
        let servers = Archive::start().await?;
        let mut options = mongodb::options::ClientOptions::parse(&servers.uri).await?;
        options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
        let client = Client::with_options(options)?;
        let log = jetstream::new(async_nats::connect(&servers.nats_url).await?);
        let world = World { servers, in_hand, client, log };
        world.archiver("documents").await?.start().await?;
        Ok(world)
    }

    async fn archiver(&self, database: &str) -> anyhow::Result<Server> {
        let settings = [
            ("CHATTING_ARCHIVER__BATCHES_IN_HAND", self.in_hand.to_string()),
            ("CHATTING_ARCHIVER__DATABASE", database.to_owned()),
        ];
        self.servers.archiver(&settings).await
    }

    /// Fills the log. Returns the number of deletions.
    async fn fill(&self, arguments: &Arguments) -> anyhow::Result<usize> {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/evening.ndjson");
        let texts: Vec<String> = chatting_server::play::read(&sample)?.into_iter().map(|line| line.text).collect();
        let mut batches: Vec<Vec<u8>> = Vec::new();
        let (mut batch, mut deletions) = (Vec::new(), 0);
        for number in 0..arguments.messages {
            let posted = message(number, &texts)?;
            let mut events = vec![posted.clone()];
            if arguments.one_deleted_of > 0 && number % arguments.one_deleted_of == 0 {
                deletions += 1;
                events.push(deletion(&posted)?);
            }
            for event in events {
                batch.extend_from_slice(&event.to_line());
                batch.push(b'\n');
            }
            if (number + 1) % arguments.batch == 0 || number + 1 == arguments.messages {
                batches.push(std::mem::take(&mut batch));
            }
        }
        let appends = stream::iter(batches).map(|batch| async move {
            self.log.publish("chat.0", batch.into()).await?.await?;
            anyhow::Ok(())
        });
        appends.buffer_unordered(256).try_collect::<()>().await?;
        Ok(deletions)
    }
    /// Starts an archiver, and waits until it has acknowledged the whole log.
    async fn catch_up(&self, database: &str, (messages, decisions): (usize, usize)) -> anyhow::Result<Turn> {
        let stream = self.log.get_stream("CHAT_0").await?;
        stream.delete_consumer("archiver").await?;
        let messages_of = self.client.database(database).collection::<Document>("chatting_log");
        let had = messages_of.estimated_document_count().await?;
        let mut archiver = self.archiver(database).await?;
        archiver.spawn()?;
        let id = archiver.id().context("the archiver has just started")?;
        let before = self.processor(Some(id))?;
        let (mut first, mut last) = (None, None);
        let began = Instant::now();
        loop {
            anyhow::ensure!(began.elapsed() < PATIENCE, "the archiver did not catch up in time");
            archiver.check()?;
            let count = messages_of.estimated_document_count().await? as usize;
            if count > 0 && first.is_none() {
                first = Some((Instant::now(), count));
            }
            if count >= messages && last.is_none() {
                last = Some(Instant::now());
            }
            if last.is_some() && self.is_acknowledged(&stream).await {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        let end = Instant::now();
        let after = self.processor(Some(id))?;
        let memory = process::peak_memory(id)?;
        archiver.terminate(Duration::from_secs(30)).await?;
        let is_exact = messages_of.count_documents(doc! {}).await? == messages as u64
            && self.client.database(database).collection::<Document>("moderation_log").count_documents(doc! {}).await?
                == decisions as u64;
        anyhow::ensure!(is_exact, "the archive differs from the log");
        let (first, last) = (first.context("no document")?, last.context("no last document")?);
        // Where every document exists already, the acknowledgements show the end.
        let rate = if had == 0 {
            (messages - first.1) as f64 / (last - first.0).as_secs_f64()
        } else {
            messages as f64 / (end - began).as_secs_f64()
        };
        Ok(Turn { documents_a_second: rate, processor: difference(before, after, messages), memory })
    }

    async fn is_acknowledged(&self, stream: &jetstream::stream::Stream) -> bool {
        let consumer: Result<PullConsumer, _> = stream.get_consumer("archiver").await;
        consumer.is_ok_and(|consumer| {
            let info = consumer.cached_info();
            info.num_pending == 0 && info.num_ack_pending == 0
        })
    }

    /// The messages that the archiver wrote, in the order of the log.
    async fn documents(&self) -> anyhow::Result<Vec<RawDocumentBuf>> {
        let collection = self.client.database("documents").collection::<RawDocumentBuf>("chatting_log");
        Ok(collection.find(doc! {}).sort(doc! { "$natural": 1 }).await?.try_collect().await?)
    }

    /// Inserts the documents into a new collection like the archiver's, and drops it.
    async fn insert(&self, database: &str, documents: &[RawDocumentBuf]) -> anyhow::Result<Turn> {
        let database = self.client.database(database);
        let collection = alike(&self.client.database("documents"), &database).await?;
        let before = self.processor(None)?;
        let began = Instant::now();
        let inserts = stream::iter(documents.chunks(BATCH_EVENTS)).map(|chunk| {
            let (collection, chunk) = (collection.clone(), chunk.to_vec());
            tokio::spawn(async move { collection.insert_many(chunk).ordered(false).await })
        });
        let mut inserts = inserts.buffer_unordered(self.in_hand);
        while let Some(inserted) = inserts.next().await {
            inserted??;
        }
        let took = began.elapsed();
        let after = self.processor(None)?;
        database.drop().await?;
        Ok(Turn {
            documents_a_second: documents.len() as f64 / took.as_secs_f64(),
            processor: difference(before, after, documents.len()),
            memory: 0,
        })
    }

    fn processor(&self, archiver: Option<u32>) -> anyhow::Result<[f64; 3]> {
        let of = |server: &Server| process::processor(server.id().context("a server is not running")?);
        Ok([of(&self.servers.mongod)?, of(&self.servers.nats)?, archiver.map_or(Ok(0.0), process::processor)?])
    }
}

/// Per 100,000 documents.
fn difference(before: [f64; 3], after: [f64; 3], documents: usize) -> [f64; 3] {
    std::array::from_fn(|of| (after[of] - before[of]) * 1e5 / documents as f64)
}

/// Creates a `chatting_log` with the options and the indexes of the archiver's.
async fn alike(model: &Database, database: &Database) -> anyhow::Result<Collection<RawDocumentBuf>> {
    let name = "chatting_log";
    let listed = model.run_command(doc! { "listCollections": 1, "filter": { "name": name } }).await?;
    let mut create = doc! { "create": name };
    create.extend(first_batch(&listed)?[0].get_document("options")?.clone());
    database.run_command(create).await?;
    let mut indexes = first_batch(&model.run_command(doc! { "listIndexes": name }).await?)?;
    indexes.retain(|index| index.get_str("name").is_ok_and(|name| name != "_id_"));
    database.run_command(doc! { "createIndexes": name, "indexes": indexes }).await?;
    Ok(database.collection(name))
}

fn first_batch(answer: &Document) -> anyhow::Result<Vec<Document>> {
    let batch = answer.get_document("cursor")?.get_array("firstBatch")?;
    batch.iter().map(|document| Ok(document.as_document().context("not a document")?.clone())).collect()
}

fn message(number: usize, texts: &[String]) -> anyhow::Result<Event> {
    let room = PresenterIdx::try_from(1 + (number % ROOMS) as i64)?;
    // Coprime with the number of rooms, so that users spread over rooms.
    let idx = UserIdx::try_from(1 + (number * 7_919 % USERS) as i64)?;
    let user = User { idx, nickname: format!("시청자{idx}"), role: Role::Viewer };
    let text = format!("{} {number}", texts[number * 31 % texts.len()]);
    Ok(Event::now(room, Body::MessagePosted(MessagePosted::new(user, text))))
}

fn deletion(message: &Event) -> anyhow::Result<Event> {
    let room = message.presenter.context("a message has a room")?;
    let by = User { idx: UserIdx::try_from(room.get())?, nickname: "진행자".to_owned(), role: Role::Presenter };
    let deleted = MessageDeleted { target: message.id, by, reason: Some("spam".to_owned()) };
    Ok(Event::now(room, Body::MessageDeleted(deleted)))
}
