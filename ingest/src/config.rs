//! What ingest has to be told: the section `[ingest]`. Its defaults are in `src/defaults.toml`, nowhere else.

use std::net::SocketAddr;

use jiff::tz::TimeZone;
use reqwest::Url;
use serde::{Deserialize, Deserializer, de::Error};

/// The section `[ingest]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; read by the binary, which binds it.
    pub listen: SocketAddr,
    /// IANA name, such as `Asia/Seoul`, of the zone of the original error body's `timestamp`.
    #[serde(deserialize_with = "time_zone")]
    pub time_zone: TimeZone,
    /// Posts at once, from the header to the answer; more are answered 503 at once.
    pub max_in_flight: usize,
    /// Milliseconds for a post's body to arrive.
    pub body_timeout_ms: u64,
    /// Where a reconnect request is posted as well; empty: nowhere.
    #[serde(deserialize_with = "optional_url")]
    pub reconnect_webhook: Option<Url>,
    /// Timeouts and bounds of the listener.
    pub http: web::ServeConfig,
    /// When forwarded headers count.
    pub gateway: web::gateway::Config,
    /// Who knows which rooms are live.
    pub rooms: RoomsConfig,
}

/// The section `[ingest.rooms]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomsConfig {
    /// The base, `http://host:port`; `/room/live/check` is appended.
    #[serde(deserialize_with = "url")]
    pub url: Url,
    /// Milliseconds for a whole answer.
    pub deadline_ms: u64,
    /// Milliseconds that "live" holds.
    pub live_ms: u64,
    /// Milliseconds that "not live" holds.
    pub not_live_ms: u64,
    /// How many failures in a row stop the questions.
    pub breaker_failures: u32,
    /// Milliseconds that they stop for, until one is tried.
    pub breaker_open_ms: u64,
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    TimeZone::get(&name).map_err(|_| D::Error::custom(format!("{name:?} is not an IANA time zone such as Asia/Seoul")))
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| D::Error::custom(format!("{text:?} is not an http:// or https:// address")))
}

fn optional_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { url(serde::de::value::StringDeserializer::new(text)).map(Some) }
}
