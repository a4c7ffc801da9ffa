//! The room setting `readers`.

use serde::{Deserialize, Serialize};

/// Who may read a room live, beside its presenter, moderators, and services with the scope `chat:read`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readers {
    /// Nobody else.
    #[default]
    Off,
    /// Every user with a valid token.
    Members,
    /// Everybody, without a token.
    Anyone,
}
