//! Exports: everything that a search finds, as a file of any size. It is read page by page while it is sent, so that a
//! deletion holds from the next page on and no cursor of MongoDB has to live as long as a slow reader.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use chat::PresenterIdx;
use mongodb::bson::DateTime;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Sight;
use super::bodies::MessageBody;
use super::call::Call;
use super::incomplete::Incomplete;
use super::messages::{self, FilterQuery, WhereQuery, WhoseQuery};
use super::parameters::{RoomPath, SpanQuery, UserPath};
use super::refusal::Refusal;
use super::stream::{Cut, Sink, file};
use super::{Reader, Shared, answer};
use crate::formats::csv;
use crate::query::pages::{Page, Selection, page};
use crate::query::sequence::Span;

/// Messages of one question to MongoDB, and of one piece: some 300 KB.
const PIECE: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(export_room)).routes(routes!(export_user))
}

/// As what.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// `ndjson` (where nothing is said): a message a line, as a search has it. `csv`: for spreadsheets; what would be a
    /// formula has an apostrophe before it.
    #[param(inline, nullable = false)]
    format: Option<Format>,
    /// Whether a CSV file begins with a byte order mark, by which Excel knows UTF-8.
    #[serde(default)]
    #[param(default = false, value_type = Option<bool>, nullable = false)]
    bom: bool,
    /// What stands between the cells of a CSV file. Excel takes the list separator of its user's region: a semicolon in
    /// much of Europe.
    #[serde(default)]
    #[param(inline, value_type = Option<Separator>, nullable = false)]
    separator: Separator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
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
/// All that a search with the same parameters finds. A file that breaks off is not whole: the connection breaks, too.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/export",
    tag = "exports",
    params(RoomPath, SpanQuery, WhoseQuery, FilterQuery, ExportQuery),
    responses((status = 200, description = "The messages.", content((String = "application/x-ndjson"), (String = "text/csv")))),
)]
async fn export_room(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (selection, sight) = messages::of_room(&reader, &call).await?;
        let name = format!("room-{}", call.room()?.get());
        let incomplete = missing(&reader, &call, Some(call.room()?)).await?;
        export(&reader, &call, selection, sight, &name, incomplete)
    })
    .await
}

/// Export a user's messages
///
/// Across rooms, in the order of time: all that a search with the same parameters finds.
#[utoipa::path(
    get,
    path = "/v1/users/{userIdx}/export",
    tag = "exports",
    params(UserPath, SpanQuery, WhereQuery, FilterQuery, ExportQuery),
    responses((status = 200, description = "The messages.", content((String = "application/x-ndjson"), (String = "text/csv")))),
)]
async fn export_user(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (selection, sight) = messages::of_user(&call)?;
        let name = format!("user-{}", call.user()?.get());
        let WhereQuery { room } = call.query()?;
        let incomplete = missing(&reader, &call, room).await?;
        export(&reader, &call, Some(selection), sight, &name, incomplete)
    })
    .await
}

/// What the archive misses of the time that is asked for.
async fn missing(reader: &Reader, call: &Call, room: Option<PresenterIdx>) -> Result<Incomplete, Refusal> {
    let Span { from, to } = call.query::<SpanQuery>()?.span();
    let millis = |at: Option<DateTime>| at.map(DateTime::timestamp_millis);
    Ok(Incomplete::of(reader, room, millis(from), millis(to)).await?)
}

fn export(
    reader: &Arc<Reader>,
    call: &Call,
    selection: Option<Selection>,
    sight: Sight,
    name: &str,
    incomplete: Incomplete,
) -> Result<Response, Refusal> {
    let ExportQuery { format, bom, separator } = call.query()?;
    let format = format.unwrap_or(Format::Ndjson);
    let place = reader.place(call)?;
    let lines = incomplete.ndjson();
    let name = incomplete.name(name);
    let body = reader.stream(place, {
        let reader = reader.clone();
        move |sink| async move {
            if format == Format::Csv {
                sink.send(head(separator, bom)).await?;
            } else if !lines.is_empty() {
                sink.send(lines).await?;
            }
            match selection {
                Some(selection) => write(&reader, &selection, sight, (format, separator), &sink).await,
                None => Ok(()),
            }
        }
    });
    Ok(incomplete.mark(match format {
        Format::Ndjson => file(body, "application/x-ndjson", &format!("{name}.ndjson")),
        Format::Csv => file(body, "text/csv; charset=utf-8", &format!("{name}.csv")),
    }))
}

async fn write(
    reader: &Reader,
    selection: &Selection,
    sight: Sight,
    (format, separator): (Format, Separator),
    sink: &Sink,
) -> Result<(), Cut> {
    let mut after = None;
    loop {
        let Page { messages, next } = page(&reader.database, selection, after, PIECE).await?;
        let messages = messages.into_iter().map(|message| MessageBody::new(message, sight));
        let piece = match format {
            Format::Ndjson => ndjson(messages),
            Format::Csv => csv::rows(separator.byte(), messages.map(|message| message.row())),
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
