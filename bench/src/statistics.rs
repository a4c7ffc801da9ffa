//! Measures the latency of room statistics by the number of messages: over HTTP from a real archiver, on rooms inserted
//! into MongoDB as the archiver would have written them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::EventId;
use clap::Args;
use conf::Secret;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Client, Collection};

use crate::connection::connect;
use crate::process;
use crate::system::{Archive, SECRET};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Sizes of the rooms in messages
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    messages: Vec<usize>,
    /// Messages per chatter, on average
    #[arg(long, default_value_t = 10)]
    each: usize,
    /// Chatters per room, instead of the average. Each of them posts
    #[arg(long)]
    chatters: Option<usize>,
    /// Repetitions of each request. The median is shown
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// 2026-11-22T10:00:00Z. The broadcast lasts four hours.
const BEGIN_MS: i64 = 1_795_341_600_000;
const SPAN_MS: i64 = 4 * 3_600_000;
const SPAN: &str = "from=2026-11-22T10:00:00Z&to=2026-11-22T14:00:00Z";

/// A quarter of the chatters also posted on the day before.
const DAY_MS: i64 = 86_400_000;

/// The measured requests.
const QUESTIONS: [&str; 4] = ["", "/chatters", "/words", "/highlights"];

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let servers = Archive::start().await?;
    // With a generous time limit, to measure requests beyond the default one.
    let mut archiver = servers
        .archiver(&[
            // The log stays empty.
            ("CHATTING_NATS__MAX_BYTES", (1 << 30).to_string()),
            ("CHATTING_ARCHIVER__READS__TIMEOUT_MS", "300000".to_owned()),
            ("CHATTING_ARCHIVER__HTTP__REQUEST_TIMEOUT_MS", "310000".to_owned()),
        ])
        .await?;
    // Creates the indexes.
    archiver.start().await?;
    let id = servers.mongod.id().context("mongod was just started")?;
    let collection =
        Client::with_uri_str(&servers.uri).await?.database("chatting").collection::<Document>("chatting_log");
    println!("seconds / CPU seconds of mongod");
    println!("| messages, chatters | buckets | chatters | words | highlights |");
    println!("|---|---|---|---|---|");
    for (messages, room) in arguments.messages.iter().zip(1_i64..) {
        let chatters = arguments.chatters.unwrap_or(messages / arguments.each).clamp(1, (*messages).max(1));
        fill(&collection, room, *messages, chatters).await?;
        let mut line = format!("| {messages}, {chatters} |");
        for question in QUESTIONS {
            let (mut took, mut worked) = (Vec::new(), Vec::new());
            for _ in 0..arguments.runs {
                let before = process::processor(id)?;
                took.push(
                    ask(servers.port, &format!("/v1/rooms/{room}/statistics{question}?{SPAN}")).await?.as_secs_f64(),
                );
                worked.push(process::processor(id)? - before);
            }
            line.push_str(&format!(" {:.2} / {:.2} |", median(took), median(worked)));
        }
        println!("{line}");
    }
    Ok(())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}

/// Messages spread over the broadcast. One in fifty is deleted. Chatters arrive over time, and a few of them post most
/// of the messages.
async fn fill(collection: &Collection<Document>, room: i64, messages: usize, chatters: usize) -> anyhow::Result<()> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/evening.ndjson");
    let texts: Vec<String> = chatting_server::play::read(&sample)?.into_iter().map(|line| line.text).collect();
    let past = chatters / 4;
    let documents = (0..past + messages).map(|number| {
        let said = number.checked_sub(past);
        let sent_at = match said {
            Some(said) => BEGIN_MS + (said as i64 * SPAN_MS) / messages as i64,
            None => BEGIN_MS - DAY_MS + number as i64,
        };
        // Two coprime sequences: their product favours low numbers.
        let (one, other) = (number * 7_919 % chatters, number * 104_729 / 3 % chatters);
        // The chatters who have arrived by then. Those of the day before are spread among them.
        let come = |said: usize| (said + 1) * chatters / messages;
        let newcomer = said.filter(|said| *said == 0 || come(*said) != come(said - 1)).map(come);
        let user = match (said, newcomer) {
            (None, _) => 1 + 4 * number,
            (_, Some(come)) => come.max(1),
            (_, None) => 1 + one * other / chatters,
        };
        let user = user as i64;
        let mut document = doc! {
            "_id": EventId::new().to_string(), "presenterIdx": room, "userIdx": user,
            "nickname": format!("시청자{user}"), "role": "viewer",
            "message": format!("{} {number}", texts[number * 31 % texts.len()]),
            "sentAt": DateTime::from_millis(sent_at),
            "position": { "epoch": 1_i64, "sequence": number as i64, "index": 0_i64 }, "flags": [],
        };
        if said.is_some_and(|said| said % 50 == 0) {
            document.insert("deleted", doc! { "decision": "bench", "at": DateTime::from_millis(sent_at) });
        }
        document
    });
    let chunks = stream::iter(documents).chunks(1_000).map(|chunk| async move {
        collection.insert_many(chunk).ordered(false).await?;
        anyhow::Ok(())
    });
    chunks.buffer_unordered(3).try_collect().await
}

/// The time to receive the whole answer.
async fn ask(port: u16, path: &str) -> anyhow::Result<Duration> {
    let scopes = vec!["chat:read".to_owned()];
    let identity = web::auth::Identity {
        user_idx: 1,
        nickname: String::new(),
        email: String::new(),
        scopes,
        attributes: None,
        emotes: None,
    };
    let token = web::auth::mint(&Secret::from(SECRET.to_owned()), &identity, Duration::from_secs(3_600));
    let request = hyper::Request::get(path).header("host", "bench").header("token", token);
    let mut connection = connect(port).await?;
    let began = Instant::now();
    let response = connection.send_request(request.body(Full::new(Bytes::new()))?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    anyhow::ensure!(status == 200, "{path} answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(began.elapsed())
}
