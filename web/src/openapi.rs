//! What the OpenAPI documents of all roles have in common: the frame, health, how a token is sent, and what a problem
//! looks like. Which paths there are, and which codes, is each role's business.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::LAST_RESORTS;

/// Declares a type that stands for a schema: `schema!(pub(crate) Name, builder)`.
#[doc(hidden)]
#[macro_export]
macro_rules! openapi_schema {
    ($(#[$doc:meta])* $vis:vis $name:ident, $builder:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        $vis struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $builder.build().into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub use crate::openapi_schema as schema;

pub mod schemas;

/// What a role says of its interface; [`Document::text`] adds the rest.
#[derive(Debug)]
pub struct Document<'a> {
    /// The role.
    pub role: &'a str,
    /// Markdown, for people.
    pub description: &'a str,
    /// What a token's scopes are for, in a sentence.
    pub scopes: &'a str,
    /// The tags of the operations, with descriptions; `service` is among them.
    pub tags: Value,
    /// The role's own paths.
    pub paths: Value,
    /// The schemas that the paths refer to.
    pub components: Value,
    /// Why the role may be live and not ready, as an example.
    pub not_ready: &'a str,
}

/// The members of a document, in the order in which one reads it.
#[derive(Serialize)]
struct Members {
    openapi: &'static str,
    info: Value,
    tags: Value,
    security: Value,
    paths: Value,
    components: Value,
}

/// An error: RFC 9457.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `Problem` of this crate writes")]
pub struct Problem {
    /// `about:blank`: the title is the status's own.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// A plain sentence for people. It may change.
    detail: String,
    /// What went wrong, for programs. A code never changes its meaning; new ones may come.
    code: String,
    /// Whether the request had an effect, where it is a question: with a 5xx. `unknown`: there was no answer in time.
    #[schema(nullable = false)]
    outcome: Option<String>,
}

impl Document<'_> {
    /// The document, as JSON for people.
    pub fn text(self) -> String {
        let Document { role, description, scopes, tags, mut paths, mut components, not_ready } = self;
        paths["/livez"] = health("livez", "Whether the process lives", json!({ "200": plain("It does.", "alive") }));
        paths["/readyz"] = health(
            "readyz",
            &format!("Whether {role} should get traffic"),
            json!({ "200": plain("It should; `ready`, perhaps with what is wrong all the same.", "ready"), "503": plain("Why not, in a few words.", not_ready) }),
        );
        components["securitySchemes"] = security_schemes(scopes);
        let members = Members {
            openapi: "3.1.0",
            info: json!({
                "title": format!("chatting-server {role}"),
                "description": description,
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            }),
            tags,
            security: json!([{ "bearer": [] }, { "token": [] }]),
            paths,
            components,
        };
        serde_json::to_string_pretty(&members).expect("a document has only strings for keys") + "\n"
    }
}

/// The answers to requests that are refused, by status: of each code one of the sentences that may go with it. What
/// [`serve`](crate::serve) answers by itself is added.
pub fn problems(refusals: impl IntoIterator<Item = (StatusCode, &'static str, String)>) -> Map<String, Value> {
    let mut responses: BTreeMap<StatusCode, BTreeMap<&str, String>> = BTreeMap::new();
    for (status, code, detail) in refusals {
        responses.entry(status).or_default().entry(code).or_insert(detail);
    }
    for (status, code, detail) in LAST_RESORTS {
        responses.entry(status).or_default().insert(code, detail.to_owned());
    }
    responses.into_iter().map(|(status, codes)| (status.as_str().to_owned(), problem(status, &codes))).collect()
}

/// An answer with that status, as yet without a body.
pub fn response(status: StatusCode) -> Value {
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => json!({ "headers": { "Retry-After": {
            "description": "Seconds until another try may do better.",
            "required": true,
            "schema": { "type": "integer", "minimum": 1 },
        }}}),
        _ => json!({}),
    }
}

fn problem(status: StatusCode, codes: &BTreeMap<&str, String>) -> Value {
    let names: Vec<&&str> = codes.keys().collect();
    let mut response = response(status);
    response["description"] =
        json!(codes.iter().map(|(code, detail)| format!("- `{code}`: {detail}\n")).collect::<String>());
    response["content"]["application/problem+json"] = json!({ "schema": { "allOf": [
        { "$ref": "#/components/schemas/Problem" },
        { "properties": { "status": { "const": status.as_u16() }, "code": { "enum": names } } },
    ]}});
    response
}

fn health(operation: &str, summary: &str, responses: Value) -> Value {
    json!({ "get": {
        "operationId": operation, "summary": summary, "tags": ["service"], "security": [{}], "responses": responses,
    }})
}

fn plain(description: &str, example: &str) -> Value {
    json!({
        "description": description,
        "content": { "text/plain": { "schema": { "type": "string" }, "example": example } },
    })
}

fn security_schemes(scopes: &str) -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": format!("The auth server's token. `user_idx` is who asks; {scopes}"),
        },
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "token",
            "description": "The same token, as clients of the original send it.",
        },
    })
}
