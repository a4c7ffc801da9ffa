//! The queue of reports: which messages of a room users reported, who did, and whether a moderator has dealt with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{RoomModerator, Sight};
use super::bodies::{MessageBody, UserBody};
use super::parameters::{PageQuery, Query};
use super::path::RoomPath;
use super::refusal::Refusal;
use super::schemas;
use super::state::{App, AppState};
use super::time_format::time;
use crate::mongo::documents::DecisionDocument;
use crate::query::cursor::Cursor;
use crate::query::reports;
use crate::query::reports::{ReportPage, ReportedMessage};

/// 20: the reports of one message that an answer has.
const MOST_REPORTS: usize = 20;

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(list_reports))
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReportsQuery {
    /// Only messages whose reports are open, or only those whose reports are closed. Without it: both.
    #[param(inline, nullable = false)]
    state: Option<ReportState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ReportState {
    Open,
    Closed,
}

/// A page of reported messages.
#[derive(Debug, Serialize, ToSchema)]
struct ReportsBody {
    reports: Vec<ReportedMessageBody>,
    /// The value of `after` for the next page. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A message with its reports.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReportedMessageBody {
    message: MessageBody,
    #[schema(inline)]
    state: ReportState,
    /// How many users reported it.
    count: usize,
    #[schema(value_type = schemas::Time)]
    first_at: String,
    #[schema(value_type = schemas::Time)]
    last_at: String,
    /// How many users gave each category.
    categories: BTreeMap<String, usize>,
    /// The reports, the latest first, at most 20.
    reports: Vec<ReportBody>,
    /// The decision that closed the reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    closed: Option<ClosureBody>,
}

/// A user's report of a message.
#[derive(Debug, Serialize, ToSchema)]
struct ReportBody {
    #[schema(value_type = schemas::EventId)]
    id: String,
    #[schema(value_type = schemas::Time)]
    at: String,
    /// Who reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<UserBody>,
    category: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// The decision that closed a message's reports.
#[derive(Debug, Serialize, ToSchema)]
struct ClosureBody {
    #[schema(value_type = schemas::EventId)]
    decision: String,
    /// `report.closed`, `message.deleted`, `room.cleared`, `room.swept` or `user.banned`.
    #[serde(rename = "type")]
    kind: String,
    #[schema(value_type = schemas::Time)]
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<UserBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// List the reported messages of a room
///
/// The one that was reported last comes first. The queue has the latest 5,000 reports of the room. Ingest takes reports
/// and closes them.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/reports",
    tag = "moderation",
    params(RoomPath, ReportsQuery, PageQuery),
    responses((status = 200, description = "A page of reported messages.", body = ReportsBody)),
)]
async fn list_reports(
    State(app): App,
    moderator: RoomModerator,
    Query(paging): Query<PageQuery>,
    Query(ReportsQuery { state }): Query<ReportsQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let room = moderator.room.get();
    let PageQuery { first, after } = paging;
    let before = after.parse(|after| Cursor::parse_report(after, room))?;
    let is_open = state.map(|state| state == ReportState::Open);
    let ReportPage { messages, next } = reports::page(&app.database, room, is_open, before, first.0).await?;
    let next = next.and_then(|next| Cursor::of_report(room, next)).map(|cursor| cursor.to_string());
    Ok(Json(ReportsBody { reports: messages.into_iter().map(ReportedMessageBody::from).collect(), next }))
}

impl From<ReportedMessage> for ReportedMessageBody {
    fn from(ReportedMessage { message, reports, closed }: ReportedMessage) -> ReportedMessageBody {
        let mut users: BTreeSet<Option<i64>> = BTreeSet::new();
        let mut categories: BTreeMap<String, usize> = BTreeMap::new();
        // The earliest report of each user counts. An older one may have been forgotten by ingest when the next came.
        for report in reports.iter().rev() {
            if users.insert(report.by.as_ref().map(|by| by.user_idx)) {
                *categories.entry(report.category.clone().unwrap_or_default()).or_default() += 1;
            }
        }
        let (first, last) = (reports.last().map(|report| report.at), reports.first().map(|report| report.at));
        ReportedMessageBody {
            state: if closed.is_some() { ReportState::Closed } else { ReportState::Open },
            count: users.len(),
            first_at: first.map(time).unwrap_or_default(),
            last_at: last.map(time).unwrap_or_default(),
            categories,
            reports: reports.into_iter().take(MOST_REPORTS).map(ReportBody::from).collect(),
            closed: closed.map(ClosureBody::from),
            message: MessageBody::new(message, Sight::Everything),
        }
    }
}

impl From<DecisionDocument> for ReportBody {
    fn from(report: DecisionDocument) -> ReportBody {
        let DecisionDocument { id, at, by, category, reason, .. } = report;
        let category = category.unwrap_or_default();
        ReportBody { id, at: time(at), by: by.map(UserBody::from), category, reason }
    }
}

impl From<DecisionDocument> for ClosureBody {
    fn from(decision: DecisionDocument) -> ClosureBody {
        let DecisionDocument { id, kind, at, by, reason, .. } = decision;
        ClosureBody { decision: id, kind, at: time(at), by: by.map(UserBody::from), reason }
    }
}
