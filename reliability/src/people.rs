//! Warnings of users, and notes on them. Moderators warn users, who then write, so that the answers have the warnings,
//! and withdraw or replace some. Another moderator writes notes on users, deletes some and lists them. At the end every
//! ingest node is asked for both. Some of the users are erased now and then.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chat::EventId;
use fastrand::Rng;
use futures_util::future::try_join_all;
use judge::history::{Decided, ListedNote, ListedWarning, Observation, PersonObservation, Reading, Recorder, Surface};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, client};
use crate::erasures::{ERASED, is_erased};
use crate::moderators::{Caller, FIRST_MODERATOR, Moderators};
use crate::readings::READ;
use crate::system::{System, token};
use crate::viewers::{Attempts, Viewers};

/// The moderator who warns.
const WARNER: i64 = FIRST_MODERATOR + 95;

/// The moderator who writes notes.
const NOTER: i64 = FIRST_MODERATOR + 96;

/// The users who are warned, besides the erased ones. They write nothing but what follows a warning, and nobody bans or
/// erases them.
const WARNED: std::ops::Range<i64> = 6_000..6_004;

/// The number of rooms with warnings and notes.
const ROOMS: i64 = 3;

/// The pause between a user's last post and the next decision about the user's warning, in milliseconds.
const WARNINGS_MS: std::ops::Range<u64> = 200..2_000;

/// The pause before a post of a warned user, in milliseconds: some know of the warning, and others do not yet.
const POSTS_MS: std::ops::Range<u64> = 50..1_300;

/// The pause between two decisions about notes, in milliseconds.
const NOTES_MS: std::ops::Range<u64> = 100..700;

/// The time limit for a list during faults.
const LIST: Duration = Duration::from_secs(4);

/// The numbers of lists at the end of a run, above those during it.
const FIRST_LAST_LIST: u64 = 1_000_000;

/// The users who are warned, and with notes on them.
fn users() -> impl Iterator<Item = i64> {
    WARNED.chain(ERASED)
}

impl Moderators {
    /// Warns users, and lets them write, until the stop.
    pub(crate) async fn warn(&self, viewers: &Viewers, stop: &CancellationToken) -> anyhow::Result<()> {
        try_join_all(users().map(|user| self.warn_one(viewers, user, stop))).await.map(drop)
    }

    async fn warn_one(&self, viewers: &Viewers, user: i64, stop: &CancellationToken) -> anyhow::Result<()> {
        let (caller, client) = (Caller::with_scope(WARNER)?, client()?);
        let mut rng = Rng::with_seed(self.seed ^ user.unsigned_abs().wrapping_mul(0x9fb2_1c65_1e98_df25));
        let room = |rng: &mut Rng| rng.i64(1..=self.rooms.min(ROOMS));
        loop {
            let pause = Duration::from_millis(rng.u64(WARNINGS_MS));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let warned_in = room(&mut rng);
            let decided = if rng.u32(..5) == 0 { Decided::Withdraw { user } } else { Decided::Warn { user } };
            self.ask(&caller, Some(warned_in), decided, &mut rng).await;
            // Erased users write anyway.
            for _ in 0..if is_erased(user) { 0 } else { rng.u32(1..6) } {
                tokio::time::sleep(Duration::from_millis(rng.u64(POSTS_MS))).await;
                // Some write to another room, where they may have another warning or none.
                let room = if rng.u32(..4) == 0 { room(&mut rng) } else { warned_in };
                let post = viewers.posts.fetch_add(1, Ordering::Relaxed);
                let (key, text) = (Some(format!("{:x}-warned-{post}", self.seed)), format!("but why? #{post}"));
                let client = &client;
                let said = Attempts { viewers, client, post, room, user, key, text, extras: None };
                said.make_until_known(Surface::V1, &mut rng).await;
            }
        }
    }

    /// Writes, deletes and lists notes until the stop.
    pub(crate) async fn note(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let caller = Caller::with_scope(NOTER)?;
        let client = testkit::client().timeout(LIST).build()?;
        let mut rng = Rng::with_seed(self.seed ^ 0x407e);
        let mut list = 0;
        let users: Vec<i64> = users().collect();
        let mut known: Vec<(i64, i64, EventId)> = Vec::new();
        loop {
            let pause = Duration::from_millis(rng.u64(NOTES_MS));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let (room, user) = (rng.i64(1..=self.rooms.min(ROOMS)), users[rng.usize(..users.len())]);
            match rng.u32(..10) {
                0..4 => {
                    let answer = self.ask(&caller, Some(room), Decided::Note { user }, &mut rng).await;
                    if let Answer::Accepted { id, .. } = answer {
                        known.push((room, user, id));
                    }
                }
                4..7 if !known.is_empty() => {
                    let (room, user, target) = known.swap_remove(rng.usize(..known.len()));
                    self.ask(&caller, Some(room), Decided::DeleteNote { user, target }, &mut rng).await;
                }
                _ => {
                    list += 1;
                    let node = rng.usize(..self.ingest.len());
                    // A node that cannot list them now has said nothing of them.
                    let _ = list_notes(&client, &self.recorder, &self.ingest, node, (list, room, user), false).await;
                }
            }
        }
    }
}

/// Asks a node for the notes on a user in a room, and records them.
async fn list_notes(
    client: &Client,
    recorder: &Recorder,
    ingest: &[String],
    node: usize,
    (list, room, user): (u64, i64, i64),
    at_the_end: bool,
) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Notes {
        notes: Vec<ListedNote>,
    }
    let name = format!("ingest-{node}");
    recorder.note(PersonObservation::AsksForNotes { list, room, user, node: name, at_the_end }.into());
    let url = format!("{}/v1/rooms/{room}/users/{user}/notes", ingest[node]);
    let Notes { notes } = get(client, &url, NOTER).await?;
    recorder.note(PersonObservation::Notes { list, notes }.into());
    Ok(())
}

async fn get<T: DeserializeOwned>(client: &Client, url: &str, moderator: i64) -> anyhow::Result<T> {
    let answer = client.get(url).bearer_auth(token(moderator, true)).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}

/// Records every room's warnings and notes, from every ingest node.
pub(crate) async fn read(system: &System, recorder: &Recorder, rooms: i64) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Page {
        warnings: Vec<Warning>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Warning {
        id: EventId,
        user: i64,
        reason: String,
        sent_at: Option<String>,
    }
    let client = testkit::client().timeout(READ).build()?;
    let mut list = FIRST_LAST_LIST;
    for (node, ingest) in system.ingest.iter().enumerate() {
        for room in 1..=rooms.min(ROOMS) {
            // There are fewer than a page.
            let Page { warnings } = get(&client, &format!("{ingest}/v1/rooms/{room}/warnings"), WARNER).await?;
            let listed =
                |Warning { id, user, reason, sent_at }| ListedWarning { id, user, reason, is_sent: sent_at.is_some() };
            let (node_, warnings) = (format!("ingest-{node}"), warnings.into_iter().map(listed).collect());
            recorder.note(PersonObservation::Warnings { room, node: node_, warnings }.into());
            for user in users() {
                list += 1;
                list_notes(&client, recorder, &system.ingest, node, (list, room, user), true).await?;
            }
        }
    }
    recorder.note(Observation::Read { reading: Reading::People });
    Ok(())
}
