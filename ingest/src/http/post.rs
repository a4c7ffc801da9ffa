//! Reads a post, the same way on both surfaces: sender, body, permit, then [`Ingest::accept`]. It is one straight
//! function without extractors, because nearly every request is a post.

use std::net::SocketAddr;
use std::time::Instant;

use axum::body::Body;
use axum::http::request::Parts;
use chat::{PresenterIdx, UserIdx};
use serde_json::Value;

use crate::http::body::{self, Shape};
use crate::http::extract::Head;
use crate::posting::accept::{Accepted, Post};
use crate::posting::extras::Extras;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::sender::Sender;
use crate::state::Ingest;

/// A surface's body of a post.
pub(crate) trait Message: Shape {
    /// The member that holds the text.
    const TEXT: &'static str;

    /// The value of that member; null if it is missing.
    fn into_text(self) -> Value;

    /// What the body says beside the text. The original's has nothing.
    fn extras(&self, _sender: &Sender) -> Result<Option<Box<Extras>>, Refusal> {
        Ok(None)
    }

    /// The room. `path` is the one in the path, if the surface has it there.
    fn room(&self, path: Option<PresenterIdx>, sender: &Sender) -> Result<PresenterIdx, Refusal>;
}

/// What became of a post.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) outcome: Result<Accepted, Refusal>,
    /// The room and the author. None: the request did not say so much.
    pub(crate) author: Option<(PresenterIdx, UserIdx)>,
}

/// Reads a post and appends it. `room` is the room in the path, or how the path is refused.
pub(crate) async fn post<M: Message>(
    ingest: &Ingest,
    parts: &Parts,
    body: Body,
    peer: Option<SocketAddr>,
    room: Result<Option<PresenterIdx>, Refusal>,
) -> Posted {
    let received = Instant::now();
    // Boxed, because the future around it is moved several times before it is polled.
    let mut author = None;
    let outcome = Box::pin(read_and_accept::<M>(ingest, parts, body, peer, room, &mut author)).await;
    ingest.metrics.posted(received, &outcome);
    Posted { outcome, author }
}

async fn read_and_accept<M: Message>(
    ingest: &Ingest,
    parts: &Parts,
    body: Body,
    peer: Option<SocketAddr>,
    room: Result<Option<PresenterIdx>, Refusal>,
    author: &mut Option<(PresenterIdx, UserIdx)>,
) -> Result<Accepted, Refusal> {
    ingest.admission.check()?;
    let head = ingest.head(parts, peer).await.and_then(|head| Ok((head, room?)));
    let (Head { sender, key }, room) = match head {
        Ok(head) => head,
        Err(refusal) => {
            // Boxed, as everything that few posts need: the future of a post is moved several times.
            Box::pin(body::discard(parts, body)).await;
            return Err(refusal);
        }
    };
    let message: M = ingest.body(&sender, body::json(parts, body, ingest.body_deadline)).await?;
    let _permit = ingest.permit()?;
    let presenter = message.room(room, &sender)?;
    *author = Some((presenter, sender.idx));
    let extras = message.extras(&sender)?;
    let text = match message.into_text() {
        Value::Null => return Err(Refusal::TextMissing(M::TEXT)),
        Value::String(text) => Text::from_string(text)?,
        _ => return Err(body::malformed_member::<M>(M::TEXT).into()),
    };
    ingest.accept(Post { sender, presenter, text, extras, key }).await
}
