//! The published keys of an issuer, fetched in the background. The last good set stays until the next one. A token with
//! an unknown key triggers a fetch at once, at most once a minute, and waits for it, as do other such tokens.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use metrics::{Counters, Registry};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::key::{Key, Required};
use super::key_set::{KeySet, NoKey, NoSet};
use super::{Config, JwksConfig, TokenError};
use crate::fetch::{NoAnswer, answer, with_sources};
use conf::{Address, Problem};

/// The published keys of one issuer.
#[derive(Debug)]
pub(super) struct Jwks {
    client: Client,
    address: Address,
    required: Required,
    refresh: Duration,
    deadline: Duration,
    known: watch::Sender<Known>,
    /// Counts the sets that were fetched.
    generation: AtomicU64,
    registry: Registry,
    fetches: Counters,
}

#[derive(Debug)]
struct Known {
    keys: Option<Arc<KeySet>>,
    /// When they were fetched.
    fetched: Option<Timestamp>,
    /// Whether the last fetch failed: an unknown key may have been published.
    has_failed: bool,
    /// Whether a fetch is under way, or about to be.
    is_fetching: bool,
    /// When a token last triggered a fetch.
    asked: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error(transparent)]
    NoSet(#[from] NoSet),
}

/// 64 KB: a set of five RSA keys with certificates has about 10.
const LARGEST_ANSWER_BYTES: usize = 64 * 1024;

/// A minute: an attacker can invent tokens faster than an issuer can answer.
const ASK_PAUSE: Duration = Duration::from_secs(60);

/// 10 s after a failure: meanwhile tokens of a new key cannot be verified.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

impl Jwks {
    pub(super) fn new(address: &Address, config: &JwksConfig, required: Required) -> Result<Jwks, Problem> {
        // No redirects: only the configured address decides which tokens count. No proxy from the environment: it is
        // not in the configuration.
        let client = Client::builder().redirect(Policy::none()).no_proxy().build();
        let registry = Registry::new();
        let fetches = registry.counters(
            "chatting_auth_key_fetches_total",
            "Fetches of the issuer's keys, by result.",
            "result",
            ["ok", "failed"],
        );
        Ok(Jwks {
            client: client
                .map_err(|error| Problem::new("auth.jwks.url", format!("cannot make an HTTP client: {error}")))?,
            address: address.clone(),
            required,
            refresh: config.refresh.get(),
            deadline: config.deadline.get(),
            // The first fetch is about to begin, and early requests wait for it.
            known: watch::Sender::new(Known {
                keys: None,
                fetched: None,
                has_failed: false,
                is_fetching: true,
                asked: None,
            }),
            generation: AtomicU64::new(0),
            registry,
            fetches,
        })
    }

    /// Fetches again and again. It makes all fetches, so that there is one at a time.
    pub(super) async fn follow(&self) -> Infallible {
        let mut known = self.known.subscribe();
        loop {
            self.known.send_modify(|known| known.is_fetching = true);
            let fetched = self.fetch().await;
            let pause = if fetched.is_ok() { self.refresh } else { self.refresh.min(RETRY_PAUSE) };
            self.learn(fetched);
            // Both branches only wait: nothing is lost with the other.
            tokio::select! {
                () = sleep(pause) => {}
                _ = known.wait_for(|known| known.is_fetching) => {}
            }
        }
    }

    /// The key of a token. Unavailable: it may exist, and cannot be fetched now.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, TokenError> {
        let mut found = self.known.borrow().find(kid, algorithm);
        if matches!(found, Err(NoKey::Unknown)) {
            self.ask().await;
            found = self.known.borrow().find(kid, algorithm);
        }
        found.map_err(|no_key| match no_key {
            NoKey::Unknown if self.known.borrow().is_in_doubt() => TokenError::KeysUnavailable,
            NoKey::Unknown | NoKey::Unsuitable => TokenError::Signature,
        })
    }

    pub(super) fn metrics(&self) -> &Registry {
        &self.registry
    }

    /// When the known keys were fetched.
    pub(super) fn fetched(&self) -> Option<Timestamp> {
        self.known.borrow().fetched
    }

    /// Whether the last fetch failed.
    pub(super) fn has_failed(&self) -> bool {
        self.known.borrow().has_failed
    }

    /// It changes with each fetched set, after the set.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn has_keys(&self) -> bool {
        self.known.borrow().keys.is_some()
    }

    pub(super) fn has_kid(&self, kid: &str) -> bool {
        self.known.borrow().keys.as_ref().is_some_and(|keys| keys.has(kid))
    }

    /// Triggers a fetch if one is allowed, and waits for a fetch in progress.
    async fn ask(&self) {
        self.known.send_if_modified(|known| known.ask(Instant::now()));
        let mut known = self.known.subscribe();
        // Whether it came in time is seen by looking.
        let _ = timeout(self.deadline, known.wait_for(|known| !known.is_fetching)).await;
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let request = self.client.get(self.address.url().clone()).timeout(self.deadline);
        let answer = answer(request, LARGEST_ANSWER_BYTES).await?;
        Ok(KeySet::parse(&answer, &self.required)?)
    }

    /// Stores a fetched set, and logs changes.
    pub(super) fn learn(&self, fetched: Result<KeySet, FetchError>) {
        let (keys, error) = match fetched {
            Ok(keys) => (Some(Arc::new(keys)), None),
            Err(error) => (None, Some(error)),
        };
        self.fetches.of(if error.is_none() { "ok" } else { "failed" }).inc();
        let (mut before, mut had_failed) = (None, false);
        self.known.send_modify(|known| {
            known.is_fetching = false;
            had_failed = std::mem::replace(&mut known.has_failed, error.is_some());
            if let Some(keys) = &keys {
                before = known.keys.replace(Arc::clone(keys));
                known.fetched = Some(Timestamp::now());
                self.generation.fetch_add(1, Ordering::Release);
            }
        });
        if let Some(keys) = keys {
            let is_new = before.is_none_or(|before| before.summary != keys.summary);
            let (is_cut, keys) = (keys.is_cut, &keys.summary);
            if is_new && is_cut {
                tracing::warn!(keys, "the issuer's keys are now {keys}");
            } else if is_new || had_failed {
                tracing::info!(keys, "the issuer's keys are now {keys}");
            }
        }
        if let Some(error) = error {
            let error = with_sources(&error);
            if had_failed {
                tracing::debug!(error, "still cannot fetch the issuer's keys: {error}");
            } else {
                tracing::warn!(error, "cannot fetch the issuer's keys (auth.jwks.url), keeping those known: {error}");
            }
        }
    }
}

/// Fetches the issuer's keys once, for `chatting-server check`: the keys by name and algorithm. None: no issuer is
/// configured.
pub async fn fetch_issuer_keys(config: &Config) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
    let Some(url) = &config.jwks.url else { return Ok(None) };
    let required = Required::new(&config.jwks.issuer, &config.jwks.audience, config);
    let keys = Jwks::new(url, &config.jwks, required)?.fetch().await?;
    Ok(Some(keys.summary))
}

impl Known {
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, NoKey> {
        self.keys.as_ref().map_or(Err(NoKey::Unknown), |keys| keys.find(kid, algorithm))
    }

    /// Whether an unknown key may have been published.
    fn is_in_doubt(&self) -> bool {
        self.keys.is_none() || self.has_failed || self.is_fetching
    }

    /// A token requests a fetch. False: one is in progress, or the last was less than a minute ago.
    fn ask(&mut self, now: Instant) -> bool {
        let may = !self.is_fetching && self.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_PAUSE);
        if may {
            self.is_fetching = true;
            self.asked = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_to_one_fetch_a_minute() {
        let mut known = Known { keys: None, fetched: None, has_failed: false, is_fetching: true, asked: None };
        let start = Instant::now();
        assert!(!known.ask(start), "one is under way");
        known.is_fetching = false;
        assert!(known.ask(start));
        known.is_fetching = false;
        assert!(!known.ask(start + Duration::from_secs(59)));
        assert!(known.ask(start + Duration::from_secs(60)));
    }
}
