//! Seeks in the replay of a long broadcast while the archive grows: over HTTP, at random offsets, one page each. Waits
//! until every append is archived, checks every page, and asks MongoDB's profiler how many keys and documents it
//! examined.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{
    Body, Event, MessagePosted, PresenterConnected, PresenterDisconnected, PresenterIdx, Role, SessionId, User, UserIdx,
};
use clap::Args;
use conf::{Secret, Size};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use mongodb::bson::{Document, doc};
use nats::Log;
use serde_json::Value;
use testkit::Server;
use tokio::net::TcpStream;

use crate::system::{Archive, SECRET};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Sizes of the broadcast in messages, in order
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
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

/// 4 GiB: about ten million messages. The default is reserved at once, and may exceed the disk.
const LOG_SIZE: Size = Size::from_mib(4 << 10);

/// Concurrent appends.
const APPENDS: usize = 4_000;

/// The number of seeks to profile.
const PROFILED: usize = 50;

/// The time limit for a size to be archived.
const PATIENCE: Duration = Duration::from_secs(600);

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut bench = Bench::start().await?;
    println!(
        "| messages | a page of {} at a random offset: p50 / p99 ms | index keys / documents examined |",
        arguments.first
    );
    println!("|---|---|---|");
    for size in &arguments.sizes {
        bench.grow(*size).await?;
        // Warm-up: the first seeks read pages that are not in memory yet.
        bench.seek(arguments.seeks / 10, arguments.first).await?;
        let times = bench.seek(arguments.seeks, arguments.first).await?;
        let (keys, documents) = bench.looked_at(arguments.first).await?;
        let ms = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1_000.0;
        println!("| {size} | {:.2} / {:.2} | {keys:.0} / {documents:.0} |", ms(0.5), ms(0.99));
    }
    Ok(())
}

/// A growing broadcast, and its reader.
struct Bench {
    log: Log,
    archiver: SendRequest<Empty<Bytes>>,
    port: u16,
    database: mongodb::Database,
    token: String,
    session: SessionId,
    messages: usize,
    _role: Server,
    _servers: Archive,
}

impl Bench {
    async fn start() -> anyhow::Result<Bench> {
        let servers = Archive::start().await?;
        let mut role = servers.archiver(&[("CHATTING_NATS__MAX_BYTES", LOG_SIZE.bytes().to_string())]).await?;
        role.start().await?;
        let mut config = chatting_server::config::Config::load(None)?;
        (config.nats.urls, config.nats.max_size) = (vec![servers.nats_url.clone().into()], LOG_SIZE);
        let log = Log::connect(&config.nats, "bench").await?;
        let database = mongodb::Client::with_uri_str(&servers.uri).await?.database("chatting");
        let identity = web::auth::Identity {
            user_idx: 7,
            nickname: "bench".to_owned(),
            email: "bench@example.com".to_owned(),
            scopes: vec!["chat:read".to_owned()],
            attributes: None,
            emotes: None,
        };
        let token = web::auth::mint(&Secret::from(SECRET.to_owned()), &identity, Duration::from_secs(24 * 3_600));
        let (port, session) = (servers.port, SessionId::new());
        let archiver = connect(port).await?;
        Ok(Bench { log, archiver, port, database, token, session, messages: 0, _role: role, _servers: servers })
    }

    /// Lets the broadcast grow to this many messages, all archived.
    async fn grow(&mut self, size: usize) -> anyhow::Result<()> {
        if self.messages == 0 {
            let begins = Body::PresenterConnected(PresenterConnected { session: self.session });
            self.log.append(&event(0, begins)?).await?;
            // Long enough for ten million messages.
            let ends = PresenterDisconnected { session: self.session, reason: "closed".to_owned() };
            self.log.append(&event(10_000_000, Body::PresenterDisconnected(ends))?).await?;
        }
        let log = &self.log;
        let appends = (self.messages..size).map(|number| async move {
            log.append(&message(number)?).await?;
            anyhow::Ok(())
        });
        // Started in order of time, which is the order of the log.
        stream::iter(appends).buffered(APPENDS).try_collect::<()>().await?;
        self.messages = size;
        let asked = Instant::now();
        loop {
            // At first the broadcast does not exist.
            let broadcast = self.get("").await;
            if broadcast.as_ref().is_ok_and(|broadcast| broadcast["messages"] == size) {
                return Ok(());
            }
            anyhow::ensure!(asked.elapsed() < PATIENCE, "not archived: {broadcast:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
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
        let request = hyper::Request::get(format!("/v1/rooms/42/broadcasts/{}{rest}", self.session))
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

fn message(number: usize) -> anyhow::Result<Event> {
    let idx = UserIdx::try_from(1 + number as i64 % 5_000)?;
    let user = User { idx, nickname: format!("user{}", idx.get()), role: Role::Viewer };
    let text = format!("message {number}, as long as people write them");
    event(number, Body::MessagePosted(MessagePosted::new(user, text)))
}

/// An event at the time of the message of that number.
fn event(number: usize, body: Body) -> anyhow::Result<Event> {
    let at = jiff::Timestamp::from_millisecond(BEGAN + number as i64 * STEP)?;
    Ok(Event::now(PresenterIdx::try_from(42)?, body).recorded_at(at))
}

async fn connect(port: u16) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.context("cannot connect to the archiver")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
