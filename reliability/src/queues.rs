//! The queues of moderators: messages that wait, and reports. Two moderators decide about waiting messages, sometimes
//! at the same moment and differently; some messages wait until their time is over. Users report messages, some of
//! them twice.

use std::time::Duration;

use anyhow::Context as _;
use chat::EventId;
use fastrand::Rng;
use judge::history::{Decided, MessageObservation, Observation, Reading, Recorder};
use reqwest::Client;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::moderators::{Caller, FIRST_MODERATOR, Moderators};
use crate::readings::READ;
use crate::system::{System, token};

/// The first of the two moderators of the queues.
const FIRST_OF_QUEUES: i64 = FIRST_MODERATOR + 80;

/// The users who report messages. They do not post. A user may report ten messages in a minute.
const REPORTERS: std::ops::Range<i64> = 4_000..4_020;

/// The pause between two decisions about waiting messages, in milliseconds.
const HOLDS_MS: std::ops::Range<u64> = 100..700;

/// The pause between two reports, in milliseconds.
const REPORTS_MS: std::ops::Range<u64> = 300..1_500;

/// The time limit for reading a queue during faults.
const QUEUE: Duration = Duration::from_secs(4);

/// Reported messages per page. Few: every page boundary is a chance to lose or repeat one.
const PAGE: usize = 20;

impl Moderators {
    /// Decides about the messages that wait until the stop.
    pub(crate) async fn decide_holds(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let callers = [Caller::with_scope(FIRST_OF_QUEUES)?, Caller::with_scope(FIRST_OF_QUEUES + 1)?];
        let client = testkit::client().timeout(QUEUE).build()?;
        let mut rng = Rng::with_seed(self.seed ^ 0x401d);
        loop {
            let pause = Duration::from_millis(rng.u64(HOLDS_MS));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let room = if rng.bool() { 1 } else { rng.i64(1..=self.rooms) };
            let node = rng.usize(..self.ingest.len());
            let Ok(waiting) = waiting(&client, &self.ingest[node], room).await else { continue };
            let Some(target) = rng.choice(waiting) else { continue };
            let decisions = [Decided::Release { target }, Decided::Deny { target }];
            let [one, other] = [(); 2].map(|()| decisions[rng.usize(..2)].clone());
            match rng.u32(..10) {
                // It may wait until its time is over.
                0 => {}
                1..4 => {
                    let mut fork = rng.fork();
                    let asked = self.ask(&callers[0], Some(room), one, &mut rng);
                    tokio::join!(asked, self.ask(&callers[1], Some(room), other, &mut fork));
                }
                4 => drop(self.ask(&callers[0], Some(room), Decided::Delete { target }, &mut rng).await),
                _ => {
                    self.ask(&callers[0], Some(room), one, &mut rng).await;
                    if rng.u32(..4) == 0 {
                        self.ask(&callers[1], Some(room), other, &mut rng).await;
                    }
                }
            }
        }
    }

    /// Reports messages, and closes reports, until the stop.
    pub(crate) async fn report(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let moderator = Caller::with_scope(FIRST_OF_QUEUES)?;
        let reporters = REPORTERS.map(Caller::of_user).collect::<anyhow::Result<Vec<Caller>>>()?;
        let mut rng = Rng::with_seed(self.seed ^ 0x4e9);
        let mut reported: Vec<(i64, EventId)> = Vec::new();
        loop {
            let pause = Duration::from_millis(rng.u64(REPORTS_MS));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
            let known = rng.choice(&reported).copied();
            match (rng.u32(..10), known) {
                (0..3, Some((room, target))) => {
                    self.ask(&moderator, Some(room), Decided::CloseReports { target }, &mut rng).await;
                }
                (3..5, Some((room, target))) => self.report_one(&reporters, room, target, &mut rng).await,
                _ => {
                    let Some((room, target)) = self.latest.any(&mut rng) else { continue };
                    self.report_one(&reporters, room, target, &mut rng).await;
                    reported.push((room, target));
                    // Later reports of old messages would be others, once ingest has forgotten the first.
                    if reported.len() > 10 {
                        reported.remove(0);
                    }
                }
            }
        }
    }

    async fn report_one(&self, reporters: &[Caller], room: i64, target: EventId, rng: &mut Rng) {
        let place = rng.usize(..reporters.len());
        let user = REPORTERS.start + place as i64;
        self.ask(&reporters[place], Some(room), Decided::Report { target, user }, rng).await;
        if rng.u32(..4) == 0 {
            self.ask(&reporters[place], Some(room), Decided::Report { target, user }, rng).await;
        }
    }
}

/// The messages of the room that wait, according to an ingest node.
async fn waiting(client: &Client, ingest: &str, room: i64) -> anyhow::Result<Vec<EventId>> {
    #[derive(Deserialize)]
    struct Queue {
        holds: Vec<Held>,
    }
    #[derive(Deserialize)]
    struct Held {
        id: EventId,
    }
    let request = client.get(format!("{ingest}/v1/rooms/{room}/holds")).bearer_auth(token(FIRST_OF_QUEUES, true));
    let Queue { holds } = request.send().await?.error_for_status()?.json().await?;
    Ok(holds.into_iter().map(|held| held.id).collect())
}

#[derive(Debug, Deserialize)]
struct Page {
    reports: Vec<Reported>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Reported {
    message: Identified,
    count: usize,
    reports: Vec<Identified>,
    closed: Option<Closed>,
}

#[derive(Debug, Deserialize)]
struct Identified {
    id: EventId,
}

#[derive(Debug, Deserialize)]
struct Closed {
    decision: EventId,
}

/// Records the queue of reports of every room. Consecutive pages come from different archivers.
pub(crate) async fn read(system: &System, recorder: &Recorder, rooms: i64) -> anyhow::Result<()> {
    let client = testkit::client().timeout(READ).build()?;
    for room in 1..=rooms {
        let mut after = String::new();
        for archiver in system.archivers.iter().cycle() {
            let url = format!("{archiver}/v1/rooms/{room}/reports?first={PAGE}{after}");
            let answer = client.get(url).bearer_auth(token(FIRST_OF_QUEUES, true)).send().await?;
            let Page { reports, next } = answer.error_for_status()?.json().await.context("a queue of reports")?;
            for Reported { message, count, reports, closed } in reports {
                recorder.note(Observation::Message(MessageObservation::Queued {
                    room,
                    id: message.id,
                    count,
                    reports: reports.into_iter().map(|report| report.id).collect(),
                    closed: closed.map(|closed| closed.decision),
                }));
            }
            match next {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
    }
    recorder.note(Observation::Read { reading: Reading::Reports });
    Ok(())
}
