//! Builds ingest from its configuration and serves it until the stop, or until a background task panics.

use std::pin::pin;
use std::sync::{Arc, OnceLock};

use nats::{Log, Shortage};
use reqwest::Client;
use reqwest::redirect::Policy;
use runtime::{Panicked, Tasks};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use web::auth::{TokenCache, Verifier};
use web::fair_slots::FairSlots;
use web::{Admin, Listener, UserPermits};

use crate::config::Config;
use crate::http::fast_path::Posts;
use crate::http::gateway::Gateway;
use crate::http::router;
use crate::memory::replay::{KeyMemory, Replay};
use crate::memory::turns::{SettledTurns, Turns};
use crate::metrics;
use crate::metrics::Metrics;
use crate::moderation::rules::Rules;
use crate::moderation::warnings::{self, SentWarnings};
use crate::outbound::reconnect::Reconnects;
use crate::outbound::room_server::RoomServer;
use crate::posting::admission::Admission;
use crate::posting::limits::Limits;
use crate::posting::review::Review;
use crate::posting::word_filter::WordFilter;
use crate::reload;
use crate::sender::Sender;
use crate::state::Ingest;

/// Lists of bans, moderators, warnings and notes that a node reads at once, and those of one user among them. 16 lists read at most
/// 128 decisions of 8 KB at once: 1 MB. NATS disconnects a client for which 64 MB wait (`max_pending`), and posts take
/// the same connection.
const LISTS: usize = 16;
const LISTS_OF_USER: usize = 2;

/// Why ingest cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is invalid. The message names the key.
    #[error("{0}")]
    Config(String),
    /// The HTTP client for the room server and the webhooks cannot be created.
    #[error("cannot create an HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// The presenters' sessions cannot be read from the log.
    #[error("cannot read presence: {0}")]
    Presence(#[source] nats::Error),
    /// The saved decisions cannot be read from the log.
    #[error("cannot read the saved decisions: {0}")]
    Decisions(#[source] nats::Error),
    /// A background task panicked. Ingest depends on each of them, so it ends.
    #[error(transparent)]
    Panicked(Panicked),
}

/// Serves until `stop`, then answers the requests in progress within the grace period. It begins with the configuration
/// that `changes` has, and applies of later ones the limits, the rooms' settings, the word lists and the secrets.
pub async fn run(
    mut changes: watch::Receiver<Config>,
    auth: Arc<Verifier>,
    listener: Listener,
    log: Log,
    admin: &Admin,
    stop: CancellationToken,
) -> Result<(), Error> {
    let config = changes.borrow_and_update().clone();
    let gateway =
        Gateway::new(&config.gateway, "ingest.gateway").map_err(|problem| Error::Config(problem.to_string()))?;
    // No proxy from the environment: the room server is nearby. No redirects: neither server is expected to send one.
    let client = Client::builder().redirect(Policy::none()).no_proxy().build().map_err(Error::Client)?;
    let word_filter = WordFilter::new(&config.words).map_err(Error::Config)?;
    let limits = Limits::new(&config.limits).map_err(Error::Config)?;
    let review = Review::new(client.clone(), &config.review).map_err(Error::Config)?;
    let rules = Rules::new(config.room.settings().map_err(Error::Config)?);
    let presence = log.presence().await.map_err(Error::Presence)?;
    // They stop after the last request, which needs them: not with `stop`.
    let tasks = Tasks::new();
    let memory = KeyMemory { keys_for: config.idempotency.get(), most_keys: config.idempotency_keys };
    let replay = Replay::start(&log, rules, limits, memory, &tasks).await.map_err(Error::Decisions)?;
    let (sent_warnings, sent) = SentWarnings::new();
    let ingest = Arc::new(Ingest {
        senders: TokenCache::new(auth.clone(), Sender::new),
        verifier: auth,
        gateway,
        room_server: RoomServer::new(client.clone(), &config.rooms),
        presence,
        replay,
        turns: Turns::new(memory.keys_for),
        settled_turns: SettledTurns::default(),
        turn_lookup: Mutex::default(),
        word_filter,
        review,
        hold: config.hold.get(),
        reconnects: Reconnects::new(log.clone(), config.reconnect_webhook.map(|webhook| (client, webhook))),
        log,
        // Each body is bounded, so the number of requests bounds the bytes.
        unfinished: FairSlots::new(config.max_unfinished.max(1), usize::MAX),
        in_flight: Arc::new(Semaphore::new(config.max_in_flight.min(Semaphore::MAX_PERMITS))),
        admission: Admission::new(config.max_in_flight),
        sent_warnings,
        lists: UserPermits::new(LISTS, LISTS_OF_USER),
        body_deadline: config.body_timeout.get(),
        metrics: Metrics::new(),
        tracer: admin.tracer().clone(),
        time_zone: config.time_zone,
        openapi: OnceLock::new(),
    });
    tasks.spawn_until_stop("room server watch", {
        let ingest = ingest.clone();
        // Dropping it at the stop cancels at most a probe.
        async move { match ingest.room_server.watch().await {} }
    });
    tasks.spawn_until_stop("sent warnings", warnings::record(ingest.clone(), sent));
    tasks.spawn_until_stop("reload", {
        let ingest = ingest.clone();
        async move { match reload::follow(ingest, changes).await {} }
    });
    let (ready, notice) = health(&ingest, &tasks);
    admin.follows(ready.clone(), notice.clone());
    metrics::declare(admin, &ingest);
    let stop = stop.child_token();
    let app = router::app(ingest.clone(), ready, notice, stop.clone());
    let mut http = config.http.clone();
    http.proxies.extend(config.gateway.networks());
    let posts = Posts(ingest.clone());
    let serving = web::serve_with_fast_path(listener, app, posts, &http, stop.clone(), admin.metrics());
    let mut serving = pin!(serving);
    // Neither branch loses anything: after a panic, `serving` goes on below.
    let has_served = tokio::select! {
        () = &mut serving => true,
        _ = tasks.failed() => false,
    };
    if !has_served {
        stop.cancel();
        serving.await;
    }
    ingest.reconnects.finish().await;
    tasks.finish().await;
    tasks.panicked().map_or(Ok(()), |panicked| Err(Error::Panicked(panicked)))
}

/// Whether ingest should get traffic, and what an operator should know although it should.
fn health(ingest: &Arc<Ingest>, tasks: &Tasks) -> (web::Readiness, web::Notice) {
    let ready: web::Readiness = {
        let (ingest, tasks) = (ingest.clone(), tasks.clone());
        Arc::new(move || match () {
            () if tasks.panicked().is_some() => Err("a background task panicked".to_owned()),
            () if !ingest.log.is_connected() => Err("not connected to the log".to_owned()),
            () if !ingest.presence.is_current() => Err("presence is stale".to_owned()),
            () if !ingest.replay.is_caught_up() => Err("the log is still being replayed".to_owned()),
            () if !ingest.replay.is_current() => Err("the log has not answered recently".to_owned()),
            () if ingest.log.shortage() == Some(Shortage::OfAll) => Err("the log is full".to_owned()),
            () => ingest.verifier.ready(),
        })
    };
    // Moderation still works, so the node must keep its traffic.
    let notice: web::Notice = {
        let ingest = ingest.clone();
        Arc::new(move || {
            let short = ingest.log.shortage() == Some(Shortage::OfMessages);
            short.then(|| "the log is nearly full: messages are refused, moderation is not".to_owned())
        })
    };
    (ready, notice)
}
