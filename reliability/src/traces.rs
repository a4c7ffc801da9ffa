//! Traces: a moderator asks archivers again and again where a recent message is. MongoDB is asked after each answer
//! that says "archived".

use std::time::Duration;

use anyhow::Context as _;
use archiver::Archive;
use chat::{EventId, Position, PresenterIdx};
use fastrand::Rng;
use judge::history::{MessageObservation, Observation, Recorder};
use reqwest::Client;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::moderators::FIRST_MODERATOR;
use crate::system::{System, token};
use crate::viewers::Latest;

/// The moderator who asks.
const TRACER: i64 = FIRST_MODERATOR + 75;

/// The pause between two questions, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 50..500;

/// The time limit for an answer during faults.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug, Deserialize)]
struct Trace {
    accepted: Accepted,
    presenter: State,
    archived: State,
    deleted: Option<Deletion>,
}

/// The deletion that hides a message.
#[derive(Debug, Deserialize)]
struct Deletion {
    decision: EventId,
}

#[derive(Debug, Deserialize)]
struct Accepted {
    position: Position,
}

#[derive(Debug, Deserialize)]
struct State {
    state: String,
}

/// Traces recent messages until the stop.
pub(crate) async fn trace(
    system: &System,
    recorder: &Recorder,
    latest: &Latest,
    seed: u64,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let client = testkit::client().timeout(PATIENCE).build()?;
    let (archive, mut rng) = (system.archive().await?, Rng::with_seed(seed ^ 0x74ace));
    loop {
        let pause = Duration::from_millis(rng.u64(PAUSE_MS));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return Ok(());
        }
        let Some((room, id)) = latest.any(&mut rng) else { continue };
        let archiver = &system.archivers[rng.usize(..system.archivers.len())];
        // A node that is down, or a message that is not known yet, has no trace.
        let Ok(trace) = ask(&client, archiver, room, id).await else { continue };
        let Trace { accepted, presenter, archived, deleted } = trace;
        let is_archived = archived.state == "archived";
        let found = if is_archived { find(&archive, room, id).await.ok() } else { None };
        recorder.note(Observation::Message(MessageObservation::Traced {
            room,
            id,
            position: accepted.position,
            presenter: presenter.state,
            archived: is_archived,
            deleted: deleted.map(|deletion| deletion.decision),
            found,
        }));
    }
}

async fn ask(client: &Client, archiver: &str, room: i64, id: EventId) -> anyhow::Result<Trace> {
    let request = client.get(format!("{archiver}/v1/rooms/{room}/messages/{id}/trace"));
    Ok(request.bearer_auth(token(TRACER, true)).send().await?.error_for_status()?.json().await?)
}

/// Whether MongoDB has the message.
async fn find(archive: &Archive, room: i64, id: EventId) -> anyhow::Result<bool> {
    let found = timeout(PATIENCE, archive.has_message(PresenterIdx::try_from(room)?, id));
    Ok(found.await.context("MongoDB does not answer")??)
}
