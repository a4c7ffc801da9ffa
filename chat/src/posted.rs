//! The line of a `message.posted`, which nearly every event is: [`posted_line`] writes it, and [`PostedLine`] reads it
//! in one pass and without a copy. [`PostedLine::scan`] accepts the form that is written, byte for byte. It returns
//! nothing for any other JSON, nor for a message with attributes or emotes, and serde reads the line instead. Both give
//! the same members.

mod scanner;
#[cfg(test)]
mod tests;
mod write;

use jiff::Timestamp;

use self::scanner::{DIGEST_BYTES, Scanner, TIME_BYTES, time};
pub(crate) use self::write::posted_line;
use crate::body::{MessagePosted, Role, User};
use crate::ids::{EventId, KeyId, PresenterIdx, RequestDigest, UserIdx};

/// The members of a `message.posted`, borrowed from its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostedLine<'a> {
    /// The event's id.
    pub id: EventId,
    /// The id as the line has it.
    pub id_text: &'a str,
    /// The room.
    pub presenter: PresenterIdx,
    /// When the message was posted, to the millisecond.
    pub at: Timestamp,
    /// The time as the line has it: RFC 3339 in UTC, with three decimals.
    pub at_text: &'a str,
    /// The author.
    pub user: UserIdx,
    /// The author's id as the line has it.
    pub user_text: &'a str,
    /// The author's role.
    pub role: Role,
    /// The nickname as a JSON string, with quotes and escapes.
    pub nickname_json: &'a str,
    /// The text as a JSON string, with quotes and escapes.
    pub text_json: &'a str,
    /// Whether the event is from a recording, so that `at` is long past.
    pub belated: bool,
    pub(crate) key: Option<KeyId>,
    pub(crate) request: Option<RequestDigest>,
    /// The flags as a JSON array.
    flags_json: Option<&'a str>,
    reply_to: Option<EventId>,
}

impl<'a> PostedLine<'a> {
    /// Reads a line. `None`: the line is not a `message.posted` in exactly this form.
    pub fn scan(line: &'a [u8]) -> Option<PostedLine<'a>> {
        PostedLine::scan_text(simdutf8::basic::from_utf8(line).ok()?)
    }

    /// As [`PostedLine::scan`], for a line that is known to be UTF-8.
    pub fn scan_text(line: &'a str) -> Option<PostedLine<'a>> {
        let mut rest = Scanner(line);
        rest.literal(r#"{"v":1,"id":""#)?;
        let (id_text, id) = rest.uuid()?;
        rest.literal(r#"","type":"message.posted","presenterIdx":"#)?;
        let (_, presenter) = rest.idx()?;
        rest.literal(r#","at":""#)?;
        let at_text = rest.take(TIME_BYTES)?;
        let at = time(at_text.as_bytes())?;
        rest.literal("\"")?;
        let belated = rest.literal(r#","belated":true"#).is_some();
        let key = rest.member(r#","requestKey":""#, |rest| rest.uuid())?.map(|(_, key)| key);
        let request = rest.member(r#","request":""#, |rest| rest.take(DIGEST_BYTES))?;
        let request = request.map(|digest| RequestDigest::try_from(digest.to_owned())).transpose().ok()?;
        rest.literal(r#","user":{"idx":"#)?;
        let (user_text, user) = rest.idx()?;
        rest.literal(r#","nickname":"#)?;
        let nickname_json = rest.string()?;
        rest.literal(r#","role":""#)?;
        let role = [Role::Viewer, Role::Moderator, Role::Presenter]
            .into_iter()
            .find(|role| rest.literal(role.as_str()).is_some())?;
        rest.literal(r#""},"text":"#)?;
        let text_json = rest.string()?;
        let flags_json = match rest.literal(r#","flags":"#) {
            Some(()) => Some(rest.strings()?),
            None => None,
        };
        let reply_to = rest.member(r#","replyTo":""#, |rest| rest.uuid())?.map(|(_, id)| EventId(id));
        (rest.0 == "}").then_some(PostedLine {
            id: EventId(id),
            id_text,
            presenter: PresenterIdx::stored(presenter).ok()?,
            at,
            at_text,
            user: UserIdx::stored(user).ok()?,
            user_text,
            role,
            nickname_json,
            text_json,
            belated,
            key: key.map(KeyId),
            request,
            flags_json,
            reply_to,
        })
    }

    /// Whether the line has a member that is about the request alone: `request` or `requestKey`.
    pub fn has_request(&self) -> bool {
        self.request.is_some() || self.key.is_some()
    }

    /// The message, copied out of the line.
    pub(crate) fn message(&self) -> serde_json::Result<MessagePosted> {
        let flags = self.flags_json.map(serde_json::from_str).transpose()?.unwrap_or_default();
        let user = User { idx: self.user, nickname: unescaped(self.nickname_json)?, role: self.role };
        let text = unescaped(self.text_json)?;
        Ok(MessagePosted { user, text, flags, reply_to: self.reply_to, attributes: None, emotes: None })
    }
}

fn unescaped(json: &str) -> serde_json::Result<String> {
    let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    match inside {
        Some(inside) if !inside.contains('\\') => Ok(inside.to_owned()),
        _ => serde_json::from_str(json),
    }
}
