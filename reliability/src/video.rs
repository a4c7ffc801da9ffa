//! The replay beside the video, as a player reads it when all is over, and follows it while chat plays: the room's broadcasts, and what was said in each,
//! page by page by the time in its recording, from the beginning to the end. Every page comes from another archiver than
//! the one before, as behind a load balancer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat::{EventId, Position};
use jiff::Timestamp;
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::history::{Recorder, What};
use crate::readings::READ;
use crate::system::{System, token};

/// The presenters have gone when this is read. By then, after that, the archive knows that their last sessions have
/// ended, or never will: a log that is full does not take the ends. And what was said last is old enough to be replayed
/// in a broadcast that does not end, which takes 5 s.
const ENDED: Duration = Duration::from_secs(10);

/// Messages a page: few, so that there are many places where one could be lost or come twice.
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

/// A player of the room, who may read it.
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

/// How long a page may take while things break.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a follower waits where there is nothing new.
const NOTHING_NEW: Duration = Duration::from_secs(1);

/// Follows the latest broadcast of the room while chat plays, until told to stop. What a follower is shown must be in
/// the end what everybody is shown: nothing comes later before it.
pub(crate) async fn follow(
    system: &System,
    recorder: &Recorder,
    room: i64,
    readings: &AtomicU64,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let mut player = Player { client, archivers: &system.archivers, token: token(room, false), asked: 0 };
    let mut followed: Option<(u64, String)> = None;
    let mut place = String::new();
    while !stop.is_cancelled() {
        // Where an archiver is away, the other one is asked next.
        let shown = match &followed {
            Some((replay, broadcast)) => player.part(room, broadcast, &place).await.map(|Page { messages, next }| {
                let is_full = messages.len() == PAGE;
                for Message { id, position, text, .. } in messages {
                    recorder.note(What::ReplayShows { replay: *replay, id, position, text });
                }
                (is_full, next)
            }),
            None => match player.broadcasts(room).await.map(|broadcasts| broadcasts.into_iter().next()) {
                Ok(Some(Broadcast { id: broadcast, .. })) => {
                    let replay = readings.fetch_add(1, Ordering::Relaxed);
                    recorder.note(What::ReplayBegins { replay, room, broadcast: broadcast.clone() });
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
            // It has ended, or is part of another one now.
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

/// Notes the room's broadcasts, and what each one's replay shows. The presenters have been gone since `gone`.
pub(crate) async fn read(system: &System, recorder: &Recorder, room: i64, gone: Instant) -> anyhow::Result<()> {
    let client = Client::builder().no_proxy().timeout(READ).build()?;
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
        let noted = What::Broadcast { room, broadcast: broadcast.clone(), started, ended, duration_ms, messages };
        recorder.note(noted);
        let (mut place, mut reached) = ("&from=0".to_owned(), None);
        loop {
            let Page { messages, next } = player.part(room, &broadcast, &place).await?;
            for Message { offset_ms, id, position, text } in messages {
                let broadcast = broadcast.clone();
                recorder.note(What::ReplayedBesideVideo { room, broadcast, offset_ms, id, position, text });
            }
            // One that does not end always names a place to go on from; where it is the same as before, nothing follows.
            if next.is_none() || next == reached {
                break;
            }
            place = next.iter().map(|next| format!("&after={next}")).collect();
            reached = next;
        }
    }
    Ok(())
}
