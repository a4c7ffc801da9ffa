//! Search: a room's messages, a user's across rooms, and a single one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Caller, RoomReader, Sight, UserReader};
use super::attribute::AttributeParameter;
use super::bodies::MessageBody;
use super::emote::EmoteParameter;
use super::parameters::{OrderParameter, PageQuery, Query, SpanQuery, strict_id};
use super::path::{MessagePath, RoomPath, UserPath};
use super::refusal::Refusal;
use super::schemas;
use super::state::{App, AppState};
use super::values::SearchText;
use crate::query::cursor::Cursor;
use crate::query::messages;
use crate::query::messages::{Criteria, Deleted, Selection};
use crate::query::pages::{Page, page};
use crate::query::sequence::{Order, Span};

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(search_room)).routes(routes!(get_message)).routes(routes!(search_user))
}

/// Which messages match.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FilterQuery {
    /// Text that the message contains, spaces included. Case, width and Unicode form do not matter.
    #[param(value_type = Option<schemas::SearchText>, inline, nullable = false)]
    text: Option<SearchText>,
    /// A label of the word filter or of the review hook.
    #[param(nullable = false)]
    flag: Option<String>,
    /// An attribute and its value: `color:#00C853`. Names in an attribute follow dots: `badges.id:subscriber`. Every
    /// message of the time span is searched.
    #[param(value_type = Option<schemas::AttributeFilter>, inline, nullable = false)]
    attribute: Option<AttributeParameter>,
    /// The id of an emote in the text. Every message of the time span is searched.
    #[param(value_type = Option<schemas::EmoteId>, inline, nullable = false)]
    emote: Option<EmoteParameter>,
    /// Deleted messages, which are left out by default: `include` adds them, `only` leaves out all others. For
    /// moderators.
    #[param(inline, nullable = false)]
    deleted: Option<DeletedParameter>,
    /// Messages that this decision deleted, such as a clear of the room, a sweep or a ban that purges. For moderators.
    #[param(value_type = Option<schemas::EventId>, inline, nullable = false)]
    decision: Option<chat::EventId>,
    /// The oldest first (`asc`, the default) or the newest first (`desc`).
    #[param(inline, nullable = false)]
    order: Option<OrderParameter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DeletedParameter {
    /// Those too.
    Include,
    /// Nothing else.
    Only,
}

/// Of one user, in a room.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhoseQuery {
    /// Only messages of this user, in the order of time.
    #[serde(default, deserialize_with = "strict_id")]
    #[param(value_type = Option<schemas::UserIdx>, inline, nullable = false)]
    pub(super) user: Option<chat::UserIdx>,
}

/// In one room, of a user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhereQuery {
    /// Only messages in this room.
    #[serde(default, deserialize_with = "strict_id")]
    #[param(value_type = Option<schemas::PresenterIdx>, inline, nullable = false)]
    pub(super) room: Option<chat::PresenterIdx>,
}

/// A search of a room that the caller may make.
#[derive(Debug)]
pub(super) struct RoomSearch {
    pub(super) reader: RoomReader,
    pub(super) span: Span,
    user: Option<chat::UserIdx>,
    criteria: Criteria,
}

/// A search of a user's messages that the caller may make.
#[derive(Debug)]
pub(super) struct UserSearch {
    pub(super) reader: UserReader,
    pub(super) span: Span,
    pub(super) room: Option<chat::PresenterIdx>,
    criteria: Criteria,
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
struct MessagesBody {
    messages: Vec<MessageBody>,
    /// The value of `after` for the next page. Absent on the last one. A short or empty page may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// Search a room
///
/// In the order of the room, which is the order of the log.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/messages",
    tag = "messages",
    params(RoomPath, SpanQuery, WhoseQuery, FilterQuery, PageQuery),
    responses((status = 200, description = "A page of messages.", body = MessagesBody)),
)]
async fn search_room(
    State(app): App,
    search: RoomSearch,
    Query(paging): Query<PageQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let selection = search.selection(&app).await?;
    messages_page(&app, selection, &search.reader.caller, search.reader.sight, paging).await
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
async fn search_user(
    State(app): App,
    search: UserSearch,
    Query(paging): Query<PageQuery>,
) -> Result<impl IntoResponse, Refusal> {
    messages_page(&app, Some(search.selection()), &search.reader.caller, search.reader.sight, paging).await
}

/// Get a message
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/messages/{messageId}",
    tag = "messages",
    params(RoomPath, MessagePath),
    responses((status = 200, description = "The message.", body = MessageBody)),
)]
async fn get_message(
    State(app): App,
    reader: RoomReader,
    MessagePath { message_id }: MessagePath,
) -> Result<impl IntoResponse, Refusal> {
    let found = messages::one(&app.database, reader.room.get(), message_id).await?;
    let message = found.ok_or(Refusal::MessageNotFound)?;
    Ok(Json(MessageBody::new(message, reader.sight)))
}

async fn messages_page(
    app: &AppState,
    selection: Option<Selection>,
    caller: &Caller,
    sight: Sight,
    PageQuery { first, after }: PageQuery,
) -> Result<Json<MessagesBody>, Refusal> {
    let Some(selection) = selection else {
        return Ok(Json(MessagesBody { messages: Vec::new(), next: None }));
    };
    let after = after.parse(|after| Cursor::parse(after, &selection.sequence))?;
    let _turn = app.turns.for_search(caller.identity.user_idx, &selection).await;
    let Page { messages, next } = page(&app.database, &selection, after, first.0).await?;
    let messages = messages.into_iter().map(|message| MessageBody::new(message, sight)).collect();
    let next = next.and_then(|key| Cursor::new(&selection.sequence, &key)).map(|cursor| cursor.to_string());
    Ok(Json(MessagesBody { messages, next }))
}

impl RoomSearch {
    /// The messages that match. None: nothing was sent in that time span.
    pub(super) async fn selection(&self, app: &AppState) -> Result<Option<Selection>, Refusal> {
        let user = self.user.map(chat::UserIdx::get);
        Ok(messages::of_room(&app.database, self.reader.room.get(), user, self.criteria.clone()).await?)
    }
}

impl UserSearch {
    /// The messages that match.
    pub(super) fn selection(&self) -> Selection {
        let room = self.room.map(chat::PresenterIdx::get);
        messages::of_user(self.reader.user.get(), room, self.criteria.clone())
    }
}

impl FromRequestParts<Arc<AppState>> for RoomSearch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<RoomSearch, Refusal> {
        let reader = RoomReader::from_request_parts(parts, app).await?;
        let Query(span) = Query::<SpanQuery>::from_request_parts(parts, app).await?;
        let Query(WhoseQuery { user }) = Query::from_request_parts(parts, app).await?;
        let Query(filter) = Query::<FilterQuery>::from_request_parts(parts, app).await?;
        let span = span.span();
        let criteria = filter.criteria(span, reader.sight)?;
        Ok(RoomSearch { reader, span, user, criteria })
    }
}

impl FromRequestParts<Arc<AppState>> for UserSearch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<UserSearch, Refusal> {
        let reader = UserReader::from_request_parts(parts, app).await?;
        let Query(span) = Query::<SpanQuery>::from_request_parts(parts, app).await?;
        let Query(WhereQuery { room }) = Query::from_request_parts(parts, app).await?;
        let Query(filter) = Query::<FilterQuery>::from_request_parts(parts, app).await?;
        let span = span.span();
        let criteria = filter.criteria(span, reader.sight)?;
        Ok(UserSearch { reader, span, room, criteria })
    }
}

impl FilterQuery {
    /// Refuses callers who ask for deleted messages and may not see them.
    pub(super) fn criteria(self, span: Span, sight: Sight) -> Result<Criteria, Refusal> {
        let deleted = match (self.decision, self.deleted) {
            (Some(decision), _) => Deleted::By(decision),
            (None, Some(DeletedParameter::Only)) => Deleted::Only,
            (None, Some(DeletedParameter::Include)) => Deleted::Include,
            (None, None) => Deleted::Hide,
        };
        if deleted != Deleted::Hide && sight == Sight::Shown {
            return Err(Refusal::Forbidden(
                "the token of the room's presenter or of one of its moderators, or a token with the scope chat:moderate, to \
                 see deleted messages",
            ));
        }
        Ok(Criteria {
            span,
            text: self.text.map(SearchText::folded),
            flag: self.flag,
            attribute: self.attribute.map(AttributeParameter::into_match),
            emote: self.emote.map(EmoteParameter::into_id),
            deleted,
            order: self.order.map_or(Order::Asc, OrderParameter::order),
        })
    }
}
