//! The life of the role: join the other nodes, serve presenters, and drain at the stop.

use std::sync::Arc;
use std::time::Duration;

use chat::{LONGEST_FORWARD, NodeId};
use nats::{Log, Start};
use otlp::Tracer;
use runtime::Tasks;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::auth::Verifier;
use web::fair_slots::FairSlots;
use web::{Admin, Listener};

use crate::config::Config;
use crate::dialects::legacy::Legacy;
use crate::dialects::v1::V1;
use crate::error::Error;
use crate::http::router::router;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::readers::Readers;
use crate::readers::access::Access;
use crate::session::claim_rate::Turns;
use crate::session::claims::Claims;
use crate::session::drain::drain;
use crate::session::lease_watch::LeaseWatch;
use crate::session::log_outage;
use crate::session::reconcile::reconcile;
use crate::session::saved_cursors::SavedCursors;
use crate::session::seats::Seats;
use crate::traces::Traces;
use crate::window::Bounds;
use crate::window::feed::Feed;

/// 1 s of the grace period is reserved for the steps after the sessions: the last cursors and the lease.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// Serves presenters and readers until `stop`. Then asks each of them to reconnect elsewhere, within the grace period.
/// `readers` may read the rooms that decide nothing themselves, and may change. Returns an error if this process must
/// be restarted.
pub async fn run(
    config: Config,
    readers: watch::Receiver<chat::Readers>,
    auth: Arc<Verifier>,
    listener: Listener,
    log: Log,
    admin: &Admin,
    stop: CancellationToken,
) -> Result<(), Error> {
    config.check()?;
    // Without the log there is nothing to serve, and a stop need not wait for it.
    let joining = join(config, readers, auth, log, admin.tracer().clone());
    let Some(joined) = stop.run_until_cancelled(joining).await else { return Ok(()) };
    let (node, mut background) = joined?;

    let ready: web::Readiness = {
        let node = node.clone();
        Arc::new(move || node.ready())
    };
    admin.follows(ready.clone(), Arc::new(|| None));
    crate::metrics::declare(admin, &node);
    let app = router(node.clone()).merge(web::health(ready, node.stop.clone()));
    // The listener outlives the stop by as long as sessions do: it answers probes, and refuses newcomers.
    let (closed, abandoned) = (CancellationToken::new(), CancellationToken::new());
    let server = Tasks::new();
    server.spawn("http server", {
        let (node, closed, abandoned) = (node.clone(), closed.clone(), abandoned.clone());
        let registry = admin.metrics().clone();
        async move {
            let serving = web::serve_measured(listener, app, &node.config.http, closed, &registry);
            abandoned.run_until_cancelled(serving).await;
        }
    });
    // The saver stops last, after the sessions that move cursors.
    let saver = Tasks::new();
    saver.spawn("cursor saver", {
        let (node, stop) = (node.clone(), saver.stop().clone());
        async move { node.cursors.keep_saving(node.config.save_interval(), &stop).await }
    });

    // Nothing is lost with a dropped branch: whichever comes first ends the role.
    let outcome = tokio::select! {
        () = stop.cancelled() => Ok(()),
        error = background.failure() => Err(error),
        panicked = server.failed() => Err(Error::Failed(panicked.to_string())),
        panicked = saver.failed() => Err(Error::Failed(panicked.to_string())),
    };

    let deadline = Instant::now() + node.config.grace();
    node.stop.cancel();
    let sessions = node.seats.close();
    tracing::info!(sessions, "stopping: telling {sessions} presenters to reconnect elsewhere");
    node.sockets.close();
    let emptied = async {
        // Nothing is lost with the dropped branch: a client that the drain has not reached has gone by itself.
        tokio::select! {
            () = node.sockets.wait() => {}
            () = async { drain(&node.seats, node.config.drain_spread()).await; node.sockets.wait().await } => {}
        }
    };
    if timeout_at(deadline - LAST_STEPS.min(node.config.grace() / 4), emptied).await.is_err() {
        let left = node.sockets.len();
        tracing::warn!(left, "{left} sessions did not end within the grace period");
    }
    closed.cancel();
    let last_steps = async {
        saver.finish().await;
        node.lease.end().await;
    };
    if timeout(LAST_STEPS, last_steps).await.is_err() {
        tracing::warn!("the log did not take the last cursors or the end of the lease in time");
    }
    background.tasks.finish().await;
    if timeout_at(deadline, server.finish()).await.is_err() {
        tracing::warn!("requests were still in progress at the end of the grace period");
        abandoned.cancel();
        server.finish().await;
    }
    outcome
}

/// The tasks beside the sessions. The node cannot serve without any of them: the first one to end ends the role.
struct Background {
    tasks: Tasks,
    failed: mpsc::Sender<Error>,
    failures: mpsc::Receiver<Error>,
}

impl Background {
    fn new() -> Background {
        let (failed, failures) = mpsc::channel(1);
        Background { tasks: Tasks::new(), failed, failures }
    }

    /// Runs a task that ends only with a failure.
    fn spawn(&self, name: &'static str, task: impl Future<Output = Error> + Send + 'static) {
        let failed = self.failed.clone();
        self.tasks.spawn_until_stop(name, async move {
            // The channel is full: another failure already ends the role.
            let _ = failed.try_send(task.await);
        });
    }

    /// Waits for the first failure or panic.
    async fn failure(&mut self) -> Error {
        // Nothing is lost with the dropped branch: one failure is enough.
        tokio::select! {
            Some(error) = self.failures.recv() => error,
            panicked = self.tasks.failed() => Error::Failed(panicked.to_string()),
        }
    }
}

/// Joins the other nodes: reads the shared state and starts the background tasks.
async fn join(
    config: Config,
    mut readers: watch::Receiver<chat::Readers>,
    auth: Arc<Verifier>,
    log: Log,
    tracer: Tracer,
) -> Result<(Arc<Node>, Background), Error> {
    let since = log.now() - config.window();
    // Earlier sweeps may be about later posts.
    let tail = log.tail(Start::Since(since - LONGEST_FORWARD));
    let (presence, cursors) = tokio::try_join!(log.presence(), log.cursors())?;
    // A log that ends before a saved cursor was rolled back.
    let partition = |(presenter, position)| (log.timelines().partition_of(presenter), position);
    log.confirm(cursors.all().into_iter().map(partition)).await?;
    // After the tail has begun, so that no decision falls between them.
    let access = Arc::new(Access::new(*readers.borrow_and_update()));
    access.load(&log).await?;
    let (of_all_nodes, of_others) = (presence.claims(), presence.claims());
    let lease = log.lease(NodeId::new()).await?.with_presence(&presence);
    tracing::info!(node = %lease.node(), "joined as node {}", lease.node());
    let bounds = Bounds { age: config.window(), bytes: config.window_size.in_memory() };
    let traces = Arc::new(Traces::new(tracer));
    let node = Arc::new(Node {
        sessions: Semaphore::new(config.max_sessions),
        unstarted: FairSlots::new(config.max_unauthenticated, config.max_unauthenticated_size.in_memory()),
        feed: Arc::new(Feed::new(
            log.timelines().clone(),
            bounds,
            tail.status(),
            access.clone(),
            traces.clone(),
            since,
        )),
        traces,
        cursors: SavedCursors::new(cursors),
        seats: Arc::new(Seats::default()),
        readers: Readers::new(&config, access.clone(), &log),
        claims: Arc::new(Claims::default()),
        claim_rate: Turns::default(),
        metrics: Metrics::new(),
        lease_watch: LeaseWatch::new(),
        sockets: TaskTracker::new(),
        legacy: Legacy { zone: config.time_zone.0.clone(), grace: config.original_grace() },
        v1: V1 { keepalive: config.keepalive() },
        stop: CancellationToken::new(),
        config,
        auth,
        log,
        presence,
        lease,
    });

    let background = Background::new();
    background.spawn("reload", async move { match access.follow(readers).await {} });
    let shared = node.clone();
    background.spawn("window feed", async move { shared.feed.follow(tail).await.into() });
    let shared = node.clone();
    background.spawn("tickets", async move { shared.readers.tickets.follow().await.into() });
    let shared = node.clone();
    background.spawn("seats", async move {
        shared.seats.follow(&shared.presence, of_all_nodes).await;
        Error::Failed("lost the claims of other nodes".to_owned())
    });
    let shared = node.clone();
    background.spawn("claim rate", async move {
        shared.claim_rate.follow(shared.lease.node(), of_others).await;
        Error::Failed("lost the claims of other nodes, which count for the claim rate".to_owned())
    });
    let shared = node.clone();
    background.spawn("log outage", async move {
        log_outage::follow(&shared).await;
        Error::Failed("lost the state of the lease".to_owned())
    });
    let shared = node.clone();
    background.spawn("log", async move { Error::Failed(shared.log.failed().await.to_string()) });
    let shared = node.clone();
    background.spawn("lease watch", async move { match shared.lease_watch.run(&shared.lease).await {} });
    let shared = node.clone();
    background.spawn("claim reconciliation", async move { match reconcile(&shared).await {} });
    Ok((node, background))
}
