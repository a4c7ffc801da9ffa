//! Moderation: who may decide what about a room or every room. A decision is an event in the log like a message; it
//! holds here from the moment that this node has read it back, and on every other node as soon as that has. Nothing of
//! HTTP is known here.

use chat::{
    Body, EventId, MessageDeleted, Position, PresenterIdx, RoomCleared, RoomUpdated, UserBanned, UserIdx, UserUnbanned,
    now,
};
use jiff::Timestamp;
use nats::Subject;
use serde_json::{Map, Value, json};

use crate::Ingest;
use crate::memory::idempotency::Earlier;
use crate::moderation::term::Term;
use crate::posting::event_id;
use crate::posting::event_id::Named;
use crate::posting::limits::Quota;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};

/// A decision that is asked for.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) sender: Sender,
    /// None: every room.
    pub(crate) presenter: Option<PresenterIdx>,
    pub(crate) decision: Decision,
    pub(crate) reason: Option<Text>,
    pub(crate) key: Option<IdempotencyKey>,
}

/// What is to be decided.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Nobody is to see the message any more.
    Delete(EventId),
    /// Nobody is to see any more what was said before.
    Clear,
    /// The user may not write, for so long or for good.
    Ban(UserIdx, Option<Term>),
    /// The user may write again.
    Unban(UserIdx),
    /// These settings of the room are to hold, for so long or for good; null gives one back to the deployment.
    Set(PresenterIdx, Map<String, Value>, Option<Term>),
}

/// A decision that is in the log for good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decided {
    pub(crate) id: EventId,
    pub(crate) position: Position,
    /// How much the sender may still decide; none for a retry, which costs nothing.
    pub(crate) quota: Option<Quota>,
}

impl Ingest {
    /// Err: nothing was decided, except for an append of unknown outcome.
    pub(crate) async fn decide(&self, order: Order) -> Result<Decided, Refusal> {
        let Order { sender, presenter, decision, reason, key } = order;
        let role = sender.moderates(presenter).ok_or(Refusal::Forbidden)?;
        let _admitted = self.admission.enter()?;
        let reason = reason.map(Text::into_string);
        let request = event_id::request(presenter, &sender, key.as_ref(), &decision.as_request(reason.as_deref()));
        let naming = match self.name(presenter, request).await? {
            Named::Earlier(Earlier { id, position, .. }) => return Ok(Decided { id, position, quota: None }),
            Named::New(naming) => naming,
        };
        self.check_knows_what_holds()?;
        let (by, now) = (sender.user(role), now());
        let (subject, body) = match decision {
            Decision::Delete(target) => (None, Body::MessageDeleted(MessageDeleted { target, by, reason })),
            Decision::Clear => (None, Body::RoomCleared(RoomCleared { by, reason })),
            Decision::Ban(user, _) if presenter.is_some_and(|presenter| presenter.as_user() == user) => {
                return Err(Refusal::PresenterBanned);
            }
            Decision::Ban(user, term) => {
                self.check_room_for_ban(presenter, user, now)?;
                let until = term.map(|term| term.end(now));
                (Some(Subject::Ban(presenter, user)), Body::UserBanned(UserBanned { user, until, by, reason }))
            }
            Decision::Unban(user) => {
                self.fold.rules.ban_of(presenter, user, now).ok_or(Refusal::NotBanned)?;
                (Some(Subject::Ban(presenter, user)), Body::UserUnbanned(UserUnbanned { user, by, reason }))
            }
            Decision::Set(presenter, patch, term) => {
                let until = term.map(|term| term.end(now));
                let own = self.fold.rules.own(presenter, now).patched(&patch, until, now)?;
                let (settings, until) = own.to_event();
                let changed = patch.into_iter().map(|(name, _)| name).collect();
                let updated = RoomUpdated { settings, changed, until, by, reason };
                (Some(Subject::Settings(presenter)), Body::RoomUpdated(updated))
            }
        };
        let quota = self.fold.limits.decide(naming.id, sender.idx)?;
        let position = self.append(&naming, presenter, now, body).await?;
        if let Some(subject) = subject {
            // Who asks this node next is answered by what was decided. If reading lags, the decision stands all the same.
            self.fold.find(|fold| fold.rules.knows(subject, position).then_some(())).await;
        }
        Ok(Decided { id: naming.id, position, quota: Some(quota) })
    }

    /// A ban that is there may be replaced, however many there are. Nodes that ban at the same moment may go beyond the
    /// bound by as many.
    fn check_room_for_ban(
        &self,
        presenter: Option<PresenterIdx>,
        user: UserIdx,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let rules = &self.fold.rules;
        let most = self.fold.limits.most_bans(presenter);
        if rules.ban_of(presenter, user, now).is_none() && rules.count_bans(presenter, most, now) >= most {
            return Err(Refusal::TooManyBans(most));
        }
        Ok(())
    }
}

impl Decision {
    /// Everything that is asked for, as text: one that no message can have, for a text has no line feed in it.
    fn as_request(&self, reason: Option<&str>) -> String {
        let decision = match self {
            Decision::Delete(target) => json!(["delete", target]),
            Decision::Clear => json!(["clear"]),
            Decision::Ban(user, term) => json!(["ban", user, term.map(Term::seconds)]),
            Decision::Unban(user) => json!(["unban", user]),
            Decision::Set(_, patch, term) => json!(["set", patch, term.map(Term::seconds)]),
        };
        format!("decision\n{}", json!([decision, reason]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posting::text::InvalidText;

    #[test]
    fn a_decision_is_a_request_that_no_message_can_be_and_no_two_are_one() {
        let message: EventId = "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11".parse().unwrap();
        let (user, room) = (UserIdx::try_from(7).unwrap(), PresenterIdx::try_from(42).unwrap());
        let term = Term::of_seconds(600);
        let patch = json!({ "maxLength": 9 }).as_object().unwrap().clone();
        let decisions = [
            Decision::Delete(message),
            Decision::Clear,
            Decision::Ban(user, None),
            Decision::Ban(user, term),
            Decision::Unban(user),
            Decision::Set(room, patch.clone(), None),
            Decision::Set(room, patch, term),
        ];
        let mut requests = std::collections::HashSet::new();
        for decision in &decisions {
            for reason in [None, Some("why")] {
                let request = decision.as_request(reason);
                assert_eq!(Text::parse(&request), Err(InvalidText::Forbidden), "{request}");
                assert!(requests.insert(request));
            }
        }
    }
}
