//! Uninvolved clients: users who post at a steady rate and retry refused posts as the documentation says, and the
//! orchestrator's health probes, each on a new connection.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use crate::attacks::world::token;
use crate::connection;

/// The number of users. At 50 posts per second each posts every 2 s; the rate limit of a viewer is one in 1.5 s.
const USERS: u64 = 100;

/// The number of their rooms.
const ROOMS: u64 = 5;

/// The deadline of one attempt of a post, and of one probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before a retry under the same key.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// A post that is not accepted within this time counts as refused.
const GIVE_UP: Duration = Duration::from_secs(30);

/// The pause between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// Latencies in microseconds.
pub(super) struct Times {
    histogram: Histogram<u64>,
    /// The number of unanswered requests.
    pub(super) failed: usize,
}

impl Times {
    fn new() -> anyhow::Result<Times> {
        Ok(Times { histogram: Histogram::new(3)?, failed: 0 })
    }

    fn record(&mut self, took: Duration) -> anyhow::Result<()> {
        Ok(self.histogram.record((took.as_micros() as u64).max(1))?)
    }

    fn ms(&self, quantile: f64) -> f64 {
        self.histogram.value_at_quantile(quantile) as f64 / 1_000.0
    }

    pub(super) fn p50(&self) -> f64 {
        self.ms(0.5)
    }

    pub(super) fn p99(&self) -> f64 {
        self.ms(0.99)
    }

    pub(super) fn most(&self) -> f64 {
        self.ms(1.0)
    }
}

/// The outcome of all posts.
pub(super) struct Posts {
    /// From the time a post was due until an attempt was accepted: before the attack, and during it.
    pub(super) quiet: Times,
    pub(super) attack: Times,
    /// The ids of accepted posts.
    pub(super) accepted: Vec<String>,
    /// Posts that took more than one attempt.
    pub(super) retried: usize,
    /// Posts that were never accepted.
    pub(super) refused: usize,
}

/// The posting users.
pub(super) struct Posters(JoinSet<anyhow::Result<Vec<Post>>>, Instant);

/// One post.
struct Post {
    due: Instant,
    tries: usize,
    /// The id, and the time of the answer.
    accepted: Option<(String, Instant)>,
}

impl Posters {
    pub(super) fn start(port: u16, rate: u64, attack_at: Instant, until: Instant) -> Posters {
        let gap = Duration::from_secs(USERS).div_f64(rate as f64);
        let (mut posters, began) = (JoinSet::new(), Instant::now());
        for number in 0..USERS {
            let first = began + gap.mul_f64(number as f64 / USERS as f64);
            posters.spawn(Poster::new(port, number).post(first, gap, until));
        }
        Posters(posters, attack_at)
    }

    pub(super) async fn finish(mut self) -> anyhow::Result<Posts> {
        let mut posts =
            Posts { quiet: Times::new()?, attack: Times::new()?, accepted: Vec::new(), retried: 0, refused: 0 };
        while let Some(poster) = self.0.join_next().await {
            for post in poster?? {
                posts.retried += usize::from(post.tries > 1);
                let times = if post.due < self.1 { &mut posts.quiet } else { &mut posts.attack };
                // A post that was given up took at least this long.
                let end = post.accepted.as_ref().map_or(post.due + GIVE_UP, |(_, at)| *at);
                times.record(end - post.due)?;
                match post.accepted {
                    Some((id, _)) => posts.accepted.push(id),
                    None => posts.refused += 1,
                }
            }
        }
        Ok(posts)
    }
}

struct Poster {
    port: u16,
    user: u64,
    room: u64,
    token: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Poster {
    fn new(port: u16, number: u64) -> Poster {
        let user = 1_000_000 + number;
        Poster { port, user, room: number % ROOMS + 1, token: token(user as i64), connection: None }
    }

    async fn post(mut self, first: Instant, gap: Duration, until: Instant) -> anyhow::Result<Vec<Post>> {
        let (mut posts, mut due) = (Vec::new(), first);
        while due < until {
            tokio::time::sleep_until(due.into()).await;
            let mut post = Post { due, tries: 0, accepted: None };
            let key = format!("{}-{}", self.user, posts.len());
            while post.accepted.is_none() && due.elapsed() < GIVE_UP {
                if post.tries > 0 {
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                post.tries += 1;
                match tokio::time::timeout(PATIENCE, self.attempt(&key)).await {
                    Ok(Ok(id)) => post.accepted = id.map(|id| (id, Instant::now())),
                    // The connection is closed or silent.
                    Ok(Err(_)) | Err(_) => self.connection = None,
                }
            }
            posts.push(post);
            due += gap;
        }
        Ok(posts)
    }

    /// The id. None: refused.
    async fn attempt(&mut self, key: &str) -> anyhow::Result<Option<String>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connection::connect(self.port).await?),
        };
        connection.ready().await?;
        let text = format!("{key} is what somebody says who has nothing to do with any attack");
        let request = hyper::Request::post(format!("/v1/rooms/{}/messages", self.room))
            .header("host", "bench")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token))
            .header("idempotency-key", key)
            .body(Full::new(Bytes::from(serde_json::json!({ "text": text }).to_string())))?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != 202 {
            return Ok(None);
        }
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(Some(body["id"].as_str().context("an accepted post has no id")?.to_owned()))
    }
}

/// Health probes of one listener.
pub(super) struct Probes(JoinHandle<anyhow::Result<Times>>);

impl Probes {
    /// Probes before the attack are not counted.
    pub(super) fn start(port: u16, attack_at: Instant, until: Instant) -> Probes {
        Probes(tokio::spawn(async move {
            let (mut probes, mut due) = (JoinSet::new(), Instant::now());
            while due < until {
                tokio::time::sleep_until(due.into()).await;
                // No probe waits for the previous one.
                probes.spawn(async move { (due, tokio::time::timeout(PATIENCE, probe(port)).await) });
                due += PROBE_EVERY;
            }
            let mut times = Times::new()?;
            while let Some(probe) = probes.join_next().await {
                match probe? {
                    (due, _) if due < attack_at => {}
                    (_, Ok(Ok(took))) => times.record(took)?,
                    (_, Ok(Err(_)) | Err(_)) => times.failed += 1,
                }
            }
            Ok(times)
        }))
    }

    pub(super) async fn finish(self) -> anyhow::Result<Times> {
        self.0.await?
    }
}

/// The latency of `/livez`, including the connection.
async fn probe(port: u16) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    Ok(began.elapsed())
}
