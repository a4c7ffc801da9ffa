//! A replay in real time: server-sent events, each message when its time in the recording has come, at a chosen speed.
//! Messages are read shortly before they are due, so a deletion during the replay takes effect. The replay of a running
//! broadcast follows it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use chat::{PresenterIdx, SessionId};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::RoomReader;
use super::broadcasts::find;
use super::parameters::{FromQuery, Query, TimelineQuery};
use super::path::{BroadcastPath, RoomPath};
use super::refusal::Refusal;
use super::replay::{ReplayMessageBody, settled};
use super::schemas;
use super::state::{App, AppState};
use super::stream::{Cut, Sink};
use crate::query::broadcasts::Broadcast;
use crate::query::cursor::Cursor;
use crate::query::replay::{Limit, Part, ReplayPlace, Rest, Scope};
use crate::query::sessions;
use crate::query::timeline::{Timeline, TimelineKind};

/// 1 s of the client's time: how long before it is due a message is read.
const AHEAD: Duration = Duration::from_secs(1);

/// How often a running broadcast is polled for new messages.
const POLL: Duration = Duration::from_secs(1);

/// 15 s: proxies drop idle connections at 20 s.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Messages in one question to MongoDB.
const PART: usize = 200;

/// 64 KiB: a piece is sent when it has at least so many bytes.
const PIECE: usize = 64 * 1024;

/// A client that lost the connection reconnects after 2 s.
const RETRY: &str = "retry: 2000\n\n";

/// The header with which a client that reconnects names its last event.
const LAST_EVENT_ID: &str = "Last-Event-ID";

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(replay_events))
}

/// The speed.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SpeedQuery {
    /// The playback speed: 2 is twice as fast as the broadcast.
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

/// The cursor of a client that reconnects.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
struct LastEventId {
    /// The `id` of the last event that the client received. The replay goes on after it. An `EventSource` sends it by
    /// itself. Empty: none was received.
    #[param(rename = "Last-Event-ID", value_type = Option<schemas::Cursor>, inline, nullable = false)]
    last_event_id: Option<LastEvent>,
}

/// A cursor as it came. What is not text is no cursor.
#[derive(Debug)]
struct LastEvent(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<LastEventId, Refusal> {
        let last = parts.headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty());
        let last_event_id = last.map(|last| LastEvent(last.to_str().ok().map(str::to_owned)));
        Ok(LastEventId { last_event_id })
    }
}

/// An event, parsed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `Event` of axum writes")]
struct EventSchema {
    /// The value of `Last-Event-ID` that continues after this event.
    #[schema(nullable = false)]
    id: Option<String>,
    /// `message` or `end`. New types may come.
    event: String,
    /// JSON: a message as in a replay, or `{"durationMs": …}`.
    data: String,
}

/// Play a broadcast
///
/// Server-sent events: `message`, with a message as in a replay page and a cursor as its `id`, and `end` when the
/// recording is over. The player's clock starts with the answer, and again after each reconnect.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/replay/events",
    tag = "broadcasts",
    params(RoomPath, BroadcastPath, FromQuery, TimelineQuery, SpeedQuery, LastEventId),
    responses((status = 200, description = "The events.", content((EventSchema = "text/event-stream")))),
)]
async fn replay_events(
    State(app): App,
    RoomReader { caller, room, .. }: RoomReader,
    Query(FromQuery { from }): Query<FromQuery>,
    Query(timeline): Query<TimelineQuery>,
    Query(SpeedQuery { speed }): Query<SpeedQuery>,
    BroadcastPath { broadcast_id: id }: BroadcastPath,
    LastEventId { last_event_id }: LastEventId,
) -> Result<impl IntoResponse, Refusal> {
    let broadcast = find(&app, room, id).await?;
    let kind = timeline.kind();
    let timeline = Timeline::new(&broadcast, kind);
    let (place, from) = match last_event_id {
        Some(LastEvent(last)) => {
            let place = last.and_then(|last| Cursor::parse_place(&last, room.get(), id));
            let place = place.ok_or(Refusal::CursorInvalid)?;
            (place, timeline.offset(place.time()))
        }
        // Beyond the end, only the end is left.
        None => (ReplayPlace::At(timeline.at(from.0).unwrap_or(i64::MAX)), from.0),
    };
    let permit = caller.stream_permit(&app)?;
    let body = app.streams.body(permit, {
        let app = app.clone();
        |sink| async move {
            let stop = app.ending.clone();
            let clock = Clock { began: Instant::now(), from, speed: speed.0 };
            let writer = EventWriter { sink, clock, text: RETRY.to_owned(), last_sent: Instant::now() };
            let player = Player { app, room, id, kind, broadcast, place, writer };
            match stop.clone().run_until_cancelled(player.play()).await {
                Some(played) => played,
                // The client reconnects, to another node or to this one when it is back.
                None => Ok(()),
            }
        }
    });
    Ok(([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], body))
}

/// When messages are due.
#[derive(Debug, Clone, Copy)]
struct Clock {
    began: Instant,
    /// The offset in the recording at which it began.
    from: i64,
    speed: f64,
}

impl Clock {
    fn due(&self, offset: i64) -> Instant {
        let ahead = (offset - self.from).max(0) as f64 / 1_000.0 / self.speed;
        // At most a few thousand years.
        self.began + Duration::try_from_secs_f64(ahead).unwrap_or_default()
    }

    fn offset(&self, at: Instant) -> i64 {
        let played = at.duration_since(self.began).as_secs_f64() * 1_000.0 * self.speed;
        self.from.saturating_add(played as i64)
    }
}

/// The events that the client receives. Events that are due together make one piece.
#[derive(Debug)]
struct EventWriter {
    sink: Sink,
    clock: Clock,
    text: String,
    /// When the client was last sent something.
    last_sent: Instant,
}

impl EventWriter {
    /// Sends an event when it is due. `data` is one line of JSON.
    async fn send(&mut self, event: &str, id: Option<Cursor>, offset: i64, data: &str) -> Result<(), Cut> {
        self.wait_until(self.clock.due(offset)).await?;
        write_event(&mut self.text, event, id, data);
        if self.text.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    /// Waits until that time, with heartbeats.
    async fn wait_until(&mut self, until: Instant) -> Result<(), Cut> {
        while Instant::now() < until {
            self.flush().await?;
            // Neither branch loses anything.
            tokio::select! {
                () = tokio::time::sleep_until(until.min(self.last_sent + HEARTBEAT)) => {}
                () = self.sink.gone() => return Err(Cut::Gone),
            }
            if self.last_sent.elapsed() >= HEARTBEAT {
                self.text.push_str(":\n\n");
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Cut> {
        if !self.text.is_empty() {
            self.sink.send(std::mem::take(&mut self.text)).await?;
            self.last_sent = Instant::now();
        }
        Ok(())
    }
}

/// Writes an event. `data` must have no line break: it would end the field.
fn write_event(text: &mut String, event: &str, id: Option<Cursor>, data: &str) {
    // A position that this log did not write makes no cursor. The client keeps the previous one.
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    write!(text, "{id}event: {event}\ndata: {data}\n\n").expect("a text takes everything");
}

/// A replay for one client.
struct Player {
    app: Arc<AppState>,
    room: PresenterIdx,
    /// The session by which the client named the broadcast.
    id: SessionId,
    kind: TimelineKind,
    broadcast: Broadcast,
    place: ReplayPlace,
    writer: EventWriter,
}

impl Player {
    async fn play(mut self) -> Result<(), Cut> {
        loop {
            let timeline = Timeline::new(&self.broadcast, self.kind);
            let rest = self.play_part(&timeline).await?;
            let (now, clock) = (Instant::now(), self.writer.clock);
            match (rest, timeline.duration()) {
                (Rest::More, _) => {}
                (Rest::Nothing, Some(duration)) => return self.end(duration).await,
                (Rest::Nothing, None) => self.writer.wait_until(now + POLL).await?,
                (Rest::Later(latest), duration) => {
                    let read_at = clock.due(timeline.offset(latest)) - AHEAD;
                    let read_at = if duration.is_some() { read_at } else { read_at.max(now + POLL) };
                    self.writer.wait_until(read_at).await?;
                }
            }
            if timeline.duration().is_none() {
                // It may have gained a segment, or ended.
                let (database, id) = (&self.app.database, self.id.to_string());
                let Some(broadcast) = sessions::broadcast_of(database, self.room.get(), &id).await? else {
                    return Ok(());
                };
                self.broadcast = broadcast;
            }
        }
    }

    /// Plays the messages that are due soon, and tells what follows.
    async fn play_part(&mut self, timeline: &Timeline) -> Result<Rest, Cut> {
        let soon = self.writer.clock.offset(Instant::now() + AHEAD);
        let settled = settled(&self.app, self.room, &self.broadcast);
        let before = timeline.at(soon.saturating_add(1)).into_iter().chain(settled.before).min();
        let limit = Limit { before, ..settled };
        let scope = Scope::new(self.room.get(), &self.broadcast);
        let Part { messages, place, rest } = scope.part(&self.app.database, self.place, PART, limit).await?;
        for (latest, message) in messages {
            let place = ReplayPlace::After(message.position, latest);
            let id = self.cursor(&place);
            let body = ReplayMessageBody::new(timeline, latest, message);
            let data = serde_json::to_string(&body).expect("a message is written to memory");
            self.writer.send("message", id, timeline.offset(latest), &data).await?;
        }
        self.place = place;
        Ok(rest)
    }

    async fn end(&mut self, duration: i64) -> Result<(), Cut> {
        let id = self.cursor(&self.place);
        self.writer.send("end", id, duration, &format!("{{\"durationMs\":{duration}}}")).await?;
        self.writer.flush().await
    }

    fn cursor(&self, place: &ReplayPlace) -> Option<Cursor> {
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
        fn a_client_gets_every_message_whatever_its_text(texts in prop::collection::vec(any::<String>(), 0..4)) {
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
