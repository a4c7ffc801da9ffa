//! One run of a load against one target, in one thread: it must cost less than what it measures.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

use super::poster::{Poster, Turn};
use super::target::Target;
use super::viewer::Viewer;
use crate::load::Pace;
use crate::system::System;
use crate::texts::texts;

/// Bytes of a text, its tag included.
const TEXT_BYTES: usize = 200;

/// The connections of an open loop. Each carries one post at a time.
const OPEN_POSTERS: usize = 128;

/// Requests that each poster has ready.
const REQUESTS: usize = 8;

/// How long to wait for the last messages after the last post.
const LAST_MESSAGES: Duration = Duration::from_secs(10);

/// How long the sockets of a target without a welcome get to find their place.
const SETTLE: Duration = Duration::from_millis(300);

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Different for each run.
    pub(super) run: u64,
    pub(super) pace: Pace,
    pub(super) rooms: usize,
    pub(super) duration: Duration,
}

/// What a run found.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// Messages a second, until the last one was answered.
    pub(super) rate: f64,
    /// Microseconds from the moment at which a post was due to its answer: p50 and p99.
    pub(super) answered: (u64, u64),
    /// The same to its arrival at the socket. None: nothing comes out of this target.
    pub(super) arrived: Option<(u64, u64)>,
    /// Messages that were answered, and are lost, doubled or out of order.
    pub(super) wrong: u64,
    /// CPU microseconds a message, by process; the generator's own is `generator`.
    pub(super) processor: Vec<(&'static str, f64)>,
    /// Resident bytes of the target's processes at the end.
    pub(super) memory: u64,
}

/// Runs it in a thread of its own.
pub(super) async fn run(target: &Arc<Target>, system: &System, load: Load) -> anyhow::Result<Outcome> {
    let sockets: Vec<_> = (1..=load.rooms).map_while(|room| target.socket(system, room)).collect();
    let texts = texts(TEXT_BYTES - super::wire::Tag::BYTES - 1)?;
    let mut requests = Vec::new();
    for poster in 0..posters(load.pace) {
        let mut own = Vec::new();
        for number in 0..REQUESTS {
            let text = &texts[(poster * REQUESTS + number) % texts.len()];
            own.push(target.request(system, poster % load.rooms + 1, 1_000_000 + poster as i64, text)?);
        }
        requests.push(own);
    }
    let target = Arc::clone(target);
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, generate(target, sockets, requests, load))
    })
    .await?
}

fn posters(pace: Pace) -> usize {
    match pace {
        Pace::Closed(posters) => posters,
        Pace::Open(_) => OPEN_POSTERS,
    }
}

type Socket = (u16, String, Option<Vec<u8>>);

async fn generate(
    target: Arc<Target>,
    sockets: Vec<Socket>,
    requests: Vec<Vec<(Vec<u8>, usize)>>,
    load: Load,
) -> anyhow::Result<Outcome> {
    let (start, arrived, stop) = (Instant::now(), Rc::new(Cell::new(0)), CancellationToken::new());
    let has_sockets = !sockets.is_empty();
    let mut watching = JoinSet::new();
    for (port, handshake, first) in sockets {
        let mut viewer = Viewer::connect(port, &handshake, first.as_deref()).await?;
        if target.welcomes() {
            viewer.welcomed().await?;
        }
        watching.spawn_local(viewer.watch((start, load.run), Rc::clone(&arrived), stop.clone()));
    }
    tokio::time::sleep(SETTLE).await;
    let mut connected = Vec::new();
    for (number, requests) in requests.into_iter().enumerate() {
        let stream = TcpStream::connect(("127.0.0.1", target.port())).await?;
        stream.set_nodelay(true)?;
        connected.push(Poster { number: number as u64, stream, requests });
    }

    let (before, own_before) = (target.processor()?, own_processor()?);
    let began = Instant::now();
    let turn = match load.pace {
        Pace::Closed(_) => Turn::AtOnce(began + load.duration),
        Pace::Open(rate) => {
            let (due, turns) = mpsc::unbounded_channel();
            std::thread::spawn(move || clock(rate, began, load.duration, due));
            Turn::Due(Rc::new(Mutex::new(turns)))
        }
    };
    let mut posting = JoinSet::new();
    for poster in connected {
        posting.spawn_local(poster.post(Arc::clone(&target), (start, load.run), turn.clone()));
    }
    let (mut answered, mut accepted, mut of) = (Histogram::<u64>::new(3)?, 0, HashMap::new());
    while let Some(posted) = posting.join_next().await {
        let posted = posted??;
        answered.add(&posted.latency)?;
        accepted += posted.accepted;
        of.insert(posted.poster, posted.accepted);
    }
    let took = began.elapsed();
    let patience = Instant::now() + LAST_MESSAGES;
    while has_sockets && arrived.get() < accepted && Instant::now() < patience && !watching.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (after, own_after) = (target.processor()?, own_processor()?);
    let memory = target.memory()?;
    stop.cancel();
    let (mut latency, mut wrong) = (Histogram::<u64>::new(3)?, 0);
    while let Some(seen) = watching.join_next().await {
        let seen = seen??;
        latency.add(&seen.latency)?;
        wrong += seen.wrong;
        for (poster, last) in seen.last {
            let of = of.get_mut(&poster).context("a message of nobody came out")?;
            *of = of.abs_diff(last);
        }
    }
    // What is left of each poster's count did not come out, or came out twice.
    wrong += if has_sockets { of.values().sum::<u64>() } else { 0 };
    let a_message = |seconds: f64| seconds * 1_000_000.0 / accepted.max(1) as f64;
    let mut processor: Vec<_> =
        before.iter().zip(after).map(|((name, before), (_, after))| (*name, a_message(after - before))).collect();
    processor.push(("generator", a_message(own_after - own_before)));
    let quantiles = |of: &Histogram<u64>| (of.value_at_quantile(0.5), of.value_at_quantile(0.99));
    Ok(Outcome {
        rate: accepted as f64 / took.as_secs_f64(),
        answered: quantiles(&answered),
        arrived: has_sockets.then(|| quantiles(&latency)),
        wrong,
        processor,
        memory,
    })
}

/// Says when posts are due, to within some 60 µs, from a thread of its own: tokio's timers round up to a millisecond.
fn clock(rate: u64, began: Instant, duration: Duration, due: mpsc::UnboundedSender<Instant>) {
    let (interval, until) = (Duration::from_secs(1).div_f64(rate as f64), began + duration);
    let mut next = began;
    while next < until {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        while next <= Instant::now() {
            // Posters that have failed tell it themselves.
            let _ = due.send(next);
            next += interval;
        }
    }
}

/// CPU seconds of this thread.
fn own_processor() -> anyhow::Result<f64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(Duration::from(now).as_secs_f64())
}
