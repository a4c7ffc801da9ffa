//! Whose word the members of a post are, and which posts are the same request.

use chat::{AllowedEmotes, Role};
use web::auth::Identity;

use super::*;
use crate::posting::text::{InvalidText, Text};

fn sender(scope: &str, attributes: Option<&Value>, emotes: &Value) -> Sender {
    Sender::new(&Identity {
        user_idx: 7,
        nickname: "nick".to_owned(),
        email: String::new(),
        scopes: vec![scope.to_owned()],
        attributes: attributes.map(|attributes| Attributes::parse(attributes).unwrap()),
        emotes: AllowedEmotes::parse(emotes),
    })
}

fn parse(
    [reply_to, attributes, emotes]: [&Value; 3],
    text: &str,
    sender: &Sender,
) -> Result<Option<Box<Extras>>, Refusal> {
    Extras::parse(&Sent { reply_to, attributes, emotes, text: &json!(text) }, sender)
}

/// The message that such a post of the sender makes.
fn message(extras: Option<Box<Extras>>, sender: &Sender) -> MessagePosted {
    let mut message = MessagePosted::new(sender.user(Role::Viewer), "hi");
    Extras::add_to(extras, sender, &mut message);
    message
}

fn given(value: &Value) -> Option<Attributes> {
    Some(Attributes::parse(value).unwrap())
}

const NONE: &Value = &Value::Null;

#[test]
fn the_attributes_of_a_post_replace_those_of_the_token() {
    let (of_token, of_post) = (json!({ "badge": "gold" }), json!({ "amount": 5 }));
    let service = sender("chat:attributes", Some(&of_token), NONE);
    let attributes = |given: &Value| message(parse([NONE, given, NONE], "hi", &service).unwrap(), &service).attributes;
    assert_eq!(parse([NONE; 3], "hi", &service), Ok(None));
    assert_eq!(attributes(NONE), given(&of_token));
    assert_eq!(attributes(&of_post), given(&of_post));
    assert_eq!(attributes(&json!({})), None);
    let id = EventId::new();
    let answer = message(parse([&json!(id), NONE, NONE], "hi", &service).unwrap(), &service);
    assert_eq!((answer.reply_to, answer.attributes), (Some(id), given(&of_token)));
}

#[test]
fn a_token_names_the_emotes_of_its_user() {
    let emotes = |id: &str| json!([{ "id": id, "start": 0, "end": 2 }]);
    let given = |id: &str, sender: &Sender| {
        let extras = parse([NONE, NONE, &emotes(id)], "hi", sender)?;
        Ok(message(extras, sender).emotes.map_or(0, |emotes| emotes.len()))
    };
    let some = sender("", None, &json!(["wave"]));
    assert_eq!(given("wave", &some), Ok(1));
    assert_eq!(given("tada", &some), Err(Refusal::EmoteForbidden("tada".to_owned())));
    for every in [sender("", None, &json!("*")), sender("chat:attributes", None, NONE)] {
        assert_eq!(given("tada", &every), Ok(1));
    }
    let viewer = sender("chat:moderate", None, NONE);
    assert_eq!(given("wave", &viewer), Err(Refusal::EmotesForbidden));
    assert_eq!(parse([NONE, NONE, &json!("wave")], "hi", &viewer), Err(Refusal::EmotesForbidden));
    let none = parse([NONE, NONE, &json!([])], "hi", &viewer).unwrap();
    assert_eq!(message(none, &viewer).emotes, None);
}

#[test]
fn posts_with_different_extras_are_different_requests() {
    let service = sender("chat:attributes", None, NONE);
    let (one, other) = (json!(EventId::new()), json!(EventId::new()));
    let (early, late) = (json!([{ "id": "a", "start": 0, "end": 1 }]), json!([{ "id": "a", "start": 1, "end": 2 }]));
    let posts = [
        [&one, NONE, NONE],
        [&other, NONE, NONE],
        [&one, &json!({ "a": 1 }), NONE],
        [NONE, &json!({ "a": 1 }), NONE],
        [NONE, &json!({}), NONE],
        [NONE, NONE, &early],
        [NONE, NONE, &late],
        [&one, NONE, &early],
    ];
    let mut requests = std::collections::HashSet::new();
    for post in posts {
        for text in ["hi", "decision"] {
            let extras = parse(post, text, &service).unwrap().unwrap();
            let request = extras.as_request(text);
            assert_eq!(Text::parse(&request), Err(InvalidText::Forbidden), "{request}");
            assert!(requests.insert(request));
        }
    }
    // The same text and emotes, spelled in another way.
    let padded = json!([{ "end": 2.0, "id": "a", "start": 1 }]);
    let request = |emotes: &Value, text: &str| {
        parse([NONE, NONE, emotes], text, &service).unwrap().unwrap().as_request(text.trim())
    };
    assert_eq!(request(&padded, " hi "), request(&early, "hi"));
}

#[test]
fn a_post_without_emotes_is_the_request_that_earlier_versions_know() {
    let service = sender("chat:attributes", None, NONE);
    let extras = parse([NONE, &json!({ "a": 1 }), &json!([])], "hi", &service).unwrap().unwrap();
    assert_eq!(extras.as_request("hi"), "message\n[\"hi\",null,{\"a\":1}]");
}
