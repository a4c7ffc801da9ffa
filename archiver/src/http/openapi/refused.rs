//! The refusals of each operation. They follow from its parameters and from whether it takes a token, so that no
//! operation can leave one out.

use serde_json::Value;

use super::super::refusal::{Operations, Refusal};

/// Adds to every operation how it refuses.
pub(super) fn add(paths: &mut Value) {
    let items = paths.as_object_mut().expect("paths are an object").values_mut();
    for operation in items.flat_map(|item| item.as_object_mut().expect("a path has methods").values_mut()) {
        let refusals = Refusal::all().into_iter().filter(|refusal| refuses(operation, refusal.operations()));
        let problems = web::openapi::problems(refusals.map(|refusal| {
            let (status, code) = refusal.wire();
            (status, code, refusal.detail())
        }));
        let responses = operation["responses"].as_object_mut().expect("every operation has responses");
        responses.extend(problems);
    }
}

fn refuses(operation: &Value, operations: Operations) -> bool {
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |member: &str, value: &str| parameters.iter().any(|parameter| parameter[member] == value);
    match operations {
        Operations::All => true,
        Operations::WithToken => operation["security"].is_null(),
        Operations::WithPath => has("in", "path"),
        Operations::WithQuery => has("in", "query"),
        Operations::With(names) => names.iter().any(|name| has("name", name)),
        Operations::None => false,
    }
}
