//! `chatting-server dev play`: plays a recording into the development system, with a progress bar and a report.

use std::time::Duration;

use anyhow::Context as _;
use chat::PresenterIdx;
use indicatif::{ProgressBar, ProgressStyle};

use super::folder;
use crate::cli::{PlayArguments, Speed};
use crate::config::Config;
use crate::play::{self, Options, Outcome, Report, Target};

/// Concurrent posts: more than ingest puts into one batch.
pub(super) const IN_FLIGHT: usize = 256;

/// How long a post of unknown outcome is retried.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Plays the recording. Returns the report.
pub async fn play(arguments: &PlayArguments) -> anyhow::Result<Report> {
    let file = arguments.config.clone().unwrap_or_else(|| folder::configuration(&arguments.data));
    anyhow::ensure!(
        file.exists(),
        "there is no {}: start `chatting-server dev` first, or give --config the configuration of a running system",
        file.display()
    );
    let config = Config::load(Some(&file))?;
    config.auth.check_secret().context("there is no secret to sign tokens with")?;
    let lines = play::read(&arguments.file)?;
    let room = PresenterIdx::try_from(arguments.room).context("--room is not a presenterIdx")?;
    let target = Target {
        ingest: format!("http://{}", config.ingest.listen),
        delivery: format!("ws://{}", config.delivery.listen),
        secret: config.auth.secret,
        archive: archiver::Archive::connect(&config.archiver).await?,
    };
    let speed = match arguments.speed {
        Speed::Max => None,
        Speed::Times(times) => Some(times),
    };
    let bar = ProgressBar::new(lines.len() as u64);
    bar.set_style(ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {per_sec:1}{msg}")?);
    let options = Options { speed, room, in_flight: IN_FLIGHT, patience: PATIENCE };
    let progress = {
        let bar = bar.clone();
        move |_: &Outcome| bar.inc(1)
    };
    let report = play::play(lines, &target, &options, progress).await;
    bar.finish_and_clear();
    report
}
