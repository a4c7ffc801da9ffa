//! The JSON schemas of settings whose types know no OpenAPI.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::bounds::{LONGEST_WORD, MOST_WORDS_BYTES};

/// A word of a room.
pub(crate) struct Word;

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
pub(crate) enum Readers {
    Off,
    Members,
    Anyone,
}
