//! The life of the archiver: reach MongoDB, read the log, write, stop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nats::{Consumer, Fill, Log};
use otlp::Tracer;
use runtime::Tasks;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use web::auth::Verifier;
use web::{Admin, Listener};

use crate::erasure::service::Eraser;
use crate::http;
use crate::http::AppState;
use crate::mongo::database::Database;
use crate::mongo::documents::MarkDocument;
use crate::mongo::failure::Failure;
use crate::mongo::schema;
use crate::query::gaps;
use crate::reload;
use crate::retention;
use crate::retry::until_done;
use crate::status::{Status, StreamProgress};
use crate::write::Batch;
use crate::write::marks;
use crate::write::progress;
use crate::write::quarantine;
use crate::write::text_index::build;
use crate::{Config, Error};

/// The durable consumer that all archivers share.
pub const READER: &str = "archiver";

/// 10 ms: a batch that is not full also stops waiting when nothing has arrived for so long. The log has no more at the
/// moment, or delivers no more before an acknowledgement.
const LULL: Duration = Duration::from_millis(10);

/// 2 s: how often MongoDB is pinged, for readiness, and the log is asked for the backlog.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Archives until `stop`, then finishes the writes in progress within the grace period. Batches that are not written by
/// then are not acknowledged, so the log redelivers them. MongoDB need not be up, not even at the start.
///
/// A background task that panics stops the archiver in the same way, and is the error.
///
/// Of a changed configuration the archiver takes the login to MongoDB.
pub async fn run(
    changes: watch::Receiver<Config>,
    auth: Arc<Verifier>,
    listener: Listener,
    log: Log,
    admin: &Admin,
    stop: CancellationToken,
) -> Result<(), Error> {
    let config = changes.borrow().clone();
    config.retention.check(log.max_age())?;
    let database = Database::connect(&config).await?;
    let status = Arc::new(Status::starting());
    // Also stopped by a background task that panics.
    let stop = stop.child_token();
    // Half of it: the other half is for reading and sending the receipt of an erasure that is not done yet.
    let patience = config.http.request_timeout.get() / 2;
    let eraser = Eraser::new(database.clone(), log.clone(), stop.clone(), patience);
    let app =
        Arc::new(AppState::connect(&config, auth, log.clone(), eraser.clone(), status.clone(), stop.clone()).await?);

    let ready: web::Readiness = Arc::new({
        let (status, log, app) = (status.clone(), log.clone(), app.clone());
        move || match status.trouble() {
            Some(reason) => Err(reason),
            None if !log.is_connected() => Err("the log cannot be reached".to_owned()),
            None => app.ready(),
        }
    });
    let notice: web::Notice = Arc::new({
        let status = status.clone();
        move || status.notice()
    });
    admin.follows(ready.clone(), notice.clone());
    crate::metrics::declare(admin, &status);

    // They go on after the stop, while the writes in progress finish. `finish` ends them.
    let tasks = Tasks::new();
    tasks.spawn("http", {
        let (router, config) =
            (http::router(app.clone(), &config.console, ready, notice, stop.clone()), config.http.clone());
        let (ending, registry) = (tasks.stop().clone(), admin.metrics().clone());
        async move { web::serve_measured(listener, router, &config, ending, &registry).await }
    });
    let databases = [database.clone(), app.database().clone()];
    tasks.spawn_until_stop("reload", {
        let started = config.clone();
        async move { match reload::follow(started, databases, changes).await {} }
    });
    tasks.spawn_until_stop("mongodb", watch_mongodb(database.clone(), status.clone()));
    tasks.spawn_until_stop("log", follow_log(database.clone(), log.clone(), status.clone()));
    tasks.spawn_until_stop("report", {
        let status = status.clone();
        async move { status.report().await }
    });
    tasks.spawn_until_stop("sweep", retention::sweep(config.clone(), database.clone(), log.clone()));
    tasks.spawn_until_stop("text index", {
        let (database, size, interval) = (database.clone(), config.text_index.part, config.retention.sweep.get());
        async move { build::keep(database, size, interval).await }
    });
    // It saves once more at its stop.
    tasks.spawn("marks", marks::keep(database.clone(), log.clone(), tasks.stop().clone()));

    let archived = {
        let mut archiving = std::pin::pin!(archive(&config, &database, &log, &status, admin.tracer(), &stop));
        // Neither branch loses anything: after a panic the archiving goes on to its own end.
        tokio::select! {
            archived = &mut archiving => archived,
            _ = tasks.failed() => {
                stop.cancel();
                archiving.await
            }
        }
    };

    tasks.finish().await;
    eraser.close().await;
    app.streams.finish().await;
    status.log("stopped, archived");
    match tasks.panicked() {
        Some(panicked) => Err(panicked.into()),
        None => archived,
    }
}

async fn archive(
    config: &Config,
    database: &Database,
    log: &Log,
    status: &Arc<Status>,
    tracer: &Tracer,
    stop: &CancellationToken,
) -> Result<(), Error> {
    // Nothing is lost with the dropped branch: the preparation can be repeated.
    let marks = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        marks = until_done(status, || prepare(config, database, log)) => marks,
    };
    marks::compare(&marks, log).await?;
    let mut consumer = log.consume(READER);
    let mut writes = JoinSet::new();
    let ended = loop {
        // A free slot first, then the batch: a gathered batch is written at once and never waits in a queue.
        while writes.len() >= config.batches_in_hand.get() && !stop.is_cancelled() {
            // Nothing is lost with the dropped branch: the writes are tasks and go on.
            tokio::select! {
                () = stop.cancelled() => {}
                joined = writes.join_next() => report_panic(joined),
            }
        }
        let (batch, more) = gather(config, (log, tracer), &mut consumer, stop).await;
        if !batch.is_empty() {
            let (database, status, tracer) = (database.clone(), status.clone(), tracer.clone());
            writes.spawn(async move { batch.write(&database, &status, &tracer).await });
        }
        match more {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    tokio::join!(consumer.close(), finish(writes, Instant::now() + config.grace()));
    ended
}

/// Waits for the writes in progress until the end of the grace period.
async fn finish(mut writes: JoinSet<()>, grace: Instant) {
    while !writes.is_empty() {
        match timeout_at(grace, writes.join_next()).await {
            Ok(joined) => report_panic(joined),
            Err(_) => {
                tracing::warn!(
                    writes = writes.len(),
                    "{} writes did not finish within the grace period; the log redelivers their batches",
                    writes.len()
                );
                writes.shutdown().await;
            }
        }
    }
}

/// Prepares the database for the configuration, and loads the marks of the log.
async fn prepare(config: &Config, database: &Database, log: &Log) -> Result<Vec<MarkDocument>, Failure> {
    schema::prepare(database).await?;
    retention::prepare(database, &config.retention, log.max_age()).await?;
    marks::load(database).await
}

/// Waits for something to write, then a little longer for more. The second part tells whether to go on afterwards.
async fn gather(
    config: &Config,
    (log, tracer): (&Log, &Tracer),
    consumer: &mut Consumer,
    stop: &CancellationToken,
) -> (Batch, Result<bool, Error>) {
    let mut batch = Batch::default();
    let mut until: Option<Instant> = None;
    loop {
        if batch.events() >= config.batch_events.get() || batch.bytes() >= config.batch_size.in_memory() {
            return (batch, Ok(true));
        }
        let enough = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.min(Instant::now() + LULL)).await,
                None => std::future::pending().await,
            }
        };
        // `next` is cancel safe: the next call returns a batch that this one did not.
        tokio::select! {
            biased;
            () = stop.cancelled() => return (batch, Ok(false)),
            next = consumer.next() => match next {
                Ok(delivery) => batch.add(log, tracer, delivery),
                Err(error) => return (batch, Err(error.into())),
            },
            () = enough => return (batch, Ok(true)),
        }
        until.get_or_insert_with(|| Instant::now() + config.batch_wait());
    }
}

/// Pings MongoDB, so that an idle archiver knows whether it is ready. Never ends.
async fn watch_mongodb(database: Database, status: Arc<Status>) {
    loop {
        status.answers(database.ping().await);
        tokio::time::sleep(PING_EVERY).await;
    }
}

/// Follows the log: its backlog, its size, and the batches that left it unarchived. Where it is nearly full, archived
/// batches are removed. `GET /v1/status` answers from what this finds. Never ends.
async fn follow_log(database: Database, log: Log, status: Arc<Status>) {
    let mut progress = progress::Watch::default();
    loop {
        match streams(&database, &log, &mut progress).await {
            Ok(streams) => {
                let archived: HashMap<u64, u64> = streams
                    .iter()
                    .filter_map(|stream| Some((stream.fill.epoch, u64::try_from(stream.archived?).ok()?)))
                    .collect();
                status.waits(streams);
                if let Err(error) = log.make_room(|epoch| archived.get(&epoch).copied()).await {
                    tracing::warn!(%error, "cannot remove archived batches from the log, which is nearly full: {error}");
                }
            }
            Err(error) => tracing::debug!(%error, "cannot read the backlog of the log: {error}"),
        }
        if let Ok(lines) = quarantine::estimate(&database).await {
            status.quarantines(lines);
        }
        if let Ok(missing) = gaps::all(&database).await {
            status.misses(missing);
        }
        tokio::time::sleep(PING_EVERY).await;
    }
}

async fn streams(
    database: &Database,
    log: &Log,
    progress: &mut progress::Watch,
) -> Result<Vec<StreamProgress>, nats::Error> {
    // First the extent: what is gone by now is archived, or never will be.
    let fills = log.fill().await?;
    let backlogs = log.backlog(READER).await?;
    let mut streams = Vec::new();
    for (fill, backlog) in fills.into_iter().zip(backlogs) {
        // Batches of earlier epochs that the log still has are archived too.
        let earlier = fill.earlier.iter().map(|(epoch, begins, last)| Fill {
            epoch: *epoch,
            begins: *begins,
            first: fill.first.min(last + 1),
            last: *last,
            ..fill.clone()
        });
        let mut reached = Vec::new();
        for mut epoch in earlier.chain([fill.clone()]) {
            let acknowledged = backlog.acknowledged.min(epoch.last);
            step_over_hole(log, progress.reached(epoch.epoch), acknowledged, &mut epoch).await?;
            if let Err(failure) = progress.look(database, &epoch, acknowledged).await {
                tracing::debug!(error = %failure, "cannot read how far the log is archived: {failure}");
            }
            reached.push((epoch.last, progress.reached(epoch.epoch)));
        }
        let archived = progress::in_a_row(&reached);
        streams.push(StreamProgress { backlog, fill, archived });
    }
    Ok(streams)
}

/// Batches that the server acknowledges although they are in no archive, and that the stream does not have: a file of
/// the log was damaged. They are gone as if they had left the log by their age.
async fn step_over_hole(
    log: &Log,
    reached: Option<i64>,
    acknowledged: u64,
    epoch: &mut Fill,
) -> Result<(), nats::Error> {
    let Some(reached) = reached.and_then(|reached| u64::try_from(reached).ok()) else { return Ok(()) };
    if reached >= acknowledged || reached + 1 < epoch.first {
        return Ok(());
    }
    match log.next_stored(&epoch.stream, reached + 1).await? {
        Some((next, _)) if next == reached + 1 => {}
        Some((next, stored)) if next <= acknowledged => (epoch.first, epoch.oldest) = (next, Some(stored)),
        _ => (epoch.first, epoch.oldest) = (acknowledged + 1, None),
    }
    Ok(())
}

fn report_panic(joined: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = joined
        && error.is_panic()
    {
        tracing::error!("a write panicked; the log redelivers its batches: {error}");
    }
}
