//! The answer of another server to a request of ours, whole, or why there is none. What it says is not known here.

use reqwest::{RequestBuilder, StatusCode};

/// There is no answer that could be read. The address is never named: it may hold a secret of its own.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It cannot be reached, or was not done in time.
    #[error("no answer: {0}")]
    Request(#[source] reqwest::Error),
    /// Another status than 200.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// It is longer than this.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

/// The body of a 200 of at most so many bytes. The request's own timeout covers the body too.
pub async fn answer(request: RequestBuilder, most_bytes: usize) -> Result<Vec<u8>, NoAnswer> {
    let failed = |error: reqwest::Error| NoAnswer::Request(error.without_url());
    let mut response = request.send().await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        return Err(NoAnswer::Status(response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > most_bytes {
            return Err(NoAnswer::TooLarge(most_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
