//! What both surfaces read from a request's header: who sends it and under which idempotency key.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;

use crate::Ingest;
use crate::accept::{IdempotencyKey, Sender};
use crate::refusal::Refusal;

/// Members of a post's header.
pub(crate) struct Head {
    pub(crate) sender: Sender,
    pub(crate) key: Option<IdempotencyKey>,
}

impl Ingest {
    pub(crate) async fn head(&self, parts: &Parts) -> Result<Head, Refusal> {
        Ok(Head { sender: self.sender(parts).await?, key: key(parts)? })
    }

    /// The gateway's word counts before the token, where it counts at all: the gateway has verified the token.
    async fn sender(&self, parts: &Parts) -> Result<Sender, Refusal> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        if let Some(ConnectInfo(peer)) = peer
            && let Some(identity) = self.gateway.identity(parts, peer.ip())?
        {
            return Ok(Sender::new(&identity));
        }
        Ok(Sender::new(&self.verifier.verify_headers(&parts.headers).await?))
    }
}

fn key(parts: &Parts) -> Result<Option<IdempotencyKey>, Refusal> {
    let mut values = parts.headers.get_all("idempotency-key").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let key = value.to_str().ok().and_then(IdempotencyKey::parse);
            key.map(Some).ok_or(Refusal::IdempotencyKeyInvalid)
        }
        (Some(_), Some(_)) => Err(Refusal::IdempotencyKeyInvalid),
    }
}
