//! Requests with one or more attempts: posts and decisions. Both have the same outcomes and the same guarantees.

use std::collections::{BTreeMap, HashSet};

use chat::{EventId, Position};

use crate::history::{Decided, Surface};

/// The outcome of a request over all its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Accepted. The line of the first accepting answer.
    Ok(usize),
    /// Accepted to wait for a moderator. The line of the first answer.
    Held(usize),
    /// No attempt can have stored it. The line of the last refusal.
    Failed(usize),
    /// It may be stored.
    Unknown,
}

impl Outcome {
    /// The word in reports.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Ok(_) => "accepted",
            Outcome::Held(_) => "held",
            Outcome::Failed(_) => "refused",
            Outcome::Unknown => "unknown",
        }
    }
}

/// The answer to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    Accepted {
        status: u16,
        /// Whether the answer says that the room's presenter is connected.
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
    /// The line of the request.
    pub(crate) sent: usize,
    /// The ingest node.
    pub(crate) node: &'a str,
    pub(crate) surface: Surface,
    /// The answer and its line. None: the run ended before.
    pub(crate) answered: Option<(usize, Answer<'a>)>,
}

/// A request with one or more attempts.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The line of the first attempt.
    pub(crate) invoked: usize,
    /// The room. None: every room.
    pub(crate) room: Option<i64>,
    pub(crate) attempts: BTreeMap<u32, Attempt<'a>>,
    /// Every accepting answer.
    pub(crate) oks: Vec<(usize, EventId, Position)>,
    /// Every answer that the message waits for a moderator, with the position of the hold.
    pub(crate) held: Vec<(usize, EventId, Position)>,
    refusals: Vec<usize>,
}

impl<'a> Request<'a> {
    pub(super) fn new(invoked: usize, room: Option<i64>) -> Request<'a> {
        Request { invoked, room, attempts: BTreeMap::new(), oks: Vec::new(), held: Vec::new(), refusals: Vec::new() }
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

    /// Sets those accepting answers aside that are about a hold.
    pub(super) fn set_aside(&mut self, is_held: impl Fn(usize, EventId, Position) -> bool) {
        self.held.extend(self.oks.extract_if(.., |(line, id, position)| is_held(*line, *id, *position)));
    }

    /// Removes the answers that accepted one of these events: their outcome is unknown now. Returns them.
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
        match (self.oks.first(), self.held.first(), self.refusals.last()) {
            (Some((line, ..)), ..) => Outcome::Ok(*line),
            (None, Some((line, ..)), _) => Outcome::Held(*line),
            // A single attempt of unknown outcome may have stored it.
            (None, None, Some(line)) if self.refusals.len() == self.attempts.len() => Outcome::Failed(*line),
            (None, None, _) => Outcome::Unknown,
        }
    }

    /// The first accepting answer: its line, the id and the position.
    pub(crate) fn accepted(&self) -> Option<(usize, EventId, Position)> {
        self.oks.first().copied()
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.outcome(), Outcome::Failed(_))
    }

    /// Whether the outcome of some attempt is unknown.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.attempts.values().any(|attempt| matches!(attempt.answered, None | Some((_, Answer::Unknown))))
    }
}

/// A post.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) room: i64,
    pub(crate) user: i64,
    pub(crate) text: &'a str,
}

impl Post<'_> {
    pub(crate) fn is_notice(&self) -> bool {
        self.request.attempts.values().any(|attempt| attempt.surface == Surface::Notice)
    }
}

/// A moderation decision.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) request: Request<'a>,
    /// The user, if the only right is that of a moderator of the room.
    pub(crate) by: Option<i64>,
    pub(crate) decided: &'a Decided,
    pub(crate) reason: &'a str,
}
