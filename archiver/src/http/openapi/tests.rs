//! The document is complete.

use serde_json::Value;

use super::*;

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_in_the_document_resolves() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference stays in the document");
        assert!(document.pointer(pointer).is_some(), "there is no {reference}");
    }
}

#[test]
fn every_operation_that_takes_a_token_says_what_it_answers_without_one() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations: Vec<&Value> = paths.values().flat_map(|item| item.as_object().unwrap().values()).collect();
    assert!(operations.len() > 3);
    for operation in operations.iter().filter(|operation| operation["security"].is_null()) {
        for status in ["401", "403", "503"] {
            assert!(operation["responses"][status].is_object(), "{} {status}", operation["operationId"]);
        }
    }
}
