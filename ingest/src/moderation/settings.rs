//! A change of a room's settings. What settings are is in `chat`; which texts can be the words of a room, ingest knows.

use chat::settings::{InvalidSetting, OwnSettings};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::posting::text::Text;

/// As [`OwnSettings::patched`].
pub(crate) fn patched(
    own: &OwnSettings,
    patch: &Map<String, Value>,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<OwnSettings, InvalidSetting> {
    own.patched(patch, until, now, |word| Text::parse(word).is_ok())
}

#[cfg(test)]
pub(crate) mod tests {
    use chat::settings::{Links, Rate, Settings, WordPolicy};
    use serde_json::json;

    use super::*;

    /// The settings of `src/defaults.toml`.
    pub(crate) fn deployment() -> Settings {
        Settings {
            slow_mode_seconds: 0,
            unique_chat: false,
            presenter_only: false,
            emoji_only: false,
            links: Links::Everyone,
            word_policy: WordPolicy::Flag,
            words: Vec::new(),
            max_length: 500,
            message_rate: Rate { messages: 20, seconds: 30 },
            readers: chat::Readers::Off,
        }
    }

    #[test]
    fn a_room_can_only_have_words_that_a_message_could_be() {
        let set = |word: &str| {
            let Value::Object(patch) = json!({ "words": ["spoiler", word] }) else { unreachable!("it is an object") };
            patched(&OwnSettings::default(), &patch, None, chat::now())
        };
        assert!(set("스포일러").is_ok());
        for word in ["\u{200B}", "\u{3164}", "a\nb", "a\u{FFFF}"] {
            assert_eq!(set(word).unwrap_err().to_string().split(" must").next(), Some("the setting words"), "{word:?}");
        }
    }
}
