//! The collector: an OTLP/HTTP receiver. A request that it does not take for now is repeated within the time for an
//! export, as OTLP asks for.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use conf::{Address, Problem};
use parking_lot::RwLock;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::encode;

/// 250 ms before the second attempt, then longer, while there is time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// 16 KB: an answer says how many spans are rejected, and why.
const LARGEST_ANSWER_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Collector {
    client: Client,
    traces: Address,
    headers: Headers,
    /// For an export, with all attempts.
    timeout: Duration,
}

/// The headers of each export. They may have a secret, which is renewed while spans are exported.
#[derive(Debug, Clone)]
pub struct Headers(Arc<RwLock<HeaderMap>>);

impl Headers {
    /// From now on exports have the headers of that configuration, which its owner has checked.
    pub fn set(&self, config: &Config) {
        if let Ok(headers) = config.headers() {
            *self.0.write() = headers;
        }
    }
}

/// The collector has not taken a request.
#[derive(Debug)]
struct Refused {
    reason: String,
    /// Another attempt may succeed.
    is_temporary: bool,
}

/// Asks the collector to take an export without spans.
///
/// # Errors
/// Why it does not take it.
pub async fn probe(config: &Config) -> Result<(), String> {
    let Some(collector) = Collector::new(config).map_err(|problem| problem.to_string())? else { return Ok(()) };
    let sent = collector.attempt(Bytes::new(), collector.timeout).await;
    sent.map(|_| ()).map_err(|refused| refused.reason)
}

impl Collector {
    /// None: the configuration has none.
    pub(crate) fn new(config: &Config) -> Result<Option<Collector>, Problem> {
        let Some(url) = &config.url else { return Ok(None) };
        let headers = config.headers().map_err(|reason| Problem::new("otlp.headers", reason))?;
        let headers = Headers(Arc::new(RwLock::new(headers)));
        // No proxy from the environment, and no redirects: the configuration names the collector.
        let client = Client::builder().redirect(Policy::none()).no_proxy().build();
        let client =
            client.map_err(|error| Problem::new("otlp.url", format!("cannot make an HTTP client: {error}")))?;
        Ok(Some(Collector { client, traces: url.with("/v1/traces"), headers, timeout: config.timeout.get() }))
    }

    pub(crate) fn headers(&self) -> Headers {
        self.headers.clone()
    }

    /// Sends an export. Returns how many of its spans are rejected. Err: why it takes none of them.
    pub(crate) async fn send(&self, export: Vec<u8>) -> Result<u64, String> {
        let (export, deadline) = (Bytes::from(export), Instant::now() + self.timeout);
        let mut pauses =
            ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_jitter().without_max_times().build();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let refused = match self.attempt(export.clone(), left).await {
                Ok(rejected) => return Ok(rejected),
                Err(refused) => refused,
            };
            match pauses.next() {
                Some(pause) if refused.is_temporary && Instant::now() + pause < deadline => sleep(pause).await,
                Some(_) | None => return Err(refused.reason),
            }
        }
    }

    async fn attempt(&self, export: Bytes, timeout: Duration) -> Result<u64, Refused> {
        let headers = self.headers.0.read().clone();
        let request = self.client.post(self.traces.url().clone()).headers(headers).timeout(timeout);
        // Of an empty export too, which otherwise has no length: some servers answer that with 411.
        let request = request.header(CONTENT_LENGTH, export.len()).header(CONTENT_TYPE, "application/x-protobuf");
        let answer = request.body(export).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(rejected(answer).await),
            Ok(answer) => {
                let status = answer.status();
                Err(Refused { reason: format!("it answers {status}"), is_temporary: is_temporary(status) })
            }
            Err(error) => {
                // An address may hold a secret.
                let error = error.without_url();
                let causes = std::iter::successors(error.source(), |&cause| cause.source());
                let reason = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
                Err(Refused { reason: format!("it does not answer: {reason}"), is_temporary: !error.is_timeout() })
            }
        }
    }
}

/// The statuses after which OTLP/HTTP repeats a request.
fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// How many spans of an export the collector has rejected, though it has taken the others.
async fn rejected(mut answer: Response) -> u64 {
    let mut body = Vec::new();
    while body.len() < LARGEST_ANSWER_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    // An answer that cannot be read rejects nothing.
    encode::rejected(&body)
}
