//! The section `[ingest]`: its settings and their bounds. Sections of one part of ingest alone are beside that part.
//! The defaults are in `src/defaults.toml`, nowhere else.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use chat::Readers;
use chat::settings::{Links, Rate, Settings, WordPolicy};
use conf::{Address, Problem, Span, optional_address};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, de::Error};

use crate::http::gateway::{Gateway, GatewayConfig};
use crate::outbound::room_server::RoomsConfig;
use crate::posting::limits::LimitsConfig;
use crate::posting::review::ReviewConfig;
use crate::posting::word_filter::WordsConfig;

/// 10 s to 1 h: a moderator needs a moment, and a chat is over after an hour.
const HOLDS: RangeInclusive<Span> = Span::from_secs(10)..=Span::from_hours(1);

/// The section `[ingest]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; read by the binary, which binds it.
    pub listen: SocketAddr,
    /// The listener for operators.
    pub admin: web::AdminConfig,
    /// The certificate of the main listener.
    pub tls: tls::ServerConfig,
    /// The zone of `timestamp` in the original's error body. An IANA name, such as `Asia/Seoul`.
    #[serde(deserialize_with = "time_zone")]
    pub time_zone: TimeZone,
    /// Concurrent requests, from the end of the body to the answer. More get 503 at once.
    pub max_in_flight: usize,
    /// Concurrent requests with a valid token and an unfinished body. More push out the oldest of the user with most.
    pub max_unfinished: usize,
    /// The time for a post's body to arrive.
    pub body_timeout: Span,
    /// How long an idempotency key is remembered.
    pub idempotency: Span,
    /// How many idempotency keys are remembered. Beyond that, the oldest are forgotten earlier.
    pub idempotency_keys: usize,
    /// How long a message waits for a moderator, who releases or denies it. Then it is denied.
    pub hold: Span,
    /// Where a reconnect request is posted too. Empty: nowhere.
    #[serde(deserialize_with = "optional_address")]
    pub reconnect_webhook: Option<Address>,
    /// The settings of a room that has set nothing itself.
    pub room: RoomConfig,
    /// Which words the word filter looks for.
    pub words: WordsConfig,
    /// Rates over all nodes.
    pub limits: LimitsConfig,
    /// The platform's review hook.
    pub review: ReviewConfig,
    /// Timeouts and bounds of the listener.
    pub http: web::ServeConfig,
    /// When forwarded headers count.
    pub gateway: GatewayConfig,
    /// The server that knows which rooms are live.
    pub rooms: RoomsConfig,
}

/// The section `[ingest.room]` of the configuration: the deployment's settings. A room can change each of them for
/// itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomConfig {
    /// The time between two messages of a viewer, in whole seconds. 0: none.
    pub slow_mode: Span,
    /// Whether a message must differ from the room's latest ones.
    pub unique_chat: bool,
    /// Whether only the presenter and moderators may write.
    pub presenter_only: bool,
    /// Whether viewers may write nothing but emoji.
    pub emoji_only: bool,
    /// Who may write links.
    pub links: Links,
    /// The action on a match of the word filter.
    pub word_policy: WordPolicy,
    /// Characters of a message, 500 at most.
    pub max_length: usize,
    /// The rate of a viewer's messages.
    pub message_rate: Rate,
    /// Who may read the room live. Delivery heeds it.
    pub readers: Readers,
}

impl Config {
    /// Every setting that cannot work with a log of that age. It reads the files of the word lists.
    pub fn problems(&self, log_age: Duration) -> Vec<Problem> {
        let checks = [
            self.words.check().err(),
            self.limits.check().err(),
            self.review.check().err(),
            self.room.settings().err(),
        ];
        let gateway = Gateway::new(&self.gateway, "ingest.gateway").err();
        let hold = match () {
            () if !HOLDS.contains(&self.hold) => Some("must be 10s to 1h"),
            () if self.hold.get() > log_age / 2 => {
                Some("must be at most half of nats.max_age: a hold ends within the log")
            }
            () => None,
        };
        let hold = hold.map(|reason| Problem::new("ingest.hold", reason));
        gateway.into_iter().chain(hold).chain(checks.into_iter().flatten().map(Problem::from)).collect()
    }
}

impl RoomConfig {
    /// Err: what is out of bounds, naming the key.
    pub(crate) fn settings(&self) -> Result<Settings, String> {
        let slow_mode = self.slow_mode.whole_seconds().and_then(|seconds| u32::try_from(seconds).ok());
        let settings = Settings {
            slow_mode_seconds: slow_mode.ok_or("ingest.room.slow_mode: must be whole seconds")?,
            unique_chat: self.unique_chat,
            presenter_only: self.presenter_only,
            emoji_only: self.emoji_only,
            links: self.links,
            word_policy: self.word_policy,
            words: Vec::new(),
            max_length: self.max_length,
            message_rate: self.message_rate,
            readers: self.readers,
        };
        settings.check().map_err(|error| format!("ingest.room: {error}"))?;
        Ok(settings)
    }
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    TimeZone::get(&name).map_err(|_| D::Error::custom(format!("{name:?} is not an IANA time zone such as Asia/Seoul")))
}
