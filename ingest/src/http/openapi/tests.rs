//! The document is complete, and its bounds are those of the code.

use chat::settings::{Links, Rate, Settings, WordPolicy};
use serde_json::Value;

use super::*;

fn parsed() -> Value {
    serde_json::from_str(&document()).unwrap()
}

/// All strings in members of that name, at any depth.
fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(name).and_then(Value::as_str));
            object.values().for_each(|value| members(value, name, found));
        }
        Value::Array(values) => values.iter().for_each(|value| members(value, name, found)),
        _ => {}
    }
}

#[test]
fn every_reference_in_the_document_resolves() {
    let document = parsed();
    let mut references = Vec::new();
    members(&document, "$ref", &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference stays in the document");
        assert!(document.pointer(pointer).is_some(), "there is no {reference}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_how_it_refuses() {
    let document = parsed();
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let mut operations: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    operations.sort_unstable();
    let mut known: Vec<&str> = refused::OPERATIONS.iter().map(|(id, _)| *id).chain(["livez", "readyz"]).collect();
    known.sort_unstable();
    assert_eq!(operations, known);
}

/// Sets one of the settings to a number.
type Change = fn(&mut Settings, u32);

fn allows(change: Change, value: i64) -> bool {
    let mut settings = Settings {
        slow_mode_seconds: 0,
        unique_chat: false,
        presenter_only: false,
        emoji_only: false,
        links: Links::Everyone,
        word_policy: WordPolicy::Off,
        words: Vec::new(),
        max_length: 1,
        message_rate: Rate { messages: 1, seconds: 1 },
        readers: chat::Readers::Off,
    };
    u32::try_from(value).is_ok_and(|value| {
        change(&mut settings, value);
        settings.check().is_ok()
    })
}

#[test]
fn settings_have_the_bounds_that_the_document_says() {
    let schemas = &parsed()["components"]["schemas"];
    let number = |schema: &str, name: &str, bound: &str| schemas[schema]["properties"][name][bound].as_i64().unwrap();
    let changes: [(&str, &str, Change); 4] = [
        ("Settings", "slowModeSeconds", |settings, value| settings.slow_mode_seconds = value),
        ("Settings", "maxLength", |settings, value| settings.max_length = value as usize),
        ("Rate", "messages", |settings, value| settings.message_rate.messages = value),
        ("Rate", "seconds", |settings, value| settings.message_rate.seconds = value),
    ];
    for (schema, name, change) in changes {
        let (least, most) = (number(schema, name, "minimum"), number(schema, name, "maximum"));
        assert!(allows(change, least) && allows(change, most), "{name}");
        assert!(!allows(change, least - 1) && !allows(change, most + 1), "{name}");
    }
    let words: Change = |settings, count| settings.words = vec!["word".to_owned(); count as usize];
    let most = number("Settings", "words", "maxItems");
    assert!(allows(words, most) && !allows(words, most + 1));
}
