//! How requests are refused: what an operation can refuse follows from the parameters that it has and from whether it
//! takes a token, so that no operation can be forgotten.

use serde_json::Value;
use web::auth::TokenError;

use super::super::refusal::Refusal;

/// Adds to every operation how it refuses.
pub(super) fn add(paths: &mut Value) {
    let items = paths.as_object_mut().expect("paths are an object").values_mut();
    for operation in items.flat_map(|item| item.as_object_mut().expect("a path has methods").values_mut()) {
        let refusals = refusals(operation);
        let problems = web::openapi::problems(refusals.iter().map(|refusal| {
            let (status, code) = refusal.wire();
            (status, code, refusal.detail())
        }));
        let responses = operation["responses"].as_object_mut().expect("every operation has responses");
        responses.extend(problems);
    }
}

fn refusals(operation: &Value) -> Vec<Refusal> {
    let none = Vec::new();
    let parameters = operation["parameters"].as_array().unwrap_or(&none);
    let has = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
    // Before the log was reached, every path answers that it is not there.
    let mut refusals = vec![Refusal::Starting];
    if operation["security"].is_null() {
        refusals.extend([
            Refusal::Token(TokenError::Missing),
            Refusal::Token(TokenError::Malformed),
            Refusal::Token(TokenError::Expired),
            Refusal::Token(TokenError::KeysUnavailable),
            Refusal::Forbidden("who is entitled to it"),
            Refusal::Overloaded,
            Refusal::ArchiveUnavailable,
        ]);
    }
    if parameters.iter().any(|parameter| parameter["in"] == "query") {
        refusals.push(Refusal::QueryInvalid("the query is not as documented".to_owned()));
    }
    if parameters.iter().any(|parameter| parameter["in"] == "path") {
        refusals.push(Refusal::NotFound);
    }
    for (parameter, said) in [
        ("presenterIdx", [Refusal::PresenterIdxInvalid].as_slice()),
        ("userIdx", &[Refusal::UserIdxInvalid]),
        ("messageId", &[Refusal::MessageIdInvalid, Refusal::MessageNotFound]),
        ("broadcastId", &[Refusal::BroadcastIdInvalid, Refusal::BroadcastNotFound]),
        ("after", &[Refusal::CursorInvalid]),
        ("Last-Event-ID", &[Refusal::CursorInvalid]),
    ] {
        if has(parameter) {
            refusals.extend_from_slice(said);
        }
    }
    refusals
}
