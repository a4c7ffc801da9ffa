//! Plays a recorded chat through the gateway's surface into a running system, as its users and presenters would. Then
//! checks that every accepted message is on the presenter's socket and in the archive, once and in order. It uses only
//! the system's public interfaces, so it finds faults that the system does not notice.

mod cast;
mod check;
mod line;
mod post;
mod posting;
mod presenter;
mod report;
mod tempo;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::PresenterIdx;
use conf::Secret;

pub use line::{Line, read};
pub use post::Outcome;
pub use report::Report;

pub(crate) use cast::Cast;
pub(crate) use line::parse;
pub(crate) use post::Poster;
pub(crate) use posting::{Step, post};
pub(crate) use tempo::Tempo;

use presenter::Screen;

/// The system to play into.
#[derive(Debug, Clone)]
pub struct Target {
    /// The URL of ingest, `http://host:port`.
    pub ingest: String,
    /// The URL of delivery, `ws://host:port`.
    pub delivery: String,
    /// The secret that signs tokens.
    pub secret: Secret,
    /// The archive.
    pub archive: archiver::Archive,
}

/// The options of a play.
#[derive(Debug, Clone)]
pub struct Options {
    /// The speed as a multiple of the recorded one. None: as fast as `in_flight` allows.
    pub speed: Option<f64>,
    /// The room of lines without a room. Named rooms get the numbers after it.
    pub room: PresenterIdx,
    /// The maximum of concurrent posts.
    pub in_flight: usize,
    /// How long a post of unknown outcome is retried.
    pub patience: Duration,
}

/// Plays the lines, and checks the outcome. Calls `progress` after the final answer to each line.
pub async fn play(
    lines: Vec<Line>,
    target: &Target,
    options: &Options,
    progress: impl Fn(&Outcome) + Send + Sync + 'static,
) -> anyhow::Result<Report> {
    let started = Instant::now();
    let cast = Cast::of(lines, options.room)?;
    let screens: BTreeMap<PresenterIdx, Screen> = cast
        .rooms
        .iter()
        .map(|room| {
            let token = posting::token(&target.secret, room.get(), &format!("presenter{room}"));
            (*room, Screen::open(format!("{}/chatting", target.delivery), token))
        })
        .collect();

    let poster = Poster::new(&target.ingest, options.patience)?;
    let users = cast.users();
    let tempo = Arc::new(Tempo::new(options.speed));
    let answered = move |step: Step<'_>| {
        if let Step::Answered { outcome, .. } = step {
            progress(outcome);
        }
    };
    let posted = posting::post(cast, &target.secret, poster, &tempo, options.in_flight, answered).await?;
    let posting = started.elapsed();

    let report = check::check(&posted, &screens, &target.archive, &users, posting).await;
    for (_, screen) in screens {
        screen.close().await;
    }
    report
}
