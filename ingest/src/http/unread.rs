//! Reads and discards a body that the handler has left unread, because a peer that is still sending would not see the
//! response.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

use crate::http::body;
use crate::refusal::Refusal;
use crate::state::Ingest;

/// A body that returns itself if it is dropped unread.
struct Returning {
    body: Body,
    is_unread: bool,
    back: Arc<Mutex<Option<Body>>>,
}

/// Refuses requests under overload before it reads them, and drains the bodies that handlers leave unread.
pub(crate) async fn drained(State(ingest): State<Arc<Ingest>>, request: Request, next: Next) -> Response {
    if let Err(overloaded) = ingest.admission.check() {
        return Refusal::from(overloaded).into_response();
    }
    let (parts, body) = request.into_parts();
    let is_worth_draining = !body::is_far_too_large(&parts);
    let back = Arc::new(Mutex::new(None));
    let body = Body::new(Returning { body, is_unread: true, back: back.clone() });
    let response = next.run(Request::from_parts(parts, body)).await;
    let unread = back.lock().take();
    if let Some(body) = unread.filter(|_| is_worth_draining) {
        body::drain(body).await;
    }
    response
}

impl HttpBody for Returning {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_unread = false;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        if self.is_unread {
            *self.back.lock() = Some(mem::take(&mut self.body));
        }
    }
}
