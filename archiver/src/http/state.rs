//! The state that handlers share.

use std::num::NonZero;
use std::sync::{Arc, OnceLock};

use axum::extract::State;
use bytes::Bytes;
use chat::PresenterIdx;
use nats::Log;
use tokio_util::sync::CancellationToken;
use web::auth::Verifier;

use super::stream::Streams;
use super::turns::Turns;
use crate::acknowledgements::Acknowledgements;
use crate::erasure::service::Eraser;
use crate::mongo::database::Database;
use crate::mongo::documents::PositionDocument;
use crate::status::Status;
use crate::{Config, Error};

/// What handlers take.
pub(super) type App = State<Arc<AppState>>;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(super) verifier: Arc<Verifier>,
    /// Connections of its own: readers must not keep the writer waiting.
    pub(super) database: Database,
    pub(super) log: Log,
    /// How far each presenter's page has acknowledged.
    pub(super) acknowledgements: Acknowledgements,
    pub(super) eraser: Eraser,
    /// How the writing is doing.
    pub(super) status: Arc<Status>,
    /// Requests in flight, shared by users. With none left, a request gets 503 at once.
    pub(super) in_flight: Arc<web::UserPermits>,
    pub(crate) streams: Streams,
    /// Turns at work that takes long.
    pub(super) turns: Turns,
    /// Cancelled when the archiver stops. It ends event streams, which otherwise last as long as their client listens.
    pub(super) ending: CancellationToken,
    /// The OpenAPI document, written at the first request.
    pub(super) openapi: OnceLock<Bytes>,
}

impl AppState {
    pub(crate) async fn connect(
        config: &Config,
        verifier: Arc<Verifier>,
        log: Log,
        eraser: Eraser,
        status: Arc<Status>,
        ending: CancellationToken,
    ) -> Result<AppState, Error> {
        let database = Database::connect_for_reading(config).await?;
        Ok(AppState {
            verifier,
            database,
            acknowledgements: Acknowledgements::new(log.clone()),
            log,
            eraser,
            status,
            in_flight: web::UserPermits::new(config.reads.max_in_flight, config.reads.max_in_flight_of_user),
            streams: Streams::new(&config.reads),
            turns: Turns::new(std::thread::available_parallelism().map_or(1, NonZero::get)),
            ending,
            openapi: OnceLock::new(),
        })
    }

    /// The connection of the reading side.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The position up to which the room is archived without a hole, as far as this node knows.
    pub(super) fn archived(&self, room: PresenterIdx) -> Option<PositionDocument> {
        let stream = self.log.stream_of(room);
        let waiting = self.status.waiting()?;
        let known = waiting.streams.iter().find(|known| known.fill.stream == stream)?;
        let (sequence, epoch) = (known.archived?, i64::try_from(known.fill.epoch).ok()?);
        Some(PositionDocument { epoch, sequence, index: i32::MAX.into() })
    }

    /// Whether tokens can be verified, and why not.
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.verifier.ready()
    }
}
