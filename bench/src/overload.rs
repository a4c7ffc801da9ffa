//! Overload: more posts than ingest can take. Measures the accepted posts, the refused ones, and ingest's memory.
//!
//! A closed loop first finds the capacity. Then a multiple of it is sent on schedule, over as many connections as that
//! takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::connection;
use crate::system::System;

/// The posters of the closed loop.
const POSTERS: u64 = 64;

/// The maximum of concurrent connections. A post without a free connection is not sent, but counted.
const CONNECTIONS: usize = 4_000;

/// Enough users that none exceeds a rate limit.
const USERS: i64 = 500;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Seconds of overload
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The offered load as a multiple of the capacity
    #[arg(long, default_value_t = 3.0)]
    times: f64,
    /// The offered load in posts per second, instead of the multiple
    #[arg(long)]
    offer: Option<f64>,
}

#[derive(Default)]
struct Outcomes {
    accepted: Vec<Duration>,
    refused: Vec<Duration>,
    other: usize,
    unsent: usize,
}

type Connections = Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>;

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let system = System::start(1, false).await?;
    let duration = Duration::from_secs(arguments.seconds);
    let capacity = capacity(&system, duration.min(Duration::from_secs(5))).await?;
    let before = system.ingest_memory()?;
    let offered = arguments.offer.unwrap_or(capacity * arguments.times);
    let (mut peak, began) = (before, Instant::now());
    let offering = offer(&system, offered, duration);
    tokio::pin!(offering);
    let outcomes = loop {
        tokio::select! {
            outcomes = &mut offering => break outcomes?,
            () = tokio::time::sleep(Duration::from_millis(200)) => peak = peak.max(system.ingest_memory()?),
        }
    };
    let took = began.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let after = system.ingest_memory()?;
    println!("capacity {capacity:.0} posts/s, offered {offered:.0} posts/s for {} s", arguments.seconds);
    println!("| | posts/s | p50 / p99 / max ms |\n|---|---|---|");
    for (name, latencies) in [("accepted", &outcomes.accepted), ("refused", &outcomes.refused)] {
        let mut histogram = Histogram::<u64>::new(3)?;
        latencies.iter().try_for_each(|latency| histogram.record(latency.as_micros() as u64 + 1))?;
        let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        let (rate, p50, p99, most) = (latencies.len() as f64 / took, ms(0.5), ms(0.99), ms(1.0));
        println!("| {name} | {rate:.0} | {p50:.0} / {p99:.0} / {most:.0} |");
    }
    let mb = |bytes: u64| bytes / 1_000_000;
    println!("other answers {}, not sent {}", outcomes.other, outcomes.unsent);
    println!("memory of ingest: {} MB before, {} MB peak, {} MB 15 s after", mb(before), mb(peak), mb(after));
    Ok(())
}

/// The posts per second that a closed loop reaches.
async fn capacity(system: &System, duration: Duration) -> anyhow::Result<f64> {
    let connections = Connections::default();
    let (began, port) = (Instant::now(), system.ingest);
    let posters = (0..POSTERS).map(async |poster| {
        let token = system.token(1 + poster as i64);
        let mut accepted = 0;
        while began.elapsed() < duration {
            let (status, _) = post(port, &connections, &token, poster).await?;
            accepted += usize::from(status == 200);
        }
        anyhow::Ok(accepted)
    });
    let accepted: usize = futures_util::future::try_join_all(posters).await?.into_iter().sum();
    Ok(accepted as f64 / began.elapsed().as_secs_f64())
}

async fn offer(system: &System, rate: f64, duration: Duration) -> anyhow::Result<Outcomes> {
    let tokens: Arc<Vec<String>> = Arc::new((1..=USERS).map(|user| system.token(1_000 + user)).collect());
    let (connections, room) = (Connections::default(), Arc::new(Semaphore::new(CONNECTIONS)));
    let (began, port) = (Instant::now(), system.ingest);
    let (mut posts, mut outcomes) = (JoinSet::new(), Outcomes::default());
    let take = |outcomes: &mut Outcomes, post: Option<(u16, Duration)>| match post {
        Some((200, took)) => outcomes.accepted.push(took),
        Some((503, took)) => outcomes.refused.push(took),
        _ => outcomes.other += 1,
    };
    for number in 0_u64.. {
        let due = began + Duration::from_secs_f64(number as f64 / rate);
        if due >= began + duration {
            break;
        }
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let Ok(permit) = room.clone().try_acquire_owned() else {
            outcomes.unsent += 1;
            continue;
        };
        let (connections, tokens) = (connections.clone(), tokens.clone());
        posts.spawn(async move {
            let _permit = permit;
            post(port, &connections, &tokens[number as usize % tokens.len()], number).await.ok()
        });
        while let Some(post) = posts.try_join_next() {
            take(&mut outcomes, post?);
        }
    }
    while let Some(post) = posts.join_next().await {
        take(&mut outcomes, post?);
    }
    Ok(outcomes)
}

/// The status, and the latency since the post was sent: delays of this process do not count.
async fn post(port: u16, connections: &Connections, token: &str, number: u64) -> anyhow::Result<(u16, Duration)> {
    let idle = connections.lock().await.pop();
    let mut connection = match idle {
        Some(connection) => connection,
        None => connection::connect(port).await?,
    };
    connection.ready().await?;
    let text = format!("{number} {}", "x".repeat(190));
    let body = serde_json::json!({ "presenterIdx": number % 20 + 1, "userType": "viewer", "textMessage": text });
    let request = hyper::Request::post("/send/message")
        .header("host", "bench")
        .header("content-type", "application/json")
        .header("token", token)
        .body(Full::new(Bytes::from(body.to_string())))?;
    let sent = Instant::now();
    let response = connection.send_request(request).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    let took = sent.elapsed();
    if !connection.is_closed() {
        connections.lock().await.push(connection);
    }
    Ok((status, took))
}
