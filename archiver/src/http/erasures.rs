//! Erasures of users, and their receipts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use chat::{ErasureMode, Role, User, UserIdx};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::auth::Identity;

use super::access::EraserScope;
use super::bodies::UserBody;
use super::parameters::Query;
use super::path::UserPath;
use super::refusal::Refusal;
use super::schemas;
use super::state::{App, AppState};
use super::time_format::time;
use crate::mongo::documents::{ErasureCounts, ErasureDocument, ErasureState};

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(erase)).routes(routes!(receipts))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ModeQuery {
    /// `remove` (the default) removes the user's messages. `anonymise` keeps their texts under one pseudonym that leads
    /// to nobody.
    #[param(inline, nullable = false)]
    mode: Option<Mode>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Remove,
    Anonymise,
}

/// The receipt of an erasure. It is kept until `keptUntil`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReceiptBody {
    #[schema(value_type = schemas::EventId)]
    erasure: String,
    #[schema(value_type = schemas::UserIdx)]
    user_idx: i64,
    mode: Mode,
    state: StateBody,
    /// Messages up to this time are erased. Later ones are not.
    #[schema(value_type = schemas::Time)]
    at: String,
    by: UserBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    finished_at: Option<String>,
    erased: ErasedBody,
    /// The log holds its own copies no longer than this. Nobody sees them there, and they are not archived again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    log_held_until: Option<String>,
    /// When this receipt is removed, and with it the link between the user and the pseudonym. Absent while the erasure
    /// is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    kept_until: Option<String>,
    /// Data that is not erased.
    stays: Vec<StaysBody>,
}

/// `running`: the archive is not fully erased yet, or the log has not been reached yet. The erasure continues by
/// itself.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StateBody {
    Running,
    Done,
}

/// What was found in the archive and erased. Messages that were not archived yet are not counted: they never will be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ErasedBody {
    /// Messages that were removed or anonymised.
    messages: i64,
    /// Decisions by the user. They are now under the pseudonym.
    decided: i64,
    /// Decisions about the user: bans, and deletions of the user's messages. They lose their reason, and name the
    /// pseudonym.
    decisions_about: i64,
    /// Messages of other users that the user deleted. The pseudonym now stands for who deleted them.
    deleted: i64,
    /// Lines in quarantine that named the user.
    quarantined: i64,
}

/// Data that an erasure leaves.
#[derive(Debug, Serialize, ToSchema)]
struct StaysBody {
    /// A stable code for programs.
    #[schema(value_type = String)]
    code: &'static str,
    #[schema(value_type = String)]
    detail: &'static str,
}

/// All receipts of a user.
#[derive(Debug, Serialize, ToSchema)]
struct ReceiptsBody {
    /// The latest first.
    erasures: Vec<ReceiptBody>,
}

/// Erase a user
///
/// Removes the user's messages up to now from the archive and from every delivery window, in every room, and the user's
/// name from decisions. Messages that the user writes later stay: an erasure is not a ban. To erase those, repeat it.
#[utoipa::path(
    delete,
    path = "/v1/users/{userIdx}",
    tag = "erasure",
    params(UserPath, ModeQuery),
    responses(
        (status = 200, description = "The erasure is done.", body = ReceiptBody),
        (
            status = 202, description = "The erasure takes longer. It continues by itself, even if processes die.", body = ReceiptBody,
            headers(("location" = String, description = "The URL of the receipts.")),
        ),
    ),
)]
async fn erase(
    State(app): App,
    EraserScope { caller, user }: EraserScope,
    Query(ModeQuery { mode }): Query<ModeQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let mode = match mode.unwrap_or_default() {
        Mode::Remove => ErasureMode::Remove,
        Mode::Anonymise => ErasureMode::Anonymise,
    };
    let erased = app.eraser.erase(user, mode, moderator(&caller.identity)).await?;
    let receipt = Json(ReceiptBody::from(erased));
    Ok(match receipt.state {
        StateBody::Done => receipt.into_response(),
        StateBody::Running => {
            let location = [(LOCATION, format!("/v1/users/{user}/erasures"))];
            (StatusCode::ACCEPTED, location, receipt).into_response()
        }
    })
}

/// List erasure receipts
///
/// A receipt is kept for as long as the log may hold messages from before the erasure, and one day more.
#[utoipa::path(
    get,
    path = "/v1/users/{userIdx}/erasures",
    tag = "erasure",
    params(UserPath),
    responses((status = 200, description = "The receipts.", body = ReceiptsBody)),
)]
async fn receipts(State(app): App, eraser: EraserScope) -> Result<impl IntoResponse, Refusal> {
    let erasures = app.eraser.receipts(eraser.user).await?.into_iter().map(ReceiptBody::from).collect();
    Ok(Json(ReceiptsBody { erasures }))
}

/// The caller, as the log records them.
fn moderator(identity: &Identity) -> User {
    let idx = UserIdx::try_from(identity.user_idx).expect("an identity has a user_idx of at least 1");
    User { idx, nickname: words::nickname(&identity.nickname), role: Role::Moderator }
}

impl From<ErasureDocument> for ReceiptBody {
    fn from(document: ErasureDocument) -> ReceiptBody {
        let mode = match document.mode {
            ErasureMode::Remove => Mode::Remove,
            ErasureMode::Anonymise => Mode::Anonymise,
        };
        ReceiptBody {
            erasure: document.id,
            user_idx: document.user_idx,
            mode,
            state: match document.state {
                ErasureState::Running => StateBody::Running,
                ErasureState::Done => StateBody::Done,
            },
            at: time(document.at),
            by: document.by.into(),
            finished_at: document.finished_at.map(time),
            erased: document.counts.into(),
            log_held_until: document.log_held_until.map(time),
            kept_until: document.expires_at.map(time),
            stays: stays(mode),
        }
    }
}

impl From<ErasureCounts> for ErasedBody {
    fn from(counts: ErasureCounts) -> ErasedBody {
        let ErasureCounts { messages, decided, decisions_about, deleted, quarantined } = counts;
        ErasedBody { messages, decided, decisions_about, deleted, quarantined }
    }
}

fn stays(mode: Mode) -> Vec<StaysBody> {
    let texts = StaysBody {
        code: "texts",
        detail: "The texts of the messages, and the people they name. Only the author is erased.",
    };
    let mut stays = vec![
        StaysBody {
            code: "log",
            detail: "The log's own copies, until `logHeldUntil`: the log cannot be changed. They are not shown, and not archived again.",
        },
        StaysBody {
            code: "room",
            detail: "The user's number where it is the number of a room: other people's messages, decisions and broadcasts are \
                     filed under it.",
        },
        StaysBody {
            code: "bans",
            detail: "The user's bans, by number, where new messages are checked. An erasure lifts no ban.",
        },
        StaysBody {
            code: "others",
            detail: "What other people wrote about the user, in messages and in the reasons of other decisions.",
        },
        StaysBody {
            code: "handed_out",
            detail: "Data that was handed out before: exports, and messages that open pages have not removed yet.",
        },
    ];
    if mode == Mode::Anonymise {
        stays.push(texts);
    }
    stays
}
