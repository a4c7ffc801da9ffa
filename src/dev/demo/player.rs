//! Plays the recorded evening into the demo's room, again and again, and keeps what was accepted for the page.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chat::{EventId, Position, PresenterIdx};
use conf::Secret;
use parking_lot::Mutex;
use serde::Serialize;

use crate::dev::play::{IN_FLIGHT, PATIENCE};
use crate::play::{self, Cast, Line, Outcome, Poster, Step, Tempo};

const RECORDING: &str = include_str!("../../../samples/evening.ndjson");

/// Accepted messages that are kept for pages: an hour and more. A page asks four times a second.
const KEPT: usize = 20_000;

/// Messages in one answer: a page that was asleep catches up with several.
const PAGE: usize = 2_000;

/// The player. It stands until it is started.
#[derive(Debug)]
pub(super) struct Player {
    lines: Vec<Line>,
    length: Duration,
    tempo: Arc<Tempo>,
    choice: Mutex<Choice>,
    record: Arc<Mutex<Record>>,
}

/// What the page chose.
#[derive(Debug, Clone, Copy)]
struct Choice {
    is_running: bool,
    speed: f64,
}

/// What became of the posts.
#[derive(Debug, Default)]
struct Record {
    accepted: VecDeque<Accepted>,
    /// The number of the first one that is kept, from 0.
    first: usize,
    sending: usize,
    refused: usize,
    unknown: usize,
}

/// An accepted message.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accepted {
    id: EventId,
    position: Position,
    /// When its first attempt began, in milliseconds since 1970. Its `sentAt` is not earlier.
    since_ms: u64,
}

/// The player, as the page sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Playing {
    running: bool,
    speed: f64,
    /// Of the recording.
    at_ms: u64,
    length_ms: u64,
    /// Posts without a final answer.
    sending: usize,
    refused: usize,
    /// Posts that had no clear answer for [`PATIENCE`].
    unknown: usize,
}

/// Accepted messages from a number on.
#[derive(Debug, Serialize)]
pub(super) struct AcceptedPage {
    messages: Vec<Accepted>,
    /// The number to ask for next.
    next: usize,
}

impl Player {
    pub(super) fn new() -> anyhow::Result<Player> {
        let lines = play::parse(RECORDING, "samples/evening.ndjson")?;
        let length = lines.iter().map(|line| line.t_ms).max().unwrap_or_default();
        Ok(Player {
            lines,
            length: Duration::from_millis(length),
            tempo: Arc::new(Tempo::new(Some(0.0))),
            choice: Mutex::new(Choice { is_running: false, speed: 1.0 }),
            record: Arc::default(),
        })
    }

    /// Starts or stops it, at the place where it is. `speed`: a multiple of the recorded one.
    pub(super) fn choose(&self, is_running: bool, speed: f64) {
        *self.choice.lock() = Choice { is_running, speed };
        self.tempo.change(Some(if is_running { speed } else { 0.0 }));
    }

    /// Plays for as long as it is polled.
    pub(super) async fn run(&self, ingest: &str, secret: &Secret, room: PresenterIdx) -> anyhow::Result<()> {
        loop {
            let cast = Cast::of(self.lines.clone(), room)?;
            let poster = Poster::new(ingest, PATIENCE)?;
            let record = Arc::clone(&self.record);
            self.tempo.rewind();
            play::post(cast, secret, poster, &self.tempo, IN_FLIGHT, move |step| record.lock().take(step)).await?;
        }
    }

    pub(super) fn playing(&self) -> Playing {
        let Choice { is_running, speed } = *self.choice.lock();
        let record = self.record.lock();
        Playing {
            running: is_running,
            speed,
            at_ms: self.tempo.now().min(self.length).as_millis() as u64,
            length_ms: self.length.as_millis() as u64,
            sending: record.sending,
            refused: record.refused,
            unknown: record.unknown,
        }
    }

    /// The messages from number `after` on. None: only the number of the next one.
    pub(super) fn accepted(&self, after: Option<usize>) -> AcceptedPage {
        self.record.lock().page(after)
    }
}

impl Record {
    fn take(&mut self, step: Step<'_>) {
        let Step::Answered { outcome, after } = step else {
            self.sending += 1;
            return;
        };
        self.sending -= 1;
        match outcome {
            Outcome::Accepted { id, position } => {
                let since = (SystemTime::now() - after).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let since_ms = since.as_millis() as u64;
                self.accepted.push_back(Accepted { id: *id, position: *position, since_ms });
                if self.accepted.len() > KEPT {
                    self.accepted.pop_front();
                    self.first += 1;
                }
            }
            Outcome::Refused(_) => self.refused += 1,
            Outcome::Unknown(_) => self.unknown += 1,
        }
    }

    fn page(&self, after: Option<usize>) -> AcceptedPage {
        let end = self.first + self.accepted.len();
        let from = after.unwrap_or(end).clamp(self.first, end);
        let messages: Vec<Accepted> = self.accepted.iter().skip(from - self.first).take(PAGE).copied().collect();
        AcceptedPage { next: from + messages.len(), messages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(record: &mut Record, sequence: u64) {
        let id = uuid::Uuid::from_u128(sequence.into()).to_string().parse().unwrap();
        let outcome = Outcome::Accepted { id, position: Position { epoch: 1, sequence, index: 0 } };
        record.take(Step::Begun);
        record.take(Step::Answered { outcome: &outcome, after: Duration::ZERO });
    }

    #[test]
    fn a_page_gets_every_accepted_message_once() {
        let mut record = Record::default();
        assert_eq!(record.page(None).next, 0);
        (0..PAGE as u64 + 1).for_each(|sequence| accept(&mut record, sequence));
        let mut got = Vec::new();
        let mut next = 0;
        while let page = record.page(Some(next))
            && !page.messages.is_empty()
        {
            next = page.next;
            got.extend(page.messages.iter().map(|accepted| accepted.position.sequence));
        }
        assert_eq!(got, (0..PAGE as u64 + 1).collect::<Vec<_>>());
        assert_eq!((record.sending, record.page(None).next), (0, next));
        accept(&mut record, 7);
        assert_eq!(record.page(Some(next)).messages.len(), 1);
    }

    #[test]
    fn old_messages_are_dropped_and_the_numbers_go_on() {
        let mut record = Record::default();
        (0..KEPT as u64 + 5).for_each(|sequence| accept(&mut record, sequence));
        let page = record.page(Some(0));
        assert_eq!((page.messages[0].position.sequence, page.next), (5, PAGE + 5));
    }

    #[test]
    fn the_recording_is_readable_and_the_player_stands_until_it_is_started() {
        let player = Player::new().unwrap();
        assert!(player.lines.len() > 300 && !player.playing().running);
        player.choose(true, 1e9);
        while player.tempo.now() < player.length {
            std::hint::spin_loop();
        }
        player.choose(false, 2.0);
        let Playing { running, speed, at_ms, length_ms, .. } = player.playing();
        assert_eq!((running, speed, at_ms), (false, 2.0, length_ms));
    }
}
