//! How values of the domain look in OpenAPI documents, the same for all roles: the crate `chat` does not know HTTP.

use chat::{LONGEST_EMOTE_ID, MOST_EMOTES};
use serde_json::json;
use utoipa::Number;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};

use super::schema;

schema!(
    /// A room.
    pub PresenterIdx, idx().description(Some("A room: its presenter's number.")).examples([42]));

schema!(
    /// A user.
    pub UserIdx, idx().description(Some("A user's number.")).examples([7]));

schema!(
    /// An event's id.
    pub EventId,
    string()
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .description(Some("An event's id. It never changes."))
        .examples(["01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11"])
);

schema!(
    /// An event's place in its room.
    pub Position,
    string()
        .pattern(Some("^[0-9a-f]{1,16}-[0-9a-f]{1,16}-[0-9a-f]{1,8}$"))
        .description(Some("An event's place in the order of its room. Treat it as opaque."))
        .examples(["1879f0c3a1b2c3d4-1f-0"])
);

schema!(
    /// A time.
    pub Time,
    string()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("RFC 3339, UTC, with milliseconds."))
        .examples(["2026-01-02T03:04:05.678Z"])
);

schema!(
    /// A user's role in a room.
    pub Role,
    string()
        .enum_values(Some(["presenter", "moderator", "viewer"]))
        .description(Some("A user's role in a room: its presenter, a moderator by the token's scope, or a viewer."))
);

schema!(
    /// The emotes of a message.
    pub Emotes,
    ArrayBuilder::new()
        .items(emote())
        .max_items(Some(MOST_EMOTES))
        .description(Some(
            "Which parts of the text are emotes. They do not overlap, cover no white space, and count code points: in \
             JavaScript `[...text].slice(start, end).join('')`, in Python `text[start:end]`."
        ))
        .examples([json!([{ "id": "wave", "start": 0, "end": 5 }])])
);

fn emote() -> ObjectBuilder {
    let place = |description| integer().minimum(Some(Number::Int(0))).description(Some(description));
    let id = string()
        .pattern(Some(format!("^[A-Za-z0-9][A-Za-z0-9_-]{{0,{}}}$", LONGEST_EMOTE_ID - 1)))
        .description(Some("The platform's id of the emote."));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("id", id)
        .property("start", place("The first code point of the emote, from 0."))
        .property("end", place("The first code point behind the emote."))
        .required("id")
        .required("start")
        .required("end")
}

/// A string.
pub fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// An integer.
pub fn integer() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

/// 1 to 2^53 - 1.
fn idx() -> ObjectBuilder {
    integer()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(Number::Int(1)))
        .maximum(Some(Number::Int(chat::LARGEST_IDX as isize)))
}
