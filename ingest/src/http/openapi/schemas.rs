//! JSON schemas of the domain's values, for the OpenAPI document. They are here because `chat` does not know HTTP, and
//! because some bodies are parsed as any value, so that each member can be refused with its own code.

use std::collections::BTreeSet;

use serde_json::json;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{Object, RefOr};
use utoipa::{Number, PartialSchema, ToSchema};
use web::openapi::schema;
pub(crate) use web::openapi::schemas::{Emotes, EventId, Position, PresenterIdx, Role, Time, UserIdx};
use web::openapi::schemas::{integer, string};

use crate::http::openapi::settings::Settings;
use crate::http::v1::AuthorWarning;
use crate::moderation::sweep_order::{
    LONGEST_FIRST_SEEN_SECONDS, LONGEST_LABEL_BYTES, LONGEST_SECONDS_BACK, LONGEST_SECONDS_FORWARD, MOST_TEXTS,
    MOST_USERS,
};
use crate::moderation::term::{LONGEST_PURGE_SECONDS, LONGEST_TERM_SECONDS};
use crate::posting::text::{LONGEST_TEXT, LONGEST_TEXT_BYTES};
use crate::refusal::Refusal;

schema!(
    pub(crate) Text,
    string()
        .format(Some(SchemaFormat::Custom("chat-text".to_owned())))
        .min_length(Some(1))
        .max_length(Some(LONGEST_TEXT))
        .description(Some(format!(
            "One line of 1 to {LONGEST_TEXT} characters as people count them (grapheme clusters, of which there are \
             never more than the code points that `maxLength` counts) and at most {LONGEST_TEXT_BYTES} bytes, after \
             trimming. At least one character must be visible. Control characters, line and paragraph separators, \
             bidirectional embeddings, overrides and isolates, and noncharacters are refused."
        )))
        .examples(["안녕하세요"])
);

schema!(
    /// The document has `attributes::schema` in its place.
    pub(crate) Attributes, ObjectBuilder::new().schema_type(Type::Object)
);

schema!(
    pub(crate) Seconds,
    integer()
        .minimum(Some(Number::Int(1)))
        .maximum(Some(Number::UInt(LONGEST_TERM_SECONDS as usize)))
        .description(Some("The term in seconds, at most 14 days."))
        .examples([600])
);

schema!(
    pub(crate) PurgeSeconds,
    integer()
        .minimum(Some(Number::Int(1)))
        .maximum(Some(Number::UInt(LONGEST_PURGE_SECONDS as usize)))
        .description(Some("The ban deletes the user's messages in the room of so many seconds before it, at most 1 hour."))
        .examples([600])
);

schema!(
    pub(crate) SweepRule,
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property(
            "texts",
            list(Text::schema(), MOST_TEXTS, "The text is one of these. Case, width and Unicode form do not matter.")
        )
        .property(
            "similarity",
            ObjectBuilder::new()
                .schema_type(Type::Number)
                .minimum(Some(Number::Float(0.5)))
                .maximum(Some(Number::Int(1)))
                .description(Some(
                    "How similar the text has to be to one of `texts`, for which it needs those: the Dice coefficient \
                     of their bigrams, in hundredths. Without it, equal."
                ))
        )
        .property(
            "users",
            list(
                UserIdx::schema(),
                MOST_USERS,
                "The author is one of these. Without users only messages of viewers match."
            )
        )
        .property(
            "firstSeenSeconds",
            integer()
                .minimum(Some(Number::Int(1)))
                .maximum(Some(Number::UInt(LONGEST_FIRST_SEEN_SECONDS as usize)))
                .description(Some(
                    "The author is a viewer whose first message in the room is at most so many seconds old, as far as \
                     the log tells. They are resolved into `users` when the sweep is made, at most 1,000 of them."
                ))
        )
        .property(
            "label",
            string()
                .min_length(Some(1))
                .max_length(Some(LONGEST_LABEL_BYTES))
                .pattern(Some("^[!-~]+$"))
                .description(Some("The message has this flag."))
        )
        .min_properties(Some(1))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .description(Some("Which messages. A message must meet every condition that is there."))
        .examples([json!({ "texts": ["come to my room"] })])
);

schema!(
    pub(crate) SecondsBack,
    integer()
        .minimum(Some(Number::Int(1)))
        .maximum(Some(Number::UInt(LONGEST_SECONDS_BACK as usize)))
        .description(Some("Only messages of so many seconds before the sweep, at most 1 hour."))
        .examples([600])
);

schema!(
    pub(crate) SecondsForward,
    integer()
        .minimum(Some(Number::Int(1)))
        .maximum(Some(Number::UInt(LONGEST_SECONDS_FORWARD as usize)))
        .description(Some("For how long, at most 10 minutes."))
        .examples([120])
);

schema!(
    pub(crate) ForwardAction,
    string()
        .enum_values(Some(["refuse", "hold"]))
        .description(Some(
            "`refuse`: the post is refused with `msg_swept`, and what another node accepted before it heard of the \
             sweep is deleted. `hold`: the post waits for a moderator. In a request, `refuse` is the default."
        ))
);

schema!(
    pub(crate) ReportCategory,
    string()
        .enum_values(Some(chat::ReportCategory::ALL.map(chat::ReportCategory::as_str)))
        .description(Some("What is wrong with the message. New categories may be added."))
        .examples(["spam"])
);

schema!(
    pub(crate) RateLimit,
    string()
        .pattern(Some("^\"[a-z]+\";r=[0-9]+;t=[0-9]+$"))
        .description(Some(
            "How many messages the sender may still post, and in how many seconds the whole quota is back."
        ))
        .examples(["\"room\";r=19;t=2"])
);

schema!(
    pub(crate) RateLimitPolicy,
    string()
        .pattern(Some("^\"[a-z]+\";q=[0-9]+;w=[0-9]+$"))
        .description(Some("The quota, and the seconds in which the whole of it comes back."))
        .examples(["\"room\";q=20;w=30"])
);

schema!(pub(crate) UserType, string().enum_values(Some(["presenter", "viewer"])));

schema!(pub(crate) PresenterState, string().enum_values(Some(["connected", "reconnecting"])));

schema!(
    pub(crate) Code,
    string()
        .enum_values(Some(codes()))
        .description(Some("The error, for programs. A code never changes its meaning. New codes may be added."))
);

schema!(pub(crate) OwnSettings, settings(|property| property).description(Some("The settings that the room has set itself.")));

schema!(
    pub(crate) SettingsChange,
    settings(nullable)
        .min_properties(Some(1))
        .description(Some("The settings to change, by name. Null resets one to the deployment's."))
        .examples([json!({ "slowModeSeconds": 10, "presenterOnly": null })])
);

schema!(pub(crate) Ends, settings(|_| Time::schema()).description(Some("The ends of the room's own settings that have one.")));

/// A user, as recorded with the event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents `chat::User`")]
pub(crate) struct User {
    idx: UserIdx,
    nickname: String,
    role: Role,
}

/// An error: RFC 9457.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `web::Problem` writes")]
pub(crate) struct Problem {
    /// `about:blank`: the title is the status's own.
    r#type: String,
    /// The status, in words.
    title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// A plain sentence for people. It may change.
    detail: String,
    code: Code,
    /// With a 5xx: whether the request took effect.
    #[schema(value_type = Option<Outcome>, nullable = false)]
    outcome: Option<Outcome>,
    /// With `msg_banned`: when the ban ends. Absent: it is permanent.
    #[schema(value_type = Option<Time>, nullable = false)]
    until: Option<Time>,
    /// Of a post that is refused: a moderator of the room warns the author.
    #[schema(nullable = false)]
    warning: Option<AuthorWarning>,
}

schema!(
    pub(crate) Outcome,
    string()
        .enum_values(Some(["not_stored", "unknown"]))
        .description(Some("`unknown`: the log did not answer in time. Retry under the same `Idempotency-Key`."))
);

/// All codes, in alphabetical order.
fn codes() -> BTreeSet<&'static str> {
    let ours = Refusal::all().into_iter().map(|refusal| refusal.row().code);
    ours.chain(web::LAST_RESORTS.map(|(_, code, _)| code)).collect()
}

/// An object with any of the settings. `member` makes each member's schema from the setting's.
fn settings(member: impl Fn(RefOr<Schema>) -> RefOr<Schema>) -> ObjectBuilder {
    let RefOr::T(Schema::Object(settings)) = Settings::schema() else { unreachable!("settings are an object") };
    let object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    settings.properties.into_iter().fold(object, |object, (name, setting)| object.property(name, member(setting)))
}

/// A list of 1 to `most`.
fn list(item: RefOr<Schema>, most: usize, description: &str) -> ArrayBuilder {
    ArrayBuilder::new().items(item).min_items(Some(1)).max_items(Some(most)).description(Some(description))
}

fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    Schema::OneOf(OneOfBuilder::new().item(schema).item(Object::with_type(Type::Null)).build()).into()
}
