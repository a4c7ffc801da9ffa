//! Pinned messages: a moderator pins messages of the first rooms, one after another, and sometimes unpins. At the end
//! every ingest node is asked for the pin of each room.

use std::collections::HashSet;
use std::time::Duration;

use chat::EventId;
use fastrand::Rng;
use judge::history::{Decided, MessageObservation, Observation, Reading, Recorder};
use reqwest::StatusCode;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::moderators::{Caller, FIRST_MODERATOR, Moderators};
use crate::readings::READ;
use crate::system::{System, token};

/// The user who pins.
const PINNER: i64 = FIRST_MODERATOR + 85;

/// The number of rooms with pins.
const ROOMS: i64 = 4;

/// The pause between two decisions, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 300..1_500;

impl Moderators {
    /// Pins and unpins until the stop. No message is pinned twice: its id identifies the request.
    pub(crate) async fn pin(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let caller = Caller::with_scope(PINNER)?;
        let mut rng = Rng::with_seed(self.seed ^ 0x914);
        let mut pinned: HashSet<EventId> = HashSet::new();
        loop {
            let pause = Duration::from_millis(rng.u64(PAUSE_MS));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            if rng.u32(..4) == 0 {
                let room = rng.i64(1..=self.rooms.min(ROOMS));
                self.ask(&caller, Some(room), Decided::Unpin, &mut rng).await;
                continue;
            }
            let Some((room, target)) = self.latest.any(&mut rng) else { continue };
            if room <= ROOMS && pinned.insert(target) {
                self.ask(&caller, Some(room), Decided::Pin { target }, &mut rng).await;
            }
        }
    }
}

/// Records every room's pin, from every ingest node.
pub(crate) async fn read(system: &System, recorder: &Recorder, rooms: i64) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Pin {
        message_id: EventId,
    }
    let client = testkit::client().timeout(READ).build()?;
    for (node, ingest) in system.ingest.iter().enumerate() {
        for room in 1..=rooms {
            let request = client.get(format!("{ingest}/v1/rooms/{room}/pin")).bearer_auth(token(PINNER, true));
            let answer = request.send().await?;
            let pinned = match answer.status() {
                StatusCode::NOT_FOUND => None,
                _ => Some(answer.error_for_status()?.json::<Pin>().await?.message_id),
            };
            let node = format!("ingest-{node}");
            recorder.note(Observation::Message(MessageObservation::PinRead { room, node, pinned }));
        }
    }
    recorder.note(Observation::Read { reading: Reading::Pins });
    Ok(())
}
