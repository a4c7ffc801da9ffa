//! An event of a `chat.v1` frame.

use chat::{EventId, Position};
use judge::history::extras;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) position: Position,
    pub(super) id: EventId,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) target: Option<EventId>,
    /// The message that a restoration brings back.
    pub(super) message: Option<Restored>,
    /// The sweep that the event is a part of.
    pub(super) sweep: Option<EventId>,
    pub(super) reason: Option<String>,
    reply_to: Option<EventId>,
    attributes: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Restored {
    pub(super) text: String,
    reply_to: Option<EventId>,
    attributes: Option<Value>,
}

impl Event {
    /// The `replyTo` and the attributes that it shows, with their message.
    pub(super) fn extras(&self) -> Option<(EventId, String)> {
        match &self.message {
            Some(message) => Some((self.target?, extras(message.reply_to, message.attributes.as_ref())?)),
            None => Some((self.id, extras(self.reply_to, self.attributes.as_ref())?)),
        }
    }
}
