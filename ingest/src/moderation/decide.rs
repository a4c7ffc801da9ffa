//! Makes moderation decisions: checks that the sender may decide, then appends the decision. A decision is an event in
//! the same log as messages. It takes effect on each node when that node has replayed it. This file does not know HTTP.

use std::sync::Arc;
use std::time::Duration;

use chat::{
    Body, EventId, MessageDeleted, MessagePinned, MessageRestored, MessageUnpinned, ModeratorAdded, ModeratorRemoved,
    NoteAdded, NoteDeleted, NoticePosted, Position, PresenterIdx, ReportClosed, RoomCleared, RoomSwept, RoomUpdated,
    SweepUndone, UserBanned, UserIdx, UserUnbanned, UserWarned, WarningWithdrawn, now,
};
use jiff::Timestamp;
use nats::{AppendError, Subject};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::memory::idempotency::Earlier;
use crate::moderation::first_seen::Newcomers;
use crate::moderation::rights::Right;
use crate::moderation::settings;
use crate::moderation::sweep_order::SweepOrder;
use crate::moderation::sweeps::MOST_UNDOABLE;
use crate::moderation::term::{Purge, Term};
use crate::posting::event_id;
use crate::posting::event_id::Assignment;
use crate::posting::limits::Quota;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};
use crate::state::Ingest;

/// 3 s: a log that does not answer within this time has an outage.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(3);

/// A request for a decision.
#[derive(Debug)]
pub(crate) struct DecisionRequest {
    pub(crate) sender: Arc<Sender>,
    /// None: every room.
    pub(crate) presenter: Option<PresenterIdx>,
    pub(crate) decision: Decision,
    pub(crate) reason: Option<Text>,
    pub(crate) key: Option<IdempotencyKey>,
}

/// The decision to make.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Delete the message.
    Delete(EventId),
    /// Restore the message, whatever deleted it.
    Restore(PresenterIdx, EventId),
    /// Close the reports of the message so far.
    CloseReports(EventId),
    /// Delete every message of the room so far.
    Clear,
    /// Delete the messages of the room that match.
    Sweep(PresenterIdx, Box<SweepOrder>),
    /// Undo that sweep of the room.
    Unsweep(PresenterIdx, EventId),
    /// Ban the user, for the term or permanently. A purge deletes the user's messages in the room.
    Ban(UserIdx, Option<Term>, Option<Purge>),
    /// Lift the user's ban.
    Unban(UserIdx),
    /// Make the user a moderator of the room.
    Appoint(PresenterIdx, UserIdx),
    /// End the user's role as a moderator of the room.
    Dismiss(PresenterIdx, UserIdx),
    /// Warn the user in the room. The reason is what the user is told.
    Warn(PresenterIdx, UserIdx),
    /// Withdraw the user's warning in the room.
    WithdrawWarning(PresenterIdx, UserIdx),
    /// Write a note on the user.
    AddNote(PresenterIdx, UserIdx, Text),
    /// Delete that note on the user.
    DeleteNote(PresenterIdx, UserIdx, EventId),
    /// Post a notice to the room.
    Notice(Text),
    /// Pin the message, in place of another.
    Pin(PresenterIdx, EventId),
    /// Unpin the room's pinned message.
    Unpin(PresenterIdx),
    /// Change these settings of the room, for the term or without an end. Null resets a setting to the deployment's.
    Set(PresenterIdx, Map<String, Value>, Option<Term>),
}

/// A decision that is durably in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decided {
    pub(crate) id: EventId,
    pub(crate) position: Position,
    /// The sender's remaining quota of decisions. None for a retry, which costs nothing.
    pub(crate) quota: Option<Quota>,
    /// Whom a sweep of users who were first seen a short while ago is about. None for a retry, too.
    pub(crate) newcomers: Option<Newcomers>,
}

impl Ingest {
    /// Err: the decision is not in the log, except for an append of unknown outcome.
    pub(crate) async fn decide(&self, order: DecisionRequest) -> Result<Decided, Refusal> {
        let DecisionRequest { sender, presenter, decision, reason, key } = order;
        let right = self.right(&sender, presenter)?;
        let _admitted = self.admission.enter()?;
        let reason = reason.map(Text::into_string);
        let request = event_id::request(presenter, &sender, key.as_ref(), &decision.as_request(reason.as_deref()));
        let assigned = match self.assign_id(presenter, request).await? {
            Assignment::Earlier(Earlier { id, position, .. }) => {
                return Ok(Decided { id, position, quota: None, newcomers: None });
            }
            Assignment::New(assigned) => assigned,
        };
        self.check_caught_up()?;
        let (by, now, mut newcomers) = (sender.user(right.role()), now(), None);
        let (subject, body) = match decision {
            Decision::Delete(target) => (None, Body::MessageDeleted(MessageDeleted { target, by, reason })),
            Decision::Restore(room, target) => {
                if self.replay.restored.contains(room, target) {
                    // Another node may have deleted it again a moment ago.
                    self.catch_up(presenter).await?;
                }
                if self.replay.restored.contains(room, target) {
                    return Err(Refusal::NotDeleted);
                }
                (None, Body::MessageRestored(MessageRestored { target, by, reason }))
            }
            Decision::CloseReports(target) => (None, Body::ReportClosed(ReportClosed { target, by, reason })),
            Decision::Clear => (None, Body::RoomCleared(RoomCleared { by, reason })),
            Decision::Sweep(room, order) => {
                // Each node that sweeps at the same moment may exceed the bound by one.
                if self.replay.rules.undoable_sweeps(room, now).len() >= MOST_UNDOABLE {
                    return Err(Refusal::TooManySweeps(MOST_UNDOABLE));
                }
                let reads_log = order.first_seen_seconds().is_some();
                let permit = reads_log.then(|| self.lists.take(sender.idx.get()).ok_or(Refusal::Overloaded));
                let _permit = permit.transpose()?;
                // Boxed, because few decisions read the log.
                let first_seen = Box::pin(self.first_seen(room, &order)).await?;
                newcomers = first_seen.as_ref().map(Newcomers::from);
                let rule = order.rule(first_seen.as_ref().map(|first_seen| first_seen.users.as_slice()));
                let (seconds_back, forward) = (order.seconds_back(), order.forward(self.log.now()));
                let swept = RoomSwept { rule, seconds_back, forward, by, reason };
                (Some(Subject::Sweep(room, assigned.id)), Body::RoomSwept(Box::new(swept)))
            }
            Decision::Unsweep(room, target) => {
                if !self.replay.rules.is_undoable(room, target, now) {
                    self.catch_up(presenter).await?;
                }
                if !self.replay.rules.is_undoable(room, target, now) {
                    return Err(Refusal::NotSwept);
                }
                (Some(Subject::Sweep(room, target)), Body::SweepUndone(SweepUndone { target, by, reason }))
            }
            Decision::Ban(user, ..) if presenter.is_some_and(|presenter| presenter.as_user() == user) => {
                return Err(Refusal::PresenterBanned);
            }
            Decision::Ban(user, term, purge) => {
                self.check_may_ban(right, presenter, user)?;
                self.check_room_for_ban(presenter, user, now)?;
                let until = term.map(|term| term.end(now));
                let purge_seconds = purge.map(Purge::seconds);
                let banned = UserBanned { user, until, purge_seconds, by, reason };
                (Some(Subject::Ban(presenter, user)), Body::UserBanned(banned))
            }
            Decision::Unban(user) => {
                if self.replay.rules.ban_of(presenter, user, now).is_none() {
                    // A node that the log cannot reach knows only what stood before.
                    self.catch_up(presenter).await?;
                }
                self.replay.rules.ban_of(presenter, user, now).ok_or(Refusal::NotBanned)?;
                (Some(Subject::Ban(presenter, user)), Body::UserUnbanned(UserUnbanned { user, by, reason }))
            }
            Decision::Appoint(room, user) => {
                self.check_may_appoint(right, room, user, now)?;
                (Some(Subject::Moderator(room, user)), Body::ModeratorAdded(ModeratorAdded { user, by, reason }))
            }
            Decision::Dismiss(room, user) => {
                check_is_over_moderators(right)?;
                if self.replay.rules.appointment(room, user).is_none() {
                    self.catch_up(presenter).await?;
                }
                self.replay.rules.appointment(room, user).ok_or(Refusal::NotModerator)?;
                (Some(Subject::Moderator(room, user)), Body::ModeratorRemoved(ModeratorRemoved { user, by, reason }))
            }
            Decision::Warn(room, user) => {
                self.check_may_warn(right, room, user, now)?;
                (Some(Subject::Warning(room, user)), Body::UserWarned(UserWarned { user, by, reason }))
            }
            Decision::WithdrawWarning(room, user) => {
                if self.replay.rules.warning(room, user, now).is_none() {
                    self.catch_up(presenter).await?;
                }
                self.replay.rules.warning(room, user, now).ok_or(Refusal::NotWarned)?;
                (Some(Subject::Warning(room, user)), Body::WarningWithdrawn(WarningWithdrawn { user, by, reason }))
            }
            Decision::AddNote(room, user, text) => {
                self.check_room_for_note(room, user)?;
                let added = NoteAdded { user, text: Some(text.into_string()), by };
                (Some(Subject::Note(room, user, assigned.id)), Body::NoteAdded(added))
            }
            Decision::DeleteNote(room, user, target) => {
                if !self.replay.rules.has_note(room, user, target) {
                    self.catch_up(presenter).await?;
                }
                if !self.replay.rules.has_note(room, user, target) {
                    return Err(Refusal::NoteNotFound);
                }
                (Some(Subject::Note(room, user, target)), Body::NoteDeleted(NoteDeleted { user, target, by, reason }))
            }
            Decision::Notice(text) => (None, Body::NoticePosted(NoticePosted { user: by, text: text.into_string() })),
            Decision::Pin(room, target) => {
                (Some(Subject::Pin(room)), Body::MessagePinned(MessagePinned { target, by }))
            }
            Decision::Unpin(room) => {
                if self.replay.rules.pinned(room).is_none() {
                    self.catch_up(presenter).await?;
                }
                let (target, _) = self.replay.rules.pinned(room).ok_or(Refusal::NotPinned)?;
                (Some(Subject::Pin(room)), Body::MessageUnpinned(MessageUnpinned { target, by }))
            }
            Decision::Set(presenter, patch, term) => {
                let until = term.map(|term| term.end(now));
                let own = settings::patched(&self.replay.rules.own(presenter, now), &patch, until, now)?;
                let (settings, until) = own.to_event();
                let changed = patch.into_iter().map(|(name, _)| name).collect();
                let updated = RoomUpdated { settings, changed, until, by, reason };
                (Some(Subject::Settings(presenter)), Body::RoomUpdated(updated))
            }
        };
        let is_restoration = matches!(body, Body::MessageRestored(_));
        let quota = self.replay.limits.decide(assigned.id, sender.idx).map_err(Refusal::TooManyDecisions)?;
        let position = self.append(&assigned, presenter, now, body).await?;
        if let Some(subject) = subject {
            // So that the next request to this node sees the decision. If the replay lags, the decision stands anyway.
            self.replay.find(|replay| replay.rules.knows(subject, position).then_some(())).await;
        }
        if is_restoration {
            // So that this node refuses a second one.
            self.replay.reaches(position).await;
        }
        Ok(Decided { id: assigned.id, position, quota: Some(quota), newcomers })
    }

    /// The room's moderators cannot ban each other: only who appointed them can.
    fn check_may_ban(&self, right: Right, presenter: Option<PresenterIdx>, user: UserIdx) -> Result<(), Refusal> {
        let is_moderator = presenter.is_some_and(|room| self.replay.rules.appointment(room, user).is_some());
        if is_moderator && !right.is_over_moderators() { Err(Refusal::ModeratorProtected) } else { Ok(()) }
    }

    /// Each node that appoints at the same moment may exceed the bound by one.
    fn check_may_appoint(
        &self,
        right: Right,
        room: PresenterIdx,
        user: UserIdx,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        check_is_over_moderators(right)?;
        let rules = &self.replay.rules;
        let most = self.replay.limits.most_moderators();
        match () {
            () if room.as_user() == user => Err(Refusal::PresenterNotAppointable),
            () if rules.ban(room, user, now).is_some() => Err(Refusal::BannedNotAppointable),
            () if rules.appointment(room, user).is_some() => Ok(()),
            () if rules.moderators(room, None, most).len() >= most => Err(Refusal::TooManyModerators(most)),
            () => Ok(()),
        }
    }

    /// Waits until this node has replayed everything that the room's partition holds now.
    pub(crate) async fn catch_up(&self, presenter: Option<PresenterIdx>) -> Result<(), Refusal> {
        let catching_up = async {
            let extent = self.log.extent(presenter).await.map_err(|_| AppendError::Unavailable)?;
            self.replay.reached(extent.last).await;
            Ok(())
        };
        let caught_up = timeout(CAUGHT_UP_WITHIN, catching_up).await;
        Ok(caught_up.unwrap_or(Err(AppendError::Unavailable))?)
    }

    /// Replacing a ban is always possible, however many there are. Each node that bans at the same moment may exceed
    /// the bound by one.
    fn check_room_for_ban(
        &self,
        presenter: Option<PresenterIdx>,
        user: UserIdx,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let rules = &self.replay.rules;
        let most = self.replay.limits.most_bans(presenter);
        if rules.ban_of(presenter, user, now).is_none() && rules.count_bans(presenter, most, now) >= most {
            return Err(Refusal::TooManyBans(most));
        }
        Ok(())
    }
}

fn check_is_over_moderators(right: Right) -> Result<(), Refusal> {
    if right.is_over_moderators() { Ok(()) } else { Err(Refusal::NotOverModerators) }
}

impl Decision {
    /// The whole request as text. It differs from every message, because a message text has no line feed.
    fn as_request(&self, reason: Option<&str>) -> String {
        let decision = match self {
            Decision::Delete(target) => json!(["delete", target]),
            Decision::Restore(_, target) => json!(["restore", target]),
            Decision::CloseReports(target) => json!(["close reports", target]),
            Decision::Clear => json!(["clear"]),
            Decision::Sweep(_, order) => order.as_request(),
            Decision::Unsweep(_, sweep) => json!(["unsweep", sweep]),
            Decision::Ban(user, term, None) => json!(["ban", user, term.map(Term::seconds)]),
            Decision::Ban(user, term, Some(purge)) => {
                json!(["ban", user, term.map(Term::seconds), purge.seconds()])
            }
            Decision::Unban(user) => json!(["unban", user]),
            Decision::Appoint(_, user) => json!(["appoint", user]),
            Decision::Dismiss(_, user) => json!(["dismiss", user]),
            Decision::Warn(_, user) => json!(["warn", user]),
            Decision::WithdrawWarning(_, user) => json!(["withdraw warning", user]),
            Decision::AddNote(_, user, text) => json!(["add note", user, text.as_str()]),
            Decision::DeleteNote(_, user, note) => json!(["delete note", user, note]),
            Decision::Notice(text) => json!(["notice", text.as_str()]),
            Decision::Pin(_, target) => json!(["pin", target]),
            Decision::Unpin(_) => json!(["unpin"]),
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
        let sweep = |rule: Value, seconds_back: u32, span: [Value; 2]| {
            let order = SweepOrder::parse(&rule, &json!(seconds_back)).unwrap().unwrap();
            Decision::Sweep(room, Box::new(order.with_forward(&span[0], &span[1]).unwrap()))
        };
        let (raid, back) = (json!({ "texts": ["raid"] }), [Value::Null, Value::Null]);
        let patch = json!({ "maxLength": 9 }).as_object().unwrap().clone();
        let decisions = [
            Decision::Delete(message),
            Decision::Restore(room, message),
            Decision::CloseReports(message),
            Decision::Clear,
            sweep(raid.clone(), 60, back.clone()),
            sweep(raid.clone(), 61, back.clone()),
            sweep(json!({ "texts": ["other"] }), 60, back.clone()),
            sweep(json!({ "texts": ["raid"], "firstSeenSeconds": 60 }), 60, back.clone()),
            sweep(json!({ "texts": ["raid"], "firstSeenSeconds": 61 }), 60, back),
            sweep(raid.clone(), 60, [json!(60), Value::Null]),
            sweep(raid.clone(), 60, [json!(60), json!("hold")]),
            sweep(raid, 60, [json!(61), Value::Null]),
            Decision::Unsweep(room, message),
            Decision::Ban(user, None, None),
            Decision::Ban(user, term, None),
            Decision::Ban(user, None, Purge::of_seconds(600)),
            Decision::Ban(user, term, Purge::of_seconds(600)),
            Decision::Unban(user),
            Decision::Appoint(room, user),
            Decision::Dismiss(room, user),
            Decision::Warn(room, user),
            Decision::WithdrawWarning(room, user),
            Decision::AddNote(room, user, Text::parse("raid").unwrap()),
            Decision::DeleteNote(room, user, message),
            Decision::Notice(Text::parse("hi").unwrap()),
            Decision::Pin(room, message),
            Decision::Unpin(room),
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
