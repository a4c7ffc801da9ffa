//! The services that roles reach over HTTP: the room server, the issuer of tokens, the collector of spans.

use conf::shown;

use super::finding::Finding;
use super::{Failed, within};
use crate::config::Config;

/// Whether the room server answers.
pub(super) async fn room_server(config: &Config) -> Vec<Finding> {
    const PART: &str = "room server";
    let url = shown(config.ingest.rooms.url.url().as_str());
    vec![match within(ingest::probe_room_server(&config.ingest.rooms)).await {
        Ok(()) => Finding::ok(PART, format!("{url}: answers within {}", config.ingest.rooms.deadline)),
        Err(Failed { reason, .. }) => {
            let action = "start it, or correct ingest.rooms.url: without it only rooms with a presenter count as live";
            Finding::problem(PART, format!("{url}: {reason}"), action)
        }
    }]
}

/// Whether the collector takes spans.
pub(super) async fn collector(config: &Config) -> Vec<Finding> {
    const PART: &str = "collector";
    let Some(url) = &config.otlp.url else { return Vec::new() };
    let url = shown(url.url().as_str());
    vec![match within(otlp::probe(&config.otlp)).await {
        Ok(()) => Finding::ok(PART, format!("{url}: takes spans")),
        Err(Failed { reason, .. }) => {
            let action = "start it, or correct otlp.url and otlp.headers: meanwhile spans are dropped";
            Finding::warning(PART, format!("{url}: {reason}"), action)
        }
    }]
}

/// Whether the issuer's keys can be fetched and used.
pub(super) async fn issuer_keys(config: &Config) -> Vec<Finding> {
    const PART: &str = "issuer keys";
    let Some(url) = &config.auth.jwks.url else { return Vec::new() };
    let url = shown(url.url().as_str());
    match within(web::auth::fetch_issuer_keys(&config.auth)).await {
        Ok(keys) => keys.into_iter().map(|keys| Finding::ok(PART, format!("{url}: {keys}"))).collect(),
        Err(Failed { reason, .. }) => {
            let action =
                "correct auth.jwks.url, or start the issuer: see docs/operations/troubleshooting.md#issuer-keys";
            vec![Finding::problem(PART, format!("{url}: {reason}"), action)]
        }
    }
}
