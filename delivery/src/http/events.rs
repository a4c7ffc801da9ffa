//! `GET /v1/rooms/{presenterIdx}/events`: a room for its readers, as server-sent events
//! (`docs/reference/room-events.md`).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};
use chat::{PresenterIdx, Readers};
use serde::Deserialize;
use web::auth::{Pass, TokenError};
use web::fair_slots::Source;

use crate::http::ready;
use crate::http::refusal::Refusal;
use crate::node::Node;
use crate::readers::beginning::{Beginning, begin};
use crate::readers::broadcast::Format;
use crate::readers::rights::{Rights, view};
use crate::readers::stream::{Admission, Reader};
use crate::readers::tickets::{LongLived, OpenTicket, ShownTicket, ShownView, Unused};
use crate::readers::view::View;

const LAST_EVENT_ID: &str = "last-event-id";

/// 1 s: how long an `EventSource` waits before it reconnects.
const RETRY: &str = "retry: 1000\n";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Where to begin, without the header `Last-Event-ID`.
    from: Option<String>,
    ticket: Option<String>,
}

/// What a reader shows to be admitted.
enum Credentials {
    None,
    Token(Pass),
    OneUse { pass: Pass, view: ShownView, unused: Unused },
    LongLived { ticket: LongLived, open: OpenTicket },
}

pub(super) async fn events(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(room): Path<String>,
    query: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    ready(&node)?;
    let presenter: Result<PresenterIdx, _> = room.parse().map_err(|_| Refusal::PresenterIdxInvalid);
    let ticket = query.as_ref().ok().and_then(|Query(query)| query.ticket.as_deref());
    let credentials = match (ticket, presenter.as_ref().ok()) {
        (Some(ticket), Some(presenter)) => of_ticket(&node, &headers, *presenter, ticket).await?,
        (_, presenter) => of_token(&node, &headers, presenter.copied()).await?,
    };
    let _permit = node.readers.permit(credentials.source(&node, peer)).ok_or(Refusal::Overloaded)?;
    let presenter = presenter?;
    let (view, admitted_by) = credentials.view(&node, presenter).ok_or(Refusal::Forbidden)?;
    let Query(EventsQuery { from, .. }) = query.map_err(|_| Refusal::QueryInvalid)?;
    let (until, ticket) = match credentials {
        Credentials::None => (None, None),
        Credentials::Token(pass) => (Some(pass.until), None),
        Credentials::OneUse { pass, unused, .. } => {
            // After every refusal, so that none of them costs the reader its ticket.
            node.readers.tickets.use_up(unused).await?;
            (Some(pass.until), None)
        }
        Credentials::LongLived { open, .. } => (None, Some(open)),
    };
    let last = headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty());
    let from = match last {
        Some(last) => Some(last.to_str().unwrap_or_default().to_owned()),
        None => from,
    };

    let sent_away = node.readers.sent_away();
    let subscription = node.readers.broadcasts.join(&node.feed, presenter, view, Format::EventStream, &node.sockets);
    let beginning =
        begin(&node, &subscription.room, presenter, from.as_deref()).await.map_err(|_| Refusal::NotReady)?;
    let Beginning { position: cursor, recovered } = beginning;
    let keepalive = node.config.keepalive().as_secs();
    let pinned = node.readers.access.pinned(presenter);
    let pinned = pinned.map(|message| format!(",\"pinned\":\"{message}\"")).unwrap_or_default();
    let welcome = format!(
        "{RETRY}event: welcome\nid: {cursor}\n\
         data: {{\"position\":\"{cursor}\",\"recovered\":{recovered},\"keepaliveSeconds\":{keepalive}{pinned}}}\n\n"
    );
    let reader = Reader { node, subscription, view, cursor, until, admitted_by, ticket, sent_away, _permit };
    // The address may have a ticket.
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")];
    Ok((headers, [("x-accel-buffering", "no")], Body::from_stream(reader.stream(welcome))).into_response())
}

/// What a request without a ticket shows. Some rooms admit readers without a token.
async fn of_token(node: &Node, headers: &HeaderMap, presenter: Option<PresenterIdx>) -> Result<Credentials, Refusal> {
    let admits_anyone = || presenter.is_some_and(|presenter| node.readers.access.of(presenter) == Readers::Anyone);
    match node.auth.pass_of(headers).await {
        Ok(pass) => Ok(Credentials::Token(pass)),
        Err(TokenError::Missing) if admits_anyone() => Ok(Credentials::None),
        Err(error) => Err(Refusal::Token(error)),
    }
}

/// What a ticket shows. A token beside it could be of somebody else.
async fn of_ticket(
    node: &Node,
    headers: &HeaderMap,
    presenter: PresenterIdx,
    ticket: &str,
) -> Result<Credentials, Refusal> {
    if !matches!(web::auth::token(headers), Err(TokenError::Missing)) {
        return Err(Refusal::QueryInvalid);
    }
    Ok(match node.readers.tickets.find(presenter, ticket).await? {
        ShownTicket::OneUse { pass, view, unused } => Credentials::OneUse { pass, view, unused },
        ShownTicket::LongLived { ticket, open } => Credentials::LongLived { ticket, open },
    })
}

impl Credentials {
    /// Whose streams this one counts among.
    fn source(&self, node: &Node, peer: SocketAddr) -> Source {
        match self {
            Credentials::None => Source::of_peer(peer.ip(), &node.config.http.proxies),
            Credentials::Token(pass) | Credentials::OneUse { pass, .. } => Source::User(pass.identity.user_idx),
            Credentials::LongLived { ticket, .. } => Source::User(ticket.by.get()),
        }
    }

    /// What they show of the room. None: nothing.
    fn view(&self, node: &Node, presenter: PresenterIdx) -> Option<(View, Option<Admission>)> {
        let access = &node.readers.access;
        match self {
            Credentials::None => view(access, None, presenter),
            Credentials::Token(pass) => view(access, Some(Rights::of(&pass.identity)), presenter),
            Credentials::OneUse { pass, view: shown, .. } => {
                let (own, admission) = view(access, Some(Rights::of(&pass.identity)), presenter)?;
                let view = if *shown == ShownView::Own { own } else { View::Viewer { flags: false } };
                Some((view, admission))
            }
            Credentials::LongLived { ticket, .. } => ticket.view(access, presenter),
        }
    }
}
