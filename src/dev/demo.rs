//! The demo of `dev`: a page with a presenter and three viewers, on a listener of its own on loopback. The page uses
//! the roles' public interfaces. This API tells it where they are, plays a recording, and kills parts:
//!
//! - `GET /` and the files of the page.
//! - `GET /api/setup`: `{run, room, ingest, delivery, archiver, people, examples}`: the addresses as `host:port`, the
//!   people with their tokens (valid for a day from now), and commands to try. `run` names this run of `dev`.
//! - `GET /api/state?after=N`: `{run, parts, playing, accepted}`. `parts`: `[{name, state, downMs, backAfterMs}]`,
//!   `state` one of `running`, `down`, `starting`. `playing`: [`player::Playing`]. `accepted`: `{messages, next}`, what
//!   the recording's users got accepted from number N on, at most 2,000; without `after`, only `next`.
//! - `POST /api/play` with `{running, speed}`: starts or stops the recording, at 0.1 to 100 times its speed. 204.
//! - `POST /api/parts/{name}/kill` with `{downMs}`, at most 60,000: SIGKILL, and a start after that time. 202; 404
//!   without such a part; 409 if it is down already.
//!
//! [`guard`] decides whose requests are answered: those of this page at this address only. A refused value is a 400 or
//! 422 with a sentence.

mod files;
mod guard;
mod player;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use chat::PresenterIdx;
use conf::Secret;
use runtime::Tasks;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use self::guard::{Guard, Reachable, guard};
use self::player::{AcceptedPage, Player, Playing};
use super::Addresses;
use super::parts::{Life, NotKilled, Parts};
use super::try_it::{self, Example, People};

/// The demo's room.
const ROOM: i64 = 1;

/// A part that is down longer looks broken.
const LONGEST_DOWN: Duration = Duration::from_secs(60);

/// What the demo shows.
#[derive(Debug)]
pub(super) struct Demo {
    pub(super) addresses: Addresses,
    pub(super) secret: Secret,
    /// The folder as it was given to `dev`.
    pub(super) data: PathBuf,
    pub(super) parts: Arc<Parts>,
}

/// What the handlers share.
#[derive(Debug)]
struct Stage {
    demo: Demo,
    run: String,
    player: Player,
}

impl Demo {
    /// Serves the page until the tasks are stopped.
    pub(super) async fn serve(self, tasks: &Tasks) -> anyhow::Result<()> {
        let port = self.addresses.demo;
        let listener = TcpListener::bind(("127.0.0.1", port)).await.context("cannot listen for the demo")?;
        let [ingest, delivery, archiver] = self.roles();
        let reachable = Reachable { ingest: &ingest, delivery: &delivery, archiver: &archiver };
        let guarded = Arc::new(Guard::new(port, reachable)?);
        let stage = Arc::new(Stage { demo: self, run: uuid::Uuid::new_v4().to_string(), player: Player::new()? });
        let room = PresenterIdx::try_from(ROOM)?;
        tasks.spawn_until_stop("player of the demo", {
            let stage = Arc::clone(&stage);
            async move {
                let ended = stage.player.run(&format!("http://{ingest}"), &stage.demo.secret, room).await;
                ended.expect("the recording is embedded, and its tests play it");
            }
        });
        let router = Router::new()
            .route("/", get(async || files::file("index.html")))
            .route("/{name}", get(async |Path(name): Path<String>| files::file(&name)))
            .route("/api/setup", get(setup))
            .route("/api/state", get(state))
            .route("/api/play", post(play))
            .route("/api/parts/{name}/kill", post(kill))
            .layer(from_fn_with_state(guarded, guard))
            .with_state(stage);
        tasks.spawn_until_stop("demo", async move {
            axum::serve(listener, router).await.expect("axum retries when it cannot accept");
        });
        Ok(())
    }

    /// `host:port` of ingest, delivery and the archiver.
    fn roles(&self) -> [String; 3] {
        let Addresses { ingest, delivery, archiver, .. } = &self.addresses;
        [ingest, delivery, archiver].map(|role| format!("127.0.0.1:{}", role.http))
    }
}

#[derive(Debug, Serialize)]
struct Setup {
    run: String,
    room: i64,
    ingest: String,
    delivery: String,
    archiver: String,
    people: People,
    examples: Vec<Example>,
}

async fn setup(State(stage): State<Arc<Stage>>) -> Json<Setup> {
    let demo = &stage.demo;
    let [ingest, delivery, archiver] = demo.roles();
    let people = try_it::people(&demo.secret);
    let examples = try_it::examples(&demo.addresses, &people, &demo.data);
    Json(Setup { run: stage.run.clone(), room: ROOM, ingest, delivery, archiver, people, examples })
}

#[derive(Debug, Deserialize)]
struct From {
    after: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Now {
    run: String,
    parts: Vec<PartState>,
    playing: Playing,
    accepted: AcceptedPage,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PartState {
    name: String,
    state: super::parts::State,
    /// For how long it has been away, in milliseconds. Null: it runs.
    down_ms: Option<u128>,
    /// How long its last end kept it away, in milliseconds. Null: it never ended, or is away.
    back_after_ms: Option<u128>,
}

async fn state(State(stage): State<Arc<Stage>>, Query(From { after }): Query<From>) -> Json<Now> {
    let part = |(name, life): (&str, Life)| PartState {
        name: name.to_owned(),
        state: life.state,
        down_ms: life.ended.filter(|_| life.back_after.is_none()).map(|ended: Instant| ended.elapsed().as_millis()),
        back_after_ms: life.back_after.map(|after| after.as_millis()),
    };
    let parts = stage.demo.parts.lives().map(part).collect();
    let (playing, accepted) = (stage.player.playing(), stage.player.accepted(after));
    Json(Now { run: stage.run.clone(), parts, playing, accepted })
}

#[derive(Debug, Deserialize)]
struct Play {
    running: bool,
    speed: f64,
}

async fn play(
    State(stage): State<Arc<Stage>>,
    Json(Play { running, speed }): Json<Play>,
) -> Result<StatusCode, (StatusCode, &'static str)> {
    if !(0.1..=100.0).contains(&speed) {
        return Err((StatusCode::BAD_REQUEST, "The speed must be from 0.1 to 100.\n"));
    }
    stage.player.choose(running, speed);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kill {
    down_ms: u64,
}

async fn kill(
    State(stage): State<Arc<Stage>>,
    Path(name): Path<String>,
    Json(Kill { down_ms }): Json<Kill>,
) -> Result<StatusCode, (StatusCode, &'static str)> {
    let down = Duration::from_millis(down_ms);
    if down > LONGEST_DOWN {
        return Err((StatusCode::BAD_REQUEST, "downMs must be at most 60000.\n"));
    }
    stage.demo.parts.kill(&name, down).map_err(|refused| match refused {
        NotKilled::Unknown => (StatusCode::NOT_FOUND, "There is no such part.\n"),
        NotKilled::Down => (StatusCode::CONFLICT, "It is down already.\n"),
    })?;
    Ok(StatusCode::ACCEPTED)
}
