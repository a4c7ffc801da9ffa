//! Generates posts, in a closed loop (each poster waits for its answer) or in an open one (posts are sent on schedule
//! whatever the answers do, so that a stall shows in the latency of every post that it delays).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::screen::Screen;
use crate::system::System;

/// How long to wait for the last messages after the last post.
const LAST_MESSAGES: Duration = Duration::from_secs(10);

/// The connections of an open loop. Each carries one post at a time.
const OPEN_POSTERS: usize = 128;

/// 200 bytes of text, as in the other measurements of this project.
const TEXT_BYTES: usize = 200;

/// How posts are generated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// This many posters. Each posts again as soon as it has its answer.
    Closed(usize),
    /// This many posts per second.
    Open(u64),
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pace::Closed(posters) => write!(f, "{posters} posters, closed loop"),
            Pace::Open(rate) => write!(f, "{rate} posts/s offered"),
        }
    }
}

/// One run.
pub(crate) struct Load {
    pub(crate) pace: Pace,
    pub(crate) rooms: usize,
    pub(crate) duration: Duration,
}

/// The result of a run.
pub(crate) struct Result {
    pub(crate) posts_a_second: f64,
    ack: Histogram<u64>,
    socket: Histogram<u64>,
    /// Accepted messages that were lost, repeated or out of order.
    pub(crate) wrong: usize,
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        write!(
            f,
            "{:.0} | {:.2} / {:.2} | {:.2} / {:.2}",
            self.posts_a_second,
            ms(&self.ack, 0.5),
            ms(&self.ack, 0.99),
            ms(&self.socket, 0.5),
            ms(&self.socket, 0.99),
        )
    }
}

impl Load {
    pub(crate) async fn run(&self, system: &System) -> anyhow::Result<Result> {
        let (start, arrived) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let mut screens = Vec::new();
        for room in 1..=self.rooms {
            screens.push(Screen::open(system, room as i64, start, Arc::clone(&arrived)).await?);
        }
        let (posters, gap) = match self.pace {
            Pace::Closed(posters) => (posters, None),
            Pace::Open(rate) => (OPEN_POSTERS, Some(Duration::from_secs(OPEN_POSTERS as u64).div_f64(rate as f64))),
        };
        let began = Instant::now();
        let until = began + self.duration;
        let mut running = JoinSet::new();
        for number in 0..posters {
            let offset = gap.map(|gap| gap.mul_f64(number as f64 / posters as f64)).unwrap_or_default();
            let poster = Poster {
                connection: connect(system.ingest).await?,
                number,
                room: number % self.rooms + 1,
                token: system.token(1_000_000 + number as i64),
                start,
            };
            running.spawn(poster.post(began + offset, gap, until));
        }
        let (mut ack, mut posted) = (Histogram::new(3)?, 0);
        while let Some(poster) = running.join_next().await {
            let latencies = poster??;
            posted += latencies.len() as usize;
            ack.add(latencies)?;
        }
        let took = began.elapsed();
        let patience = Instant::now() + LAST_MESSAGES;
        while arrived.load(Ordering::Relaxed) < posted && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (mut socket, mut wrong) = (Histogram::new(3)?, 0);
        for screen in screens {
            let seen = screen.close().await?;
            socket.add(seen.latency)?;
            wrong += seen.wrong;
        }
        wrong += posted.abs_diff(arrived.load(Ordering::Relaxed));
        Ok(Result { posts_a_second: posted as f64 / took.as_secs_f64(), ack, socket, wrong })
    }
}

struct Poster {
    connection: SendRequest<Full<Bytes>>,
    number: usize,
    room: usize,
    token: String,
    start: Instant,
}

impl Poster {
    /// Posts until the end of the run. Returns each post's latency in microseconds.
    async fn post(mut self, first: Instant, gap: Option<Duration>, until: Instant) -> anyhow::Result<Histogram<u64>> {
        let mut latencies = Histogram::new(3)?;
        let mut due = first;
        for count in 0_u64.. {
            if gap.is_some() {
                tokio::time::sleep_until(due.into()).await;
            } else {
                due = Instant::now();
            }
            if due >= until {
                break;
            }
            let nanos = (due - self.start).as_nanos();
            let text = format!("{} {count} {nanos} ", self.number);
            let text = format!("{text:x<TEXT_BYTES$}");
            let body = serde_json::json!({ "presenterIdx": self.room, "userType": "viewer", "textMessage": text });
            let request = hyper::Request::post("/send/message")
                .header("host", "bench")
                .header("content-type", "application/json")
                .header("token", &self.token)
                .body(Full::new(Bytes::from(body.to_string())))?;
            let response = self.connection.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::ensure!(status == 200, "a post got {status}: {}", String::from_utf8_lossy(&body));
            // Measured from its scheduled time: waiting for an earlier answer counts.
            latencies.record((due.elapsed().as_micros() as u64).max(1))?;
            if let Some(gap) = gap {
                due += gap;
            }
        }
        Ok(latencies)
    }
}

pub(crate) async fn connect(port: u16) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream =
        TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("cannot connect to port {port}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
