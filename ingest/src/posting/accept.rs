//! The core under both surfaces: may this be said in this room, then append, then answer. It says yes only after the
//! log's fsynced acknowledgement. Nothing of HTTP is known here.

use std::time::{Duration, Instant};

use chat::{Body, Event, EventId, MessagePosted, Position, PresenterIdx, Role, User, now};
use jiff::Timestamp;
use nats::AppendError;

use crate::Ingest;
use crate::memory::idempotency::Earlier;
use crate::outbound::room_server::{Liveness, Unreachable};
use crate::posting::event_id;
use crate::posting::event_id::{Named, Naming};
use crate::posting::limits::{Ask, Quota};
use crate::posting::review::{Fallback, Question, UNAVAILABLE_FLAG, Verdict};
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};

/// 15 s: the room server and the review hook have answered, or were given up, long before.
const LONGEST_BEFORE_APPEND: Duration = Duration::from_secs(15);

/// A message on its way into the log.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) sender: Sender,
    pub(crate) presenter: PresenterIdx,
    pub(crate) text: Text,
    pub(crate) key: Option<IdempotencyKey>,
}

/// A message that is in the log for good.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) id: EventId,
    pub(crate) position: Position,
    pub(crate) role: Role,
    /// Whether the presenter has a session; if not, it is asked to reconnect, and the message waits for it.
    pub(crate) is_presenter_connected: bool,
    /// How much the sender may still write; none for a retry, which costs nothing.
    pub(crate) quota: Option<Quota>,
}

impl Ingest {
    /// Err: the message is not in the log, except for an append of unknown outcome.
    pub(crate) async fn accept(&self, post: Post) -> Result<Accepted, Refusal> {
        let Post { sender, presenter, text, key } = post;
        let _admitted = self.admission.enter()?;
        let role = sender.role(presenter);
        let request = event_id::request(Some(presenter), &sender, key.as_ref(), text.as_str());
        let (id, position, quota) = match self.name(Some(presenter), request).await? {
            // A retry is answered as the first try was, whatever has been decided since.
            Named::Earlier(Earlier { id, position, .. }) => (id, position, None),
            Named::New(naming) => {
                let (position, quota) = self.append_message(&sender, role, presenter, text, &naming).await?;
                (naming.id, position, quota)
            }
        };
        let is_presenter_connected = self.presence.session(presenter).is_some();
        if !is_presenter_connected {
            self.reconnects.request(presenter).await;
        }
        Ok(Accepted { id, position, role, is_presenter_connected, quota })
    }

    async fn append_message(
        &self,
        sender: &Sender,
        role: Role,
        presenter: PresenterIdx,
        text: Text,
        naming: &Naming,
    ) -> Result<(Position, Option<Quota>), Refusal> {
        self.check_knows_what_holds()?;
        self.check_is_not_banned(presenter, sender)?;
        let current = self.fold.rules.current(presenter, now());
        let settings = &current.settings;
        if settings.presenter_only && role == Role::Viewer {
            return Err(Refusal::PresenterOnly);
        }
        if text.length() > settings.max_length {
            return Err(Refusal::TextTooLongHere(settings.max_length));
        }
        let ask = Ask { id: naming.id, presenter, user: sender.idx, role, text: text.as_str() };
        let admission = self.fold.limits.admit(&ask, settings)?;
        // Within the limits only: whoever posts to ever other rooms makes us ask about each.
        self.check_is_live(presenter).await?;
        let (text, mut flags) = self.word_filter.judge(text, &current)?;
        let user = sender.user(role);
        let text = self.reviewed(naming.id, presenter, &user, text, &mut flags).await?;
        // A ban holds within a second, however long the questions took.
        self.check_is_not_banned(presenter, sender)?;

        let quota = admission.quota;
        admission.appending();
        let message = MessagePosted { user, text: text.into_string(), flags };
        let position = self.append(naming, Some(presenter), now(), Body::MessagePosted(message)).await?;
        admission.stored();
        Ok((position, Some(quota)))
    }

    /// The text as the platform's own review lets it pass.
    async fn reviewed(
        &self,
        id: EventId,
        presenter: PresenterIdx,
        user: &User,
        text: Text,
        flags: &mut Vec<String>,
    ) -> Result<Text, Refusal> {
        let Some(review) = &self.review else { return Ok(text) };
        match review.ask(&Question { id, presenter, user, text: text.as_str(), flags }).await {
            Verdict::Allow => Ok(text),
            Verdict::Replace(text) => Ok(text),
            Verdict::Deny { reason } => Err(Refusal::Denied { reason }),
            Verdict::Unavailable(Fallback::Deny) => Err(Refusal::ReviewUnavailable),
            Verdict::Unavailable(Fallback::Allow) => {
                flags.push(UNAVAILABLE_FLAG.to_owned());
                Ok(text)
            }
        }
    }

    /// Appends an event and says where it stands. Under a key several nodes may append it at the same moment; all of them
    /// wait to see which copy is the first.
    pub(crate) async fn append(
        &self,
        naming: &Naming,
        presenter: Option<PresenterIdx>,
        at: Timestamp,
        body: Body,
    ) -> Result<Position, Refusal> {
        let Naming { id, request, end, named_at } = *naming;
        // The process stood still: whoever sent it has given up, and perhaps sent it again elsewhere.
        if named_at.elapsed() > LONGEST_BEFORE_APPEND {
            return Err(Refusal::Append(AppendError::Unavailable));
        }
        let event = Event { id, presenter, at, belated: false, request, body };
        let began = Instant::now();
        let appended = match end {
            Some(end) => self.log.append_before(&event, end).await,
            None => self.log.append(&event).await,
        };
        self.admission.felt(began.elapsed());
        let position = appended?;
        let Some(request) = request else { return Ok(position) };
        let first = self.fold.find(|fold| fold.keyed.get(request.key).filter(|first| first.id == id)).await;
        match first {
            Some(first) if first.digest == request.digest => Ok(first.position),
            Some(_) => Err(Refusal::IdempotencyKeyReused),
            // It is in the log, but whether as this request's or another's is not known.
            None => Err(Refusal::Append(AppendError::Unknown)),
        }
    }

    /// Who is banned and what is set is known only once all of the log was read.
    pub(crate) fn check_knows_what_holds(&self) -> Result<(), Refusal> {
        if self.fold.is_caught_up() { Ok(()) } else { Err(Refusal::Append(AppendError::Unavailable)) }
    }

    fn check_is_not_banned(&self, presenter: PresenterIdx, sender: &Sender) -> Result<(), Refusal> {
        match self.fold.rules.ban(presenter, sender.idx, now()) {
            Some(ban) => Err(Refusal::Banned { until: ban.until }),
            None => Ok(()),
        }
    }

    async fn check_is_live(&self, presenter: PresenterIdx) -> Result<(), Refusal> {
        match self.room_server.liveness(presenter).await {
            Ok(Liveness::Live) => Ok(()),
            Ok(Liveness::NotLive) => Err(Refusal::RoomNotLive),
            // An outage of the room server must not silence a broadcast that is evidently going on.
            Err(Unreachable) if self.presence.session(presenter).is_some() => Ok(()),
            Err(Unreachable) => Err(Refusal::RoomServerUnavailable),
        }
    }
}
