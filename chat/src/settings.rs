//! A room's settings: their names and bounds, the room's own settings, how events change them, and what is in force at
//! a moment. A setting can have an end. After it the deployment's setting holds again, without another decision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Readers;
pub use bounds::{LONGEST_TEXT, LONGEST_WORD, MOST_WORDS_BYTES};
use bounds::{MOST_MESSAGES, MOST_RATE_SECONDS, MOST_SLOW_MODE_SECONDS, MOST_WORDS};

mod bounds;
#[cfg(test)]
mod tests;

/// All settings of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Slow mode: seconds between two messages of a viewer. 0 turns it off.
    pub slow_mode_seconds: u32,
    /// Whether a message must differ from the room's recent ones.
    pub unique_chat: bool,
    /// Whether only the presenter and moderators may post.
    pub presenter_only: bool,
    /// Whether viewers may post nothing but emoji.
    pub emoji_only: bool,
    /// Who may post links.
    pub links: Links,
    /// What happens to a message in which the word filter finds something.
    pub word_policy: WordPolicy,
    /// The room's own words for the word filter, in addition to the deployment's.
    pub words: Vec<String>,
    /// The most characters (grapheme clusters) of a message.
    pub max_length: usize,
    /// How many messages a viewer may post.
    pub message_rate: Rate,
    /// Who may read the room live at a delivery node.
    pub readers: Readers,
}

/// Who may post links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Links {
    /// Everyone who may post.
    Everyone,
    /// The presenter and moderators.
    Trusted,
}

/// What happens to a message in which the word filter finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WordPolicy {
    /// The word filter does not run.
    Off,
    /// It is accepted, with the findings in its `flags`.
    Flag,
    /// It is accepted, with stars in place of the findings, and `flags`.
    Mask,
    /// A viewer's waits for a moderator, with the findings in its `flags`. Others are accepted, with `flags`.
    Hold,
    /// It is refused.
    Reject,
}

/// A rate. Spent quota comes back evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many may be sent at once.
    pub messages: u32,
    /// Seconds in which the whole quota comes back.
    pub seconds: u32,
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    SlowModeSeconds(u32),
    UniqueChat(bool),
    PresenterOnly(bool),
    EmojiOnly(bool),
    Links(Links),
    WordPolicy(WordPolicy),
    Words(Vec<String>),
    MaxLength(usize),
    MessageRate(Rate),
    Readers(Readers),
    /// A setting of a later version: it has no effect here, and is passed on unchanged.
    Unknown(Value),
}

/// The settings that a room has set itself, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnSettings(BTreeMap<String, OwnSetting>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnSetting {
    setting: Setting,
    /// None: it has no end.
    until: Option<Timestamp>,
}

/// Why a setting is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// There is no setting of that name.
    #[error("there is no setting {0:?}: the settings are {NAMED}")]
    Unknown(String),
    /// The value is of the wrong type, or out of bounds.
    #[error("the setting {0} must be {1}")]
    Value(&'static str, &'static str),
}

/// Name and bounds, for people.
const NAMES: [(&str, &str); 10] = [
    ("slowModeSeconds", "an integer from 0 to 3600"),
    ("uniqueChat", "true or false"),
    ("presenterOnly", "true or false"),
    ("emojiOnly", "true or false"),
    ("links", "\"everyone\" or \"trusted\""),
    ("wordPolicy", "\"off\", \"flag\", \"mask\", \"hold\" or \"reject\""),
    (
        "words",
        "a list of at most 200 texts of 1 to 50 characters and 8192 bytes in total, each on one line with a visible character",
    ),
    ("maxLength", "an integer from 1 to 500"),
    ("messageRate", "{\"messages\": 1 to 100000, \"seconds\": 1 to 3600}"),
    (READERS, "\"off\", \"members\" or \"anyone\""),
];

const READERS: &str = "readers";

/// The names, for errors about unknown ones.
pub const NAMED: &str = "slowModeSeconds, uniqueChat, presenterOnly, emojiOnly, links, wordPolicy, words, maxLength, \
     messageRate and readers";

impl Settings {
    /// Err: the first setting that is out of bounds.
    pub fn check(&self) -> Result<(), InvalidSetting> {
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
    /// Whether both numbers are within their bounds.
    pub fn is_valid(self) -> bool {
        (1..=MOST_MESSAGES).contains(&self.messages) && (1..=MOST_RATE_SECONDS).contains(&self.seconds)
    }
}

impl Setting {
    /// Parses one setting.
    fn parse(name: &str, value: &Value) -> Result<Setting, InvalidSetting> {
        fn read<T: DeserializeOwned>(name: &str, value: &Value) -> Result<T, InvalidSetting> {
            T::deserialize(value).map_err(|_| invalid(name))
        }
        let setting = match name {
            "slowModeSeconds" => Setting::SlowModeSeconds(read(name, value)?),
            "uniqueChat" => Setting::UniqueChat(read(name, value)?),
            "presenterOnly" => Setting::PresenterOnly(read(name, value)?),
            "emojiOnly" => Setting::EmojiOnly(read(name, value)?),
            "links" => Setting::Links(read(name, value)?),
            "wordPolicy" => Setting::WordPolicy(read(name, value)?),
            "words" => Setting::Words(read(name, value)?),
            "maxLength" => Setting::MaxLength(read(name, value)?),
            "messageRate" => Setting::MessageRate(read(name, value)?),
            READERS => Setting::Readers(read(name, value)?),
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
            Setting::UniqueChat(_)
            | Setting::PresenterOnly(_)
            | Setting::EmojiOnly(_)
            | Setting::Links(_)
            | Setting::WordPolicy(_)
            | Setting::Readers(_)
            | Setting::Unknown(_) => true,
        }
    }

    /// The setting as a room may set it now. Earlier versions allowed more words, and those stay in effect.
    fn settable(self, is_text: impl Fn(&str) -> bool) -> Result<Setting, InvalidSetting> {
        let Setting::Words(words) = self else { return Ok(self) };
        let words: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
        let bytes: usize = words.iter().map(String::len).sum();
        if bytes > MOST_WORDS_BYTES || !words.iter().all(|word| is_text(word)) {
            return Err(invalid("words"));
        }
        Ok(Setting::Words(words))
    }

    fn to_value(&self) -> Value {
        match self {
            Setting::SlowModeSeconds(seconds) => json!(seconds),
            Setting::UniqueChat(is_on) | Setting::PresenterOnly(is_on) | Setting::EmojiOnly(is_on) => json!(is_on),
            Setting::Links(links) => json!(links),
            Setting::WordPolicy(policy) => json!(policy),
            Setting::Words(words) => json!(words),
            Setting::MaxLength(length) => json!(length),
            Setting::MessageRate(rate) => json!(rate),
            Setting::Readers(readers) => json!(readers),
            Setting::Unknown(value) => value.clone(),
        }
    }

    fn apply(&self, settings: &mut Settings) {
        match self {
            Setting::SlowModeSeconds(seconds) => settings.slow_mode_seconds = *seconds,
            Setting::UniqueChat(is_on) => settings.unique_chat = *is_on,
            Setting::PresenterOnly(is_on) => settings.presenter_only = *is_on,
            Setting::EmojiOnly(is_on) => settings.emoji_only = *is_on,
            Setting::Links(links) => settings.links = *links,
            Setting::WordPolicy(policy) => settings.word_policy = *policy,
            Setting::Words(words) => settings.words.clone_from(words),
            Setting::MaxLength(length) => settings.max_length = *length,
            Setting::MessageRate(rate) => settings.message_rate = *rate,
            Setting::Readers(readers) => settings.readers = *readers,
            Setting::Unknown(_) => {}
        }
    }
}

impl OwnSettings {
    /// The settings of an event. A setting that this version does not understand has no effect here, and is kept for
    /// later versions.
    pub fn of_event(settings: &Map<String, Value>, until: &Map<String, Value>) -> OwnSettings {
        let setting = |(name, value): (&String, &Value)| {
            let setting = Setting::parse(name, value).unwrap_or_else(|_| Setting::Unknown(value.clone()));
            // An end that cannot be parsed counts as past: a setting must not hold longer than was decided.
            let parsed = |until: &Value| until.as_str().and_then(|until| until.parse().ok());
            let until = until.get(name).map(|until| parsed(until).unwrap_or(Timestamp::UNIX_EPOCH));
            (name.clone(), OwnSetting { setting, until })
        };
        OwnSettings(settings.iter().map(setting).collect())
    }

    /// For an event: the settings, and the ends of those that have one.
    pub fn to_event(&self) -> (Map<String, Value>, Map<String, Value>) {
        let OwnSettings(own) = self;
        let settings = own.iter().map(|(name, own)| (name.clone(), own.setting.to_value()));
        let end = |(name, own): (&String, &OwnSetting)| Some((name.clone(), json!(format!("{:.3}", own.until?))));
        (settings.collect(), own.iter().filter_map(end).collect())
    }

    /// Copies from `decided` the settings that the event changed. The others stay.
    pub fn change(&mut self, changed: &[String], mut decided: OwnSettings) {
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

    /// The next time at which a setting ends.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.values().filter_map(|own| own.until).filter(|until| *until > now).min()
    }

    /// The settings after a patch, whose settings hold until `until` or without an end. Null removes a setting, so that
    /// the deployment's holds. Settings that have ended by `now` are left out. `is_text` tells whether a text is valid
    /// as a message, which each of the room's words must be. Err: the first setting that is invalid.
    pub fn patched(
        &self,
        patch: &Map<String, Value>,
        until: Option<Timestamp>,
        now: Timestamp,
        is_text: impl Fn(&str) -> bool,
    ) -> Result<OwnSettings, InvalidSetting> {
        let mut own = self.at(now);
        for (name, value) in patch {
            if value.is_null() && is_known(name) {
                own.0.remove(name);
                continue;
            }
            let setting = Setting::parse(name, value)?.settable(&is_text)?;
            own.0.insert(name.clone(), OwnSetting { setting, until });
        }
        Ok(own)
    }

    /// The settings in force: the room's own over the deployment's.
    pub fn over(&self, deployment: &Settings, now: Timestamp) -> Settings {
        let mut settings = deployment.clone();
        self.at(now).0.values().for_each(|own| own.setting.apply(&mut settings));
        settings
    }

    /// Who may read the room, where it has set this itself. A value that this version does not know admits nobody,
    /// because it may be a narrower one.
    pub fn readers(&self, now: Timestamp) -> Option<Readers> {
        let own = self.0.get(READERS).filter(|own| own.holds(now))?;
        Some(if let Setting::Readers(readers) = own.setting { readers } else { Readers::Off })
    }

    /// Only the setting `readers`, for a node that needs no other.
    pub fn only_readers(mut self) -> OwnSettings {
        self.0.retain(|name, _| name == READERS);
        self
    }

    /// The names of the settings that have no effect in this version.
    pub fn ignored(&self) -> impl Iterator<Item = &str> {
        let ignored = self.0.iter().filter(|(_, own)| matches!(own.setting, Setting::Unknown(_)));
        ignored.map(|(name, _)| name.as_str())
    }

    /// The settings that have not ended.
    pub fn at(&self, now: Timestamp) -> OwnSettings {
        let standing = self.0.iter().filter(|(_, own)| own.holds(now));
        OwnSettings(standing.map(|(name, own)| (name.clone(), own.clone())).collect())
    }

    /// Whether all of the room's own settings have ended.
    pub fn is_empty(&self, now: Timestamp) -> bool {
        self.at(now).0.is_empty()
    }
}

impl OwnSetting {
    fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

fn is_known(name: &str) -> bool {
    NAMES.iter().any(|(known, _)| *known == name)
}

fn invalid(name: &str) -> InvalidSetting {
    let (name, bounds) = NAMES.iter().find(|(known, _)| *known == name).expect("every setting has a name and bounds");
    InvalidSetting::Value(name, bounds)
}
