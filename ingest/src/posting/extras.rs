//! What a post says beside its text: the message that it answers, attributes, and which parts of the text are emotes.
//! Attributes and emotes are the platform's word, so the body of a post gives them only with the scope
//! `chat:attributes`. A token can carry attributes for each message of its user, and name the emotes that the user has.

use std::ops::Not;

use chat::{Attributes, Edit, Emotes, EventId, MessagePosted};
use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::sender::Sender;

/// The members of a post beside its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extras {
    reply_to: Option<EventId>,
    /// None: those of the sender's token. Empty: none.
    attributes: Option<Attributes>,
    /// Of the text that is to be stored.
    emotes: Option<Emotes>,
}

/// Those members as they came; null is absent.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) reply_to: &'a Value,
    pub(crate) attributes: &'a Value,
    pub(crate) emotes: &'a Value,
    /// The text that the emotes are in. A value that is no text is refused elsewhere.
    pub(crate) text: &'a Value,
}

impl Extras {
    /// Most posts have none of the members. Whether there is a message to answer is not looked up: it may be older than
    /// all that a node remembers.
    pub(crate) fn parse(sent: &Sent<'_>, sender: &Sender) -> Result<Option<Box<Extras>>, Refusal> {
        let Sent { reply_to, attributes, emotes, text } = sent;
        if reply_to.is_null() && attributes.is_null() && emotes.is_null() {
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
        let emotes = match text {
            Value::String(text) => parse_emotes(emotes, text, sender)?,
            _ => None,
        };
        Ok(Some(Box::new(Extras { reply_to, attributes, emotes })))
    }

    /// The whole post as text, for its idempotency key. No text of a message has a line feed, and no decision begins
    /// so. A post without emotes has the text that an earlier version gave it.
    pub(crate) fn as_request(&self, text: &str) -> String {
        let Extras { reply_to, attributes, emotes } = self;
        let members = match emotes {
            None => json!([text, reply_to, attributes]),
            Some(emotes) => json!([text, reply_to, attributes, emotes]),
        };
        format!("message\n{members}")
    }

    /// The emotes in the text.
    pub(crate) fn emotes(&self) -> Option<&Emotes> {
        self.emotes.as_ref()
    }

    /// The text is edited.
    pub(crate) fn edit(&mut self, text: &str, edits: &[Edit]) {
        self.emotes = self.emotes.take().map(|emotes| emotes.edited(text, edits)).filter(|emotes| !emotes.is_empty());
    }

    /// Another text takes its place.
    pub(crate) fn replace(&mut self, text: &str, other: &str) {
        self.emotes = self.emotes.take().map(|emotes| emotes.replaced(text, other)).filter(|emotes| !emotes.is_empty());
    }

    /// Gives the message what the post has, or else the attributes of the sender's token.
    pub(crate) fn add_to(extras: Option<Box<Extras>>, sender: &Sender, message: &mut MessagePosted) {
        let given = extras.and_then(|extras| {
            (message.reply_to, message.emotes) = (extras.reply_to, extras.emotes);
            extras.attributes
        });
        message.attributes = match given {
            Some(given) => given.is_empty().not().then_some(given),
            None => sender.attributes().cloned(),
        };
    }
}

/// None: there are none. An empty list claims nothing, so everybody may send it.
fn parse_emotes(emotes: &Value, text: &str, sender: &Sender) -> Result<Option<Emotes>, Refusal> {
    match emotes {
        Value::Null => return Ok(None),
        Value::Array(none) if none.is_empty() => return Ok(None),
        _ if !sender.may_give_emotes() => return Err(Refusal::EmotesForbidden),
        _ => {}
    }
    let emotes = Emotes::parse(emotes, text)?;
    match emotes.iter().find(|emote| !sender.may_give_emote(&emote.id)) {
        Some(emote) => Err(Refusal::EmoteForbidden(emote.id.clone())),
        None => Ok(Some(emotes)),
    }
}

#[cfg(test)]
mod tests;
