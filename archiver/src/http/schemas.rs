//! How values of the read API look in the OpenAPI document. Those of the domain are the same for all roles.

use chat::LONGEST_EMOTE_ID;
use utoipa::openapi::schema::SchemaFormat;
use web::openapi::schema;
use web::openapi::schemas::string;
pub(super) use web::openapi::schemas::{Emotes, EventId, Position, PresenterIdx, Role, Time, UserIdx};

/// 1,100: three names, and a value as long as attributes may be.
pub(super) const LONGEST_ATTRIBUTE_FILTER: usize = 1_100;

/// 8 KB, the bound of a message: a character can have any number of marks.
pub(super) const LONGEST_SEARCH_BYTES: usize = 8 * 1024;

schema!(
    pub(super) SessionId,
    string()
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .description(Some("A presenter's session."))
        .examples(["01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a12"])
);

schema!(
    pub(super) Cursor,
    string()
        .format(Some(SchemaFormat::Custom("chat-cursor".to_owned())))
        .description(Some("The value of `next` on the previous page. Opaque. Empty: start at the beginning."))
);

schema!(
    pub(super) AttributeFilter,
    string()
        .pattern(Some("^[A-Za-z][A-Za-z0-9_]{0,31}(\\.[A-Za-z][A-Za-z0-9_]{0,31}){0,2}:"))
        .max_length(Some(LONGEST_ATTRIBUTE_FILTER))
        .description(Some("The name of an attribute, a colon, and the value."))
        .examples(["color:#00C853"])
);

schema!(
    pub(super) EmoteId,
    string()
        .pattern(Some(format!("^[A-Za-z0-9][A-Za-z0-9_-]{{0,{}}}$", LONGEST_EMOTE_ID - 1)))
        .description(Some("The platform's id of an emote."))
        .examples(["wave"])
);

schema!(
    pub(super) SearchText,
    string()
        .format(Some(SchemaFormat::Custom("chat-search".to_owned())))
        .min_length(Some(1))
        .max_length(Some(LONGEST_SEARCH_BYTES))
        .description(Some(
            "1 to 100 characters (grapheme clusters), at most 8 KB. No control characters; at least one character must \
             be visible or a space."
        ))
        .examples(["안녕"])
);
