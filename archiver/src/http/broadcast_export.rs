//! The chat of a broadcast as a file for players and other programs. The file is read part by part while it is sent.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use chat::PresenterIdx;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::RoomReader;
use super::broadcasts::find;
use super::incomplete::Incomplete;
use super::parameters::{Query, TimelineQuery};
use super::path::{BroadcastPath, RoomPath};
use super::refusal::Refusal;
use super::replay::{ReplayMessageBody, settled};
use super::state::{App, AppState};
use super::stream::{Cut, Sink, file};
use crate::formats::twitch;
use crate::formats::twitch::Recording;
use crate::formats::webvtt;
use crate::mongo::documents::MessageDocument;
use crate::query::broadcasts::Broadcast;
use crate::query::replay::{ReplayPlace, Rest, Scope};
use crate::query::timeline::Timeline;

/// Messages in one question to MongoDB, and in one piece: about 500 KB.
const PIECE: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(export_broadcast))
}

/// The file's format.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FormatQuery {
    /// `ndjson` (the default): one message a line, as in a replay. `twitchdownloader`: the JSON of TwitchDownloader
    /// (ChatRoot 1.4), which renders chat into video. `webvtt`: subtitles for browsers and players.
    #[serde(default)]
    #[param(inline, value_type = Option<BroadcastFormat>, nullable = false)]
    format: BroadcastFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum BroadcastFormat {
    #[default]
    Ndjson,
    TwitchDownloader,
    WebVtt,
}

/// Export a broadcast
///
/// All messages of a replay, as a file. If the connection breaks, the file is incomplete. The file of a running
/// broadcast ends with the latest messages.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/export",
    tag = "exports",
    params(RoomPath, BroadcastPath, FormatQuery, TimelineQuery),
    responses((status = 200, description = "The messages.", content(
        (String = "application/x-ndjson"), (serde_json::Value = "application/json"), (String = "text/vtt")
    ))),
)]
async fn export_broadcast(
    State(app): App,
    RoomReader { caller, room, .. }: RoomReader,
    Query(FormatQuery { format }): Query<FormatQuery>,
    Query(timeline): Query<TimelineQuery>,
    BroadcastPath { broadcast_id }: BroadcastPath,
) -> Result<impl IntoResponse, Refusal> {
    let broadcast = find(&app, room, broadcast_id).await?;
    let permit = caller.stream_permit(&app)?;
    let started = Timestamp::from_millisecond(broadcast.started()).unwrap_or(Timestamp::MIN);
    let ended = broadcast.ended().map(|ended| ended.saturating_add(1));
    let incomplete = Incomplete::of(&app, Some(room), Some(broadcast.started()), ended).await?;
    let (lines, notes) = (incomplete.ndjson(), incomplete.webvtt());
    let name = format!("room-{room}-{}", started.strftime("%Y%m%dT%H%M%SZ"));
    let name = incomplete.name(&name);
    let body = app.streams.body(permit, {
        let app = app.clone();
        move |sink| async move {
            let timeline = Timeline::new(&broadcast, timeline.kind());
            let export = BroadcastExport { app: &app, room, broadcast: &broadcast, timeline: &timeline, sink: &sink };
            match format {
                BroadcastFormat::Ndjson => {
                    if !lines.is_empty() {
                        sink.send(lines).await?;
                    }
                    export.pieces(ndjson).await
                }
                BroadcastFormat::TwitchDownloader => export.twitch().await,
                BroadcastFormat::WebVtt => {
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
        BroadcastFormat::Ndjson => file(body, "application/x-ndjson", &format!("{name}.ndjson")),
        BroadcastFormat::TwitchDownloader => file(body, "application/json", &format!("{name}.json")),
        BroadcastFormat::WebVtt => file(body, "text/vtt; charset=utf-8", &format!("{name}.vtt")),
    }))
}

/// A broadcast that is written into a file.
struct BroadcastExport<'a> {
    app: &'a AppState,
    room: PresenterIdx,
    broadcast: &'a Broadcast,
    timeline: &'a Timeline,
    sink: &'a Sink,
}

/// Writes messages as text. Each comes with the latest time so far.
type WritePart<T> = fn(&Timeline, Vec<(i64, MessageDocument)>, &mut T) -> Vec<u8>;

impl BroadcastExport<'_> {
    async fn pieces(&self, write: WritePart<()>) -> Result<(), Cut> {
        self.write(write, &mut ()).await
    }

    async fn twitch(&self) -> Result<(), Cut> {
        let now = Timestamp::now();
        let nickname = Scope::new(self.room.get(), self.broadcast).nickname(&self.app.database).await?;
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

    async fn write<T>(&self, write: WritePart<T>, state: &mut T) -> Result<(), Cut> {
        let scope = Scope::new(self.room.get(), self.broadcast);
        let mut place = ReplayPlace::At(self.broadcast.started());
        loop {
            let limit = settled(self.app, self.room, self.broadcast);
            let part = scope.part(&self.app.database, place, PIECE, limit).await?;
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
