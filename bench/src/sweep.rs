//! The latency of dry runs of sweeps by the number of messages that they read: over HTTP from a real ingest node, of a
//! room whose last minutes are all in the log. It checks what each answer counts.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{Body, Event, MessagePosted, PresenterIdx, Role, User, UserIdx};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use nats::Log;
use serde_json::{Value, json};

use crate::connection::connect;
use crate::system::System;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Numbers of messages in the room, in order
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000])]
    messages: Vec<usize>,
    /// Repetitions of each request, 30 for all of them together in a minute. The median is shown
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

const ROOM: i64 = 42;

/// Every fourth message is one of the raid.
const EACH: usize = 4;

/// The users of the room.
const USERS: usize = 900;

/// Concurrent appends.
const APPENDS: usize = 4_000;

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let system = System::start(0, false).await?;
    let mut config = chatting_server::config::Config::load(None)?;
    config.nats.urls = vec![system.nats.clone().into()];
    let log = Log::connect(&config.nats, "bench").await?;
    println!("| messages | equal texts: ms | similar texts: ms | new accounts: ms |\n|---|---|---|---|");
    let mut written = 0;
    for size in arguments.messages.iter().copied() {
        let appends = (written..size).map(|number| {
            let log = &log;
            async move { log.append(&message(number)?).await.context("cannot append").map(drop) }
        });
        stream::iter(appends).buffered(APPENDS).try_collect::<()>().await?;
        written = size;
        let raid = size.div_ceil(EACH);
        let mut row = format!("| {size} ");
        for (rule, expected) in [
            (json!({ "texts": ["come to my room"] }), 0),
            (json!({ "texts": ["come to my room"], "similarity": 0.8 }), raid),
            (json!({ "firstSeenSeconds": 3_600 }), size),
        ] {
            let mut times = Vec::with_capacity(arguments.runs);
            for _ in 0..arguments.runs.max(1) {
                times.push(dry_run(&system, &rule, expected).await?);
            }
            times.sort_unstable();
            row += &format!("| {:.0} ", times[times.len() / 2].as_secs_f64() * 1_000.0);
        }
        println!("{row}|");
    }
    Ok(())
}

async fn dry_run(system: &System, rule: &Value, expected: usize) -> anyhow::Result<Duration> {
    let body = json!({ "rule": rule, "secondsBack": 3_600, "dryRun": true }).to_string();
    let request = hyper::Request::post(format!("/v1/rooms/{ROOM}/sweeps"))
        .header("host", "bench")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", system.token(ROOM)));
    let mut connection = connect(system.ingest).await?;
    let asked = Instant::now();
    let response = connection.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let answer = response.into_body().collect().await?.to_bytes();
    let took = asked.elapsed();
    let answer: Value = serde_json::from_slice(&answer)?;
    anyhow::ensure!(answer["messages"] == expected && answer["complete"] == true, "not {expected} of {rule}: {answer}");
    Ok(took)
}

fn message(number: usize) -> anyhow::Result<Event> {
    let text = if number.is_multiple_of(EACH) { format!("Come to MY room {number}") } else { format!("goal {number}") };
    let idx = UserIdx::try_from(1_000 + i64::try_from(number % USERS)?)?;
    let user = User { idx, nickname: "viewer".to_owned(), role: Role::Viewer };
    Ok(Event::now(PresenterIdx::try_from(ROOM)?, Body::MessagePosted(MessagePosted::new(user, text))))
}
