//! The query parameter `emote`: the id of an emote.

use chat::is_emote_id;
use serde::Deserialize;

/// The id of an emote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct EmoteParameter(String);

impl EmoteParameter {
    pub(super) fn into_id(self) -> String {
        self.0
    }
}

impl TryFrom<String> for EmoteParameter {
    type Error = &'static str;

    fn try_from(id: String) -> Result<EmoteParameter, &'static str> {
        const EXPECTED: &str = "`emote` must be the id of an emote: letters, digits, hyphens and underscores";
        if is_emote_id(&id) { Ok(EmoteParameter(id)) } else { Err(EXPECTED) }
    }
}
