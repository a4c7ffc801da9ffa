//! Exports: all results of a search as a file of any size. The file is read page by page while it is sent, so a
//! deletion takes effect from the next page on, and no MongoDB cursor has to live as long as a slow client.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::PresenterIdx;
use mongodb::bson::DateTime;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, Sight};
use super::bodies::MessageBody;
use super::incomplete::Incomplete;
use super::messages::{FilterQuery, RoomSearch, UserSearch, WhereQuery, WhoseQuery};
use super::parameters::{Query, SpanQuery};
use super::path::{RoomPath, UserPath};
use super::refusal::Refusal;
use super::state::{App, AppState};
use super::stream::{Cut, Sink, file};
use crate::formats::csv;
use crate::query::messages::Selection;
use crate::query::pages::{Page, page};
use crate::query::sequence::Span;

/// Messages in one question to MongoDB, and in one piece: about 300 KB.
const PIECE: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(export_room)).routes(routes!(export_user))
}

/// The file's format.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// `ndjson` (the default): one message a line, as in a search. `csv`: for spreadsheets, with an apostrophe before
    /// anything that a spreadsheet would take for a formula.
    #[param(inline, nullable = false)]
    format: Option<MessageFormat>,
    /// Whether a CSV file begins with a byte order mark, by which Excel detects UTF-8.
    #[serde(default)]
    #[param(default = false, value_type = Option<bool>, nullable = false)]
    bom: bool,
    /// The separator of a CSV file. Excel expects the list separator of the user's region: a semicolon in much of
    /// Europe.
    #[serde(default)]
    #[param(inline, value_type = Option<Separator>, nullable = false)]
    separator: Separator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum MessageFormat {
    Ndjson,
    Csv,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Separator {
    #[default]
    Comma,
    Semicolon,
}

impl Separator {
    fn byte(self) -> u8 {
        match self {
            Separator::Comma => b',',
            Separator::Semicolon => b';',
        }
    }
}

/// Export a room
///
/// All results of a search with the same parameters. If the connection breaks, the file is incomplete.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/export",
    tag = "exports",
    params(RoomPath, SpanQuery, WhoseQuery, FilterQuery, ExportQuery),
    responses((status = 200, description = "The messages.", content((String = "application/x-ndjson"), (String = "text/csv")))),
)]
async fn export_room(
    State(app): App,
    search: RoomSearch,
    Query(format): Query<ExportQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let selection = search.selection(&app).await?;
    let room = search.reader.room;
    let incomplete = gaps(&app, Some(room), search.span).await?;
    let export = Export { selection, sight: search.reader.sight, name: format!("room-{room}"), incomplete };
    export.answer(&app, &search.reader.caller, format)
}

/// Export a user's messages
///
/// All results of a search with the same parameters: across rooms, in the order of time.
#[utoipa::path(
    get,
    path = "/v1/users/{userIdx}/export",
    tag = "exports",
    params(UserPath, SpanQuery, WhereQuery, FilterQuery, ExportQuery),
    responses((status = 200, description = "The messages.", content((String = "application/x-ndjson"), (String = "text/csv")))),
)]
async fn export_user(
    State(app): App,
    search: UserSearch,
    Query(format): Query<ExportQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let incomplete = gaps(&app, search.room, search.span).await?;
    let (selection, name) = (Some(search.selection()), format!("user-{}", search.reader.user));
    let export = Export { selection, sight: search.reader.sight, name, incomplete };
    export.answer(&app, &search.reader.caller, format)
}

/// The gaps that the archive has in that span.
async fn gaps(app: &AppState, room: Option<PresenterIdx>, Span { from, to }: Span) -> Result<Incomplete, Refusal> {
    let millis = |at: Option<DateTime>| at.map(DateTime::timestamp_millis);
    Ok(Incomplete::of(app, room, millis(from), millis(to)).await?)
}

/// An export before its first byte.
struct Export {
    /// None: nothing was sent in that span.
    selection: Option<Selection>,
    sight: Sight,
    /// The file's name, without its extension.
    name: String,
    incomplete: Incomplete,
}

impl Export {
    fn answer(self, app: &Arc<AppState>, caller: &Caller, query: ExportQuery) -> Result<Response, Refusal> {
        let Export { selection, sight, name, incomplete } = self;
        let ExportQuery { format, bom, separator } = query;
        let user = caller.identity.user_idx;
        let format = format.unwrap_or(MessageFormat::Ndjson);
        let permit = caller.stream_permit(app)?;
        let lines = incomplete.ndjson();
        let name = incomplete.name(&name);
        let body = app.streams.body(permit, {
            let app = app.clone();
            move |sink| async move {
                if format == MessageFormat::Csv {
                    sink.send(head(separator, bom)).await?;
                } else if !lines.is_empty() {
                    sink.send(lines).await?;
                }
                match selection {
                    Some(selection) => write(&app, &selection, user, sight, (format, separator), &sink).await,
                    None => Ok(()),
                }
            }
        });
        Ok(incomplete.mark(match format {
            MessageFormat::Ndjson => file(body, "application/x-ndjson", &format!("{name}.ndjson")),
            MessageFormat::Csv => file(body, "text/csv; charset=utf-8", &format!("{name}.csv")),
        }))
    }
}

async fn write(
    app: &AppState,
    selection: &Selection,
    user: i64,
    sight: Sight,
    (format, separator): (MessageFormat, Separator),
    sink: &Sink,
) -> Result<(), Cut> {
    let mut after = None;
    loop {
        let turn = app.turns.for_search(user, selection).await;
        let Page { messages, next } = page(&app.database, selection, after, PIECE).await?;
        // A slow reader of an export does not keep the user's other requests waiting.
        drop(turn);
        let messages = messages.into_iter().map(|message| MessageBody::new(message, sight));
        let piece = match format {
            MessageFormat::Ndjson => ndjson(messages),
            MessageFormat::Csv => csv::rows(separator.byte(), messages.map(|message| message.row())),
        };
        if !piece.is_empty() {
            sink.send(piece).await?;
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn ndjson(messages: impl Iterator<Item = MessageBody>) -> Vec<u8> {
    let mut lines = Vec::new();
    for message in messages {
        serde_json::to_writer(&mut lines, &message).expect("a message is written to memory");
        lines.push(b'\n');
    }
    lines
}

fn head(separator: Separator, bom: bool) -> Vec<u8> {
    let mut head = if bom { csv::BOM.as_bytes().to_vec() } else { Vec::new() };
    head.extend(csv::rows(separator.byte(), [MessageBody::COLUMNS.map(str::to_owned)]));
    head
}
