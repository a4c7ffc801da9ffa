//! The replay beside the video, as a player reads it: followed during the run, and read completely at the end. It lists
//! the room's broadcasts, and each broadcast's messages by offset in the recording, page by page. Consecutive pages
//! come from different archivers, as behind a load balancer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat::{EventId, Position};
use jiff::Timestamp;
use judge::history::{Observation, Recorder};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::readings::READ;
use crate::system::{System, token};

/// After the presenters have left, the archive needs this time to know the end of their last sessions; a full log does
/// not take these events at all. It also covers the 5 s after which a message of a broadcast in progress is replayed.
const ENDED: Duration = Duration::from_secs(10);

/// Messages per page. Few: every page boundary is a chance to lose or repeat one.
const PAGE: usize = 50;

#[derive(Debug, Deserialize)]
struct Broadcasts {
    broadcasts: Vec<Broadcast>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Broadcast {
    id: String,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    duration_ms: Option<i64>,
    messages: u64,
}

#[derive(Debug, Deserialize)]
struct Page {
    messages: Vec<Message>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    offset_ms: i64,
    id: EventId,
    position: Position,
    text: String,
}

/// A reader of the room's replay.
struct Player<'a> {
    client: Client,
    archivers: &'a [String],
    token: String,
    asked: usize,
}

impl Player<'_> {
    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        self.asked += 1;
        let url = format!("{}{path}", self.archivers[self.asked % self.archivers.len()]);
        let answer = self.client.get(url).bearer_auth(&self.token).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }

    async fn part(&mut self, room: i64, broadcast: &str, place: &str) -> anyhow::Result<Page> {
        self.get(&format!("/v1/rooms/{room}/broadcasts/{broadcast}/replay?first={PAGE}{place}")).await
    }

    async fn broadcasts(&mut self, room: i64) -> anyhow::Result<Vec<Broadcast>> {
        let mut broadcasts = Vec::new();
        let mut after = String::new();
        loop {
            let page: Broadcasts = self.get(&format!("/v1/rooms/{room}/broadcasts?first=10{after}")).await?;
            broadcasts.extend(page.broadcasts);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(broadcasts),
            }
        }
    }
}

/// The time limit for a page during faults.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a follower waits if there is nothing new.
const NOTHING_NEW: Duration = Duration::from_secs(1);

/// Follows the room's latest broadcast until the stop. A follower must see the final replay: nothing may appear later
/// before its position.
pub(crate) async fn follow(
    system: &System,
    recorder: &Recorder,
    room: i64,
    readings: &AtomicU64,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let client = testkit::client().timeout(PATIENCE).build()?;
    let mut player = Player { client, archivers: &system.archivers, token: token(room, false), asked: 0 };
    let mut followed: Option<(u64, String)> = None;
    let mut place = String::new();
    while !stop.is_cancelled() {
        // If an archiver is down, the next one is asked.
        let shown = match &followed {
            Some((replay, broadcast)) => player.part(room, broadcast, &place).await.map(|Page { messages, next }| {
                let is_full = messages.len() == PAGE;
                for Message { id, position, text, .. } in messages {
                    recorder.note(Observation::ReplayShows { replay: *replay, id, position, text });
                }
                (is_full, next)
            }),
            None => match player.broadcasts(room).await.map(|broadcasts| broadcasts.into_iter().next()) {
                Ok(Some(Broadcast { id: broadcast, .. })) => {
                    let replay = readings.fetch_add(1, Ordering::Relaxed);
                    recorder.note(Observation::ReplayBegins { replay, room, broadcast: broadcast.clone() });
                    followed = Some((replay, broadcast));
                    Ok((true, Some(String::new())))
                }
                Ok(None) => Ok((false, Some(String::new()))),
                Err(error) => Err(error),
            },
        };
        let is_full = match shown {
            Ok((is_full, Some(next))) => {
                place = if next.is_empty() { "&from=0".to_owned() } else { format!("&after={next}") };
                is_full
            }
            // The broadcast has ended, or is part of another one now.
            Ok((_, None)) => {
                followed = None;
                false
            }
            Err(error) => {
                let is_gone = error.downcast_ref::<reqwest::Error>().and_then(reqwest::Error::status);
                followed = followed.filter(|_| is_gone != Some(reqwest::StatusCode::NOT_FOUND));
                false
            }
        };
        if !is_full {
            let _ = stop.run_until_cancelled(tokio::time::sleep(NOTHING_NEW)).await;
        }
    }
    Ok(())
}

/// Records the room's broadcasts and the replay of each. The presenters have been gone since `gone`.
pub(crate) async fn read(system: &System, recorder: &Recorder, room: i64, gone: Instant) -> anyhow::Result<()> {
    let client = testkit::client().timeout(READ).build()?;
    let mut player = Player { client, archivers: &system.archivers, token: token(room, false), asked: 0 };
    let broadcasts = loop {
        let waited = gone.elapsed();
        let broadcasts = player.broadcasts(room).await?;
        if waited > ENDED || broadcasts.iter().all(|broadcast| broadcast.ended_at.is_some()) {
            break broadcasts;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    for Broadcast { id: broadcast, started_at: started, ended_at: ended, duration_ms, messages } in broadcasts {
        let noted =
            Observation::Broadcast { room, broadcast: broadcast.clone(), started, ended, duration_ms, messages };
        recorder.note(noted);
        let (mut place, mut reached) = ("&from=0".to_owned(), None);
        loop {
            let Page { messages, next } = player.part(room, &broadcast, &place).await?;
            for Message { offset_ms, id, position, text } in messages {
                let broadcast = broadcast.clone();
                recorder.note(Observation::ReplayedBesideVideo { room, broadcast, offset_ms, id, position, text });
            }
            // A broadcast in progress always has a next position. The same as before: there is nothing more.
            if next.is_none() || next == reached {
                break;
            }
            place = next.iter().map(|next| format!("&after={next}")).collect();
            reached = next;
        }
    }
    Ok(())
}
