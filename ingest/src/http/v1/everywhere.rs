//! Bans in every room: the same as a room's, at paths that name none.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::moderation::{self, BanBody, BansBody, DecidedBody, NewBan, PageQuery};
use crate::Ingest;
use crate::http::openapi::parameters::{Key, UserPath};
use crate::http::v1::call::ReasonQuery;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(list_bans_everywhere)).routes(routes!(
        get_ban_everywhere,
        put_ban_everywhere,
        delete_ban_everywhere
    ))
}

/// List the bans that hold in every room
#[utoipa::path(
    get,
    path = "/v1/bans",
    tag = "bans",
    params(PageQuery),
    responses((status = 200, description = "The bans, by the users' numbers.", body = BansBody)),
)]
async fn list_bans_everywhere(state: State<Arc<Ingest>>, request: Request) -> Response {
    moderation::list_bans(state, request).await
}

/// A user's ban in every room
#[utoipa::path(
    get,
    path = "/v1/bans/{userIdx}",
    tag = "bans",
    params(UserPath),
    responses((status = 200, description = "The ban.", body = BanBody)),
)]
async fn get_ban_everywhere(state: State<Arc<Ingest>>, request: Request) -> Response {
    moderation::get_ban(state, request).await
}

/// Ban a user in every room
///
/// It takes the place of the ban in every room that there is.
#[utoipa::path(
    put,
    path = "/v1/bans/{userIdx}",
    tag = "bans",
    params(UserPath, Key),
    request_body = NewBan,
    responses((
        status = 202,
        description = "The ban is in the log.",
        body = DecidedBody,
        links(
            ("get" = (operation_id = "get_ban_everywhere", parameters(("userIdx" = "$request.path.userIdx")))),
            ("delete" = (operation_id = "delete_ban_everywhere", parameters(("userIdx" = "$request.path.userIdx")))),
        ),
    )),
)]
async fn put_ban_everywhere(state: State<Arc<Ingest>>, request: Request) -> Response {
    moderation::put_ban(state, request).await
}

/// Lift a user's ban in every room
///
/// Bans in single rooms stay.
#[utoipa::path(
    delete,
    path = "/v1/bans/{userIdx}",
    tag = "bans",
    params(UserPath, ReasonQuery, Key),
    responses((status = 202, description = "It is in the log that the user is not banned.", body = DecidedBody)),
)]
async fn delete_ban_everywhere(state: State<Arc<Ingest>>, request: Request) -> Response {
    moderation::delete_ban(state, request).await
}
