//! The whole answer of another server to our request, or why there is none. The module does not know its content.

use reqwest::{RequestBuilder, StatusCode};

/// There is no usable answer. The message never names the address, which may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The server is unreachable, or did not answer in time.
    #[error("no answer: {0}")]
    Request(#[source] reqwest::Error),
    /// The status is not 200.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// The body is longer than this many bytes.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

impl NoAnswer {
    /// Whether the server refused this request, by a 4xx: there is no outage, and a retry changes nothing. 408 and 429
    /// do not count: with them a server says that it is overloaded.
    pub fn is_refusal(&self) -> bool {
        match self {
            NoAnswer::Status(StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => false,
            NoAnswer::Status(status) => status.is_client_error(),
            NoAnswer::Request(_) | NoAnswer::TooLarge(_) => false,
        }
    }

    /// Whether no connection could be made, whatever the request.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, NoAnswer::Request(error) if error.is_connect())
    }
}

/// The body of a 200, of at most that many bytes. The request's own timeout covers the body too.
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

/// The error with those of its sources that it does not already name. A library's own message often does not say
/// whether the name, the connection or the time failed.
pub fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_answer_about_the_question_alone() {
        for (status, is_refusal) in
            [(400, true), (404, true), (422, true), (408, false), (429, false), (500, false), (307, false)]
        {
            let answer = NoAnswer::Status(StatusCode::from_u16(status).unwrap());
            assert_eq!((answer.is_refusal(), answer.is_unreachable()), (is_refusal, false), "{status}");
        }
        assert!(!NoAnswer::TooLarge(1).is_refusal());
    }
}
