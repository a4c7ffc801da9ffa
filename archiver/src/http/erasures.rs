//! Erasing a user, and the receipts of that.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use chat::{ErasureMode, Role, User, UserIdx};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::auth::Identity;

use super::access;
use super::bodies::UserBody;
use super::call::Call;
use super::openapi::schemas;
use super::parameters::UserPath;
use super::time_format::time;
use super::{Reader, Shared, answer};
use crate::mongo::documents::{ErasureCounts, ErasureDocument, ErasureState};

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(erase)).routes(routes!(receipts))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ModeQuery {
    /// What becomes of the messages. `remove`, where nothing is said: they go. `anonymise`: their texts stay, under a
    /// pseudonym that is the same for all of them and leads to nobody.
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

/// What became of an erasure. It is kept until `keptUntil`, and then goes too.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReceiptBody {
    #[schema(value_type = schemas::EventId)]
    erasure: String,
    #[schema(value_type = schemas::UserIdx)]
    user_idx: i64,
    mode: Mode,
    state: StateBody,
    /// What the user wrote until then is erased; what they wrote since is not.
    #[schema(value_type = schemas::Time)]
    at: String,
    by: UserBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    finished_at: Option<String>,
    erased: ErasedBody,
    /// The log holds what it has by then at the latest. Nobody sees it there, and nothing of it comes back into the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    log_held_until: Option<String>,
    /// When this receipt goes, and with it what connects the user with the pseudonym. Absent while the erasure runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    kept_until: Option<String>,
    /// What is not erased.
    stays: Vec<StaysBody>,
}

/// `running`: what is archived is not all erased yet, or the log was not reached yet; it goes on by itself.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StateBody {
    Running,
    Done,
}

/// How much was found in the archive and erased. What was not archived yet is not counted: it never gets there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ErasedBody {
    /// Messages that were removed or anonymised.
    messages: i64,
    /// Decisions of the user, which are now a pseudonym's.
    decided: i64,
    /// Decisions about the user, bans and deletions of the user's messages: without their reason, and about a pseudonym.
    decisions_about: i64,
    /// Messages of others that the user deleted: by a pseudonym now.
    deleted: i64,
    /// Lines in quarantine that named the user.
    quarantined: i64,
}

/// Something that an erasure leaves.
#[derive(Debug, Serialize, ToSchema)]
struct StaysBody {
    /// For programs.
    #[schema(value_type = String)]
    code: &'static str,
    #[schema(value_type = String)]
    detail: &'static str,
}

/// All receipts of a user.
#[derive(Debug, Serialize, ToSchema)]
struct ReceiptsBody {
    /// The last one first.
    erasures: Vec<ReceiptBody>,
}

/// Erase a user
///
/// What the user wrote until now goes from the archive and from every window, in every room, and the user's name from
/// decisions. What they write afterwards stays: this is no ban. Asked again, it erases what was written since.
#[utoipa::path(
    delete,
    path = "/v1/users/{userIdx}",
    tag = "erasure",
    params(UserPath, ModeQuery),
    responses(
        (status = 200, description = "It is done.", body = ReceiptBody),
        (
            status = 202, description = "It takes longer and goes on by itself, whatever dies.", body = ReceiptBody,
            headers(("location" = String, description = "Where the receipt is.")),
        ),
    ),
)]
async fn erase(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let user = call.user()?;
        access::erases(&call.identity)?;
        let mode = match call.query::<ModeQuery>()?.mode.unwrap_or_default() {
            Mode::Remove => ErasureMode::Remove,
            Mode::Anonymise => ErasureMode::Anonymise,
        };
        let erased = reader.eraser.erase(user, mode, who(&call.identity)).await?;
        let receipt = Json(ReceiptBody::from(erased));
        Ok(match receipt.state {
            StateBody::Done => receipt.into_response(),
            StateBody::Running => {
                let location = [(LOCATION, format!("/v1/users/{user}/erasures"))];
                (StatusCode::ACCEPTED, location, receipt).into_response()
            }
        })
    })
    .await
}

/// Receipts of a user's erasures
///
/// Each for as long as the log may hold something from before it, and a day more.
#[utoipa::path(
    get,
    path = "/v1/users/{userIdx}/erasures",
    tag = "erasure",
    params(UserPath),
    responses((status = 200, description = "The receipts that are kept.", body = ReceiptsBody)),
)]
async fn receipts(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let user = call.user()?;
        access::erases(&call.identity)?;
        let erasures = reader.eraser.receipts(user).await?.into_iter().map(ReceiptBody::from).collect();
        Ok(Json(ReceiptsBody { erasures }).into_response())
    })
    .await
}

/// Whoever asks, as the log has it.
fn who(identity: &Identity) -> User {
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
    let texts =
        StaysBody { code: "texts", detail: "What the messages say, whomever they name: only who wrote them is gone." };
    let mut stays = vec![
        StaysBody {
            code: "log",
            detail: "The log's own copies, until `logHeldUntil`: it cannot be changed. They are not shown, and not archived again.",
        },
        StaysBody {
            code: "room",
            detail: "The user's number as the number of a room: it is the place of what others wrote and decided there, and of \
                     broadcasts.",
        },
        StaysBody {
            code: "bans",
            detail: "Bans of the user that hold, by number, where new messages are checked: an erasure lifts no ban.",
        },
        StaysBody {
            code: "others",
            detail: "What others wrote about the user, in messages and in the reasons of decisions about something else.",
        },
        StaysBody {
            code: "handed_out",
            detail: "What was handed out before: exports, and what pages that are open have not removed yet.",
        },
    ];
    if mode == Mode::Anonymise {
        stays.push(texts);
    }
    stays
}
