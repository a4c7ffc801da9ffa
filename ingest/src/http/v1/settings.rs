//! The endpoints of a room's settings. `docs/reference/moderation.md` describes them for their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::now;
use chat::settings::Settings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide, term};
use crate::http::body::{self, Shape};
use crate::http::extract::{Json, Key, Moderator, NoBody, RoomPath, reason};
use crate::http::openapi::{self, schemas};
use crate::moderation::decide::Decision;
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(get_settings, patch_settings))
}

/// A change of settings. Settings that it does not name stay. Unlisted members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "settings": { "slowModeSeconds": 10 }, "seconds": 600 })))]
struct SettingsPatch {
    #[schema(value_type = schemas::SettingsChange)]
    settings: Map<String, Value>,
    /// Null or absent: the settings have no end.
    #[schema(value_type = Option<schemas::Seconds>)]
    seconds: Option<Value>,
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
}

impl Shape for SettingsPatch {
    const PAGE: &'static str = "reference/moderation.md#settings";
}

/// A room's settings.
#[derive(Serialize, ToSchema)]
struct SettingsBody<'a> {
    /// The settings in force.
    #[schema(value_type = openapi::settings::Settings)]
    settings: &'a Settings,
    /// The settings that the room has set itself.
    #[schema(value_type = schemas::OwnSettings)]
    own: Map<String, Value>,
    /// The ends of the own settings that have one.
    #[schema(value_type = schemas::Ends)]
    until: Map<String, Value>,
}

/// Get a room's settings
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/settings",
    tag = "settings",
    params(RoomPath),
    responses((status = 200, description = "The settings.", body = SettingsBody)),
)]
async fn get_settings(
    State(ingest): State<Arc<Ingest>>,
    _moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    _body: NoBody,
) -> Result<Response, Refusal> {
    ingest.check_caught_up()?;
    let (own, until) = ingest.replay.rules.own(presenter_idx, now()).to_event();
    let current = ingest.replay.rules.current(presenter_idx, now());
    Ok(JsonBody(SettingsBody { settings: &current.settings, own, until }).into_response())
}

/// Change a room's settings
#[utoipa::path(
    patch,
    path = "/v1/rooms/{presenterIdx}/settings",
    tag = "settings",
    params(RoomPath, Key),
    request_body = SettingsPatch,
    responses((
        status = 202,
        description = "The change is in the log.",
        body = DecidedBody,
        links(("get" = (
            operation_id = "get_settings",
            parameters(("presenterIdx" = "$request.path.presenterIdx")),
        ))),
    )),
)]
async fn patch_settings(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    key: Key,
    Json { body: SettingsPatch { settings, seconds, reason: why }, .. }: Json<SettingsPatch>,
) -> Result<Response, Refusal> {
    if settings.is_empty() {
        return Err(Refusal::SettingMissing);
    }
    let settings = settings.into_iter().map(|(name, value)| (name, body::whole(value))).collect();
    let decision = Decision::Set(presenter_idx, settings, term(seconds)?);
    decide(&ingest, moderator, key, decision, reason(why.as_deref())?).await
}
