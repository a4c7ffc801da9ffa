//! Delivery: pushes each room's messages to its presenter's socket, every accepted message once and in order. A node
//! keeps the latest events of all rooms in one window, so that it can take over any room at once; a session is a
//! cursor into it. What is in the log is all that nodes know of each other.

mod config;
mod dialects;
mod error;
mod http;
mod node;
mod session;
mod visibility;
mod window;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use chat::NodeId;
use nats::{Log, Start};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::Admin;
use web::auth::Verifier;
use web::places::Places;

pub use config::{Config, Zone};
pub use error::Error;

use crate::dialects::legacy::Original;
use crate::dialects::v1::V1;
use crate::node::Node;
use crate::session::claim_rate::Turns;
use crate::session::claims::Claims;
use crate::session::lease_watch::Pulse;
use crate::session::saved_cursors::Cursors;
use crate::session::seats::Seats;
use crate::window::Bounds;
use crate::window::feed::Feed;

/// Kept back from the grace period for what comes after the sessions: the last cursors and the lease.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// Serves presenters until `stop`, then tells each of them to go elsewhere, within the grace period. It ends with an
/// error where this process cannot go on, and should be started anew.
pub async fn run(
    config: Config,
    auth: Arc<Verifier>,
    listener: TcpListener,
    log: Log,
    admin: &Admin,
    stop: CancellationToken,
) -> Result<(), Error> {
    config.check()?;
    // Without the log there is nothing to serve; a stop need not wait for it.
    let Some(joined) = stop.run_until_cancelled(join(config, auth, log)).await else { return Ok(()) };
    let (node, mut beside) = joined?;

    let router = Router::new()
        .route("/v1/presenter", get(session::entry::presenter))
        .route("/chatting", get(session::entry::chatting))
        .with_state(node.clone())
        .merge(http::modules::modules());
    let ready: web::Readiness = {
        let node = node.clone();
        Arc::new(move || node.ready())
    };
    admin.follows(ready.clone(), Arc::new(|| None));
    let app = router.merge(web::health(ready, node.stop.clone()));
    // It goes on for as long as sessions do: readiness is asked, and who comes is told to go elsewhere.
    let closed = CancellationToken::new();
    let mut serving = tokio::spawn({
        let (node, closed) = (node.clone(), closed.clone());
        async move { web::serve(listener, app, &node.config.http, closed).await }
    });
    let saved = CancellationToken::new();
    let saving = tokio::spawn({
        let (node, saved) = (node.clone(), saved.clone());
        async move { node.cursors.keep_saving(node.config.save_interval(), &saved).await }
    });

    let outcome = tokio::select! {
        () = stop.cancelled() => Ok(()),
        Some(ended) = beside.join_next() => Err(match ended {
            Ok(error) => error,
            Err(panic) => Error::Failed(panic.to_string()),
        }),
    };

    let deadline = Instant::now() + node.config.grace();
    node.stop.cancel();
    let sessions = node.seats.close();
    tracing::info!(sessions, "stopping: telling {sessions} presenters to reconnect elsewhere");
    node.tasks.close();
    let emptied = async {
        // Nothing is lost with the dropped branch: who is not told to go has gone.
        tokio::select! {
            () = node.tasks.wait() => {}
            () = async { node.seats.drain(node.config.drain_spread()).await; node.tasks.wait().await } => {}
        }
    };
    if timeout_at(deadline - LAST_STEPS.min(node.config.grace() / 4), emptied).await.is_err() {
        let left = node.tasks.len();
        tracing::warn!(left, "{left} sessions did not end within the grace period");
    }
    closed.cancel();
    saved.cancel();
    let last_steps = async {
        // Its panic would have been logged, and nothing is left to do about it.
        let _ = saving.await;
        node.lease.end().await;
    };
    if timeout(LAST_STEPS, last_steps).await.is_err() {
        tracing::warn!("the last cursors or the end of the lease did not reach the log in time");
    }
    beside.shutdown().await;
    if timeout_at(deadline, &mut serving).await.is_err() {
        tracing::warn!("requests were still in hand at the end of the grace period");
        serving.abort();
    }
    outcome
}

/// Joins the other nodes: reads what they share and starts what runs beside the sessions. Each of those tasks ends
/// only with what makes this process useless.
async fn join(config: Config, auth: Arc<Verifier>, log: Log) -> Result<(Arc<Node>, JoinSet<Error>), Error> {
    let tail = log.tail(Start::Since(log.now() - config.window()));
    let (presence, cursors) = tokio::try_join!(log.presence(), log.cursors())?;
    // A log that does not reach as far as presenters have come is older than they are.
    let partition = |(presenter, position)| (log.timelines().partition_of(presenter), position);
    log.confirm(cursors.all().into_iter().map(partition)).await?;
    let (of_all_nodes, of_others) = (presence.claims(), presence.claims());
    let lease = log.lease(NodeId::new()).await?;
    tracing::info!(node = %lease.node(), "joined as node {}", lease.node());
    let bounds = Bounds { age: config.window(), bytes: config.window_size.in_memory() };
    let node = Arc::new(Node {
        sessions: Semaphore::new(config.max_sessions),
        unstarted: Places::new(config.max_unauthenticated, config.max_unauthenticated_size.in_memory()),
        feed: Arc::new(Feed::new(log.timelines().clone(), bounds, tail.status())),
        cursors: Cursors::new(cursors),
        seats: Arc::new(Seats::default()),
        claims: Arc::new(Claims::default()),
        turns: Turns::default(),
        pulse: Pulse::new(),
        tasks: TaskTracker::new(),
        original: Original { zone: config.time_zone.0.clone(), grace: config.original_grace() },
        v1: V1 { keepalive: config.keepalive() },
        stop: CancellationToken::new(),
        config,
        auth,
        log,
        presence,
        lease,
    });

    let mut beside = JoinSet::new();
    let shared = node.clone();
    beside.spawn(async move { shared.feed.follow(tail).await.into() });
    let shared = node.clone();
    beside.spawn(async move {
        shared.seats.follow(&shared.presence, of_all_nodes).await;
        Error::Failed("the claims of other nodes cannot be followed any more".to_owned())
    });
    let shared = node.clone();
    beside.spawn(async move {
        shared.turns.follow(shared.lease.node(), of_others).await;
        Error::Failed("the claims of other nodes cannot be counted any more".to_owned())
    });
    let shared = node.clone();
    beside.spawn(async move {
        session::log_outage::follow(&shared).await;
        Error::Failed("it cannot be told any more whether this node is cut off".to_owned())
    });
    let shared = node.clone();
    beside.spawn(async move { Error::Failed(shared.log.failed().await.to_string()) });
    let shared = node.clone();
    beside.spawn(async move { match shared.pulse.beat(&shared.lease).await {} });
    let shared = node.clone();
    beside.spawn(async move { match session::claims::reconcile(&shared).await {} });
    Ok((node, beside))
}
