//! What somebody asked for, perhaps several times: to post a message, or a decision. Both are accepted, refused or of
//! unknown outcome in the same way, and what is accepted is owed the same.

use std::collections::{BTreeMap, HashSet};

use chat::{EventId, Position};

use crate::history::{Decided, Surface};

/// How a request ended, all its attempts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Accepted: the first answer that said so.
    Ok(usize),
    /// No attempt can have stored it: the last refusal.
    Failed(usize),
    /// It may be stored.
    Unknown,
}

impl Outcome {
    /// As reports call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Ok(_) => "accepted",
            Outcome::Failed(_) => "refused",
            Outcome::Unknown => "unknown",
        }
    }
}

/// What an attempt was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    Accepted {
        status: u16,
        /// Whether it takes the room's presenter to be connected.
        connected: Option<bool>,
    },
    Refused {
        status: u16,
        code: &'a str,
    },
    Unknown,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    /// Where it was sent.
    pub(crate) sent: usize,
    /// The ingest node that it was sent to.
    pub(crate) node: &'a str,
    pub(crate) surface: Surface,
    /// The line of the answer, and what it said; none: the run ended before.
    pub(crate) answered: Option<(usize, Answer<'a>)>,
}

/// What somebody asked for, perhaps several times.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// Where it was first sent.
    pub(crate) invoked: usize,
    /// The room; none: every room.
    pub(crate) room: Option<i64>,
    pub(crate) attempts: BTreeMap<u32, Attempt<'a>>,
    /// Every answer that accepted it.
    pub(crate) oks: Vec<(usize, EventId, Position)>,
    refusals: Vec<usize>,
}

impl<'a> Request<'a> {
    pub(super) fn new(invoked: usize, room: Option<i64>) -> Request<'a> {
        Request { invoked, room, attempts: BTreeMap::new(), oks: Vec::new(), refusals: Vec::new() }
    }

    pub(super) fn send(&mut self, attempt: u32, sent: usize, node: &'a str, surface: Surface) {
        self.attempts.insert(attempt, Attempt { sent, node, surface, answered: None });
    }

    pub(super) fn answer(&mut self, attempt: u32, line: usize, answer: Answer<'a>) {
        if let Answer::Refused { .. } = answer {
            self.refusals.push(line);
        }
        if let Some(attempt) = self.attempts.get_mut(&attempt) {
            attempt.answered = Some((line, answer));
        }
    }

    /// What accepted one of these events counts for nothing: nobody knows any more what became of it.
    pub(super) fn forget(&mut self, events: &HashSet<EventId>) -> Vec<(usize, EventId, Position)> {
        let forgotten: Vec<_> = self.oks.extract_if(.., |(_, id, _)| events.contains(id)).collect();
        let accepted: Vec<usize> = forgotten.iter().map(|(line, ..)| *line).collect();
        for attempt in self.attempts.values_mut() {
            if let Some((line, answer)) = &mut attempt.answered
                && accepted.contains(line)
            {
                *answer = Answer::Unknown;
            }
        }
        forgotten
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match (self.oks.first(), self.refusals.last()) {
            (Some((line, ..)), _) => Outcome::Ok(*line),
            // One attempt of unknown outcome is enough for it to be there.
            (None, Some(line)) if self.refusals.len() == self.attempts.len() => Outcome::Failed(*line),
            (None, _) => Outcome::Unknown,
        }
    }

    /// The first answer that accepted it: its line, and what it said.
    pub(crate) fn accepted(&self) -> Option<(usize, EventId, Position)> {
        self.oks.first().copied()
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.outcome(), Outcome::Failed(_))
    }

    /// Whether it is not known of some attempt what became of it.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.attempts.values().any(|attempt| matches!(attempt.answered, None | Some((_, Answer::Unknown))))
    }
}

/// A message that somebody sent.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) room: i64,
    pub(crate) user: i64,
    pub(crate) text: &'a str,
}

/// What a moderator decided.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) decided: &'a Decided,
    pub(crate) reason: &'a str,
}
