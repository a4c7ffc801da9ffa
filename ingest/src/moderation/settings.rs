//! A room's settings: their names and bounds, what of them the room has set itself, and what holds at a moment. A
//! setting can end by itself; then the deployment's holds again, without anyone asking.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::openapi::schemas;
use crate::posting::text::{LONGEST_TEXT, Text};

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
    #[schema(value_type = Vec<schemas::Word>, max_items = 200)]
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

/// What a room has set itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// By name. Every value is valid.
    settings: BTreeMap<&'static str, Value>,
    /// Of those that end by themselves, when.
    until: BTreeMap<&'static str, Timestamp>,
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
        let Settings { slow_mode_seconds, words, max_length, message_rate, .. } = self;
        let is_word = |word: &String| (1..=LONGEST_WORD).contains(&word.trim().chars().count());
        let checks = [
            ("slowModeSeconds", *slow_mode_seconds <= MOST_SLOW_MODE_SECONDS),
            ("words", words.len() <= MOST_WORDS && words.iter().all(is_word)),
            ("maxLength", (1..=LONGEST_TEXT).contains(max_length)),
            ("messageRate", message_rate.is_valid()),
        ];
        match checks.iter().find(|(_, is_valid)| !is_valid) {
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

impl Own {
    /// As an event says it. What this version does not understand does not hold here.
    pub(crate) fn of_event(settings: &Map<String, Value>, until: &Map<String, Value>) -> Own {
        let mut own = Own::default();
        for (name, value) in settings {
            match known(name).and_then(|name| checked(name, value).map(|()| name)) {
                Ok(name) => drop(own.settings.insert(name, value.clone())),
                Err(error) => tracing::warn!(%error, "a setting of a room is not understood and does not hold here"),
            }
            if let (Ok(name), Some(until)) = (known(name), until.get(name)) {
                // What cannot be read has ended: a setting must not hold for longer than somebody wanted.
                let until = until.as_str().and_then(|until| until.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
                own.until.insert(name, until);
            }
        }
        own
    }

    /// As an event says it: the settings, and when those end that end by themselves.
    pub(crate) fn to_event(&self) -> (Map<String, Value>, Map<String, Value>) {
        let settings = self.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let until = self.until.iter().map(|(name, until)| ((*name).to_owned(), Value::from(format!("{until:.3}"))));
        (settings.collect(), until.collect())
    }

    /// Takes over from `decided` what the event is about; the rest stays.
    pub(crate) fn change(&mut self, changed: &[String], decided: Own) {
        if changed.is_empty() {
            *self = decided;
            return;
        }
        for name in changed.iter().filter_map(|name| known(name).ok()) {
            self.settings.remove(name);
            self.until.remove(name);
            self.settings.extend(decided.settings.get(name).map(|value| (name, value.clone())));
            self.until.extend(decided.until.get(name).map(|until| (name, *until)));
        }
    }

    /// When the next of the settings ends by itself.
    pub(crate) fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.values().filter(|until| **until > now).min().copied()
    }

    /// Sets what the patch names, until then or for good; null gives a setting back to the deployment. What has
    /// ended by `now` is left out.
    pub(crate) fn patched(
        &self,
        patch: &Map<String, Value>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Own, InvalidSetting> {
        let mut own = self.at(now);
        for (name, value) in patch {
            let name = known(name)?;
            own.settings.remove(name);
            own.until.remove(name);
            if value.is_null() {
                continue;
            }
            checked(name, value)?;
            let value = if name == "words" { words(value)? } else { value.clone() };
            own.settings.insert(name, value);
            own.until.extend(until.map(|until| (name, until)));
        }
        Ok(own)
    }

    /// What holds then: the room's own over the deployment's.
    pub(crate) fn over(&self, deployment: &Settings, now: Timestamp) -> Settings {
        let own = self.at(now);
        if own.settings.is_empty() {
            return deployment.clone();
        }
        with(deployment, &own.settings).expect("every value was checked when it came in")
    }

    /// Without what has ended by then.
    pub(crate) fn at(&self, now: Timestamp) -> Own {
        let mut own = self.clone();
        own.until.retain(|_, until| *until > now);
        own.settings.retain(|name, _| own.until.contains_key(name) || !self.until.contains_key(name));
        own
    }

    /// Whether the room has set nothing, or nothing that still holds.
    pub(crate) fn is_empty(&self, now: Timestamp) -> bool {
        self.at(now).settings.is_empty()
    }
}

fn known(name: &str) -> Result<&'static str, InvalidSetting> {
    let known = NAMES.iter().map(|(known, _)| *known).find(|known| *known == name);
    known.ok_or_else(|| InvalidSetting::Unknown(name.to_owned()))
}

fn invalid(name: &str) -> InvalidSetting {
    let (name, bounds) = NAMES.iter().find(|(known, _)| *known == name).expect("every setting has a name and bounds");
    InvalidSetting::Value(name, bounds)
}

/// Whether a setting can have that value, whatever the others are.
fn checked(name: &'static str, value: &Value) -> Result<(), InvalidSetting> {
    let any = Settings {
        slow_mode_seconds: 0,
        unique_chat: false,
        presenter_only: false,
        word_policy: WordPolicy::Off,
        words: Vec::new(),
        max_length: LONGEST_TEXT,
        message_rate: Rate { messages: 1, seconds: 1 },
    };
    let settings = with(&any, &BTreeMap::from([(name, value.clone())])).map_err(|_| invalid(name))?;
    settings.check()
}

/// Words as a room may set them: what an older version let in holds on, and may be more.
fn words(value: &Value) -> Result<Value, InvalidSetting> {
    let words: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::trim).collect();
    let bytes: usize = words.iter().map(|word| word.len()).sum();
    if bytes > MOST_WORDS_BYTES || words.iter().any(|word| Text::parse(word).is_err()) {
        return Err(invalid("words"));
    }
    Ok(words.into())
}

fn with(settings: &Settings, own: &BTreeMap<&'static str, Value>) -> serde_json::Result<Settings> {
    let mut all = serde_json::to_value(settings)?;
    for (name, value) in own {
        all[*name] = value.clone();
    }
    serde_json::from_value(all)
}
