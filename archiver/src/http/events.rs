//! A replay that plays: server-sent events, each message when its time in the recording has come, at a chosen speed. What
//! is due is read shortly before, so that a deletion made while it plays takes effect. A broadcast that runs is played on
//! as it goes on.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use chat::{PresenterIdx, SessionId};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::broadcasts::find;
use super::call::Call;
use super::openapi::schemas;
use super::parameters::{BroadcastPath, FromQuery, RoomPath, TimelineQuery};
use super::refusal::Refusal;
use super::replay::{ReplayMessageBody, settled};
use super::stream::{Cut, Sink};
use super::{Reader, Shared, answer};
use crate::query::broadcasts::Broadcast;
use crate::query::cursor::Cursor;
use crate::query::replay::{Limit, Part, Place, Rest, Scope};
use crate::query::sessions;
use crate::query::timeline::{Kind, Timeline};

/// 1 s of the listener's time: so long before it is due a message is read.
const AHEAD: Duration = Duration::from_secs(1);

/// How often a broadcast that runs is asked for what is new.
const POLL: Duration = Duration::from_secs(1);

/// 15 s: proxies drop idle connections at 20.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Messages of one question to MongoDB.
const PART: usize = 200;

/// Bytes of one piece, about.
const PIECE: usize = 64 * 1024;

/// 2 s until a listener that lost the connection comes back.
const RETRY: &str = "retry: 2000\n\n";

/// The header by which a listener that comes back says what it had last.
const LAST_EVENT_ID: &str = "Last-Event-ID";

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(replay_events))
}

/// How fast.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SpeedQuery {
    /// 2 is twice as fast as it was.
    #[serde(default)]
    #[param(value_type = Option<f64>, minimum = 0.1, maximum = 100, default = 1, nullable = false)]
    speed: Speed,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Speed(f64);

impl Default for Speed {
    fn default() -> Speed {
        Speed(1.0)
    }
}

impl TryFrom<String> for Speed {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Speed, &'static str> {
        let speed = text.parse().ok().filter(|speed| (0.1..=100.0).contains(speed));
        speed.map(Speed).ok_or("must be a number from 0.1 to 100")
    }
}

/// Where a listener was.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what `replay_events` reads")]
struct LastEventId {
    /// The `id` of the last event that came; it goes on after it. An `EventSource` sends it by itself. Empty: none came.
    #[param(rename = "Last-Event-ID", value_type = Option<schemas::Cursor>, inline, nullable = false)]
    last_event_id: Option<String>,
}

/// An event as it is parsed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `Event` of axum writes")]
struct EventSchema {
    /// What `Last-Event-ID` has to be to go on after it.
    #[schema(nullable = false)]
    id: Option<String>,
    /// `message` or `end`; others may come.
    event: String,
    /// JSON: a message as a replay has it, or `{"durationMs": …}`.
    data: String,
}

/// Play a broadcast
///
/// Server-sent events: `message`, whose data is a message as a replay page has it and whose `id` is a cursor, and `end`
/// when the recording is over. The player's clock starts with the answer, or anew where a listener comes back.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/replay/events",
    tag = "broadcasts",
    params(RoomPath, BroadcastPath, FromQuery, TimelineQuery, SpeedQuery, LastEventId),
    responses((status = 200, description = "The events.", content((EventSchema = "text/event-stream")))),
)]
async fn replay_events(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (room, _) = call.readable_room()?;
        let FromQuery { from } = call.query()?;
        let TimelineQuery { timeline: kind } = call.query()?;
        let SpeedQuery { speed } = call.query()?;
        let (id, broadcast) = find(&reader, &call).await?;
        let timeline = Timeline::new(&broadcast, kind);
        let last = call.parts.headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty());
        let (place, from) = match last {
            Some(last) => {
                let place = last.to_str().ok().and_then(|last| Cursor::parse_place(last, room.get(), id));
                let place = place.ok_or(Refusal::CursorInvalid)?;
                (place, timeline.offset(place.time()))
            }
            // Beyond the end there is nothing but the end.
            None => (Place::At(timeline.at(from.0).unwrap_or(i64::MAX)), from.0),
        };
        let listener = reader.place(&call)?;
        let body = reader.stream(listener, {
            let reader = reader.clone();
            |sink| async move {
                let stop = reader.ending.clone();
                let clock = Clock { began: Instant::now(), from, speed: speed.0 };
                let voice = Voice { sink, clock, text: RETRY.to_owned(), said: Instant::now() };
                let player = Player { reader, room, id, kind, broadcast, place, voice };
                match stop.clone().run_until_cancelled(player.play()).await {
                    Some(played) => played,
                    // The listener comes back, to another node or to this one when it is up again.
                    None => Ok(()),
                }
            }
        });
        Ok(([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], body).into_response())
    })
    .await
}

/// When what is due.
#[derive(Debug, Clone, Copy)]
struct Clock {
    began: Instant,
    /// Where in the recording it began.
    from: i64,
    speed: f64,
}

impl Clock {
    fn due(&self, offset: i64) -> Instant {
        let ahead = (offset - self.from).max(0) as f64 / 1_000.0 / self.speed;
        // A few thousand years at most.
        self.began + Duration::try_from_secs_f64(ahead).unwrap_or_default()
    }

    fn offset(&self, at: Instant) -> i64 {
        let played = at.duration_since(self.began).as_secs_f64() * 1_000.0 * self.speed;
        self.from.saturating_add(played as i64)
    }
}

/// What the listener hears, in pieces of what is due at the same time.
#[derive(Debug)]
struct Voice {
    sink: Sink,
    clock: Clock,
    text: String,
    /// When the listener last heard something.
    said: Instant,
}

impl Voice {
    /// When that is due. `data` is JSON of one line.
    async fn say(&mut self, event: &str, id: Option<Cursor>, offset: i64, data: &str) -> Result<(), Cut> {
        self.rest(self.clock.due(offset)).await?;
        write_event(&mut self.text, event, id, data);
        if self.text.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    /// Until then; at once if that has passed.
    async fn rest(&mut self, until: Instant) -> Result<(), Cut> {
        while Instant::now() < until {
            self.flush().await?;
            // Neither branch loses anything.
            tokio::select! {
                () = tokio::time::sleep_until(until.min(self.said + HEARTBEAT)) => {}
                () = self.sink.gone() => return Err(Cut::Gone),
            }
            if self.said.elapsed() >= HEARTBEAT {
                self.text.push_str(":\n\n");
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Cut> {
        if !self.text.is_empty() {
            self.sink.send(std::mem::take(&mut self.text)).await?;
            self.said = Instant::now();
        }
        Ok(())
    }
}

/// The format's lines: `data` must have no line break, which the format would take for the end of it.
fn write_event(text: &mut String, event: &str, id: Option<Cursor>, data: &str) {
    // A position that this log did not write makes no cursor; the listener keeps the one before.
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    write!(text, "{id}event: {event}\ndata: {data}\n\n").expect("a text takes everything");
}

/// A replay for one listener.
struct Player {
    reader: Arc<Reader>,
    room: PresenterIdx,
    /// As the listener named the broadcast.
    id: SessionId,
    kind: Kind,
    broadcast: Broadcast,
    place: Place,
    voice: Voice,
}

impl Player {
    async fn play(mut self) -> Result<(), Cut> {
        loop {
            let timeline = Timeline::new(&self.broadcast, self.kind);
            let rest = self.play_part(&timeline).await?;
            let (now, clock) = (Instant::now(), self.voice.clock);
            match (rest, timeline.duration()) {
                (Rest::More, _) => {}
                (Rest::Nothing, Some(duration)) => return self.end(duration).await,
                (Rest::Nothing, None) => self.voice.rest(now + POLL).await?,
                (Rest::Later(latest), duration) => {
                    let read_at = clock.due(timeline.offset(latest)) - AHEAD;
                    let read_at = if duration.is_some() { read_at } else { read_at.max(now + POLL) };
                    self.voice.rest(read_at).await?;
                }
            }
            if timeline.duration().is_none() {
                // It may have gone on, or ended.
                let (database, id) = (&self.reader.database, self.id.to_string());
                let Some(broadcast) = sessions::broadcast_of(database, self.room.get(), &id).await? else {
                    return Ok(());
                };
                self.broadcast = broadcast;
            }
        }
    }

    /// Plays what is due soon, and says what comes then.
    async fn play_part(&mut self, timeline: &Timeline) -> Result<Rest, Cut> {
        let soon = self.voice.clock.offset(Instant::now() + AHEAD);
        let settled = settled(&self.reader, self.room, &self.broadcast);
        let before = timeline.at(soon.saturating_add(1)).into_iter().chain(settled.before).min();
        let limit = Limit { before, ..settled };
        let scope = Scope::new(self.room.get(), &self.broadcast);
        let Part { messages, place, rest } = scope.part(&self.reader.database, self.place, PART, limit).await?;
        for (latest, message) in messages {
            let place = Place::After(message.position, latest);
            let id = self.cursor(&place);
            let body = ReplayMessageBody::new(timeline, latest, message);
            let data = serde_json::to_string(&body).expect("a message is written to memory");
            self.voice.say("message", id, timeline.offset(latest), &data).await?;
        }
        self.place = place;
        Ok(rest)
    }

    async fn end(&mut self, duration: i64) -> Result<(), Cut> {
        let id = self.cursor(&self.place);
        self.voice.say("end", id, duration, &format!("{{\"durationMs\":{duration}}}")).await?;
        self.voice.flush().await
    }

    fn cursor(&self, place: &Place) -> Option<Cursor> {
        Cursor::of_place(self.room.get(), self.id, place)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use eventsource_stream::Eventsource as _;
    use futures_util::{StreamExt as _, stream};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_listener_gets_every_message_whatever_it_says(texts in prop::collection::vec(any::<String>(), 0..4)) {
            let mut written = RETRY.to_owned();
            for text in &texts {
                let data = serde_json::to_string(text).unwrap();
                write_event(&mut written, "message", None, &data);
            }
            // In pieces of a few bytes, as a network may cut them.
            let pieces = written.as_bytes().chunks(7).map(|piece| Ok::<_, io::Error>(piece.to_vec()));
            let heard = stream::iter(pieces).eventsource().collect::<Vec<_>>();
            let heard = futures_util::FutureExt::now_or_never(heard).expect("nothing is waited for");
            let heard: Vec<(String, String)> = heard
                .into_iter()
                .map(Result::unwrap)
                .map(|event| (event.event, serde_json::from_str(&event.data).unwrap()))
                .collect();
            let expected: Vec<_> = texts.into_iter().map(|text| ("message".to_owned(), text)).collect();
            prop_assert_eq!(heard, expected);
        }
    }
}
