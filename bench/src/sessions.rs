//! Measures many presenters: the cost of a session, the connect rate, and how fast all of them are back after their
//! node was killed, while presenters on the surviving node go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chat::{Body, Event, MessagePosted, PresenterIdx, Role, User, UserIdx};
use clap::Args;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hdrhistogram::Histogram;
use nats::Log;

use crate::presenter::Presenter;
use crate::system::System;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Presenters on the node that is killed
    #[arg(long, default_value_t = 10_000)]
    presenters: usize,
    /// Concurrent handshakes
    #[arg(long, default_value_t = 256)]
    handshakes: usize,
    /// Messages in each room while its presenter is away
    #[arg(long, default_value_t = 10)]
    missed: usize,
    /// Presenters on the other node, whose latency is measured
    #[arg(long, default_value_t = 100)]
    bystanders: usize,
}

/// How long the bystanders are measured before the kill.
const CALM: Duration = Duration::from_secs(5);

/// The interval between messages to the bystanders' rooms.
const BEAT: Duration = Duration::from_millis(5);

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut system = System::start(2, false).await?;
    let log = connect(&system.nats).await?;
    let (one, other) = (system.nodes[0].port, system.nodes[1].port);
    let tokens: Vec<String> =
        (1..=arguments.presenters + arguments.bystanders).map(|number| system.token(number as i64)).collect();

    let before = system.nodes[0].memory()?;
    let started = Instant::now();
    let mut presenters: Vec<Presenter> = stream::iter(0..arguments.presenters)
        .map(|number| Presenter::connect(one, number, &tokens[number], None))
        .buffered(arguments.handshakes)
        .try_collect()
        .await?;
    let took = started.elapsed();
    let idle = system.nodes[0].memory()?.saturating_sub(before);
    println!(
        "presenters connected     {} in {:.1} s, {:.0} a second",
        presenters.len(),
        took.as_secs_f64(),
        presenters.len() as f64 / took.as_secs_f64()
    );
    println!(
        "memory of the node       {:.1} MB before, {:.1} KB a session",
        before as f64 / 1e6,
        idle as f64 / 1024.0 / presenters.len() as f64
    );

    // One message each, so that every presenter has a position to resume from.
    post(&log, 1..=arguments.presenters, 1).await?;
    try_join_all(presenters.iter_mut().map(|presenter| receive(presenter, 1))).await?;

    let rooms = arguments.presenters + 1..=arguments.presenters + arguments.bystanders;
    let stop = Arc::new(AtomicBool::new(false));
    let storming = Arc::new(AtomicBool::new(false));
    let begin = Instant::now();
    let mut bystanders = Vec::new();
    for room in rooms.clone() {
        let presenter = Presenter::connect(other, room, &tokens[room - 1], None).await?;
        bystanders.push(tokio::spawn(watch(presenter, begin, Arc::clone(&stop), Arc::clone(&storming))));
    }
    let beat = tokio::spawn(beat(log.clone(), rooms, begin, Arc::clone(&stop)));
    tokio::time::sleep(CALM).await;

    let calm = system.nodes[1].memory()?;
    system.nodes[0].kill()?;
    let positions: Vec<Option<String>> = presenters.drain(..).map(|presenter| presenter.position).collect();
    post(&log, 1..=arguments.presenters, arguments.missed).await?;
    storming.store(true, Ordering::Relaxed);
    let storm = Instant::now();
    let back: Vec<(Presenter, Duration)> = stream::iter(positions.into_iter().enumerate())
        .map(|(number, position)| {
            let token = &tokens[number];
            async move {
                let mut presenter = Presenter::connect(other, number, token, position).await?;
                anyhow::ensure!(presenter.recovered, "room {} resumed with a gap", number + 1);
                receive(&mut presenter, arguments.missed).await?;
                anyhow::Ok((presenter, storm.elapsed()))
            }
        })
        .buffer_unordered(arguments.presenters)
        .try_collect()
        .await?;
    storming.store(false, Ordering::Relaxed);
    let full = system.nodes[1].memory()?;
    stop.store(true, Ordering::Relaxed);
    beat.await??;

    let mut times: Vec<Duration> = back.iter().map(|(_, took)| *took).collect();
    times.sort_unstable();
    let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile) as usize].as_secs_f64();
    println!(
        "node killed, all back    {} on the other node with {} missed messages each: half after {:.1} s, 99 % after {:.1} s, all after {:.1} s",
        times.len(),
        arguments.missed,
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!("memory of the other node {:.1} MB before, {:.1} MB after", calm as f64 / 1e6, full as f64 / 1e6);
    let (mut before, mut during) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for bystander in bystanders {
        let (calm, storm) = bystander.await??;
        before.add(calm)?;
        during.add(storm)?;
    }
    for (name, latency) in [("before the storm        ", before), ("in the storm            ", during)] {
        let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1_000.0;
        println!(
            "{name} append to a bystander's socket: p50 {:.2} ms, p99 {:.2} ms, of {} messages",
            ms(0.5),
            ms(0.99),
            latency.len()
        );
    }
    Ok(())
}

/// Receives exactly this many messages: those of the room.
async fn receive(presenter: &mut Presenter, count: usize) -> anyhow::Result<()> {
    let mut received = 0;
    while received < count {
        let events = presenter.events().await?;
        received += events.iter().filter(|event| !event.text.is_empty()).count();
    }
    anyhow::ensure!(received == count, "{received} messages arrived instead of {count}");
    Ok(())
}

/// Reads until the stop. Returns latencies in microseconds, before and after the kill.
async fn watch(
    mut presenter: Presenter,
    begin: Instant,
    stop: Arc<AtomicBool>,
    storming: Arc<AtomicBool>,
) -> anyhow::Result<(Histogram<u64>, Histogram<u64>)> {
    let (mut calm, mut storm) = (Histogram::new(3)?, Histogram::new(3)?);
    while !stop.load(Ordering::Relaxed) {
        let Ok(events) = tokio::time::timeout(BEAT * 200, presenter.events()).await else { continue };
        for event in events? {
            let Ok(sent) = event.text.parse::<u64>() else { continue };
            let latency = (begin.elapsed().as_micros() as u64).saturating_sub(sent).max(1);
            if storming.load(Ordering::Relaxed) { storm.record(latency)? } else { calm.record(latency)? }
        }
    }
    Ok((calm, storm))
}

/// Posts to one room after the other. The text has the time.
async fn beat(
    log: Log,
    rooms: std::ops::RangeInclusive<usize>,
    begin: Instant,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    for room in rooms.cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        log.append(&message(room, begin.elapsed().as_micros().to_string())?).await?;
        tokio::time::sleep(BEAT).await;
    }
    Ok(())
}

async fn post(log: &Log, rooms: std::ops::RangeInclusive<usize>, count: usize) -> anyhow::Result<()> {
    for number in 0..count {
        let posts = rooms.clone().map(|room| async move {
            log.append(&message(room, format!("{number} {:x<180}", ""))?).await?;
            anyhow::Ok(())
        });
        stream::iter(posts).buffer_unordered(1_000).try_collect::<()>().await?;
    }
    Ok(())
}

fn message(room: usize, text: String) -> anyhow::Result<Event> {
    let presenter = PresenterIdx::try_from(room as i64)?;
    let user = User { idx: UserIdx::try_from(1)?, nickname: "bench".to_owned(), role: Role::Viewer };
    Ok(Event::now(presenter, Body::MessagePosted(MessagePosted::new(user, text))))
}

async fn connect(url: &str) -> anyhow::Result<Log> {
    let mut config = chatting_server::config::Config::load(None).map_err(|invalid| anyhow::anyhow!("{invalid}"))?;
    config.nats.urls = vec![url.to_owned().into()];
    Ok(Log::connect(&config.nats, "bench").await?)
}
