//! Generates posts, in a closed loop (each poster waits for its answer) or in an open one (posts are due on schedule
//! whatever the answers do, so that a stall shows in the latency of every post that it delays). A run is a load against
//! one target. The generator is one thread, because it must cost less than what it measures.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

use crate::process;
use crate::process::Spent;
use crate::system::System;
use crate::texts::texts;
use poster::{Poster, Turn};
pub(crate) use target::{Nginx, Target};
use viewer::Viewer;

mod poster;
mod target;
mod viewer;
pub(crate) mod wire;

/// Bytes of a text, including its tag: as in the other measurements of this project.
pub(crate) const TEXT_BYTES: usize = 200;

/// The connections of an open loop. Each carries one post at a time.
const OPEN_POSTERS: usize = 128;

/// Requests that each poster has ready.
const REQUESTS: usize = 8;

/// How long to wait for the last messages after the last post.
const LAST_MESSAGES: Duration = Duration::from_secs(10);

/// How long the sockets of a target without a welcome get to connect.
const SETTLE: Duration = Duration::from_millis(300);

/// How posts are generated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// This many posters. Each posts again as soon as it has its answer.
    Closed(usize),
    /// This many posts per second.
    Open(u64),
}

impl Pace {
    /// The measured loads, in order.
    pub(crate) const ALL: [Pace; 5] =
        [Pace::Closed(64), Pace::Closed(256), Pace::Open(2_000), Pace::Open(5_000), Pace::Open(10_000)];
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pace::Closed(posters) => write!(f, "{posters} posters, closed loop"),
            Pace::Open(rate) => write!(f, "{rate} posts/s offered"),
        }
    }
}

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Different for each run.
    pub(crate) run: u64,
    pub(crate) pace: Pace,
    pub(crate) rooms: usize,
    /// The rooms that have a socket: the first ones.
    pub(crate) sockets: usize,
    /// Each poster posts to several rooms in turn, so that there can be more rooms than posters.
    pub(crate) is_spread: bool,
    /// Bytes of a text, including its tag.
    pub(crate) text_bytes: usize,
    pub(crate) duration: Duration,
}

impl Load {
    /// Each room has a socket, and each poster a room.
    pub(crate) fn new(run: u64, pace: Pace, rooms: usize, duration: Duration) -> Load {
        Load { run, pace, rooms, sockets: rooms, is_spread: false, text_bytes: TEXT_BYTES, duration }
    }

    /// Whether the room of these messages has a socket.
    fn is_watched(&self, sequence: u64) -> bool {
        sequence as usize % self.rooms < self.sockets
    }
}

/// The result of a run.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Accepted messages.
    pub(crate) messages: u64,
    /// Messages per second, until the last answer.
    pub(crate) rate: f64,
    /// Microseconds from the time at which a post was due to its answer: p50 and p99.
    pub(crate) answered: (u64, u64),
    /// The same until it arrives at the socket. None: the target has no sockets.
    pub(crate) arrived: Option<(u64, u64)>,
    /// Accepted messages that were lost, repeated or out of order.
    pub(crate) wrong: u64,
    /// What each process spent. `generator` is this program.
    pub(crate) costs: Vec<Cost>,
    /// Resident bytes of the target's processes at the end of the run.
    pub(crate) memory: u64,
}

/// What a process spent on a message.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    /// CPU microseconds outside the kernel.
    pub(crate) user: f64,
    /// CPU microseconds inside the kernel.
    pub(crate) kernel: f64,
    /// Context switches.
    pub(crate) switches: f64,
}

/// Runs the load in a thread of its own.
pub(crate) async fn run(target: &Arc<Target>, system: &System, load: Load) -> anyhow::Result<Outcome> {
    let sockets: Vec<_> = (1..=load.rooms.min(load.sockets)).map_while(|room| target.socket(system, room)).collect();
    let texts = texts(load.text_bytes - wire::Tag::BYTES - 1)?;
    let mut requests = Vec::new();
    let posters = posters(load.pace);
    let each = if load.is_spread { load.rooms.div_ceil(posters) } else { REQUESTS };
    for poster in 0..posters {
        let (user, mut own) = (1_000_000 + poster as i64, Vec::with_capacity(each));
        let token = system.token(user);
        for number in 0..each {
            let text = &texts[(poster * each + number) % texts.len()];
            let room = if load.is_spread { poster + number * posters } else { poster } % load.rooms + 1;
            own.push(target.request(&token, room, text)?);
        }
        requests.push(own);
    }
    run_with(target, sockets, requests, load, Instant::now()).await
}

/// Runs the load with these sockets, and posters with these requests. `start` is the time that tags count from.
pub(crate) async fn run_with(
    target: &Arc<Target>,
    sockets: Vec<Socket>,
    requests: Vec<Vec<Request>>,
    load: Load,
    start: Instant,
) -> anyhow::Result<Outcome> {
    let target = Arc::clone(target);
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, generate(target, sockets, requests, load, start))
    })
    .await?
}

fn posters(pace: Pace) -> usize {
    match pace {
        Pace::Closed(posters) => posters,
        Pace::Open(_) => OPEN_POSTERS,
    }
}

/// The port of a socket, its handshake, and the frame to send after it.
pub(crate) type Socket = (u16, String, Option<Vec<u8>>);

/// A post, and the offset of its tag.
pub(crate) type Request = (Vec<u8>, usize);

async fn generate(
    target: Arc<Target>,
    sockets: Vec<Socket>,
    requests: Vec<Vec<Request>>,
    load: Load,
    start: Instant,
) -> anyhow::Result<Outcome> {
    let (arrived, stop) = (Rc::new(Cell::new(0)), CancellationToken::new());
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
    let stride = load.is_spread.then_some(requests.len() as u64);
    for (number, requests) in requests.into_iter().enumerate() {
        let stream = TcpStream::connect(("127.0.0.1", target.port())).await?;
        stream.set_nodelay(true)?;
        connected.push(Poster { number: number as u64, stride, stream, requests });
    }

    let before = spent(&target)?;
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
        of.extend(posted.sequences().filter(|(sequence, _)| load.is_watched(*sequence)));
    }
    let took = began.elapsed();
    let (patience, awaited) = (Instant::now() + LAST_MESSAGES, of.values().sum());
    while has_sockets && arrived.get() < awaited && Instant::now() < patience && !watching.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let after = spent(&target)?;
    let memory = target.memory()?;
    stop.cancel();
    let (mut latency, mut wrong) = (Histogram::<u64>::new(3)?, 0);
    while let Some(seen) = watching.join_next().await {
        let seen = seen??;
        latency.add(&seen.latency)?;
        wrong += seen.wrong;
        for (sequence, last) in seen.last {
            let of = of.get_mut(&sequence).context("a message of an unknown poster arrived")?;
            *of = of.abs_diff(last);
        }
    }
    // The rest of each count did not arrive, or arrived twice.
    wrong += if has_sockets { of.values().sum::<u64>() } else { 0 };
    let messages = accepted.max(1) as f64;
    let micros = |seconds: f64| seconds * 1_000_000.0 / messages;
    let costs = before.iter().zip(after).map(|((name, before), (_, after))| Cost {
        name,
        user: micros(after.user - before.user),
        kernel: micros(after.kernel - before.kernel),
        // Threads that ended meanwhile took their count with them.
        switches: after.switches.saturating_sub(before.switches) as f64 / messages,
    });
    let quantiles = |of: &Histogram<u64>| (of.value_at_quantile(0.5), of.value_at_quantile(0.99));
    Ok(Outcome {
        messages: accepted,
        rate: accepted as f64 / took.as_secs_f64(),
        answered: quantiles(&answered),
        arrived: has_sockets.then(|| quantiles(&latency)),
        wrong,
        costs: costs.collect(),
        memory,
    })
}

/// Announces when posts are due, within about 60 µs. It is a thread, because tokio's timers round up to a millisecond.
fn clock(rate: u64, began: Instant, duration: Duration, due: mpsc::UnboundedSender<Instant>) {
    let (interval, until) = (Duration::from_secs(1).div_f64(rate as f64), began + duration);
    let mut next = began;
    while next < until {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        while next <= Instant::now() {
            // A poster that has failed reports it itself.
            let _ = due.send(next);
            next += interval;
        }
    }
}

/// What the target's processes and this thread have spent so far.
fn spent(target: &Target) -> anyhow::Result<Vec<(&'static str, Spent)>> {
    let mut spent = target.spent()?;
    spent.push(("generator", process::spent_by_this_thread()?));
    Ok(spent)
}
