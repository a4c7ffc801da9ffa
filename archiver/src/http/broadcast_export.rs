//! The chat of a broadcast as a file that players and other programs open. It is read part by part while it is sent.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use chat::PresenterIdx;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::broadcasts::find;
use super::call::Call;
use super::incomplete::Incomplete;
use super::parameters::{BroadcastPath, RoomPath, TimelineQuery};
use super::replay::{ReplayMessageBody, settled};
use super::stream::{Cut, Sink, file};
use super::{Reader, Shared, answer};
use crate::formats::twitch;
use crate::formats::twitch::Recording;
use crate::formats::webvtt;
use crate::mongo::documents::MessageDocument;
use crate::query::broadcasts::Broadcast;
use crate::query::replay::{Place, Rest, Scope};
use crate::query::timeline::Timeline;

/// Messages of one question to MongoDB, and of one piece: some 500 KB.
const PIECE: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(export_broadcast))
}

/// As what.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FormatQuery {
    /// `ndjson` (where nothing is said): a message a line, as a replay has it. `twitchdownloader`: the JSON of
    /// TwitchDownloader, ChatRoot 1.4, which renders chat into video. `webvtt`: subtitles that browsers and players show.
    #[serde(default)]
    #[param(inline, value_type = Option<Format>, nullable = false)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Ndjson,
    TwitchDownloader,
    WebVtt,
}

/// Export a broadcast
///
/// What a replay has, as a file. A file that breaks off is not whole: the connection breaks, too. Of a broadcast that
/// runs it has what was said up to now.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/export",
    tag = "exports",
    params(RoomPath, BroadcastPath, FormatQuery, TimelineQuery),
    responses((status = 200, description = "The messages.", content(
        (String = "application/x-ndjson"), (serde_json::Value = "application/json"), (String = "text/vtt")
    ))),
)]
async fn export_broadcast(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (room, _) = call.readable_room()?;
        let FormatQuery { format } = call.query()?;
        let TimelineQuery { timeline: kind } = call.query()?;
        let (_, broadcast) = find(&reader, &call).await?;
        let place = reader.place(&call)?;
        let started = Timestamp::from_millisecond(broadcast.started()).unwrap_or(Timestamp::MIN);
        let ended = broadcast.ended().map(|ended| ended.saturating_add(1));
        let incomplete = Incomplete::of(&reader, Some(room), Some(broadcast.started()), ended).await?;
        let (lines, notes) = (incomplete.ndjson(), incomplete.webvtt());
        let name = format!("room-{room}-{}", started.strftime("%Y%m%dT%H%M%SZ"));
        let name = incomplete.name(&name);
        let body = reader.stream(place, {
            let reader = reader.clone();
            move |sink| async move {
                let timeline = Timeline::new(&broadcast, kind);
                let export = Export { reader: &reader, room, broadcast: &broadcast, timeline: &timeline, sink: &sink };
                match format {
                    Format::Ndjson => {
                        if !lines.is_empty() {
                            sink.send(lines).await?;
                        }
                        export.pieces(ndjson).await
                    }
                    Format::TwitchDownloader => export.twitch().await,
                    Format::WebVtt => {
                        sink.send(webvtt::HEAD).await?;
                        if !notes.is_empty() {
                            sink.send(notes).await?;
                        }
                        export.pieces(webvtt).await
                    }
                }
            }
        });
        Ok(incomplete.mark(match format {
            Format::Ndjson => file(body, "application/x-ndjson", &format!("{name}.ndjson")),
            Format::TwitchDownloader => file(body, "application/json", &format!("{name}.json")),
            Format::WebVtt => file(body, "text/vtt; charset=utf-8", &format!("{name}.vtt")),
        }))
    })
    .await
}

/// A broadcast on its way into a file.
struct Export<'a> {
    reader: &'a Reader,
    room: PresenterIdx,
    broadcast: &'a Broadcast,
    timeline: &'a Timeline,
    sink: &'a Sink,
}

/// Makes text of the messages, each with the latest time up to it.
type Write<T> = fn(&Timeline, Vec<(i64, MessageDocument)>, &mut T) -> Vec<u8>;

impl Export<'_> {
    async fn pieces(&self, write: Write<()>) -> Result<(), Cut> {
        self.write(write, &mut ()).await
    }

    async fn twitch(&self) -> Result<(), Cut> {
        let now = Timestamp::now();
        let nickname = Scope::new(self.room.get(), self.broadcast).nickname(&self.reader.database).await?;
        let recording = Recording {
            id: self.broadcast.id.clone(),
            room: self.room.get(),
            nickname: nickname.unwrap_or_else(|| self.room.to_string()),
            started: self.broadcast.started(),
            duration: self.timeline.duration().unwrap_or_else(|| self.timeline.offset(now.as_millisecond())),
            made: now.as_millisecond(),
        };
        self.sink.send(recording.head()).await?;
        let mut comments = recording.comments();
        self.write(twitch_comments, &mut comments).await?;
        self.sink.send(twitch::TAIL).await
    }

    async fn write<T>(&self, write: Write<T>, state: &mut T) -> Result<(), Cut> {
        let scope = Scope::new(self.room.get(), self.broadcast);
        let mut place = Place::At(self.broadcast.started());
        loop {
            let limit = settled(self.reader, self.room, self.broadcast);
            let part = scope.part(&self.reader.database, place, PIECE, limit).await?;
            if !part.messages.is_empty() {
                self.sink.send(write(self.timeline, part.messages, state)).await?;
            }
            if part.rest != Rest::More {
                return Ok(());
            }
            place = part.place;
        }
    }
}

fn ndjson(timeline: &Timeline, messages: Vec<(i64, MessageDocument)>, _: &mut ()) -> Vec<u8> {
    let mut lines = Vec::new();
    for (latest, message) in messages {
        let body = ReplayMessageBody::new(timeline, latest, message);
        serde_json::to_writer(&mut lines, &body).expect("a message is written to memory");
        lines.push(b'\n');
    }
    lines
}

fn webvtt(timeline: &Timeline, messages: Vec<(i64, MessageDocument)>, _: &mut ()) -> Vec<u8> {
    let cues = messages
        .iter()
        .map(|(latest, message)| webvtt::cue(&message.id, timeline.offset(*latest), &message.nickname, message.text()));
    cues.collect::<String>().into_bytes()
}

fn twitch_comments(
    timeline: &Timeline,
    messages: Vec<(i64, MessageDocument)>,
    comments: &mut twitch::Comments,
) -> Vec<u8> {
    let mut text = Vec::new();
    for (latest, message) in messages {
        comments.write(timeline.offset(latest), &message, &mut text);
    }
    text
}
