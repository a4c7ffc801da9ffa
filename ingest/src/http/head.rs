//! What both surfaces read of a request: who sends it and under which idempotency key, then its body. Nothing is taken up
//! for a request that others need, before its sender is known and its body is there.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use tokio::sync::SemaphorePermit;
use web::places::Source;

use crate::Ingest;
use crate::http::refusal::Refusal;
use crate::posting::accept::{IdempotencyKey, Sender};

/// Members of a post's header.
pub(crate) struct Head {
    pub(crate) sender: Sender,
    pub(crate) key: Option<IdempotencyKey>,
}

impl Ingest {
    pub(crate) async fn head(&self, parts: &Parts) -> Result<Head, Refusal> {
        Ok(Head { sender: self.sender(parts).await?, key: key(parts)? })
    }

    /// Waits for a body. Where too many do, whoever has most of them loses the oldest.
    pub(crate) async fn body<T>(
        &self,
        sender: &Sender,
        reading: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let place = self.unfinished.enter(Source::User(sender.idx.get())).ok_or(Refusal::Overloaded)?;
        // What was read of a body is of no use without the rest.
        tokio::select! {
            body = reading => body,
            () = place.lost() => Err(Refusal::Overloaded),
        }
    }

    /// Leave to work on a request, to be held to the answer.
    pub(crate) fn permit(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.in_flight.try_acquire().map_err(|_| Refusal::Overloaded)
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
