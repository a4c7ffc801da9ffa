//! What ingest has to be told: the section `[ingest]`. Its defaults are in `src/defaults.toml`, nowhere else.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, de::Error};
use web::address::Address;
use web::gateway::Gateway;

use crate::moderation::settings::{Rate, Settings, WordPolicy};
use crate::posting::review::{Fallback, SigningKey};
use crate::posting::word_filter::WordFilter;

/// The section `[ingest]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; read by the binary, which binds it.
    pub listen: SocketAddr,
    /// The listener for operators.
    pub admin: web::AdminConfig,
    /// IANA name, such as `Asia/Seoul`, of the zone of the original error body's `timestamp`.
    #[serde(deserialize_with = "time_zone")]
    pub time_zone: TimeZone,
    /// Requests at once, from the end of the body to the answer; more are answered 503 at once.
    pub max_in_flight: usize,
    /// Requests at once with a good token whose body is not there yet; more push out the oldest of whoever has most.
    pub max_unfinished: usize,
    /// Milliseconds for a post's body to arrive.
    pub body_timeout_ms: u64,
    /// Seconds for which an idempotency key is remembered.
    pub idempotency_seconds: u64,
    /// How many idempotency keys are remembered; of more the oldest are forgotten earlier.
    pub idempotency_keys: usize,
    /// Where a reconnect request is posted as well; empty: nowhere.
    #[serde(deserialize_with = "web::address::optional")]
    pub reconnect_webhook: Option<Address>,
    /// What holds in a room that has set nothing itself.
    pub room: RoomConfig,
    /// Which words the word filter looks for.
    pub words: WordsConfig,
    /// How much one may write.
    pub limits: LimitsConfig,
    /// Who is asked about every message before it is accepted.
    pub review: ReviewConfig,
    /// Timeouts and bounds of the listener.
    pub http: web::ServeConfig,
    /// When forwarded headers count.
    pub gateway: web::gateway::Config,
    /// Who knows which rooms are live.
    pub rooms: RoomsConfig,
}

/// The section `[ingest.room]` of the configuration: the deployment's settings. A room can change each of them for
/// itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomConfig {
    /// Seconds between two messages of a viewer; 0: none.
    pub slow_mode_seconds: u32,
    /// Whether a message must differ from the room's latest ones.
    pub unique_chat: bool,
    /// Whether only the presenter and moderators may write.
    pub presenter_only: bool,
    /// What becomes of a message in which the word filter finds something.
    pub word_policy: WordPolicy,
    /// Characters of a message, 500 at most.
    pub max_length: usize,
    /// How many messages a viewer may write in a time.
    pub message_rate: Rate,
}

/// The section `[ingest.words]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordsConfig {
    /// The path of a list in place of the built-in one; empty: the built-in one.
    pub list: PathBuf,
    /// The path of a list that is added; empty: none.
    pub extra: PathBuf,
}

/// The section `[ingest.limits]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// How many messages the presenter or a moderator may write in a room in a time.
    pub moderator_rate: Rate,
    /// How many messages anybody may write in all rooms together in a time.
    pub user_rate: Rate,
    /// How much anybody may decide in all rooms together in a time: `messages` are decisions.
    pub decision_rate: Rate,
    /// How many bans a room has at most.
    pub bans_in_room: usize,
    /// How many bans from every room there are at most.
    pub bans_everywhere: usize,
}

/// The section `[ingest.review]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewConfig {
    /// Where every message is posted before it is accepted; empty: nowhere.
    #[serde(deserialize_with = "web::address::optional")]
    pub url: Option<Address>,
    /// What signs the question: `whsec_` and the base64 of at least 24 bytes. Required with a url.
    #[serde(default)]
    pub secret: Option<SigningKey>,
    /// Milliseconds for a whole answer.
    pub deadline_ms: u64,
    /// What becomes of a message for which there is no answer.
    pub fallback: Fallback,
    /// Questions at once; for more there is no answer.
    pub max_in_flight: usize,
    /// Failures of how many users, in as many rooms, stop the questions.
    pub breaker_failures: u32,
    /// Milliseconds that they stop for, until one is tried.
    pub breaker_open_ms: u64,
}

impl Config {
    /// All that cannot work, naming the keys. Word lists are read for it.
    pub fn complaints(&self) -> Vec<String> {
        let checks = [
            Gateway::new(&self.gateway, "ingest.gateway").err(),
            WordFilter::new(&self.words).err(),
            self.limits.check().err(),
            self.review.check().err(),
            self.room.settings().err(),
        ];
        checks.into_iter().flatten().collect()
    }
}

impl ReviewConfig {
    /// Err: what is missing, naming the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.url.is_some() && self.secret.is_none() {
            let missing = "ingest.review.secret is required with ingest.review.url";
            return Err(format!("{missing}: set it to whsec_ and the base64 of at least 24 bytes"));
        }
        Ok(())
    }
}

impl LimitsConfig {
    /// Err: what is out of bounds, naming the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        let rates = [
            ("moderator_rate", self.moderator_rate),
            ("user_rate", self.user_rate),
            ("decision_rate", self.decision_rate),
        ];
        for (name, rate) in rates {
            if !rate.is_valid() {
                return Err(format!("ingest.limits.{name} must be {{ messages = 1 to 100000, seconds = 1 to 3600 }}"));
            }
        }
        Ok(())
    }
}

impl RoomConfig {
    /// Err: what is out of bounds, naming the key.
    pub(crate) fn settings(&self) -> Result<Settings, String> {
        let settings = Settings {
            slow_mode_seconds: self.slow_mode_seconds,
            unique_chat: self.unique_chat,
            presenter_only: self.presenter_only,
            word_policy: self.word_policy,
            words: Vec::new(),
            max_length: self.max_length,
            message_rate: self.message_rate,
        };
        settings.check().map_err(|error| format!("ingest.room: {error}"))?;
        Ok(settings)
    }
}

/// The section `[ingest.rooms]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomsConfig {
    /// The base, `http://host:port`; `/room/live/check` is appended.
    pub url: Address,
    /// Milliseconds for a whole answer.
    pub deadline_ms: u64,
    /// Milliseconds that "live" holds.
    pub live_ms: u64,
    /// Milliseconds that "not live" holds.
    pub not_live_ms: u64,
    /// After how many failures in a row the node finds out whether there is an outage.
    pub breaker_failures: u32,
    /// Milliseconds that they stop for, until one is tried.
    pub breaker_open_ms: u64,
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    TimeZone::get(&name).map_err(|_| D::Error::custom(format!("{name:?} is not an IANA time zone such as Asia/Seoul")))
}
