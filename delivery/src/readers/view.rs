//! What a reader sees of an event. Presenters and moderators see what the presenter's socket shows, and reports. Others
//! see the viewer's view: messages, and of decisions only what hides messages. It is made from a list of what is shown,
//! so that a member or a type of a later version stays hidden until it is listed here.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use chat::{MalformedEvent, Position};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::dialects::v1;
use crate::members::{Members, is_of_type, members, only};
use crate::readers::broadcast::Format;
use crate::visibility::Visibility;
use crate::window::{Kept, Shown, Withheld};

/// The part of a room that a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum View {
    /// What the presenter's socket shows to a token with this visibility, held messages, and reports of messages.
    Presenter(Visibility),
    /// Messages, and which of them are hidden. No moderator, no reason, no setting.
    Viewer {
        /// Whether the findings of the word filter are shown, as the archive shows them.
        flags: bool,
    },
}

/// The members of messages and notices, besides `flags`.
const OF_MESSAGES: [&str; 10] =
    ["v", "id", "type", "presenterIdx", "at", "user", "text", "replyTo", "attributes", "emotes"];

/// The decisions that viewers see.
const DECISIONS: [&str; 9] = [
    "message.deleted",
    "message.restored",
    "message.pinned",
    "message.unpinned",
    "room.cleared",
    "room.swept",
    "sweep.undone",
    "user.banned",
    "user.unbanned",
];

/// The members of those.
const OF_DECISIONS: [&str; 10] =
    ["v", "id", "type", "presenterIdx", "at", "target", "sweep", "user", "until", "purgeSeconds"];

impl View {
    /// The JSON object of an event, without its position. None if this view does not show the event.
    fn object(self, kept: &Kept) -> Result<Option<Cow<'_, str>>, MalformedEvent> {
        let flags = match self {
            View::Presenter(visibility) => return v1::object_for_moderators(kept, visibility),
            View::Viewer { flags } => flags,
        };
        Ok(match kept.shown()? {
            Shown::Message(line) => {
                Some(Cow::Owned(only(&members(line), OF_MESSAGES.into_iter().chain(flags.then_some("flags")))))
            }
            Shown::Other(line, withheld) => {
                let members = members(line);
                let is_shown = DECISIONS.iter().any(|decision| is_of_type(&members, decision));
                is_shown.then(|| Cow::Owned(decision(&members, withheld, flags)))
            }
            Shown::Deleted(_) | Shown::Everywhere(..) => v1::object(kept, Visibility::default())?,
            Shown::Held(..) | Shown::ForModerators(..) | Shown::Nothing => None,
        })
    }

    /// The events in that format: of `chat.v1`, the frames. Empty if the view shows none of them.
    pub(crate) fn write(self, format: Format, mut events: &[Kept]) -> Arc<[Utf8Bytes]> {
        let mut texts = Vec::with_capacity(1);
        match format {
            Format::EventStream => {
                texts.extend(Some(self.events(events)).filter(|text| !text.is_empty()).map(Into::into))
            }
            Format::ChatV1 => {
                while !events.is_empty() {
                    let (fitting, rest) = events.split_at(v1::fitting(events));
                    texts.extend(v1::frame(fitting, |kept| self.object(kept)));
                    events = rest;
                }
            }
        }
        texts.into()
    }

    /// The events as server-sent events, each with its position as the `id`. Empty if the view shows none of them.
    fn events(self, events: &[Kept]) -> String {
        let mut text = String::with_capacity(events.iter().map(|kept| kept.bytes() + 128).sum());
        for kept in events {
            let position = kept.position;
            match self.object(kept) {
                Ok(None) => {}
                Ok(Some(object)) => put(&mut text, position, &object),
                Err(error) => tracing::error!(%position, %error, "skipped a malformed event: {error}"),
            }
        }
        text
    }
}

/// A decision. If it restores a message, with the message.
fn decision(decision: &Members<'_>, withheld: Withheld, flags: bool) -> String {
    let mut object = only(decision, OF_DECISIONS);
    if let Some(message) = decision.get("message").filter(|_| !withheld.message) {
        let shown = ["position"].into_iter().chain(OF_MESSAGES).chain(flags.then_some("flags"));
        let message = only(&members(message.get()), shown);
        object.pop();
        write!(object, r#","message":{message}}}"#).expect("a string takes what is written");
    }
    object
}

/// The line is JSON as the log has it, in which no newline can occur.
fn put(text: &mut String, position: Position, object: &str) {
    writeln!(text, "id: {position}\ndata: {{\"position\":\"{position}\",{}\n", &object[1..])
        .expect("a string takes what is written");
}
