//! The replay beside the video, as a player reads it when all is over: the room's broadcasts, and what was said in each,
//! page by page by the time in its recording, from the beginning to the end. Every page comes from another archiver than
//! the one before, as behind a load balancer.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use nats::{EventId, Position};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;

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
        let replay = format!("/v1/rooms/{room}/broadcasts/{broadcast}/replay?first={PAGE}");
        let (mut place, mut reached) = ("&from=0".to_owned(), None);
        loop {
            let Page { messages, next } = player.get(&format!("{replay}{place}")).await?;
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
