//! Seeks in the replay of a long broadcast while the archive grows: over HTTP, at random offsets, one page each. Messages
//! are inserted into MongoDB as the archiver would have written them. Checks every page, and asks MongoDB's profiler how
//! many keys and documents it examined.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{Body, Event, EventId, PresenterConnected, PresenterDisconnected, PresenterIdx, SessionId, folded};
use clap::Args;
use conf::Secret;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Collection, Database};
use nats::Log;
use serde_json::Value;
use testkit::Server;
use tokio::net::TcpStream;

use crate::process;
use crate::system::{Archive, SECRET};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Sizes of the broadcast in messages, in order
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000,10000000")]
    sizes: Vec<usize>,
    /// Seeks at each size
    #[arg(long, default_value_t = 2_000)]
    seeks: usize,
    /// Messages per page
    #[arg(long, default_value_t = 100)]
    first: usize,
}

/// The start of the broadcast, in milliseconds since 1970.
const BEGAN: i64 = 1_763_805_600_000;

/// Milliseconds between two messages.
const STEP: i64 = 10;

/// Of `chatting_log`: what neither a replay nor its broadcast is read by. Without them ten million messages fit a small
/// disk, and are there in minutes. A seek takes the same.
const OTHER_INDEXES: [&str; 4] = ["room_authors", "room_chatters", "room_text", "user_times"];

/// Different texts.
const TEXTS: usize = 1_000;

/// Messages of an insert, and concurrent inserts.
const INSERT: (usize, usize) = (1_000, 3);

/// The number of seeks to profile.
const PROFILED: usize = 50;

/// The time limit for the broadcast to be archived.
const PATIENCE: Duration = Duration::from_secs(60);

const ROOM: i64 = 42;

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut bench = Bench::start().await?;
    println!(
        "| messages | a page of {} at a random offset: p50 / p99 ms | index keys / documents examined | mongod, MiB |",
        arguments.first
    );
    println!("|---|---|---|---|");
    for size in &arguments.sizes {
        let began = Instant::now();
        bench.grow(*size).await?;
        eprintln!("{size} messages are there after {:.0} s", began.elapsed().as_secs_f64());
        // Warm-up: the first seeks read pages that are not in memory yet.
        bench.seek(arguments.seeks / 10, arguments.first).await?;
        let times = bench.seek(arguments.seeks, arguments.first).await?;
        let (keys, documents) = bench.looked_at(arguments.first).await?;
        let mongod = bench.servers.mongod.id().context("mongod is not running")?;
        let memory = process::memory(mongod)? as f64 / 1_048_576.0;
        let ms = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1_000.0;
        println!("| {size} | {:.2} / {:.2} | {keys:.0} / {documents:.0} | {memory:.0} |", ms(0.5), ms(0.99));
    }
    Ok(())
}

/// A growing broadcast, and its reader.
struct Bench {
    archiver: SendRequest<Empty<Bytes>>,
    port: u16,
    database: Database,
    token: String,
    session: SessionId,
    messages: usize,
    _role: Server,
    servers: Archive,
}

impl Bench {
    async fn start() -> anyhow::Result<Bench> {
        let servers = Archive::start().await?;
        let settings = [("CHATTING_NATS__MAX_SIZE", "256 MiB"), ("CHATTING_ARCHIVER__TEXT_INDEX__PART", "0")];
        let mut role = servers.archiver(&settings.map(|(key, value)| (key, value.to_owned()))).await?;
        role.start().await?;
        let database = mongodb::Client::with_uri_str(&servers.uri).await?.database("chatting");
        let session = SessionId::new();
        broadcast(&servers, &database, session).await?;
        for index in OTHER_INDEXES {
            database.collection::<Document>("chatting_log").drop_index(index).await?;
        }
        let identity = web::auth::Identity {
            user_idx: 7,
            nickname: "bench".to_owned(),
            email: "bench@example.com".to_owned(),
            scopes: vec!["chat:read".to_owned()],
            attributes: None,
            emotes: None,
        };
        let token = web::auth::mint(&Secret::from(SECRET.to_owned()), &identity, Duration::from_secs(24 * 3_600));
        let port = servers.port;
        let archiver = connect(port).await?;
        Ok(Bench { archiver, port, database, token, session, messages: 0, _role: role, servers })
    }

    /// Lets the broadcast grow to this many messages.
    async fn grow(&mut self, size: usize) -> anyhow::Result<()> {
        let messages: Collection<Document> = self.database.collection("chatting_log");
        let (chunk, concurrent) = INSERT;
        // Folding a text costs more than all else of a message.
        let texts: Vec<(String, String)> = (0..TEXTS)
            .map(|number| format!("message {number}, as long as people write them"))
            .map(|text| (folded(&text), text))
            .collect();
        let inserts = stream::iter(self.messages..size).chunks(chunk).map(|numbers| {
            let messages = messages.clone();
            let chunk: Vec<Document> =
                numbers.into_iter().map(|number| message(number, &texts[number % TEXTS])).collect();
            async move {
                messages.insert_many(chunk).ordered(false).await?;
                anyhow::Ok(())
            }
        });
        inserts.buffer_unordered(concurrent).try_collect::<()>().await?;
        self.messages = size;
        let stored = messages.estimated_document_count().await?;
        anyhow::ensure!(stored == size as u64, "{stored} messages are stored instead of {size}");
        Ok(())
    }

    /// The latency of each seek in microseconds.
    async fn seek(&mut self, seeks: usize, first: usize) -> anyhow::Result<Histogram<u64>> {
        let mut times = Histogram::new(3)?;
        for _ in 0..seeks {
            let number = fastrand::usize(..self.messages.saturating_sub(first).max(1)) as i64;
            let asked = Instant::now();
            let page = self.get(&format!("/replay?from={}&first={first}", number * STEP)).await?;
            times.record(asked.elapsed().as_micros() as u64)?;
            let messages = page["messages"].as_array().context("no messages")?;
            let expected = messages.len() == first && messages[0]["offsetMs"] == number * STEP;
            anyhow::ensure!(expected, "from {number}: {} messages, {}", messages.len(), messages[0]["offsetMs"]);
        }
        Ok(times)
    }

    /// The index keys and documents that MongoDB examines per seek, broadcasts included, on average.
    async fn looked_at(&mut self, first: usize) -> anyhow::Result<(f64, f64)> {
        let profile = self.database.collection::<Document>("system.profile");
        profile.drop().await?;
        self.database.run_command(doc! { "profile": 2 }).await?;
        self.seek(PROFILED, first).await?;
        self.database.run_command(doc! { "profile": 0 }).await?;
        let mut asked = profile.find(doc! { "op": { "$in": ["query", "command"] } }).await?;
        let (mut keys, mut documents) = (0.0, 0.0);
        while asked.advance().await? {
            let question = asked.deserialize_current()?;
            let number = |member: &str| f64::from(question.get_i32(member).unwrap_or(0));
            let name = question.get_str("ns").unwrap_or_default();
            if ["chatting.chatting_log", "chatting.broadcasts"].contains(&name) {
                keys += number("keysExamined");
                documents += number("docsExamined");
            }
        }
        Ok((keys / PROFILED as f64, documents / PROFILED as f64))
    }

    async fn get(&mut self, rest: &str) -> anyhow::Result<Value> {
        let request = hyper::Request::get(format!("/v1/rooms/{ROOM}/broadcasts/{}{rest}", self.session))
            .header("host", "bench")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Empty::new())?;
        // Archivers close connections that are idle for seconds, as this one is while the broadcast grows.
        if self.archiver.ready().await.is_err() {
            self.archiver = connect(self.port).await?;
        }
        let answer = self.archiver.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status == 200, "answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Lets the archiver store a broadcast that is long enough for ten million messages.
async fn broadcast(servers: &Archive, database: &Database, session: SessionId) -> anyhow::Result<()> {
    let mut config = chatting_server::config::Config::load(None)?;
    config.nats.urls = vec![servers.nats_url.clone().into()];
    let log = Log::connect(&config.nats, "bench").await?;
    let begins = Body::PresenterConnected(PresenterConnected { session });
    let ends = Body::PresenterDisconnected(PresenterDisconnected { session, reason: "closed".to_owned() });
    for (number, body) in [(0, begins), (10_000_000, ends)] {
        let at = jiff::Timestamp::from_millisecond(BEGAN + number * STEP)?;
        log.append(&Event::now(PresenterIdx::try_from(ROOM)?, body).recorded_at(at)).await?;
    }
    let (sessions, asked): (Collection<Document>, _) = (database.collection("broadcasts"), Instant::now());
    while sessions.count_documents(doc! { "disconnectedAt": { "$exists": true } }).await? == 0 {
        anyhow::ensure!(asked.elapsed() < PATIENCE, "the broadcast was not archived in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// As the archiver stores it.
fn message(number: usize, (folded, text): &(String, String)) -> Document {
    let number = number as i64;
    let user = 1 + number % 5_000;
    doc! {
        "_id": EventId::new().to_string(), "presenterIdx": ROOM, "userIdx": user, "nickname": format!("user{user}"),
        "role": "viewer", "folded": folded, "message": text, "textIndex": 1,
        "sentAt": DateTime::from_millis(BEGAN + number * STEP),
        "position": { "epoch": BEGAN * 1_000_000, "sequence": 1 + number / 20, "index": number % 20 },
        "flags": [],
    }
}

async fn connect(port: u16) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.context("cannot connect to the archiver")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
