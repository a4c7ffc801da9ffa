//! Puts ingest together and serves it until the stop.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use nats::{Log, Shortage};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::auth::Verifier;
use web::gateway::Gateway;
use web::places::Places;
use web::{Admin, Shares};

use crate::Ingest;
use crate::config::Config;
use crate::http::refusal::Refusal;
use crate::http::v1::{BAN_LISTS, BAN_LISTS_OF_USER};
use crate::http::{body, legacy, openapi};
use crate::memory::replay::{Fold, Memory};
use crate::moderation::rules::Rules;
use crate::outbound::reconnect::Reconnects;
use crate::outbound::room_server::RoomServer;
use crate::posting::admission::Door;
use crate::posting::event_id::{Certain, Turns};
use crate::posting::limits::Limits;
use crate::posting::review::Review;
use crate::posting::word_filter::WordFilter;

/// Why ingest cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration contradicts itself; the message names the key.
    #[error("{0}")]
    Config(String),
    /// The client for the room server and the webhook cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// The log does not say who is connected.
    #[error("cannot read who is connected: {0}")]
    Presence(#[source] nats::Error),
    /// The log does not say what holds.
    #[error("cannot read the decisions that hold: {0}")]
    Decisions(#[source] nats::Error),
}

/// Serves until `stop`, then answers the posts in hand within the grace period.
pub async fn run(
    config: Config,
    auth: Arc<Verifier>,
    listener: TcpListener,
    log: Log,
    admin: &Admin,
    stop: CancellationToken,
) -> Result<(), Error> {
    let gateway = Gateway::new(&config.gateway, "ingest.gateway").map_err(Error::Config)?;
    // No proxy of the environment: the room server is a neighbour. No redirects: it is an answer that nobody expects.
    let client = Client::builder().redirect(Policy::none()).no_proxy().build().map_err(Error::Client)?;
    let word_filter = WordFilter::new(&config.words).map_err(Error::Config)?;
    let limits = Limits::new(&config.limits).map_err(Error::Config)?;
    let review = Review::new(client.clone(), &config.review).map_err(Error::Config)?;
    let rules = Rules::new(config.room.settings().map_err(Error::Config)?);
    let presence = log.presence().await.map_err(Error::Presence)?;
    let (tasks, stop_folding) = (TaskTracker::new(), CancellationToken::new());
    let memory =
        Memory { keys_for: Duration::from_secs(config.idempotency_seconds), most_keys: config.idempotency_keys };
    let fold = Fold::start(&log, rules, limits, memory, &tasks, &stop_folding).await.map_err(Error::Decisions)?;
    let ingest = Arc::new(Ingest {
        verifier: auth,
        gateway,
        room_server: RoomServer::new(client.clone(), &config.rooms),
        presence,
        fold,
        turns: Turns::new(memory.keys_for),
        certain: Certain::default(),
        asking: Mutex::default(),
        word_filter,
        review,
        reconnects: Reconnects::new(log.clone(), config.reconnect_webhook.map(|webhook| (client, webhook))),
        log,
        // What a body may hold is bounded by its size.
        unfinished: Places::new(config.max_unfinished.max(1), usize::MAX),
        in_flight: Semaphore::new(config.max_in_flight.min(Semaphore::MAX_PERMITS)),
        ban_lists: Shares::new(BAN_LISTS, BAN_LISTS_OF_USER),
        door: Door::new(config.max_in_flight),
        body_deadline: Duration::from_millis(config.body_timeout_ms),
        time_zone: config.time_zone,
        openapi: openapi::document().into(),
    });
    tasks.spawn({
        let (ingest, stop) = (ingest.clone(), stop_folding.clone());
        // What is dropped has only asked.
        async move { stop.run_until_cancelled(ingest.room_server.watch()).await }
    });
    let (ready, notice) = health(&ingest);
    admin.follows(ready.clone(), notice.clone());
    web::serve(listener, app(ingest.clone(), ready, notice, stop.clone()), &config.http, stop).await;
    ingest.reconnects.finish().await;
    stop_folding.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Whether ingest should get traffic, and what is wrong although it should.
fn health(ingest: &Arc<Ingest>) -> (web::Readiness, web::Notice) {
    let ready: web::Readiness = {
        let ingest = ingest.clone();
        Arc::new(move || match () {
            () if !ingest.log.is_connected() => Err("not connected to the log".to_owned()),
            () if !ingest.presence.is_current() => Err("who is connected is not known".to_owned()),
            () if !ingest.fold.is_caught_up() => Err("the log is still being read".to_owned()),
            () if !ingest.fold.is_current() => Err("the log was not heard of lately".to_owned()),
            () if ingest.log.shortage() == Some(Shortage::OfAll) => Err("the log is full".to_owned()),
            () => ingest.verifier.ready(),
        })
    };
    // Moderation goes on, so traffic must.
    let notice: web::Notice = {
        let ingest = ingest.clone();
        Arc::new(move || {
            let short = ingest.log.shortage() == Some(Shortage::OfMessages);
            short.then(|| "the log is nearly full: messages are refused, moderation is not".to_owned())
        })
    };
    (ready, notice)
}

fn app(ingest: Arc<Ingest>, ready: web::Readiness, notice: web::Notice, stop: CancellationToken) -> Router {
    Router::new()
        .merge(openapi::routes())
        .merge(web::health_with_notice(ready, notice, stop).with_state(()))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(ingest)
}

async fn not_found(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    refused_unread(&ingest, request, Refusal::NotFound).await
}

/// The router adds `Allow`.
async fn method_not_allowed(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    refused_unread(&ingest, request, Refusal::MethodNotAllowed).await
}

async fn refused_unread(ingest: &Ingest, request: Request, refusal: Refusal) -> Response {
    let (parts, body) = request.into_parts();
    body::discard(&parts, body).await;
    refused(ingest, parts.uri.path(), refusal)
}

/// Each surface has its own error body, and what belongs to neither gets the original's.
fn refused(ingest: &Ingest, path: &str, refusal: Refusal) -> Response {
    if path == "/v1" || path.starts_with("/v1/") {
        refusal.problem().into_response()
    } else {
        legacy::refused(&ingest.time_zone, path, &refusal)
    }
}
