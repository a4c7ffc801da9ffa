//! What a post says beside its text: the message that it answers, and attributes. Attributes are the platform's word,
//! so the body of a post gives them only with the scope `chat:attributes`. A token can carry them for each message of
//! its user.

use chat::{Attributes, EventId};
use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::sender::Sender;

/// The members of a post beside its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extras {
    reply_to: Option<EventId>,
    /// None: those of the sender's token. Empty: none.
    attributes: Option<Attributes>,
}

impl Extras {
    /// Parses the members `replyTo` and `attributes`; null is absent. Most posts have neither. Whether there is a
    /// message to answer is not looked up: it may be older than all that a node remembers.
    pub(crate) fn parse(reply_to: Value, attributes: &Value, sender: &Sender) -> Result<Option<Box<Extras>>, Refusal> {
        if reply_to.is_null() && attributes.is_null() {
            return Ok(None);
        }
        let reply_to = match reply_to {
            Value::Null => None,
            Value::String(id) => Some(id.parse().map_err(|_| Refusal::ReplyToInvalid)?),
            _ => return Err(Refusal::ReplyToInvalid),
        };
        let attributes = match attributes {
            Value::Null => None,
            _ if !sender.may_give_attributes() => return Err(Refusal::AttributesForbidden),
            attributes => Some(Attributes::parse(attributes)?),
        };
        Ok(Some(Box::new(Extras { reply_to, attributes })))
    }

    /// The whole post as text, for its idempotency key. No text of a message has a line feed, and no decision begins
    /// so.
    pub(crate) fn as_request(&self, text: &str) -> String {
        let Extras { reply_to, attributes } = self;
        format!("message\n{}", json!([text, reply_to, attributes]))
    }

    /// What the message has: the members of the post, or else the attributes of the sender's token.
    pub(crate) fn of(extras: Option<Box<Extras>>, sender: &Sender) -> (Option<EventId>, Option<Attributes>) {
        let (reply_to, given) = extras.map_or((None, None), |extras| (extras.reply_to, extras.attributes));
        match given {
            Some(given) => (reply_to, Some(given).filter(|given| !given.is_empty())),
            None => (reply_to, sender.attributes().cloned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use web::auth::Identity;

    use super::*;
    use crate::posting::text::{InvalidText, Text};

    fn sender(scope: &str, attributes: Option<&Value>) -> Sender {
        Sender::new(&Identity {
            user_idx: 7,
            nickname: "nick".to_owned(),
            email: String::new(),
            scopes: vec![scope.to_owned()],
            attributes: attributes.map(|attributes| Attributes::parse(attributes).unwrap()),
        })
    }

    fn given(value: &Value) -> Option<Attributes> {
        Some(Attributes::parse(value).unwrap())
    }

    #[test]
    fn the_attributes_of_a_post_replace_those_of_the_token() {
        let (of_token, of_post) = (json!({ "badge": "gold" }), json!({ "amount": 5 }));
        let service = sender("chat:attributes", Some(&of_token));
        let parse = |attributes: &Value| Extras::parse(Value::Null, attributes, &service).unwrap();
        assert_eq!(parse(&Value::Null), None);
        assert_eq!(Extras::of(None, &service), (None, given(&of_token)));
        assert_eq!(Extras::of(parse(&of_post), &service), (None, given(&of_post)));
        assert_eq!(Extras::of(parse(&json!({})), &service), (None, None));
        let id = EventId::new();
        let answer = Extras::parse(json!(id), &Value::Null, &service).unwrap();
        assert_eq!(Extras::of(answer, &service), (Some(id), given(&of_token)));
    }

    #[test]
    fn posts_with_different_extras_are_different_requests() {
        let service = sender("chat:attributes", None);
        let (one, other) = (json!(EventId::new()), json!(EventId::new()));
        let posts = [
            (one.clone(), Value::Null),
            (other, Value::Null),
            (one, json!({ "a": 1 })),
            (Value::Null, json!({ "a": 1 })),
            (Value::Null, json!({})),
        ];
        let mut requests = std::collections::HashSet::new();
        for (reply_to, attributes) in posts {
            for text in ["hi", "decision"] {
                let extras = Extras::parse(reply_to.clone(), &attributes, &service).unwrap().unwrap();
                let request = extras.as_request(text);
                assert_eq!(Text::parse(&request), Err(InvalidText::Forbidden), "{request}");
                assert!(requests.insert(request));
            }
        }
    }
}
