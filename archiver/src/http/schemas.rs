//! How values of the domain look in the OpenAPI document: the crate `chat` knows no HTTP.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{Number, PartialSchema, ToSchema};

/// 8 KB, the bound of a message: a character can have any number of marks.
pub(super) const LONGEST_SEARCH_BYTES: usize = 8 * 1024;

macro_rules! schema {
    ($name:ident, $builder:expr) => {
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $builder.build().into()
            }
        }

        impl ToSchema for $name {}
    };
}

schema!(PresenterIdx, idx().description(Some("A room, by its presenter's number.")).examples([42]));

schema!(UserIdx, idx().description(Some("A user, by number.")).examples([7]));

schema!(
    EventId,
    string()
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .description(Some("An event's id. It never changes."))
        .examples(["01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11"])
);

schema!(
    SessionId,
    string()
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .description(Some("A presenter's session."))
        .examples(["01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a12"])
);

schema!(
    Position,
    string()
        .pattern(Some("^[0-9a-f]{1,16}-[0-9a-f]{1,16}-[0-9a-f]{1,8}$"))
        .description(Some("An event's place in the order of its room. Opaque."))
        .examples(["1879f0c3a1b2c3d4-1f-0"])
);

schema!(
    Time,
    string()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("RFC 3339, UTC, to the millisecond."))
        .examples(["2026-01-02T03:04:05.678Z"])
);

schema!(
    Role,
    string().enum_values(Some(["presenter", "moderator", "viewer"])).description(Some(
        "The person's role in the room: its presenter, a moderator (by the token's scope), or a viewer."
    ))
);

schema!(
    Cursor,
    string()
        .format(Some(SchemaFormat::Custom("chat-cursor".to_owned())))
        .description(Some("The value of `next` on the previous page. Opaque. Empty: start at the beginning."))
);

schema!(
    SearchText,
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

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// 1 to 2^53 - 1.
fn idx() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(Number::Int(1)))
        .maximum(Some(Number::Int(chat::LARGEST_IDX as isize)))
}
