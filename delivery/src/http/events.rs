//! `GET /v1/rooms/{presenterIdx}/events`: a room for its readers, as server-sent events
//! (`docs/reference/room-events.md`).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chat::{Position, PresenterIdx, Readers, UserIdx};
use serde::Deserialize;
use web::auth::{Pass, TokenError};
use web::fair_slots::Source;
use web::{IDX_BOUNDS, Problem};

use crate::http::{stopping, unavailable};
use crate::node::Node;
use crate::readers::stream::{Admission, AdmittedBy, Reader};
use crate::readers::view::View;
use crate::session::begin::ask;
use crate::visibility::{MODERATE, Visibility};
use crate::window::Ask;

/// Reads messages in every room.
const READ: &str = "chat:read";

const LAST_EVENT_ID: &str = "last-event-id";

/// 1 s: how long an `EventSource` waits before it reconnects.
const RETRY: &str = "retry: 1000\n";

/// Where to begin, without the header `Last-Event-ID`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    from: Option<String>,
}

/// Why there is no stream.
#[derive(Debug)]
pub(super) enum Refusal {
    Token(TokenError),
    PresenterIdxInvalid,
    QueryInvalid,
    Forbidden,
    Stopping,
    NotReady,
    Overloaded,
}

pub(super) async fn events(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(room): Path<String>,
    query: Result<Query<From>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if node.stop.is_cancelled() {
        return Err(Refusal::Stopping);
    }
    if !node.feed.is_filled() || !node.feed.is_current() {
        return Err(Refusal::NotReady);
    }
    let presenter: Result<PresenterIdx, _> = room.parse();
    let pass = match node.auth.pass_of(&headers).await {
        Ok(pass) => Some(pass),
        // Some rooms admit readers without a token.
        Err(TokenError::Missing)
            if presenter.as_ref().is_ok_and(|room| node.readers.access.of(*room) == Readers::Anyone) =>
        {
            None
        }
        Err(error) => return Err(Refusal::Token(error)),
    };
    let source = match &pass {
        Some(pass) => Source::User(pass.identity.user_idx),
        None => Source::of_peer(peer.ip(), &node.config.http.proxies),
    };
    let _permit = node.readers.permit(source).ok_or(Refusal::Overloaded)?;
    let presenter = presenter.map_err(|_| Refusal::PresenterIdxInvalid)?;
    let (view, admitted_by) = view(&node, pass.as_ref(), presenter).ok_or(Refusal::Forbidden)?;
    let until = pass.map(|pass| pass.until);
    let Query(From { from }) = query.map_err(|_| Refusal::QueryInvalid)?;
    let last = headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty());
    let from = match last {
        Some(last) => Some(last.to_str().unwrap_or_default().to_owned()),
        None => from,
    };

    let sent_away = node.readers.sent_away();
    let subscription = node.readers.broadcasts.join(&node.feed, presenter, view, &node.sockets);
    let room = &subscription.room;
    let (cursor, recovered) = match from.as_deref() {
        None | Some("now") => (room.end(), true),
        Some("window") => (room.begin(Ask::Anything).cursor, true),
        Some(position) => {
            let asked = match position.parse::<Position>() {
                Ok(position) => ask(&node, room, presenter, position).await.map_err(|_| Refusal::NotReady)?,
                Err(_) => Ask::Unknown,
            };
            let beginning = room.begin(asked);
            (beginning.cursor, beginning.whole)
        }
    };
    let cursor = cursor.unwrap_or_else(|| node.log.timelines().beginning(presenter));
    node.metrics.reader_began(recovered);
    let keepalive = node.config.keepalive().as_secs();
    let welcome = format!(
        "{RETRY}event: welcome\nid: {cursor}\n\
         data: {{\"position\":\"{cursor}\",\"recovered\":{recovered},\"keepaliveSeconds\":{keepalive}}}\n\n"
    );
    let reader = Reader { node, subscription, view, cursor, until, admitted_by, sent_away, _permit };
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, [("x-accel-buffering", "no")], Body::from_stream(reader.stream(welcome))).into_response())
}

/// What the token, the user's role or the room's setting shows of the room. None: nothing.
fn view(node: &Node, pass: Option<&Pass>, presenter: PresenterIdx) -> Option<(View, Option<Admission>)> {
    let access = &node.readers.access;
    // Read before the decisions: one that comes meanwhile is looked at again.
    let version = access.version();
    if let Some(Pass { identity, .. }) = pass {
        let whole = View::Presenter(Visibility::of(identity));
        if identity.user_idx == presenter.get() || identity.has_scope(MODERATE) {
            return Some((whole, None));
        }
        if let Ok(user) = UserIdx::try_from(identity.user_idx) {
            let admission = Admission { presenter, by: AdmittedBy::Moderator(user), version };
            if admission.holds(access) {
                return Some((whole, Some(admission)));
            }
        }
        if identity.has_scope(READ) {
            return Some((View::Viewer { flags: true }, None));
        }
    }
    let admission = Admission { presenter, by: AdmittedBy::Setting { has_token: pass.is_some() }, version };
    admission.holds(access).then_some((View::Viewer { flags: false }, Some(admission)))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, detail) = match self {
            Refusal::Stopping => return stopping(),
            Refusal::NotReady => {
                return unavailable(
                    "not_ready",
                    "This node is still replaying the latest messages, or cannot reach the log. Try again in a second.",
                );
            }
            Refusal::Overloaded => {
                return unavailable("overloaded", "Too many readers, of all users or of this one. Retry later.");
            }
            Refusal::Token(error) if error.status() == StatusCode::SERVICE_UNAVAILABLE => {
                return unavailable(error.code(), error.detail());
            }
            Refusal::Token(error) => (error.status(), error.code(), error.detail()),
            Refusal::PresenterIdxInvalid => {
                (StatusCode::BAD_REQUEST, "presenter_idx_invalid", format!("The presenterIdx must be {IDX_BOUNDS}."))
            }
            Refusal::QueryInvalid => (
                StatusCode::BAD_REQUEST,
                "query_invalid",
                "The only parameter is \"from\": now, window, or a position.".to_owned(),
            ),
            Refusal::Forbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "This request needs the token of the room's presenter or of one of its moderators, or a token with the \
                 scope chat:read or chat:moderate. The room's setting \"readers\" admits nobody else."
                    .to_owned(),
            ),
        };
        Problem::new(status, code, detail).into_response()
    }
}
