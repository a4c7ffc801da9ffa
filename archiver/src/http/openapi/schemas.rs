//! What the values of the domain look like in JSON, for the document: `nats` knows no HTTP.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{Number, PartialSchema, ToSchema};

use super::super::parameters::LONGEST_SEARCH_BYTES;

macro_rules! schema {
    ($name:ident, $builder:expr) => {
        pub(crate) struct $name;

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
        .description(Some("An event's id, for ever."))
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
        "What a person is in a room: its presenter, a moderator by the token's scope, or anyone else."
    ))
);

schema!(
    Cursor,
    string()
        .format(Some(SchemaFormat::Custom("chat-cursor".to_owned())))
        .description(Some("What `next` was on the page before; opaque. Empty: from the beginning."))
);

schema!(
    SearchText,
    string()
        .format(Some(SchemaFormat::Custom("chat-search".to_owned())))
        .min_length(Some(1))
        .max_length(Some(LONGEST_SEARCH_BYTES))
        .description(Some(
            "1 to 100 characters as people count them, in 8 KB at most, none of them a control character and one of them \
             a blank or to be seen."
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
