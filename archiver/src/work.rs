//! What a batch of lines asks of the database: which line becomes which document. Pure; it knows no connection.

use mongodb::bson::{DateTime, serialize_to_document};
use nats::{Body, Entry, Event, Malformed, Position, User};

use crate::documents::{
    Cause, DecisionDocument, MessageDocument, PositionDocument, QuarantineDocument, SessionEnd, readable,
};

/// The lines of one write, sorted by where they go.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) messages: Vec<Lined<MessageDocument>>,
    pub(crate) decisions: Vec<Lined<DecisionDocument>>,
    pub(crate) sessions: Vec<Lined<SessionEnd>>,
    pub(crate) quarantine: Vec<QuarantineDocument>,
}

/// A document with the line that it was made of, which is kept if MongoDB refuses the document.
#[derive(Debug)]
pub(crate) struct Lined<T> {
    pub(crate) document: T,
    pub(crate) line: Line,
}

/// A line as it came and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) position: Position,
    pub(crate) bytes: bytes::Bytes,
}

/// The one document that a line becomes.
#[derive(Debug)]
enum Place {
    Message(MessageDocument),
    Decision(DecisionDocument),
    Session(SessionEnd),
}

impl Work {
    /// Adds one line of the log.
    pub(crate) fn add(&mut self, line: Result<Entry, Malformed>) {
        let (line, place) = match line {
            Ok(entry) => {
                let place = place(&entry);
                (Line { position: entry.position, bytes: entry.line }, place)
            }
            Err(Malformed { position, line, reason }) => {
                (Line { position, bytes: line }, Err((Cause::Malformed, reason.to_string())))
            }
        };
        match place {
            Ok(Place::Message(document)) => self.messages.push(Lined { document, line }),
            Ok(Place::Decision(document)) => self.decisions.push(Lined { document, line }),
            Ok(Place::Session(document)) => self.sessions.push(Lined { document, line }),
            Err((cause, reason)) => self.quarantine.push(line.quarantined(cause, reason)),
        }
    }
}

impl Line {
    /// The line as it goes into quarantine, now.
    pub(crate) fn quarantined(&self, cause: Cause, reason: String) -> QuarantineDocument {
        QuarantineDocument {
            id: self.position.to_string(),
            cause,
            reason,
            at: DateTime::now(),
            line: readable(&self.bytes),
        }
    }
}

fn place(entry: &Entry) -> Result<Place, (Cause, String)> {
    let Event { id, presenter, at, body } = entry.event().map_err(|e| (Cause::Malformed, e.to_string()))?;
    let position = PositionDocument::try_from(entry.position).map_err(|e| (Cause::Unmappable, e.to_string()))?;
    let at = DateTime::from_millis(at.as_millisecond());
    let id = id.to_string();
    let presenter_idx = presenter.get();
    let decision = |by: Option<User>| DecisionDocument {
        id: id.clone(),
        kind: entry.kind.clone(),
        presenter_idx,
        at,
        position,
        by: by.map(Into::into),
        target: None,
        user_idx: None,
        until: None,
        reason: None,
        settings: None,
    };
    let session = |session: nats::SessionId, disconnected| SessionEnd {
        session: session.to_string(),
        presenter_idx,
        at,
        position,
        disconnected,
    };
    Ok(match body {
        Body::MessagePosted(posted) => Place::Message(MessageDocument {
            id,
            presenter_idx,
            user_idx: posted.user.idx.get(),
            nickname: posted.user.nickname,
            role: posted.user.role,
            message: posted.text,
            sent_at: at,
            position,
            flags: posted.flags,
            deleted: None,
        }),
        Body::MessageDeleted(deleted) => Place::Decision(DecisionDocument {
            target: Some(deleted.target.to_string()),
            reason: deleted.reason,
            ..decision(Some(deleted.by))
        }),
        Body::RoomCleared(cleared) => Place::Decision(decision(Some(cleared.by))),
        Body::UserBanned(banned) => Place::Decision(DecisionDocument {
            user_idx: Some(banned.user.get()),
            until: banned.until.map(|until| DateTime::from_millis(until.as_millisecond())),
            reason: banned.reason,
            ..decision(Some(banned.by))
        }),
        Body::UserUnbanned(unbanned) => {
            Place::Decision(DecisionDocument { user_idx: Some(unbanned.user.get()), ..decision(Some(unbanned.by)) })
        }
        Body::RoomUpdated(updated) => {
            let settings = serialize_to_document(&updated.settings)
                .map_err(|_| (Cause::Unmappable, "the settings hold a name or a number that BSON cannot".to_owned()))?;
            Place::Decision(DecisionDocument { settings: Some(settings), ..decision(None) })
        }
        Body::PresenterConnected(connected) => Place::Session(session(connected.session, None)),
        Body::PresenterDisconnected(disconnected) => {
            Place::Session(session(disconnected.session, Some(disconnected.reason)))
        }
        Body::Unknown { kind, .. } => return Err((Cause::UnknownType, format!("unknown type {kind:?}"))),
    })
}
