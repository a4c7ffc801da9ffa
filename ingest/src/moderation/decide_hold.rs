//! Releases and denies held messages. Both are events with the message's id, so of several decisions about a message
//! the log has one that counts: the first. A release is stored before the end of the hold, by the log's clock, or has
//! no effect. This file does not know HTTP.

use std::sync::Arc;

use chat::{Body, EventId, Hold, MessageDenied, MessageReleased, Position, PresenterIdx, now};
use jiff::SignedDuration;
use nats::AppendError;
use runtime::Moment;
use serde_json::json;

use crate::moderation::decide::Decided;
use crate::moderation::holds::{Outcome, Waiting};
use crate::posting::event_id;
use crate::posting::event_id::AssignedId;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};
use crate::state::Ingest;

/// 1 s before its end a hold counts as over: a release must not shorten the time of the other events in its batch.
const TIME_TO_APPEND: SignedDuration = SignedDuration::from_secs(1);

/// A request for a decision about a held message.
#[derive(Debug)]
pub(crate) struct HoldRequest {
    pub(crate) sender: Arc<Sender>,
    pub(crate) room: PresenterIdx,
    pub(crate) message: EventId,
    pub(crate) decision: HoldDecision,
    pub(crate) reason: Option<Text>,
    pub(crate) key: Option<IdempotencyKey>,
}

/// The decision about a held message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldDecision {
    Release,
    Deny,
}

impl Ingest {
    /// Ok: the message was decided that way, by this request or by an earlier one. Err: it was not, except for an
    /// append of unknown outcome.
    pub(crate) async fn decide_hold(&self, order: HoldRequest) -> Result<Decided, Refusal> {
        let HoldRequest { sender, room, message, decision, reason, key } = order;
        let right = self.right(&sender, Some(room))?;
        let _admitted = self.admission.enter()?;
        let reason = reason.map(Text::into_string);
        let text = decision.as_request(message, reason.as_deref());
        let request = event_id::request(Some(room), &sender, key.as_ref(), &text);
        let earlier = request.map(|request| self.earlier(request)).transpose()?.flatten();
        let holds = &self.replay.holds;
        if let Some(earlier) = earlier {
            // The first try may have been the second decision.
            let position =
                holds.outcome(room, message).map_or(Ok(earlier.position), |outcome| decision.answer(outcome))?;
            return Ok(Decided { id: message, position, quota: None, newcomers: None });
        }
        self.check_caught_up()?;
        // Whatever was answered before this request, by any node, is known afterwards.
        self.catch_up(Some(room)).await?;
        if let Some(outcome) = holds.outcome(room, message) {
            return Ok(Decided { id: message, position: decision.answer(outcome)?, quota: None, newcomers: None });
        }
        let waiting = holds.find(room, message, self.log.now() + TIME_TO_APPEND).ok_or(Refusal::NotHeld)?;
        let quota = self.replay.limits.decide(message, sender.idx).map_err(Refusal::TooManyDecisions)?;
        let assigned = AssignedId { id: message, request, end: Some(waiting.held.until), assigned_at: Moment::now() };
        let body = decision.body(waiting, sender.user(right.role()), reason);
        self.append(&assigned, Some(room), now(), body).await?;
        let decided = Box::pin(self.replay.find(|replay| replay.holds.outcome(room, message))).await;
        let outcome = decided.ok_or(AppendError::Unknown)?;
        Ok(Decided { id: message, position: decision.answer(outcome)?, quota: Some(quota), newcomers: None })
    }
}

impl HoldDecision {
    /// The position of the decision that counts. Err: it is the other one.
    fn answer(self, outcome: Outcome) -> Result<Position, Refusal> {
        match (self, outcome) {
            (HoldDecision::Release, Outcome::Released(position)) | (HoldDecision::Deny, Outcome::Denied(position)) => {
                Ok(position)
            }
            (HoldDecision::Deny, Outcome::Released(_)) => Err(Refusal::AlreadyReleased),
            (HoldDecision::Release, Outcome::Denied(_)) => Err(Refusal::AlreadyDenied),
        }
    }

    fn body(self, waiting: Waiting, by: chat::User, reason: Option<String>) -> Body {
        let Waiting { position, at, held } = waiting;
        match self {
            HoldDecision::Release => {
                let held_until_now = Hold { at, position, by, reason };
                Body::MessageReleased(Box::new(MessageReleased { posted: held.posted, held: held_until_now }))
            }
            HoldDecision::Deny => {
                Body::MessageDenied(MessageDenied { target: held.target, user: held.posted.user.idx, by, reason })
            }
        }
    }

    /// The whole request as text, as `Decision` has it.
    fn as_request(self, message: EventId, reason: Option<&str>) -> String {
        let name = match self {
            HoldDecision::Release => "release",
            HoldDecision::Deny => "deny",
        };
        format!("decision\n{}", json!([[name, message], reason]))
    }
}
