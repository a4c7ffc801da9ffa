//! Every frame that a test of delivery receives is one that `docs/reference/asyncapi/delivery.json` describes, with no
//! member that it does not name.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use chat::EventKind;
use serde_json::{Value, json};

use super::*;
use crate::support::token;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../docs/reference/asyncapi/delivery.json")).expect("the document is JSON")
});

static RULES: LazyLock<Rules> = LazyLock::new(Rules::of_the_document);

/// The schemas of the document, without room for members that they do not name.
struct Rules {
    schemas: Schemas,
    /// What `chat.v1` receives and sends, and what a stream sends, by the name of the message.
    received: HashMap<String, SchemaIndex>,
    sent: HashMap<String, SchemaIndex>,
    streamed: HashMap<String, SchemaIndex>,
    /// By type.
    events: HashMap<String, SchemaIndex>,
}

impl Rules {
    fn of_the_document() -> Rules {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        let mut closed = DOCUMENT.clone();
        close(&mut closed["components"]);
        compiler.add_resource("delivery.json", closed).unwrap();
        let mut compile = |place: &str| compiler.compile(&format!("delivery.json#{place}"), &mut schemas).unwrap();
        let mut messages = |operation: &str| {
            let named = names(&DOCUMENT["operations"][operation]["messages"]).map(|name| {
                let word = DOCUMENT["components"]["messages"][name]["name"].as_str().unwrap();
                (word.to_owned(), compile(&format!("/components/messages/{name}/payload")))
            });
            named.collect()
        };
        let (received, sent, streamed) =
            (messages("sendToServer"), messages("receiveFromServer"), messages("readRoom"));
        let events = names(&DOCUMENT["components"]["schemas"]["Event"]["oneOf"]).map(|name| {
            let kind = &DOCUMENT["components"]["schemas"][name]["properties"]["type"]["const"];
            (kind.as_str().unwrap().to_owned(), compile(&format!("/components/schemas/{name}")))
        });
        let events = events.collect();
        Rules { schemas, received, sent, streamed, events }
    }

    #[track_caller]
    fn check(&self, rules: &HashMap<String, SchemaIndex>, name: &str, frame: &Value) {
        let rule = *rules.get(name).unwrap_or_else(|| panic!("the document has no {name}: {frame}"));
        if let Err(error) = self.schemas.validate(frame, rule) {
            panic!("the document does not describe {frame}: {error}");
        }
    }
}

/// The last names of references.
fn names(references: &Value) -> impl Iterator<Item = &str> {
    let references = references.as_array().unwrap().iter();
    references.map(|reference| reference["$ref"].as_str().unwrap().rsplit('/').next().unwrap())
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(false.into());
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        _ => {}
    }
}

/// Checks an event of the room. Those of later versions are passed on, and are in no document.
#[track_caller]
fn check_event(event: &Value) {
    let kind = event["type"].as_str().unwrap();
    if RULES.events.contains_key(kind) || EventKind::KNOWN.iter().any(|known| known.as_str() == kind) {
        RULES.check(&RULES.events, kind, event);
    }
}

/// Checks a frame that a `chat.v1` socket received.
#[track_caller]
pub(super) fn check_frame(frame: &Value) {
    let mut frame = frame.clone();
    if let Some(events) = frame.get_mut("events").and_then(Value::as_array_mut) {
        events.iter().for_each(check_event);
        events.retain(|event| RULES.events.contains_key(event["type"].as_str().unwrap()));
        if events.is_empty() {
            return;
        }
    }
    RULES.check(&RULES.sent, frame["type"].as_str().unwrap(), &frame);
}

/// Checks an event of a stream.
#[track_caller]
pub(super) fn check_streamed(name: &str, data: &Value) {
    if name == "message" { check_event(data) } else { RULES.check(&RULES.streamed, name, data) }
}

#[test]
fn the_document_has_every_kind_of_event_that_leaves_delivery() {
    let sessions = [EventKind::PresenterConnected, EventKind::PresenterDisconnected];
    let notes = [EventKind::NoteAdded, EventKind::NoteDeleted];
    let known: BTreeSet<&str> = EventKind::KNOWN
        .iter()
        .filter(|kind| !sessions.contains(kind) && !notes.contains(kind))
        .map(EventKind::as_str)
        .collect();
    assert_eq!(RULES.events.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_document_refuses_what_delivery_never_sends() {
    let event = json!({
        "position": "18ec7fe5cf876d3c-76-0", "v": 1, "id": "01a22710-7cab-756f-b89b-34df2f260ac5",
        "type": "message.deleted", "presenterIdx": 50, "at": "2026-11-29T11:28:41.644Z",
        "target": "01a22710-7cab-756f-b89b-34df2f260ac4",
    });
    let frame = json!({ "type": "events", "position": "18ec7fe5cf876d3c-76-0", "events": [event] });
    check_frame(&frame);
    for (member, value) in [
        ("target", json!("not an id")),
        ("requestKey", json!("a member of ingest")),
        ("position", json!("76")),
        ("at", json!("yesterday")),
        ("presenterIdx", json!(0)),
    ] {
        let mut wrong = event.clone();
        wrong[member] = value;
        assert!(RULES.schemas.validate(&wrong, RULES.events["message.deleted"]).is_err(), "{wrong}");
    }
    for wrong in [json!({ "type": "keepalive" }), json!({ "type": "events", "position": "1-0-0", "events": [] })] {
        assert!(RULES.schemas.validate(&wrong, RULES.sent[wrong["type"].as_str().unwrap()]).is_err(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_the_documented_frames_is_understood() {
    let world = World::start().await;
    let node = world.node_with("keepalive_seconds", "1").await;
    let position = world.post(42, &["before"]).await.to_string();
    let mut page = Page::open(&node).await;
    let token = token(42, "presenter");
    let start = json!({ "type": "start", "token": token, "position": position });
    let others = [
        json!({ "type": "ack", "position": position }),
        json!({ "type": "keepalive" }),
        json!({ "type": "token", "token": token }),
    ];
    for frame in others.iter().chain([&start, &json!({ "type": "start", "token": token, "room": 42 })]) {
        RULES.check(&RULES.received, frame["type"].as_str().unwrap(), frame);
    }
    page.say(start).await;
    assert_eq!(page.frame().await["type"], "welcome");
    for frame in others {
        page.say(frame).await;
    }
    // The answer to the last one. Before it there is no error.
    loop {
        match page.frame().await["type"].as_str().unwrap() {
            "keepalive" => {}
            answer => break assert_eq!(answer, "renewed"),
        }
    }
}
