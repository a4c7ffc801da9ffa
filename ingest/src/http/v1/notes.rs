//! The endpoints of notes on users. `docs/reference/moderation.md` describes them for their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::{Body, Event, EventId, NoteAdded, User};
use futures_util::{StreamExt as _, stream};
use nats::Subject;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide};
use super::pages::{READ_AT_ONCE, words};
use crate::http::body::{Shape, malformed_member};
use crate::http::extract::{Json, Key, Moderator, NoBody, NotePath, Query, ReasonQuery, RoomPath, UserPath};
use crate::http::openapi::schemas;
use crate::moderation::decide::Decision;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(list_notes, post_note)).routes(routes!(delete_note))
}

/// A note to add. Unlisted members are ignored.
// The text is parsed as any value, so that it is refused with its own code.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "text": "warned twice on another account" })))]
struct NewNote {
    #[serde(default)]
    #[schema(value_type = schemas::Text, required)]
    text: Value,
}

impl Shape for NewNote {
    const PAGE: &'static str = "reference/moderation.md#notes-on-a-user";
}

/// A note on a user.
#[derive(Serialize, ToSchema)]
struct NoteBody {
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    #[schema(value_type = schemas::Time)]
    at: String,
    #[schema(value_type = schemas::User)]
    by: User,
    text: String,
}

/// The notes on a user.
#[derive(Serialize, ToSchema)]
struct NotesBody {
    notes: Vec<NoteBody>,
}

/// Add a note on a user
///
/// For the moderators of the room. Neither the user nor any viewer gets it.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/users/{userIdx}/notes",
    tag = "notes",
    params(RoomPath, UserPath, Key),
    request_body = NewNote,
    responses((
        status = 202,
        description = "The note is in the log. Its id is the decision's.",
        body = DecidedBody,
        links(("delete" = (operation_id = "delete_note", parameters(
            ("presenterIdx" = "$request.path.presenterIdx"),
            ("userIdx" = "$request.path.userIdx"),
            ("noteId" = "$response.body#/id"),
        )))),
    )),
)]
async fn post_note(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    UserPath { user_idx }: UserPath,
    key: Key,
    Json { body: NewNote { text }, .. }: Json<NewNote>,
) -> Result<Response, Refusal> {
    let text = match text {
        Value::Null => return Err(Refusal::TextMissing("text")),
        Value::String(text) => Text::from_string(text)?,
        _ => return Err(malformed_member::<NewNote>("text").into()),
    };
    decide(&ingest, moderator, key, Decision::AddNote(presenter_idx, user_idx, text), None).await
}

/// Delete a note
///
/// Any moderator of the room may. The audit keeps it.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/users/{userIdx}/notes/{noteId}",
    tag = "notes",
    params(RoomPath, UserPath, NotePath, ReasonQuery, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn delete_note(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    (RoomPath { presenter_idx }, UserPath { user_idx }, NotePath { note_id }): (RoomPath, UserPath, NotePath),
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::DeleteNote(presenter_idx, user_idx, note_id), query.reason()?).await
}

/// List the notes on a user
///
/// Those of the room, the oldest first: at most 50.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/users/{userIdx}/notes",
    tag = "notes",
    params(RoomPath, UserPath),
    responses((status = 200, description = "The notes.", body = NotesBody)),
)]
async fn list_notes(
    State(ingest): State<Arc<Ingest>>,
    Moderator { sender, .. }: Moderator,
    RoomPath { presenter_idx: room }: RoomPath,
    UserPath { user_idx: user }: UserPath,
    _body: NoBody,
) -> Result<Response, Refusal> {
    let ingest: &Ingest = &ingest;
    ingest.check_caught_up()?;
    let _permit = ingest.lists.take(sender.idx.get()).ok_or(Refusal::Overloaded)?;
    let read = |(note, position)| words(ingest, Subject::Note(room, user, note), position);
    let mut reading =
        stream::iter(ingest.replay.rules.notes_on(room, user).into_iter().map(read)).buffered(READ_AT_ONCE);
    let mut notes = Vec::new();
    while let Some(read) = reading.next().await {
        // A note that was deleted or erased meanwhile is left out.
        if let Some(Event { id, at, body: Body::NoteAdded(NoteAdded { text: Some(text), by, .. }), .. }) = read? {
            notes.push(NoteBody { id, at: format!("{at:.3}"), by, text });
        }
    }
    Ok(JsonBody(NotesBody { notes }).into_response())
}
