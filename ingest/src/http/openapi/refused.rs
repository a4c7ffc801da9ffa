//! The error responses in the OpenAPI document. An operation lists its parts, its refusals follow from them, and each
//! surface has its own form.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use nats::AppendError;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;

use super::schemas;
use crate::http::refused::status;
use crate::refusal::{Part, Refusal};

use Part::{
    Append, Appointing, Appointment, Ban, Banning, Body, Decision, Deletion, Extras, Head, Held, Lookup, Message,
    Moderator, NewBan, NewModerator, NewNote, NewSweep, NewWarning, Note, OriginalBody, Path, Pin, Posting, Purge,
    PurgeEverywhere, Query, Read, Reason, Report, Room, Seconds, Settings, Sweep, Text, Token, User, Warning,
};

/// The parts of each operation that can be refused.
pub(super) const OPERATIONS: [(&str, &[Part]); 43] = [
    ("post_message", &[Token, Head, Path, Room, Body, Text, Posting, Extras, Append]),
    ("clear", &[Token, Head, Path, Room, Query, Reason, Moderator, Decision, Append]),
    ("delete_message", &[Token, Head, Path, Room, Message, Query, Reason, Moderator, Decision, Append]),
    ("restore_message", &[Token, Head, Path, Room, Message, Query, Reason, Moderator, Deletion, Decision, Append]),
    ("post_sweep", &[Token, Head, Path, Room, Body, Reason, Moderator, NewSweep, Decision, Append]),
    ("list_sweeps", &[Token, Head, Read, Path, Room, Moderator]),
    ("delete_sweep", &[Token, Head, Path, Room, Query, Reason, Moderator, Sweep, Decision, Append]),
    ("list_holds", &[Token, Head, Read, Path, Room, Query, Moderator]),
    ("release_message", &[Token, Head, Path, Room, Message, Query, Reason, Moderator, Held, Decision, Append]),
    ("deny_message", &[Token, Head, Path, Room, Message, Query, Reason, Moderator, Held, Decision, Append]),
    ("post_notice", &[Token, Head, Path, Room, Body, Text, Moderator, Decision, Append]),
    ("get_pin", &[Token, Head, Read, Path, Room, Moderator, Pin]),
    ("put_pin", &[Token, Head, Path, Room, Body, Message, Moderator, Decision, Append]),
    ("delete_pin", &[Token, Head, Path, Room, Moderator, Pin, Decision, Append]),
    ("report_message", &[Token, Head, Path, Room, Message, Body, Reason, Report, Append]),
    ("close_reports", &[Token, Head, Path, Room, Message, Body, Reason, Moderator, Decision, Append]),
    ("get_request", &[Token, Head, Read, Path, Room, Lookup, Append]),
    ("get_request_everywhere", &[Token, Head, Read, Lookup, Append]),
    ("list_bans", &[Token, Head, Read, Path, Room, Query, Moderator]),
    ("get_ban", &[Token, Head, Read, Path, Room, User, Moderator, Ban]),
    (
        "put_ban",
        &[Token, Head, Path, Room, User, Body, Seconds, Purge, Reason, Moderator, Banning, NewBan, Decision, Append],
    ),
    ("delete_ban", &[Token, Head, Path, Room, User, Query, Reason, Moderator, Ban, Decision, Append]),
    ("list_bans_everywhere", &[Token, Head, Read, Query, Moderator]),
    ("get_ban_everywhere", &[Token, Head, Read, Path, User, Moderator, Ban]),
    (
        "put_ban_everywhere",
        &[Token, Head, Path, User, Body, Seconds, Purge, PurgeEverywhere, Reason, Moderator, NewBan, Decision, Append],
    ),
    ("delete_ban_everywhere", &[Token, Head, Path, User, Query, Reason, Moderator, Ban, Decision, Append]),
    ("list_moderators", &[Token, Head, Read, Path, Room, Query, Moderator]),
    ("get_moderator", &[Token, Head, Read, Path, Room, User, Moderator, Appointment]),
    ("put_moderator", &[Token, Head, Path, Room, User, Body, Reason, Appointing, NewModerator, Decision, Append]),
    ("delete_moderator", &[Token, Head, Path, Room, User, Query, Reason, Appointing, Appointment, Decision, Append]),
    ("list_warnings", &[Token, Head, Read, Path, Room, Query, Moderator]),
    ("get_warning", &[Token, Head, Read, Path, Room, User, Moderator, Warning]),
    ("put_warning", &[Token, Head, Path, Room, User, Body, Reason, Moderator, NewWarning, Decision, Append]),
    ("delete_warning", &[Token, Head, Path, Room, User, Query, Reason, Moderator, Warning, Decision, Append]),
    ("list_notes", &[Token, Head, Read, Path, Room, User, Moderator]),
    ("post_note", &[Token, Head, Path, Room, User, Body, Text, Moderator, NewNote, Decision, Append]),
    ("delete_note", &[Token, Head, Path, Room, User, Query, Reason, Moderator, Note, Decision, Append]),
    ("get_settings", &[Token, Head, Read, Path, Room, Moderator]),
    ("patch_settings", &[Token, Head, Path, Room, Body, Seconds, Reason, Moderator, Settings, Decision, Append]),
    ("send_message", &[Token, Head, Room, Body, OriginalBody, Text, Posting, Append]),
    ("token", &[Token, Read]),
    ("root", &[]),
    ("openapi", &[]),
];

/// Adds its error responses to every operation.
pub(super) fn add(paths: &mut Value) {
    let items = paths.as_object_mut().expect("paths are an object").values_mut();
    for operation in items.flat_map(|item| item.as_object_mut().expect("a path has methods").values_mut()) {
        let refusals = refusals(operation["operationId"].as_str().expect("every operation has an id"));
        let is_original = operation["tags"] == json!(["original"]);
        let responses = operation["responses"].as_object_mut().expect("every operation has responses");
        responses.extend(if is_original { original(&refusals) } else { v1(&refusals) });
    }
}

fn refusals(operation: &str) -> Vec<Refusal> {
    let known = OPERATIONS.iter().find(|(id, _)| *id == operation);
    let (_, parts) = known.expect("a test checks that the table above has every operation");
    Refusal::all().into_iter().filter(|refusal| parts.contains(&refusal.row().part)).collect()
}

/// The responses by status, as problems.
fn v1(refusals: &[Refusal]) -> Map<String, Value> {
    // Every path answers this until the log has been reached for the first time.
    let starting = [Refusal::Append(AppendError::Unavailable)];
    let refusals = refusals.iter().chain(&starting);
    let mut responses = web::openapi::problems(refusals.map(|refusal| {
        let row = refusal.row();
        (status(row.status), row.code, row.detail)
    }));
    if let Some(limited) = responses.get_mut(StatusCode::TOO_MANY_REQUESTS.as_str()) {
        add_quota(limited);
    }
    responses
}

/// The responses by status, with the original's error body. Those that the crate `web` answers are problems.
fn original(refusals: &[Refusal]) -> Map<String, Value> {
    let mut responses: BTreeMap<StatusCode, BTreeSet<&str>> = BTreeMap::new();
    for refusal in refusals {
        let row = refusal.row();
        responses.entry(status(row.original_status)).or_default().insert(row.original_message);
    }
    let mut refused = v1(&[]);
    for (status, messages) in responses {
        let response = refused.entry(status.as_str()).or_insert_with(|| web::openapi::response(status));
        response["description"] = json!(messages.iter().map(|message| format!("- {message}\n")).collect::<String>());
        response["content"]["application/json"] = json!({ "schema": { "allOf": [
            { "$ref": "#/components/schemas/ErrorBody" },
            { "properties": { "status": { "const": status.as_u16() }, "message": { "enum": messages } } },
        ]}});
        response["headers"]["message-code"] = json!({
            "description": "The `code` that `/v1` answers. Absent from a problem, which has it in its body.",
            "schema": { "type": "string" },
        });
        if status == StatusCode::TOO_MANY_REQUESTS {
            add_quota(response);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response["headers"]["message-outcome"] = json!({
                "description": "Whether the message was stored. Absent from a problem, which has it in its body.",
                "schema": { "$ref": "#/components/schemas/Outcome" },
            });
        }
    }
    refused
}

/// Adds the headers that report the quota.
fn add_quota(limited: &mut Value) {
    limited["headers"]["RateLimit"] = json!({ "schema": schemas::RateLimit::schema() });
    limited["headers"]["RateLimit-Policy"] = json!({ "schema": schemas::RateLimitPolicy::schema() });
}
