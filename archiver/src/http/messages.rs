//! Search: a room's messages, a user's across rooms, and a single one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Sight};
use super::bodies::MessageBody;
use super::call::Call;
use super::openapi::schemas;
use super::parameters::{MessagePath, PageQuery, RoomPath, SearchText, SpanQuery, UserPath, asked_for};
use super::refusal::Refusal;
use super::{Reader, Shared, answer};
use crate::mongo::documents::MessageDocument;
use crate::query::cursor::Cursor;
use crate::query::pages::{Page, Selection, page};
use crate::query::sequence::{Bounds, Only, Order, Sequence};
use crate::query::times;

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(search_room)).routes(routes!(get_message)).routes(routes!(search_user))
}

/// What messages must be like.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FilterQuery {
    /// What the text contains, blanks included, in whatever case, width and form. Every message of the time is looked at.
    #[param(value_type = Option<schemas::SearchText>, inline, nullable = false)]
    text: Option<SearchText>,
    /// A label of the word filter or of the review.
    #[param(nullable = false)]
    flag: Option<String>,
    /// Messages that were taken away; without it they are left out. For moderators.
    #[param(inline, nullable = false)]
    deleted: Option<Deleted>,
    /// What this decision took away, a clear of the room for instance. For moderators.
    #[param(value_type = Option<schemas::EventId>, inline, nullable = false)]
    decision: Option<chat::EventId>,
    /// From the oldest to the newest (`asc`, where nothing is said) or the other way.
    #[param(inline, nullable = false)]
    order: Option<Order>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Deleted {
    /// Those too.
    Include,
    /// Nothing else.
    Only,
}

/// Whose, in a room.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhoseQuery {
    /// Of this user only, in the order of time.
    #[serde(default, deserialize_with = "asked_for")]
    #[param(value_type = Option<schemas::UserIdx>, inline, nullable = false)]
    pub(super) user: Option<chat::UserIdx>,
}

/// Where, of a user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhereQuery {
    /// In this room only.
    #[serde(default, deserialize_with = "asked_for")]
    #[param(value_type = Option<schemas::PresenterIdx>, inline, nullable = false)]
    pub(super) room: Option<chat::PresenterIdx>,
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
struct MessagesBody {
    messages: Vec<MessageBody>,
    /// What `after` has to be for what follows; absent at the end. A page may be short, or empty, and have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// Search a room
///
/// In the order of the room, which is the log's.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/messages",
    tag = "messages",
    params(RoomPath, SpanQuery, WhoseQuery, FilterQuery, PageQuery),
    responses((status = 200, description = "A page of messages.", body = MessagesBody)),
)]
async fn search_room(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (selection, sight) = of_room(&reader, &call).await?;
        messages(&reader, &call, selection, sight).await
    })
    .await
}

/// Search a user's messages
///
/// Across rooms, in the order of time.
#[utoipa::path(
    get,
    path = "/v1/users/{userIdx}/messages",
    tag = "messages",
    params(UserPath, SpanQuery, WhereQuery, FilterQuery, PageQuery),
    responses((status = 200, description = "A page of messages.", body = MessagesBody)),
)]
async fn search_user(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (selection, sight) = of_user(&call)?;
        messages(&reader, &call, Some(selection), sight).await
    })
    .await
}

/// A message
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/messages/{messageId}",
    tag = "messages",
    params(RoomPath, MessagePath),
    responses((status = 200, description = "The message.", body = MessageBody)),
)]
async fn get_message(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (room, sight) = call.readable_room()?;
        let mut filter = doc! { "_id": call.message()?.to_string(), "presenterIdx": room.get() };
        filter.extend(hidden_from(sight, None)?);
        let found = reader.database.select(&reader.database.messages(), filter, Default::default()).await?;
        let message: MessageDocument = found.into_iter().next().ok_or(Refusal::MessageNotFound)?;
        Ok(Json(MessageBody::new(message, sight)).into_response())
    })
    .await
}

/// What a request selects of a room; none: nothing was sent in that time.
pub(super) async fn of_room(reader: &Reader, call: &Call) -> Result<(Option<Selection>, Sight), Refusal> {
    let (room, sight) = call.readable_room()?;
    let span = call.query::<SpanQuery>()?.span();
    let WhoseQuery { user } = call.query()?;
    let query: FilterQuery = call.query()?;
    let mut filter = query.filter(sight)?;
    filter.extend(span.filter().map(|range| ("sentAt".to_owned(), range)));
    let only = match (&query.flag, query.deleted()) {
        (_, Some(Deleted::Only)) => Only::Deleted,
        (Some(_), _) => Only::Flagged,
        _ => Only::All,
    };
    let presenter_idx = room.get();
    let (sequence, bounds) = match user {
        Some(user) => {
            (Sequence::User { user_idx: user.get(), presenter_idx: Some(presenter_idx) }, Some(Bounds::default()))
        }
        None => (Sequence::Room { presenter_idx, only }, times::bounds(&reader.database, presenter_idx, span).await?),
    };
    let order = query.order.unwrap_or(Order::Asc);
    let text = query.text.map(SearchText::folded);
    Ok((bounds.map(|bounds| Selection { sequence, bounds, order, filter, text }), sight))
}

/// What a request selects of a user's messages.
pub(super) fn of_user(call: &Call) -> Result<(Selection, Sight), Refusal> {
    let user = call.user()?;
    let sight = access::of_user(&call.identity, user)?;
    let span = call.query::<SpanQuery>()?.span();
    let WhereQuery { room } = call.query()?;
    let query: FilterQuery = call.query()?;
    let mut filter = query.filter(sight)?;
    filter.extend(span.filter().map(|range| ("sentAt".to_owned(), range)));
    let sequence = Sequence::User { user_idx: user.get(), presenter_idx: room.map(chat::PresenterIdx::get) };
    let order = query.order.unwrap_or(Order::Asc);
    let text = query.text.map(SearchText::folded);
    Ok((Selection { sequence, bounds: Bounds::default(), order, filter, text }, sight))
}

async fn messages(
    reader: &Reader,
    call: &Call,
    selection: Option<Selection>,
    sight: Sight,
) -> Result<Response, Refusal> {
    let PageQuery { first, after } = call.query()?;
    let Some(selection) = selection else {
        return Ok(Json(MessagesBody { messages: Vec::new(), next: None }).into_response());
    };
    let after = after.parse(|after| Cursor::parse(after, &selection.sequence))?;
    let Page { messages, next } = page(&reader.database, &selection, after, first.0).await?;
    let messages = messages.into_iter().map(|message| MessageBody::new(message, sight)).collect();
    let next = next.and_then(|key| Cursor::new(&selection.sequence, &key)).map(|cursor| cursor.to_string());
    Ok(Json(MessagesBody { messages, next }).into_response())
}

impl FilterQuery {
    fn deleted(&self) -> Option<Deleted> {
        self.decision.map(|_| Deleted::Only).or(self.deleted)
    }

    /// What messages match; nothing of the sequence that they are read in, and nothing of their text.
    fn filter(&self, sight: Sight) -> Result<Document, Refusal> {
        let mut filter = hidden_from(sight, self.deleted())?;
        if let Some(decision) = self.decision {
            filter.insert("deleted.decision", decision.to_string());
        }
        if let Some(flag) = &self.flag {
            filter.insert("flags", flag);
        }
        Ok(filter)
    }
}

/// Leaves out what may not be seen, or was not asked for.
fn hidden_from(sight: Sight, deleted: Option<Deleted>) -> Result<Document, Refusal> {
    match (deleted, sight) {
        (Some(_), Sight::Shown) => Err(Refusal::Forbidden(
            "the room's presenter, or a token with the scope chat:moderate, asking for deleted messages",
        )),
        (None, _) => Ok(doc! { "deleted": { "$exists": false } }),
        (Some(Deleted::Include), _) => Ok(doc! {}),
        (Some(Deleted::Only), _) => Ok(doc! { "deleted": { "$exists": true } }),
    }
}
