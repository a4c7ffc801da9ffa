//! The JSON schemas of a room's settings, whose types in `chat` know no OpenAPI.

use chat::settings::{LONGEST_WORD, MOST_WORDS_BYTES};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// All settings of a room.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "documents `chat::settings::Settings`")]
pub(crate) struct Settings {
    /// Slow mode: seconds between two messages of a viewer. 0 turns it off.
    #[schema(maximum = 3600)]
    slow_mode_seconds: u32,
    /// Whether a message must differ from the room's recent ones.
    unique_chat: bool,
    /// Whether only the presenter and moderators may post.
    presenter_only: bool,
    /// Whether viewers may post nothing but emoji.
    emoji_only: bool,
    /// Who may post links.
    links: Links,
    /// What happens to a message in which the word filter finds something.
    word_policy: WordPolicy,
    /// The room's own words for the word filter, in addition to the deployment's.
    #[schema(max_items = 200)]
    words: Vec<Word>,
    /// The most characters (grapheme clusters) of a message.
    #[schema(minimum = 1, maximum = 500)]
    max_length: usize,
    /// How many messages a viewer may post.
    message_rate: Rate,
    /// Who may read the room live at a delivery node.
    readers: Readers,
}

/// Who may post links: everyone who may post, or only the presenter and moderators.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documents `chat::settings::Links`")]
enum Links {
    Everyone,
    Trusted,
}

/// What happens to a message in which the word filter finds something.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documents `chat::settings::WordPolicy`")]
enum WordPolicy {
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
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "documents `chat::settings::Rate`")]
struct Rate {
    /// How many may be sent at once.
    #[schema(minimum = 1, maximum = 100000)]
    messages: u32,
    /// Seconds in which the whole quota comes back.
    #[schema(minimum = 1, maximum = 3600)]
    seconds: u32,
}

/// A word of a room.
struct Word;

impl PartialSchema for Word {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("chat-word".to_owned())))
            .min_length(Some(1))
            .max_length(Some(LONGEST_WORD))
            .description(Some(format!(
                "1 to {LONGEST_WORD} characters after trimming, each valid in a message. All words of a room together \
                 have at most {MOST_WORDS_BYTES} bytes."
            )))
            .build()
            .into()
    }
}

impl ToSchema for Word {}

/// Who may read a room live: nobody but its presenter, moderators and services, every user with a valid token, or
/// everybody.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documents `chat::Readers`")]
enum Readers {
    Off,
    Members,
    Anyone,
}
