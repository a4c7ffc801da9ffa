//! The reading side over HTTP, `/v1`: who may read what, the questions that the query asks, and the answers. Errors are
//! RFC 9457. What is asked of MongoDB is not known here.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chat::PresenterIdx;
use nats::Log;
use tokio_util::sync::CancellationToken;
use web::auth::Verifier;

use crate::erasure::service::Eraser;
use crate::mongo::database::Database;
use crate::mongo::documents::PositionDocument;
use crate::status::Status;
use crate::{Config, Error};

mod access;
mod bodies;
mod broadcast_export;
mod broadcasts;
mod call;
mod erasures;
mod events;
mod exports;
mod incomplete;
mod messages;
mod moderation;
pub(crate) mod openapi;
mod parameters;
mod refusal;
mod replay;
mod statistics;
mod status;
mod stream;
mod time_format;

use refusal::Refusal;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Reader {
    verifier: Arc<Verifier>,
    pub(crate) database: Database,
    log: Log,
    pub(crate) eraser: Eraser,
    /// How the writing is doing.
    status: Arc<Status>,
    /// Requests at once, shared by users. None left: 503 at once.
    in_flight: Arc<web::UserPermits>,
    pub(crate) streams: stream::Streams,
    /// Cancelled when the archiver stops: what goes on for as long as its reader listens ends then.
    ending: CancellationToken,
    /// The document of the interface.
    openapi: Bytes,
}

impl Reader {
    /// Up to where everything of the room is archived, as far as is known here.
    fn archived(&self, room: PresenterIdx) -> Option<PositionDocument> {
        let stream = self.log.stream_of(room);
        let waiting = self.status.waiting()?;
        let known = waiting.streams.iter().find(|known| known.fill.stream == stream)?;
        let (sequence, epoch) = (known.archived?, i64::try_from(known.fill.epoch).ok()?);
        Some(PositionDocument { epoch, sequence, index: i32::MAX.into() })
    }

    pub(crate) async fn connect(
        config: &Config,
        verifier: Arc<Verifier>,
        log: Log,
        eraser: Eraser,
        status: Arc<Status>,
        ending: CancellationToken,
    ) -> Result<Reader, Error> {
        let database = Database::connect_for_reading(config).await?;
        Ok(Reader {
            verifier,
            database,
            log,
            eraser,
            status,
            in_flight: web::UserPermits::new(config.reads.max_in_flight, config.reads.max_in_flight_of_user),
            streams: stream::Streams::new(&config.reads),
            ending,
            openapi: openapi::document().into(),
        })
    }

    /// Whether some token can be verified, and why not.
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.verifier.ready()
    }
}

/// Everything that the archiver serves.
pub(crate) fn app(reader: Arc<Reader>, ready: web::Readiness, notice: web::Notice, stop: CancellationToken) -> Router {
    Router::new()
        .merge(openapi::routes())
        .merge(web::health_with_notice(ready, notice, stop).with_state(()))
        .fallback(async || Refusal::NotFound.problem())
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed.problem())
        .with_state(reader)
}

/// The answer, or the problem that it became.
async fn answer(work: impl Future<Output = Result<Response, Refusal>>) -> Response {
    work.await.unwrap_or_else(|refusal| {
        refusal.log();
        refusal.problem().into_response()
    })
}

/// What handlers get.
type Shared = State<Arc<Reader>>;
