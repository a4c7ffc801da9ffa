//! The core under both surfaces: checks whether the sender may post the message to the room, then appends it. It
//! succeeds only after the log has acknowledged the fsync. It does not know HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::settings::Links;
use chat::{
    Body, Event, EventId, ForwardAction, MessageHeld, MessagePosted, Position, PresenterIdx, Request, Role, User, now,
};
use jiff::Timestamp;
use nats::{AppendError, believed};
use runtime::TraceContext;

use crate::memory::idempotency::Earlier;
use crate::moderation::sweeps::Guard;
use crate::outbound::room_server::{Liveness, Unreachable};
use crate::posting::event_id;
use crate::posting::event_id::{AssignedId, Assignment};
use crate::posting::extras::Extras;
use crate::posting::limits::{Ask, Quota};
use crate::posting::review::{Fallback, Question, UNAVAILABLE_FLAG, Verdict};
use crate::posting::text::Text;
use crate::posting::word_filter::Judged;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};
use crate::state::Ingest;

/// 15 s: the deadlines of the room server and the review hook pass long before.
const LONGEST_BEFORE_APPEND: Duration = Duration::from_secs(15);

/// A message to be appended.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) sender: Arc<Sender>,
    pub(crate) presenter: PresenterIdx,
    pub(crate) text: Text,
    /// Boxed, because few posts have them, and a post is moved several times.
    pub(crate) extras: Option<Box<Extras>>,
    pub(crate) key: Option<IdempotencyKey>,
}

/// The place of an event in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) position: Position,
    /// Whether it is a message that waits for a moderator.
    pub(crate) is_held: bool,
}

/// A message that is durably in the log.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) id: EventId,
    /// The message's position. If it is held, that of its hold.
    pub(crate) position: Position,
    /// Whether it waits for a moderator.
    pub(crate) is_held: bool,
    /// Whether the presenter of the room sent it.
    pub(crate) is_by_presenter: bool,
    /// Whether the presenter has a session. If not, it is asked to reconnect, and gets the message when it does.
    pub(crate) is_presenter_connected: bool,
    /// The sender's remaining quota. None for a retry, which costs nothing.
    pub(crate) quota: Option<Quota>,
}

impl Ingest {
    /// Err: the message is not in the log, except for an append of unknown outcome.
    pub(crate) async fn accept(&self, post: Post) -> Result<Accepted, Refusal> {
        let Post { sender, presenter, text, extras, key } = post;
        let _admitted = self.admission.enter()?;
        let request = match &extras {
            None => event_id::request(Some(presenter), &sender, key.as_ref(), text.as_str()),
            Some(extras) => {
                event_id::request(Some(presenter), &sender, key.as_ref(), &extras.as_request(text.as_str()))
            }
        };
        let (id, stored, quota) = match self.assign_id(Some(presenter), request).await? {
            // A retry gets the answer of the first try, whatever has been decided since.
            Assignment::Earlier(Earlier { id, position, is_held, .. }) => (id, Stored { position, is_held }, None),
            Assignment::New(assigned) => {
                let (stored, quota) = self.append_message(&sender, presenter, (text, extras), &assigned).await?;
                (assigned.id, stored, quota)
            }
        };
        let Stored { position, is_held } = stored;
        let is_presenter_connected = self.presence.is_held(presenter);
        if !is_presenter_connected {
            self.reconnects.request(presenter);
        }
        let is_by_presenter = sender.presents(presenter);
        Ok(Accepted { id, position, is_held, is_by_presenter, is_presenter_connected, quota })
    }

    async fn append_message(
        &self,
        sender: &Sender,
        presenter: PresenterIdx,
        (text, mut extras): (Text, Option<Box<Extras>>),
        assigned: &AssignedId,
    ) -> Result<(Stored, Option<Quota>), Refusal> {
        self.check_caught_up()?;
        let began = now();
        self.check_is_not_banned(presenter, sender, began)?;
        let role = self.role(sender, presenter, began);
        let current = self.replay.rules.current(presenter, began);
        let settings = &current.settings;
        if settings.presenter_only && role == Role::Viewer {
            return Err(Refusal::PresenterOnly);
        }
        let emotes = extras.as_ref().and_then(|extras| extras.emotes());
        if settings.emoji_only && role == Role::Viewer && !text.is_emoji_only(emotes) {
            return Err(Refusal::EmojiOnly);
        }
        if settings.links == Links::Trusted && role == Role::Viewer && text.has_link() {
            return Err(Refusal::LinkForbidden);
        }
        if text.is_longer_than(settings.max_length) {
            return Err(Refusal::TextTooLongHere(settings.max_length));
        }
        let ask = Ask { id: assigned.id, presenter, user: sender.idx, role, text: text.as_str() };
        let reservation = self.replay.limits.admit(&ask, settings)?;
        // After the limits: each new room that a sender posts to causes a request to the room server.
        self.check_is_live(presenter).await?;
        let mut judged = self.word_filter.judge(text, extras.as_deref_mut(), &current)?;
        // Who could release a message need not wait for a moderator.
        judged.is_held &= role == Role::Viewer;
        let user = sender.user(role);
        let reviewed = self.reviewed(assigned.id, presenter, &user, judged, extras.as_deref_mut()).await?;
        // The review may have taken long. If another try of the request is in the log by now, its message may be held, or
        // denied already, and this one must not bring it into the room.
        if let Some(earlier) = self.earlier_try(assigned) {
            return earlier.map(|stored| (stored, None));
        }
        let Judged { text, flags, is_held } = reviewed;
        // A ban holds within a second, however long the room server and the review hook took.
        let at = now();
        self.check_is_not_banned(presenter, sender, at)?;

        let mut message = MessagePosted { flags, ..MessagePosted::new(user, text.into_string()) };
        Extras::add_to(extras, sender, &mut message);
        let is_held = self.is_held_by_a_sweep(presenter, &message, at)? || is_held;
        let body = if is_held { self.held(assigned.id, presenter, message)? } else { Body::MessagePosted(message) };
        let quota = reservation.quota;
        reservation.appending();
        let stored = self.append_first(assigned, Some(presenter), at, body).await?;
        reservation.stored();
        Ok((stored, Some(quota)))
    }

    /// Whether a sweep's span forward lets the message wait for a moderator. Err: it refuses the message.
    fn is_held_by_a_sweep(&self, room: PresenterIdx, message: &MessagePosted, at: Timestamp) -> Result<bool, Refusal> {
        let Some(guards) = self.replay.rules.guards(room) else { return Ok(false) };
        // Both the log's time and the message's own, as readers will believe it: what is accepted after the end of the
        // span is after it for every reader.
        let log_now = self.log.now();
        match Guard::judge(&guards, message, log_now.min(believed(at, false, log_now))) {
            None => Ok(false),
            Some(ForwardAction::Hold) => Ok(true),
            Some(ForwardAction::Refuse) => Err(Refusal::Swept),
        }
    }

    /// The message, to wait for a moderator.
    fn held(&self, target: EventId, presenter: PresenterIdx, posted: MessagePosted) -> Result<Body, Refusal> {
        let now = self.log.now();
        if self.replay.holds.is_full(presenter, self.replay.limits.most_holds(), now) {
            return Err(Refusal::HoldQueueFull);
        }
        // Events have whole milliseconds.
        let until = Timestamp::from_millisecond((now + self.hold).as_millisecond());
        let until = until.expect("a time of whole milliseconds is a time");
        Ok(Body::MessageHeld(Box::new(MessageHeld { target, until, posted })))
    }

    /// What the review hook makes of a message that the word filter lets through.
    async fn reviewed(
        &self,
        id: EventId,
        presenter: PresenterIdx,
        user: &User,
        mut judged: Judged,
        extras: Option<&mut Extras>,
    ) -> Result<Judged, Refusal> {
        let Some(review) = &self.review else { return Ok(judged) };
        let question = Question { id, presenter, user, text: judged.text.as_str(), flags: &judged.flags };
        // Boxed, so that the future of a post without a review has no room for one.
        let verdict = Box::pin(review.ask(&question)).await;
        match verdict {
            Verdict::Allow => {}
            Verdict::Replace(text) => {
                if let Some(extras) = extras {
                    extras.replace(judged.text.as_str(), text.as_str());
                }
                judged.text = text;
            }
            Verdict::Hold => judged.is_held = true,
            Verdict::Deny { reason } => return Err(Refusal::Denied { reason }),
            Verdict::Unavailable(Fallback::Deny) => return Err(Refusal::ReviewUnavailable),
            Verdict::Unavailable(Fallback::Allow) => judged.flags.push(UNAVAILABLE_FLAG.to_owned()),
            Verdict::Unavailable(Fallback::Hold) => {
                judged.flags.push(UNAVAILABLE_FLAG.to_owned());
                judged.is_held = true;
            }
        }
        Ok(judged)
    }

    /// Appends an event and returns its position. Under a key, several nodes may append the event at the same moment.
    /// Each of them then waits to see which copy is the first.
    pub(crate) async fn append(
        &self,
        assigned: &AssignedId,
        presenter: Option<PresenterIdx>,
        at: Timestamp,
        body: Body,
    ) -> Result<Position, Refusal> {
        self.append_first(assigned, presenter, at, body).await.map(|stored| stored.position)
    }

    /// The same, of an event that may be a hold: the assigned id is then the message's.
    async fn append_first(
        &self,
        assigned: &AssignedId,
        presenter: Option<PresenterIdx>,
        at: Timestamp,
        body: Body,
    ) -> Result<Stored, Refusal> {
        let AssignedId { id, request, end, assigned_at } = *assigned;
        // The process was suspended. The sender has given up by now, and may have retried through another node.
        if assigned_at.elapsed() > LONGEST_BEFORE_APPEND {
            return Err(Refusal::Append(AppendError::Unavailable));
        }
        let (kind, is_held) = (body.kind(), matches!(body, Body::MessageHeld(_)));
        let event_id = if is_held { EventId::of_hold(id) } else { id };
        let event = Arc::new(Event { id: event_id, presenter, at, belated: false, request, body });
        let began = Instant::now();
        let appended = match TraceContext::current() {
            None => self.log.append_own(event, end).await,
            Some(parent) => Box::pin(self.append_traced(parent, event, end)).await,
        };
        self.admission.observe_append(began);
        let position = appended?;
        self.metrics.appended(&kind);
        let Some(request) = request else { return Ok(Stored { position, is_held }) };
        let find = self.replay.find(|replay| replay.accepted_keys.get(request.key).filter(|first| first.id == id));
        match Box::pin(find).await {
            Some(first) => stored_by(first, request),
            // The event is in the log, but it may be this request's or another's under the same key.
            None => Err(Refusal::Append(AppendError::Unknown)),
        }
    }

    /// What another try of the request has stored, as far as this node knows.
    fn earlier_try(&self, assigned: &AssignedId) -> Option<Result<Stored, Refusal>> {
        let request = assigned.request?;
        let first = self.replay.accepted_keys.get(request.key).filter(|first| first.id == assigned.id)?;
        Some(stored_by(first, request))
    }

    /// Bans, roles and settings are known only once the log has been replayed.
    pub(crate) fn check_caught_up(&self) -> Result<(), Refusal> {
        if self.replay.is_caught_up() { Ok(()) } else { Err(Refusal::Append(AppendError::Unavailable)) }
    }

    fn check_is_not_banned(&self, presenter: PresenterIdx, sender: &Sender, now: Timestamp) -> Result<(), Refusal> {
        match self.replay.rules.ban(presenter, sender.idx, now) {
            Some(ban) => Err(Refusal::Banned { until: ban.until }),
            None => Ok(()),
        }
    }

    async fn check_is_live(&self, presenter: PresenterIdx) -> Result<(), Refusal> {
        match self.room_server.liveness(presenter).await {
            Ok(Liveness::Live) => Ok(()),
            Ok(Liveness::NotLive) => Err(Refusal::RoomNotLive),
            // An outage of the room server must not silence a broadcast whose presenter is connected.
            Err(Unreachable) if self.presence.is_held(presenter) => Ok(()),
            Err(Unreachable) => Err(Refusal::RoomServerUnavailable),
        }
    }
}

/// What the first request under the key has stored, if this one is the same.
fn stored_by(first: Earlier, request: Request) -> Result<Stored, Refusal> {
    let Earlier { position, digest, is_held, .. } = first;
    if digest == request.digest { Ok(Stored { position, is_held }) } else { Err(Refusal::IdempotencyKeyReused) }
}
