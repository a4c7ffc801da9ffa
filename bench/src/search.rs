//! Measures text searches of a large room: over HTTP from a real archiver, on a room inserted into MongoDB as the
//! archiver would have written it, with the text index or without.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{EventId, folded};
use clap::Args;
use conf::Secret;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Client, Collection, Database};
use serde_json::Value;

use crate::connection::connect;
use crate::process;
use crate::system::{Archive, SECRET};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Messages of the room
    #[arg(long, default_value_t = 1_000_000)]
    messages: usize,
    /// Recording whose texts the room has, as NDJSON with the member `text`. The default is samples/evening.ndjson
    #[arg(long)]
    texts: Option<PathBuf>,
    /// `archiver.text_index.part`. 0: without the index
    #[arg(long, default_value_t = 16_384)]
    part: usize,
    /// Further texts to search for
    #[arg(long)]
    text: Vec<String>,
    /// Repetitions of each search. The median is shown
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// 2026-11-22T10:00:00Z.
const BEGIN_MS: i64 = 1_795_341_600_000;

const ROOM: i64 = 1;

/// Texts that one message has each, at these thousandths of the room.
const NEEDLES: [(&str, usize); 4] =
    [("바늘방석에 앉은 기분", 100), ("zyzzyva", 500), ("꽥", 750), ("마지막 바늘귀", 999)];

/// Searches for the needles, for what many messages have, and for what none has.
const SEARCHES: [&str; 8] = ["바늘방석", "zyzzyva", "꽥", "바늘귀", "ㅋㅋ", "the", "o", "qqqxzj"];

/// Longer than the index takes.
const PATIENCE: Duration = Duration::from_secs(1_800);

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let servers = Archive::start().await?;
    let settings = [
        // The log stays empty.
        ("CHATTING_NATS__MAX_SIZE", "1 GiB".to_owned()),
        ("CHATTING_ARCHIVER__TEXT_INDEX__PART", arguments.part.to_string()),
        ("CHATTING_ARCHIVER__RETENTION__SWEEP", "1s".to_owned()),
    ];
    let mut archiver = servers.archiver(&settings).await?;
    // Creates the indexes.
    archiver.start().await?;
    let database = Client::with_uri_str(&servers.uri).await?.database("chatting");
    let mongod = servers.mongod.id().context("mongod is not running")?;
    fill(&database.collection("chatting_log"), arguments).await?;
    let (began, before) = (Instant::now(), process::processor(mongod)?);
    let own = archiver.id().context("the archiver is not running")?;
    let own_before = process::processor(own)?;
    let expected = arguments.messages.checked_div(arguments.part).unwrap_or(0) as u64;
    let parts: Collection<Document> = database.collection("text_index_parts");
    while parts.count_documents(doc! { "state": "built" }).await? < expected {
        anyhow::ensure!(began.elapsed() < PATIENCE, "the index was not built in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "{} messages, {expected} parts built in {:.1} s; CPU s: mongod {:.1}, archiver {:.1}",
        arguments.messages,
        began.elapsed().as_secs_f64(),
        process::processor(mongod)? - before,
        process::processor(own)? - own_before,
    );
    println!("bytes a message: {}", sizes(&database, arguments.messages).await?);
    println!("| text | order | found on the first page | ms | CPU ms of mongod | requests |");
    println!("|---|---|---|---|---|---|");
    for text in SEARCHES.into_iter().chain(arguments.text.iter().map(String::as_str)) {
        for order in ["asc", "desc"] {
            let (mut took, mut worked, mut answer) = (Vec::new(), Vec::new(), (0, 0));
            for _ in 0..arguments.runs {
                let (before, began) = (process::processor(mongod)?, Instant::now());
                answer = search(servers.port, text, order).await?;
                took.push(1e3 * began.elapsed().as_secs_f64());
                worked.push(1e3 * (process::processor(mongod)? - before));
            }
            let (found, requests) = answer;
            println!("| {text} | {order} | {found} | {:.1} | {:.0} | {requests} |", median(took), median(worked));
        }
    }
    Ok(())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

async fn fill(collection: &Collection<Document>, arguments: &Arguments) -> anyhow::Result<()> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/evening.ndjson");
    let path = arguments.texts.as_ref().unwrap_or(&sample);
    let lines = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let texts: Vec<String> = lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            anyhow::Ok(line["text"].as_str().context("a line has no text")?.to_owned())
        })
        .collect::<Result<_, _>>()?;
    anyhow::ensure!(!texts.is_empty(), "{} has no text", path.display());
    let needle = |number: usize| NEEDLES.iter().find(|(_, place)| place * arguments.messages / 1_000 == number);
    let documents = (0..arguments.messages).map(|number| {
        let text = match needle(number) {
            Some((text, _)) => format!("{text} {number}"),
            // The second time in another order.
            None => texts[(number + number / texts.len() * 7_919) % texts.len()].clone(),
        };
        let user = 1 + (number * 7_919 % 50_000) as i64;
        doc! {
            "_id": EventId::new().to_string(), "presenterIdx": ROOM, "userIdx": user,
            "nickname": format!("시청자{user}"), "role": "viewer", "folded": folded(&text), "message": text,
            "textIndex": 1, "sentAt": DateTime::from_millis(BEGIN_MS - 30 * 86_400_000 + 14 * number as i64),
            "position": { "epoch": BEGIN_MS * 1_000_000, "sequence": 1 + (number / 20) as i64, "index": (number % 20) as i64 },
            "flags": [],
        }
    });
    let chunks = stream::iter(documents).chunks(1_000).map(|chunk| async move {
        collection.insert_many(chunk).ordered(false).await?;
        anyhow::Ok(())
    });
    chunks.buffer_unordered(3).try_collect().await
}

/// Of the text index, and of the index of texts that searches read without it.
async fn sizes(database: &Database, messages: usize) -> anyhow::Result<String> {
    database.run_command(doc! { "fsync": 1 }).await.ok();
    let number = |bson: Option<&Bson>| match bson {
        Some(Bson::Int32(number)) => f64::from(*number),
        Some(Bson::Int64(number)) => *number as f64,
        Some(Bson::Double(number)) => *number,
        _ => 0.0,
    };
    let mut sizes = Vec::new();
    for name in ["chatting_log", "text_index", "text_index_parts"] {
        let stats = database.run_command(doc! { "collStats": name }).await?;
        let of = |member: &str| number(stats.get(member)) / messages as f64;
        sizes.push(format!("{name} {:.1} + {:.1} of indexes", of("storageSize"), of("totalIndexSize")));
        if let Ok(indexes) = stats.get_document("indexSizes") {
            sizes.extend(
                indexes.get("room_text").map(|size| format!("room_text {:.1}", number(Some(size)) / messages as f64)),
            );
        }
    }
    Ok(sizes.join(", "))
}

/// Searches until there is a match, or no more messages. Returns the matches of the last page, and the requests.
async fn search(port: u16, text: &str, order: &str) -> anyhow::Result<(usize, usize)> {
    let identity = web::auth::Identity {
        user_idx: 1,
        nickname: String::new(),
        email: String::new(),
        scopes: vec!["chat:read".to_owned()],
        attributes: None,
        emotes: None,
    };
    let token = web::auth::mint(&Secret::from(SECRET.to_owned()), &identity, Duration::from_secs(3_600));
    let mut connection = connect(port).await?;
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut after = String::new();
    for requests in 1.. {
        let path = format!("/v1/rooms/{ROOM}/messages?text={encoded}&order={order}&first=50{after}");
        let request = hyper::Request::get(&path).header("host", "bench").header("token", &token);
        // It may still be busy with the end of the last answer.
        connection.ready().await?;
        let response = connection.send_request(request.body(Full::new(Bytes::new()))?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status == 200, "{path} answered {status}: {}", String::from_utf8_lossy(&body));
        let page: Value = serde_json::from_slice(&body)?;
        let found = page["messages"].as_array().map_or(0, Vec::len);
        match page["next"].as_str() {
            Some(next) if found == 0 => after = format!("&after={next}"),
            _ => return Ok((found, requests)),
        }
    }
    unreachable!("every page is nearer to the end")
}
