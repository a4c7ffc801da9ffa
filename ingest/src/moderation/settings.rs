//! A room's settings: their names and bounds, what of them the room has set itself, and what holds at a moment. A
//! setting can end by itself; then the deployment's holds again, without anyone asking.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::moderation::settings::schema::Word;
use crate::posting::text::{LONGEST_TEXT, Text};

pub(crate) mod schema;
#[cfg(test)]
pub(crate) mod tests;

/// Every setting, as it holds at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Seconds between two messages of a viewer; 0: none.
    #[schema(maximum = 3600)]
    pub slow_mode_seconds: u32,
    /// Whether a message must differ from the room's latest ones.
    pub unique_chat: bool,
    /// Whether only the presenter and moderators may write.
    pub presenter_only: bool,
    /// What becomes of a message in which the word filter finds something.
    pub word_policy: WordPolicy,
    /// Words of the room's own, beside those of the deployment.
    #[schema(value_type = Vec<Word>, max_items = 200)]
    pub words: Vec<String>,
    /// Characters (grapheme clusters) of a message.
    #[schema(minimum = 1, maximum = 500)]
    pub max_length: usize,
    /// How many messages a viewer may write in a time.
    pub message_rate: Rate,
}

/// What becomes of a message in which the word filter finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WordPolicy {
    /// Nothing is looked for.
    Off,
    /// It is accepted, with what was found in its `flags`.
    Flag,
    /// It is accepted, with stars for what was found, and flags.
    Mask,
    /// It is refused.
    Reject,
}

/// So many in a time. What was spent comes back evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many at once.
    #[schema(minimum = 1, maximum = 100000)]
    pub messages: u32,
    /// Seconds in which all of them come back.
    #[schema(minimum = 1, maximum = 3600)]
    pub seconds: u32,
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    SlowModeSeconds(u32),
    UniqueChat(bool),
    PresenterOnly(bool),
    WordPolicy(WordPolicy),
    Words(Vec<String>),
    MaxLength(usize),
    MessageRate(Rate),
    /// Of a later version: it does not hold here, and is passed on as it came.
    Unknown(Value),
}

/// What a room has set itself, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnSettings(BTreeMap<String, OwnSetting>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnSetting {
    setting: Setting,
    /// When it ends by itself, if it does.
    until: Option<Timestamp>,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSetting {
    /// There is none of that name.
    #[error("there is no setting {0:?}: {NAMED} are settings")]
    Unknown(String),
    /// The value is of the wrong type, or out of bounds.
    #[error("the setting {0} must be {1}")]
    Value(&'static str, &'static str),
}

/// Name and bounds, for people.
const NAMES: [(&str, &str); 7] = [
    ("slowModeSeconds", "an integer from 0 to 3600"),
    ("uniqueChat", "true or false"),
    ("presenterOnly", "true or false"),
    ("wordPolicy", "\"off\", \"flag\", \"mask\" or \"reject\""),
    (
        "words",
        "a list of at most 200 texts of 1 to 50 characters, of 8192 bytes together, each on one line and with something to see",
    ),
    ("maxLength", "an integer from 1 to 500"),
    ("messageRate", "{\"messages\": 1 to 100000, \"seconds\": 1 to 3600}"),
];

/// The names, for whoever has made one up.
pub(crate) const NAMED: &str =
    "slowModeSeconds, uniqueChat, presenterOnly, wordPolicy, words, maxLength and messageRate";

/// An hour: who writes less often does not chat.
const MOST_SLOW_MODE_SECONDS: u32 = 3_600;

/// Each is looked for in every message of the room, and all of them stand in an event.
const MOST_WORDS: usize = 200;

/// Characters of a word.
pub(crate) const LONGEST_WORD: usize = 50;

/// 8 KB: the words stand in every event about the room's settings, and every node keeps them.
pub(crate) const MOST_WORDS_BYTES: usize = 8 * 1024;

/// What a load test needs of one user.
const MOST_MESSAGES: u32 = 100_000;

const MOST_RATE_SECONDS: u32 = 3_600;

impl Settings {
    /// The first setting that is out of its bounds.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        let checks = [
            ("slowModeSeconds", Setting::SlowModeSeconds(self.slow_mode_seconds)),
            ("words", Setting::Words(self.words.clone())),
            ("maxLength", Setting::MaxLength(self.max_length)),
            ("messageRate", Setting::MessageRate(self.message_rate)),
        ];
        match checks.iter().find(|(_, setting)| !setting.is_within_bounds()) {
            Some((name, _)) => Err(invalid(name)),
            None => Ok(()),
        }
    }
}

impl Rate {
    pub(crate) fn is_valid(self) -> bool {
        (1..=MOST_MESSAGES).contains(&self.messages) && (1..=MOST_RATE_SECONDS).contains(&self.seconds)
    }
}

impl Setting {
    /// The setting of that name with that value, whatever the others are.
    fn parse(name: &str, value: &Value) -> Result<Setting, InvalidSetting> {
        fn read<T: DeserializeOwned>(name: &str, value: &Value) -> Result<T, InvalidSetting> {
            T::deserialize(value).map_err(|_| invalid(name))
        }
        let setting = match name {
            "slowModeSeconds" => Setting::SlowModeSeconds(read(name, value)?),
            "uniqueChat" => Setting::UniqueChat(read(name, value)?),
            "presenterOnly" => Setting::PresenterOnly(read(name, value)?),
            "wordPolicy" => Setting::WordPolicy(read(name, value)?),
            "words" => Setting::Words(read(name, value)?),
            "maxLength" => Setting::MaxLength(read(name, value)?),
            "messageRate" => Setting::MessageRate(read(name, value)?),
            _ => return Err(InvalidSetting::Unknown(name.to_owned())),
        };
        if setting.is_within_bounds() { Ok(setting) } else { Err(invalid(name)) }
    }

    fn is_within_bounds(&self) -> bool {
        let is_word = |word: &String| (1..=LONGEST_WORD).contains(&word.trim().chars().count());
        match self {
            Setting::SlowModeSeconds(seconds) => *seconds <= MOST_SLOW_MODE_SECONDS,
            Setting::Words(words) => words.len() <= MOST_WORDS && words.iter().all(is_word),
            Setting::MaxLength(length) => (1..=LONGEST_TEXT).contains(length),
            Setting::MessageRate(rate) => rate.is_valid(),
            Setting::UniqueChat(_) | Setting::PresenterOnly(_) | Setting::WordPolicy(_) | Setting::Unknown(_) => true,
        }
    }

    /// As a room may set it now. Earlier versions let in more words, and those hold on.
    fn settable(self) -> Result<Setting, InvalidSetting> {
        let Setting::Words(words) = self else { return Ok(self) };
        let words: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
        let bytes: usize = words.iter().map(String::len).sum();
        if bytes > MOST_WORDS_BYTES || words.iter().any(|word| Text::parse(word).is_err()) {
            return Err(invalid("words"));
        }
        Ok(Setting::Words(words))
    }

    fn to_value(&self) -> Value {
        match self {
            Setting::SlowModeSeconds(seconds) => json!(seconds),
            Setting::UniqueChat(is_on) | Setting::PresenterOnly(is_on) => json!(is_on),
            Setting::WordPolicy(policy) => json!(policy),
            Setting::Words(words) => json!(words),
            Setting::MaxLength(length) => json!(length),
            Setting::MessageRate(rate) => json!(rate),
            Setting::Unknown(value) => value.clone(),
        }
    }

    fn apply(&self, settings: &mut Settings) {
        match self {
            Setting::SlowModeSeconds(seconds) => settings.slow_mode_seconds = *seconds,
            Setting::UniqueChat(is_on) => settings.unique_chat = *is_on,
            Setting::PresenterOnly(is_on) => settings.presenter_only = *is_on,
            Setting::WordPolicy(policy) => settings.word_policy = *policy,
            Setting::Words(words) => settings.words.clone_from(words),
            Setting::MaxLength(length) => settings.max_length = *length,
            Setting::MessageRate(rate) => settings.message_rate = *rate,
            Setting::Unknown(_) => {}
        }
    }
}

impl OwnSettings {
    /// From an event. What this version does not understand does not hold here, and is kept for those that do.
    pub(crate) fn of_event(settings: &Map<String, Value>, until: &Map<String, Value>) -> OwnSettings {
        let setting = |(name, value): (&String, &Value)| {
            let setting = Setting::parse(name, value).unwrap_or_else(|error| {
                tracing::warn!(%error, "a room's setting is not understood and does not hold here: {error}");
                Setting::Unknown(value.clone())
            });
            // A time that cannot be read has passed: a setting must not hold for longer than somebody wanted.
            let parsed = |until: &Value| until.as_str().and_then(|until| until.parse().ok());
            let until = until.get(name).map(|until| parsed(until).unwrap_or(Timestamp::UNIX_EPOCH));
            (name.clone(), OwnSetting { setting, until })
        };
        OwnSettings(settings.iter().map(setting).collect())
    }

    /// For an event: the settings, and the ends of those that end by themselves.
    pub(crate) fn to_event(&self) -> (Map<String, Value>, Map<String, Value>) {
        let OwnSettings(own) = self;
        let settings = own.iter().map(|(name, own)| (name.clone(), own.setting.to_value()));
        let end = |(name, own): (&String, &OwnSetting)| Some((name.clone(), json!(format!("{:.3}", own.until?))));
        (settings.collect(), own.iter().filter_map(end).collect())
    }

    /// Takes over from `decided` the settings that the event changed; the others stay.
    pub(crate) fn change(&mut self, changed: &[String], mut decided: OwnSettings) {
        if changed.is_empty() {
            *self = decided;
            return;
        }
        for name in changed {
            match decided.0.remove(name) {
                Some(own) => self.0.insert(name.clone(), own),
                None => self.0.remove(name),
            };
        }
    }

    /// When the next of the settings ends by itself.
    pub(crate) fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.values().filter_map(|own| own.until).filter(|until| *until > now).min()
    }

    /// With the settings that the patch names, until then or without an end. Null removes a setting, so that the
    /// deployment's holds. What has ended by `now` is left out.
    pub(crate) fn patched(
        &self,
        patch: &Map<String, Value>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<OwnSettings, InvalidSetting> {
        let mut own = self.at(now);
        for (name, value) in patch {
            if value.is_null() && is_known(name) {
                own.0.remove(name);
                continue;
            }
            let setting = Setting::parse(name, value)?.settable()?;
            own.0.insert(name.clone(), OwnSetting { setting, until });
        }
        Ok(own)
    }

    /// What holds then: the room's own settings over the deployment's.
    pub(crate) fn over(&self, deployment: &Settings, now: Timestamp) -> Settings {
        let mut settings = deployment.clone();
        self.at(now).0.values().for_each(|own| own.setting.apply(&mut settings));
        settings
    }

    /// Without what has ended by then.
    pub(crate) fn at(&self, now: Timestamp) -> OwnSettings {
        let holds = |own: &OwnSetting| own.until.is_none_or(|until| until > now);
        let standing = self.0.iter().filter(|(_, own)| holds(own));
        OwnSettings(standing.map(|(name, own)| (name.clone(), own.clone())).collect())
    }

    /// Whether no setting of the room's own holds any more.
    pub(crate) fn is_empty(&self, now: Timestamp) -> bool {
        self.at(now).0.is_empty()
    }
}

fn is_known(name: &str) -> bool {
    NAMES.iter().any(|(known, _)| *known == name)
}

fn invalid(name: &str) -> InvalidSetting {
    let (name, bounds) = NAMES.iter().find(|(known, _)| *known == name).expect("every setting has a name and bounds");
    InvalidSetting::Value(name, bounds)
}
