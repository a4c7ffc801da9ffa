//! Erasures: now and then all messages of a user are erased, through any archiver, while everybody goes on posting.
//! Of moderators only those who warn and write notes decide about these users.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use judge::history::{Observation, Recorder};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::moderators::{FIRST_MODERATOR, OFFENDERS};
use crate::platform::BANNED;
use crate::system::{System, token_with};
use crate::viewers::FIRST;

/// The users after those banned from every room: one whose messages are removed, and one whose messages are anonymised.
pub(crate) const ERASED: [i64; 2] = [FIRST + OFFENDERS + BANNED, FIRST + OFFENDERS + BANNED + 1];

/// The user who requests erasures.
const PRIVACY: i64 = FIRST_MODERATOR + 60;

/// The pause between two erasures, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 2_000..8_000;

/// The pause after one that may have failed, so that even a short run has some that are done.
const AGAIN_MS: std::ops::Range<u64> = 200..1_000;

/// An erasure of more than 15 s is answered with 202.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Whether the user is erased now and then.
pub(crate) fn is_erased(user: i64) -> bool {
    ERASED.contains(&user)
}

fn client() -> anyhow::Result<(Client, String)> {
    let client = testkit::client().timeout(TIMEOUT).connect_timeout(Duration::from_secs(2)).build()?;
    Ok((client, token_with(PRIVACY, &["chat:erase"])))
}

/// Requests erasures until the stop.
pub(crate) async fn erase(
    system: &System,
    recorder: &Arc<Recorder>,
    seed: u64,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let ((client, token), mut rng) = (client()?, Rng::with_seed(seed ^ 0xe7a));
    let erasures = AtomicU64::new(1);
    let mut pause_ms = PAUSE_MS;
    loop {
        let pause = Duration::from_millis(rng.u64(pause_ms));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return Ok(());
        }
        let erasure = erasures.fetch_add(1, Ordering::Relaxed);
        let place = rng.usize(..ERASED.len());
        let (user, anonymises) = (ERASED[place], place == 1);
        let mode = if anonymises { "anonymise" } else { "remove" };
        let archiver = &system.archivers[rng.usize(..system.archivers.len())];
        recorder.note(Observation::Erases { erasure, user, anonymises });
        let request = client.delete(format!("{archiver}/v1/users/{user}?mode={mode}")).bearer_auth(&token);
        let observed = match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                Observation::Erased { erasure, status: answer.status().as_u16() }
            }
            Ok(answer) => Observation::NotErased { erasure, why: answer.status().to_string() },
            Err(error) => Observation::NotErased { erasure, why: error.without_url().to_string() },
        };
        pause_ms = if matches!(observed, Observation::Erased { .. }) { PAUSE_MS } else { AGAIN_MS };
        recorder.note(observed);
    }
}

/// An erasure that is not complete yet.
pub(crate) async fn unfinished(system: &System) -> anyhow::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Receipts {
        erasures: Vec<Receipt>,
    }
    #[derive(Deserialize)]
    struct Receipt {
        erasure: String,
        state: String,
    }
    let (client, token) = client()?;
    for (user, archiver) in ERASED.iter().zip(system.archivers.iter().cycle()) {
        let request = client.get(format!("{archiver}/v1/users/{user}/erasures")).bearer_auth(&token);
        let answer = request.send().await?;
        // The user was never erased.
        if answer.status() == StatusCode::NOT_FOUND {
            continue;
        }
        let Receipts { erasures } = answer.error_for_status()?.json().await?;
        if let Some(running) = erasures.into_iter().find(|receipt| receipt.state != "done") {
            return Ok(Some(running.erasure));
        }
    }
    Ok(None)
}
