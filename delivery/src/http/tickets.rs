//! `/v1/rooms/{presenterIdx}/tickets`: tickets for readers that cannot send a token
//! (`docs/reference/room-events.md#tickets`).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chat::{PresenterIdx, UserIdx};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use web::auth::{Pass, TokenError};

use crate::http::ready;
use crate::http::refusal::Refusal;
use crate::node::Node;
use crate::readers::rights;
use crate::readers::rights::Rights;
use crate::readers::tickets::{Grantor, LongLived, Made, ShownView};
use crate::visibility::MODERATE;

/// 4 KiB: the longest name takes a tenth of it.
pub(super) const LARGEST_BODY_BYTES: usize = 4 * 1024;

/// In characters.
const LONGEST_NAME: usize = 64;

/// The ticket that is asked for. No body: a one-use ticket.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum NewTicket {
    OneUse {
        view: Option<ShownView>,
    },
    LongLived {
        /// For the list.
        name: String,
        view: Option<ShownView>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneUseBody {
    kind: &'static str,
    ticket: String,
    expires_in_seconds: u64,
}

/// A long-lived ticket of the list, which has no secret.
#[derive(Serialize)]
struct LongLivedBody {
    id: Uuid,
    name: String,
    view: ShownView,
    by: UserIdx,
    grantor: Grantor,
    at: String,
}

#[derive(Serialize)]
struct MadeBody {
    kind: &'static str,
    ticket: String,
    #[serde(flatten)]
    listed: LongLivedBody,
}

#[derive(Serialize)]
struct TicketsBody {
    tickets: Vec<LongLivedBody>,
}

/// `POST`: makes a ticket.
pub(super) async fn make(
    State(node): State<Arc<Node>>,
    Path(room): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (pass, presenter) = asker(&node, &headers, &room).await?;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::BodyTooLarge,
        _ => Refusal::BodyMalformed("The body did not arrive whole.".to_owned()),
    })?;
    let tickets = &node.readers.tickets;
    match NewTicket::parse(&body)? {
        NewTicket::OneUse { view } => {
            rights::view(&node.readers.access, Some(Rights::of(&pass.identity)), presenter)
                .ok_or(Refusal::Forbidden)?;
            let view = view.unwrap_or(ShownView::Own);
            let Made { secret: ticket, .. } = tickets.make_one_use(presenter, &pass, view).await?;
            let expires_in_seconds = nats::ONE_USE_TICKET_LIFE.as_secs();
            let body = OneUseBody { kind: "one_use", ticket, expires_in_seconds };
            Ok(private((StatusCode::CREATED, Json(body))))
        }
        NewTicket::LongLived { name, view } => {
            let (user, grantor) = grantor(&node, &pass, presenter)?;
            let view = view.unwrap_or(ShownView::Viewer);
            // The scope ends with its token, and the ticket would not.
            if grantor == Grantor::Scope && view == ShownView::Own {
                return Err(Refusal::ViewForbidden);
            }
            let Made { secret, ticket } = tickets.make_long_lived(presenter, user, grantor, name, view).await?;
            tracing::info!(%presenter, user = user.get(), ticket = %ticket.id, "made a long-lived ticket");
            let body = MadeBody { kind: "long_lived", ticket: secret, listed: ticket.into() };
            Ok(private((StatusCode::CREATED, Json(body))))
        }
    }
}

/// `GET`: the room's long-lived tickets.
pub(super) async fn list(
    State(node): State<Arc<Node>>,
    Path(room): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (pass, presenter) = asker(&node, &headers, &room).await?;
    let (user, _) = grantor(&node, &pass, presenter)?;
    let tickets = node.readers.tickets.list(presenter, user).await?;
    Ok(private(Json(TicketsBody { tickets: tickets.into_iter().map(LongLivedBody::from).collect() })))
}

/// `DELETE`: revokes a long-lived ticket.
pub(super) async fn revoke(
    State(node): State<Arc<Node>>,
    Path((room, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (pass, presenter) = asker(&node, &headers, &room).await?;
    let (user, _) = grantor(&node, &pass, presenter)?;
    let id: Uuid = id.parse().map_err(|_| Refusal::TicketIdInvalid)?;
    node.readers.tickets.revoke(presenter, user, id).await?;
    tracing::info!(%presenter, user = user.get(), ticket = %id, "revoked a long-lived ticket");
    Ok(private(StatusCode::NO_CONTENT))
}

/// Who asks, and about which room.
async fn asker(node: &Node, headers: &HeaderMap, room: &str) -> Result<(Pass, PresenterIdx), Refusal> {
    ready(node)?;
    let pass = node.auth.pass_of(headers).await.map_err(Refusal::Token)?;
    let presenter = room.parse().map_err(|_| Refusal::PresenterIdxInvalid)?;
    Ok((pass, presenter))
}

/// Why the user may give long-lived tickets of the room.
fn grantor(node: &Node, pass: &Pass, presenter: PresenterIdx) -> Result<(UserIdx, Grantor), Refusal> {
    let Pass { identity, .. } = pass;
    let user = UserIdx::try_from(identity.user_idx).map_err(|_| Refusal::Token(TokenError::UserIdx))?;
    if user.get() == presenter.get() {
        return Ok((user, Grantor::Presenter));
    }
    if node.readers.access.moderates(presenter, user) {
        return Ok((user, Grantor::Moderator));
    }
    if identity.has_scope(MODERATE) { Ok((user, Grantor::Scope)) } else { Err(Refusal::TicketsForbidden) }
}

/// An answer that is kept nowhere.
fn private(answer: impl IntoResponse) -> Response {
    ([(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")], answer).into_response()
}

impl NewTicket {
    fn parse(body: &[u8]) -> Result<NewTicket, Refusal> {
        if body.trim_ascii().is_empty() {
            return Ok(NewTicket::OneUse { view: None });
        }
        let malformed = |error: serde_json::Error| {
            Refusal::BodyMalformed(format!(
                "The body must be a JSON object with \"kind\": \"one_use\", or \"kind\": \"long_lived\" and a \
                 \"name\"; \"view\" is \"own\" or \"viewer\": {error}."
            ))
        };
        let mut new: NewTicket = serde_json::from_slice(body).map_err(malformed)?;
        if let NewTicket::LongLived { name, .. } = &mut new {
            *name = name.trim().to_owned();
            if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
                let detail = format!("The member \"name\" must have 1 to {LONGEST_NAME} characters on one line.");
                return Err(Refusal::BodyMalformed(detail));
            }
        }
        Ok(new)
    }
}

impl From<LongLived> for LongLivedBody {
    fn from(ticket: LongLived) -> LongLivedBody {
        let LongLived { id, name, view, by, grantor, at, .. } = ticket;
        LongLivedBody { id, name, view, by, grantor, at: format!("{at:.3}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_for_a_ticket_is_read_strictly() {
        assert!(matches!(NewTicket::parse(b" "), Ok(NewTicket::OneUse { view: None })));
        let long = NewTicket::parse(br#"{"kind":"long_lived","name":" OBS ","view":"own"}"#);
        assert!(matches!(long, Ok(NewTicket::LongLived { name, view: Some(ShownView::Own) }) if name == "OBS"));
        let longest = format!(r#"{{"kind":"long_lived","name":"{}"}}"#, "가".repeat(LONGEST_NAME));
        assert!(NewTicket::parse(longest.as_bytes()).is_ok());
        for bad in [
            "[]",
            "{",
            "{}",
            r#"{"kind":"other"}"#,
            r#"{"kind":"one_use","name":"OBS"}"#,
            r#"{"kind":"one_use","veiw":"viewer"}"#,
            r#"{"kind":"one_use","view":"all"}"#,
            r#"{"kind":"long_lived"}"#,
            r#"{"kind":"long_lived","name":""}"#,
            r#"{"kind":"long_lived","name":"two\nlines"}"#,
            &longest.replacen('가', "가가", 1),
        ] {
            assert!(matches!(NewTicket::parse(bad.as_bytes()), Err(Refusal::BodyMalformed(_))), "{bad}");
        }
    }
}
