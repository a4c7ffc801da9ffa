//! Reports of messages by any user, for the moderators of the room. A report is an event that decides nothing. All
//! reports of a message by one user are one event, for as long as idempotency keys are remembered: the message takes
//! the part of the key. This file does not know HTTP.

use std::sync::Arc;

use chat::{Body, EventId, KeyId, MessageReported, PresenterIdx, ReportCategory, Request, RequestDigest, UserIdx, now};

use crate::memory::idempotency::Earlier;
use crate::moderation::decide::Decided;
use crate::posting::event_id::Assignment;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::sender::Sender;
use crate::state::Ingest;

/// A report to be appended.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) sender: Arc<Sender>,
    pub(crate) presenter: PresenterIdx,
    pub(crate) target: EventId,
    pub(crate) category: ReportCategory,
    pub(crate) reason: Option<Text>,
}

impl Ingest {
    /// Err: the report is not in the log, except for an append of unknown outcome.
    pub(crate) async fn report(&self, report: Report) -> Result<Decided, Refusal> {
        let Report { sender, presenter, target, category, reason } = report;
        let _admitted = self.admission.enter()?;
        let request = request(presenter, sender.idx, target);
        let assigned = match self.assign_id(Some(presenter), Some(request)).await? {
            // The first report counts, whatever another one says.
            Assignment::Earlier(Earlier { id, position, .. }) => {
                return Ok(Decided { id, position, quota: None, newcomers: None });
            }
            Assignment::New(assigned) => assigned,
        };
        self.check_caught_up()?;
        let now = now();
        let by = sender.user(self.role(&sender, presenter, now));
        let quota = self.replay.limits.report(assigned.id, sender.idx).map_err(Refusal::TooManyReports)?;
        let (category, reason) = (category.as_str().to_owned(), reason.map(Text::into_string));
        let body = Body::MessageReported(MessageReported { target, by, category, reason });
        let position = self.append(&assigned, Some(presenter), now, body).await?;
        Ok(Decided { id: assigned.id, position, quota: Some(quota), newcomers: None })
    }
}

/// The request under which a user's reports of a message are one. Its key has a blank, so that no client's key is it.
fn request(presenter: PresenterIdx, user: UserIdx, target: EventId) -> Request {
    let key = format!("report {target}");
    Request { key: KeyId::of(Some(presenter), user, &key), digest: RequestDigest::of(&key, "report") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::IdempotencyKey;

    #[test]
    fn a_users_reports_of_a_message_are_one_request_and_no_clients_key_is_theirs() {
        let (room, other) = (PresenterIdx::try_from(42).unwrap(), PresenterIdx::try_from(43).unwrap());
        let (user, target) = (UserIdx::try_from(7).unwrap(), EventId::new());
        let one = request(room, user, target);
        assert_eq!(one, request(room, user, target));
        for another in
            [request(other, user, target), request(room, other.as_user(), target), request(room, user, EventId::new())]
        {
            assert_ne!(one.key, another.key);
        }
        assert!(IdempotencyKey::parse(&format!("report {target}")).is_none());
    }
}
