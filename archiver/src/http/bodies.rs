//! Parts that several answers share.

use chat::{Emote, Role};
use mongodb::bson::deserialize_from_document;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::access::Sight;
use super::schemas;
use super::time_format::time;
use crate::formats::csv::cell;
use crate::mongo::documents::{DeletedDocument, MessageDocument, UserDocument};

/// An archived message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageBody {
    #[schema(value_type = schemas::EventId)]
    id: String,
    #[schema(value_type = schemas::Position)]
    position: String,
    #[schema(value_type = schemas::PresenterIdx)]
    presenter_idx: i64,
    user: UserBody,
    /// The text. Absent if the message was deleted and its text has been removed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    text: Option<String>,
    #[schema(value_type = schemas::Time)]
    sent_at: String,
    /// Labels from the word filter and the review hook.
    flags: Vec<String>,
    /// The id of the message that this one answers. It may not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::EventId>, nullable = false)]
    reply_to: Option<String>,
    /// What the platform says about the message or its author, such as badges, a colour or an amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    attributes: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Emotes>, nullable = false)]
    emotes: Option<Vec<Emote>>,
    /// Whether it is a notice, which a moderator posted to everybody in the room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    notice: bool,
    /// The deletion, if the message was deleted. Only moderators get deleted messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted: Option<DeletionBody>,
}

/// Who deleted a message, when and why.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletionBody {
    /// The decision in the room's moderation log.
    #[schema(value_type = schemas::EventId)]
    decision: String,
    #[schema(value_type = schemas::Time)]
    at: String,
    by: UserBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// A person, as of that event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserBody {
    /// The user's number. A negative number is the pseudonym of an erased user.
    idx: i64,
    nickname: String,
    #[schema(value_type = schemas::Role)]
    role: Role,
}

impl MessageBody {
    /// `sight`: how much the caller sees.
    pub(super) fn new(document: MessageDocument, sight: Sight) -> MessageBody {
        let emotes = Some(document.emotes()).filter(|emotes| !emotes.is_empty());
        let MessageDocument { id, presenter_idx, user_idx, nickname, role, message, .. } = document;
        let MessageDocument { sent_at, position, flags, reply_to, attributes, notice, deleted, .. } = document;
        MessageBody {
            id,
            position: position.position().map(|position| position.to_string()).unwrap_or_default(),
            presenter_idx,
            user: UserBody { idx: user_idx, nickname, role },
            text: message,
            sent_at: time(sent_at),
            flags,
            reply_to,
            attributes: attributes.and_then(|attributes| deserialize_from_document(attributes).ok()),
            emotes,
            notice,
            deleted: deleted.filter(|_| sight == Sight::Everything).map(DeletionBody::from),
        }
    }
}

/// A message as a row of a spreadsheet.
impl MessageBody {
    pub(super) const COLUMNS: [&str; 16] = [
        "id",
        "position",
        "presenterIdx",
        "sentAt",
        "userIdx",
        "nickname",
        "role",
        "text",
        "flags",
        "deletedAt",
        "deletedBy",
        "deletedReason",
        "replyTo",
        "attributes",
        "notice",
        "emotes",
    ];

    pub(super) fn row(self) -> [String; 16] {
        let MessageBody { id, position, presenter_idx, user, text, sent_at, flags, .. } = self;
        let MessageBody { reply_to, attributes, emotes, notice, deleted, .. } = self;
        let attributes = attributes.map(|attributes| Value::Object(attributes).to_string()).unwrap_or_default();
        let emotes = emotes.and_then(|emotes| serde_json::to_string(&emotes).ok()).unwrap_or_default();
        let role = serde_json::to_value(user.role).ok().and_then(|role| role.as_str().map(str::to_owned));
        let (deleted_at, deleted_by, reason) = match deleted {
            Some(DeletionBody { at, by, reason, decision: _ }) => (at, by.idx.to_string(), reason.unwrap_or_default()),
            None => Default::default(),
        };
        [
            id,
            position,
            presenter_idx.to_string(),
            sent_at,
            user.idx.to_string(),
            cell(&user.nickname),
            role.unwrap_or_default(),
            cell(text.as_deref().unwrap_or_default()),
            cell(&flags.join(" ")),
            deleted_at,
            deleted_by,
            cell(&reason),
            reply_to.unwrap_or_default(),
            cell(&attributes),
            if notice { "true".to_owned() } else { String::new() },
            cell(&emotes),
        ]
    }
}

impl From<DeletedDocument> for DeletionBody {
    fn from(document: DeletedDocument) -> DeletionBody {
        let DeletedDocument { decision, at, by, reason, position: _ } = document;
        DeletionBody { decision, at: time(at), by: by.into(), reason }
    }
}

impl From<UserDocument> for UserBody {
    fn from(document: UserDocument) -> UserBody {
        let UserDocument { user_idx, nickname, role } = document;
        UserBody { idx: user_idx, nickname, role }
    }
}
