//! The emotes that a token allows to its user's messages.

use std::sync::Arc;

use serde_json::Value;

use super::is_emote_id;

/// Some emotes, or every one. Cheap to clone. As large as the claim that it is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedEmotes(Arc<str>);

/// What allows every emote.
const EVERY: &str = "*";

impl AllowedEmotes {
    /// A list of ids, or `"*"`. None: it is neither.
    pub fn parse(value: &Value) -> Option<AllowedEmotes> {
        match value {
            Value::String(every) => (every == EVERY).then(|| AllowedEmotes(EVERY.into())),
            Value::Array(ids) => {
                let id = |id: &Value| id.as_str().filter(|id| is_emote_id(id)).map(str::to_owned);
                let ids: Vec<String> = ids.iter().map(id).collect::<Option<_>>()?;
                Some(AllowedEmotes(ids.join(" ").into()))
            }
            _ => None,
        }
    }

    /// Whether it allows none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it allows the emote.
    pub fn has(&self, id: &str) -> bool {
        &*self.0 == EVERY || self.0.split_terminator(' ').any(|allowed| allowed == id)
    }

    /// As a claim has it.
    pub fn to_claim(&self) -> Value {
        if &*self.0 == EVERY { EVERY.into() } else { self.0.split_terminator(' ').collect::<Vec<_>>().into() }
    }
}
