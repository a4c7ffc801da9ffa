//! The archiver's life: reach MongoDB, read the log, write, stop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nats::{Consumer, Fill, Log};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use web::Admin;
use web::auth::Verifier;

use crate::erasure::service::Eraser;
use crate::http;
use crate::http::Reader;
use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::MarkDocument;
use crate::mongo::schema;
use crate::retention;
use crate::status::{Status, Stream, insist};
use crate::write::Batch;
use crate::write::gaps;
use crate::write::marks;
use crate::write::progress;
use crate::{Config, Error};

/// All archivers share this durable reader of the log.
const READER: &str = "archiver";

/// A batch that is not full also stops waiting when nothing has come for so long: the log has no more now, or hands out
/// no more before some is acknowledged.
const LULL: Duration = Duration::from_millis(10);

/// How often a quiet archiver makes sure that it could write, for its readiness, and asks what is waiting in the log.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Archives until `stop`, then finishes the writes in hand within the grace period; what is not written by then was not
/// acknowledged and comes again. MongoDB need not answer, not even at the start.
pub async fn run(
    config: Config,
    auth: Arc<Verifier>,
    listener: TcpListener,
    log: Log,
    admin: &Admin,
    stop: CancellationToken,
) -> Result<(), Error> {
    config.retention.check(log.max_age())?;
    let database = Database::connect(&config).await?;
    let status = Arc::new(Status::starting());
    // Half of it, so that the receipt of what is not done yet can be read and sent within the other.
    let patience = config.http.request_timeout.get() / 2;
    let eraser = Eraser::new(database.clone(), log.clone(), stop.clone(), patience);
    let reader =
        Arc::new(Reader::connect(&config, auth, log.clone(), eraser.clone(), status.clone(), stop.clone()).await?);

    let served = CancellationToken::new();
    let ready: web::Readiness = Arc::new({
        let (status, log, reader) = (status.clone(), log.clone(), reader.clone());
        move || match status.trouble() {
            Some(reason) => Err(reason),
            None if !log.is_connected() => Err("the log cannot be reached".to_owned()),
            None => reader.ready(),
        }
    });
    let notice: web::Notice = Arc::new({
        let status = status.clone();
        move || status.notice()
    });
    admin.follows(ready.clone(), notice.clone());
    let server = tokio::spawn({
        let (app, http, served) =
            (http::app(reader.clone(), ready, notice, stop.clone()), config.http.clone(), served.clone());
        async move { web::serve(listener, app, &http, served).await }
    });
    let watch = tokio::spawn(watch(database.clone(), status.clone()));
    let backlog = tokio::spawn(follow_log(database.clone(), log.clone(), status.clone()));
    let report = tokio::spawn({
        let status = status.clone();
        async move { status.report().await }
    });
    let sweep = tokio::spawn(retention::sweep(config.clone(), database.clone(), log.clone()));
    let seen = CancellationToken::new();
    let marking = tokio::spawn(marks::keep(database.clone(), log.clone(), seen.clone()));

    let archived = archive(&config, &database, &log, &status, &stop).await;

    seen.cancel();
    sweep.abort();
    report.abort();
    backlog.abort();
    watch.abort();
    served.cancel();
    if server.await.is_err() {
        tracing::error!("serving readers panicked");
    }
    if marking.await.is_err() {
        tracing::error!("keeping what was seen of the log panicked");
    }
    eraser.close().await;
    reader.streams.finish().await;
    status.log("stopped, archived");
    archived
}

async fn archive(
    config: &Config,
    database: &Database,
    log: &Log,
    status: &Arc<Status>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    // Nothing is lost with what is dropped here: preparing can be begun again.
    let marks = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        marks = insist(status, || prepare(config, database, log)) => marks,
    };
    marks::compare(&marks, log).await?;
    let mut consumer = log.consume(READER);
    let mut writes = JoinSet::new();
    let ended = loop {
        // Room first, then the batch: what is gathered is written at once and never waits in a queue.
        while writes.len() >= config.batches_in_hand.get() && !stop.is_cancelled() {
            // The writes themselves go on, whichever comes first.
            tokio::select! {
                () = stop.cancelled() => {}
                joined = writes.join_next() => report_panic(joined),
            }
        }
        let (batch, more) = gather(config, log, &mut consumer, stop).await;
        if !batch.is_empty() {
            let (database, status) = (database.clone(), status.clone());
            writes.spawn(async move { batch.write(&database, &status).await });
        }
        match more {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    consumer.close().await;
    let grace = Instant::now() + config.grace();
    while !writes.is_empty() {
        match timeout_at(grace, writes.join_next()).await {
            Ok(joined) => report_panic(joined),
            Err(_) => {
                tracing::warn!(writes = writes.len(), "{} writes are left unfinished; they come again", writes.len());
                writes.shutdown().await;
            }
        }
    }
    ended
}

/// Has the database as the configuration wants it, and answers with what was seen of the log before.
async fn prepare(config: &Config, database: &Database, log: &Log) -> Result<Vec<MarkDocument>, Failure> {
    schema::prepare(database).await?;
    retention::prepare(database, &config.retention, log.max_age()).await?;
    marks::load(database).await
}

/// Waits for something to write, then for a little more of it. Whether there may be more afterwards.
async fn gather(
    config: &Config,
    log: &Log,
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
        // `next` is cancel safe: a batch that was not handed out yet is handed out by the next call.
        tokio::select! {
            biased;
            () = stop.cancelled() => return (batch, Ok(false)),
            next = consumer.next() => match next {
                Ok(delivery) => batch.add(log, delivery),
                Err(error) => return (batch, Err(error.into())),
            },
            () = enough => return (batch, Ok(true)),
        }
        until.get_or_insert_with(|| Instant::now() + config.batch_wait());
    }
}

/// Asks MongoDB whether it is there, so that an archiver without work is known to be unready. Never ends.
async fn watch(database: Database, status: Arc<Status>) {
    loop {
        status.answers(database.ping().await);
        tokio::time::sleep(PING_EVERY).await;
    }
}

/// Asks the log what is waiting in it and how full it is, sees what left it unarchived, and lets go of what is archived
/// where it is nearly full. Whoever asks for the status costs nothing. Never ends.
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
                    tracing::warn!(%error, "the log is nearly full, and could not let go of what is archived: {error}");
                }
            }
            Err(error) => tracing::debug!(%error, "the log did not say what is waiting in it"),
        }
        if let Ok(missing) = gaps::all(&database).await {
            status.misses(missing);
        }
        tokio::time::sleep(PING_EVERY).await;
    }
}

async fn streams(database: &Database, log: &Log, progress: &mut progress::Watch) -> Result<Vec<Stream>, nats::Error> {
    // What is gone by now was archived, or never will be.
    let fills = log.fill().await?;
    let backlogs = log.backlog(READER).await?;
    let mut streams = Vec::new();
    for (fill, backlog) in fills.into_iter().zip(backlogs) {
        // Of the epochs before, what the log still has of them is archived too.
        let earlier = fill.earlier.iter().map(|(epoch, begins, last)| Fill {
            epoch: *epoch,
            begins: *begins,
            first: fill.first.min(last + 1),
            last: *last,
            ..fill.clone()
        });
        let mut reached = Vec::new();
        for epoch in earlier.chain([fill.clone()]) {
            if let Err(failure) = progress.look(database, &epoch, backlog.acknowledged.min(epoch.last)).await {
                tracing::debug!(error = %failure, "it is not known how far the log is archived now: {failure}");
            }
            reached.push((epoch.last, progress.reached(epoch.epoch)));
        }
        let archived = progress::in_a_row(&reached);
        streams.push(Stream { backlog, fill, archived });
    }
    Ok(streams)
}

fn report_panic(joined: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = joined
        && error.is_panic()
    {
        tracing::error!("a write panicked; its batches come again: {error}");
    }
}
