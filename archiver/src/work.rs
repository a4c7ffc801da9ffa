//! Which line of the log becomes which document. Pure: it knows no connection.

use std::collections::BTreeSet;
use std::time::Duration;

use chat::{Body, ErasureMode, ForwardAction, MessagePosted, Position, PresenterIdx, User, UserIdx, folded};
use mongodb::bson::{DateTime, Document, serialize_to_raw_document_buf};
use nats::{Entry, Malformed};
use serde_json::{Map, Value};

use crate::mongo::documents::{
    Cause, DecisionDocument, EmoteDocument, MessageDocument, PositionDocument, QuarantineDocument, REFUSE, SessionEnd,
    TEXT_INDEX_VERSION, people, readable,
};
use crate::write::decisions::holds::RELEASED;

/// The documents of one write, by collection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    pub(crate) messages: Vec<Lined<MessageDocument>>,
    pub(crate) decisions: Vec<Lined<DecisionDocument>>,
    pub(crate) sessions: Vec<Lined<SessionEnd>>,
    pub(crate) quarantine: Vec<QuarantineDocument>,
    /// Every copy of an erasure: each is about the messages before its own position.
    pub(crate) erasures: Vec<(Erasure, PositionDocument)>,
}

/// A document with its line, which goes into quarantine if MongoDB refuses the document.
#[derive(Debug, Clone)]
pub(crate) struct Lined<T> {
    pub(crate) document: T,
    pub(crate) line: Line,
}

/// A line and its position in the log.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) position: Position,
    pub(crate) bytes: bytes::Bytes,
}

/// An erasure, from a copy of its event or from a request.
#[derive(Debug, Clone)]
pub(crate) struct Erasure {
    pub(crate) id: String,
    pub(crate) user: UserIdx,
    pub(crate) mode: ErasureMode,
    pub(crate) at: DateTime,
    pub(crate) by: User,
    pub(crate) log: LogFacts,
}

/// The facts about the log that an erasure needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogFacts {
    /// The epochs of its partitions.
    pub(crate) epochs: Vec<i64>,
    /// The age limit of its batches. Unknown for lines that come another way.
    pub(crate) max_age: Option<Duration>,
}

impl LogFacts {
    pub(crate) fn of(log: &nats::Log) -> LogFacts {
        let epoch = |epoch: u64| i64::try_from(epoch).unwrap_or(i64::MAX);
        LogFacts { epochs: log.timelines().epochs().map(epoch).collect(), max_age: Some(log.max_age()) }
    }
}

/// The result of a write.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// All lines.
    pub(crate) events: usize,
    /// New messages.
    pub(crate) archived: usize,
    /// Messages and decisions that were archived already.
    pub(crate) duplicates: usize,
    /// Duplicates whose content differs from the archived one.
    pub(crate) contradictions: usize,
    pub(crate) decisions: usize,
    pub(crate) sessions: usize,
    /// Lines that went into quarantine.
    pub(crate) quarantined: Vec<QuarantineDocument>,
}

/// The document that a line becomes.
#[derive(Debug)]
enum Mapped {
    Message(MessageDocument),
    /// A message, and a decision in the audit: a notice, or the release of a held message.
    Audited(MessageDocument, Box<DecisionDocument>),
    Decision(DecisionDocument),
    Session(SessionEnd),
    Erasure(Erasure, PositionDocument),
}

impl Work {
    /// Adds a line.
    pub(crate) fn add(&mut self, line: Result<Entry, Malformed>) {
        self.add_of(line, &LogFacts::default());
    }

    /// Adds a line of that log.
    pub(crate) fn add_of(&mut self, line: Result<Entry, Malformed>, log: &LogFacts) {
        let (line, mapped) = match line {
            Ok(entry) => {
                let mapped = mapped(&entry);
                (Line { position: entry.position, bytes: entry.line }, mapped)
            }
            Err(Malformed { position, line, reason }) => {
                (Line { position, bytes: line }, Err((Cause::Malformed, reason.to_string())))
            }
        };
        match mapped {
            Ok(Mapped::Message(document)) => self.messages.push(Lined { document, line }),
            Ok(Mapped::Audited(message, decision)) => {
                self.messages.push(Lined { document: message, line: line.clone() });
                self.decisions.push(Lined { document: *decision, line });
            }
            Ok(Mapped::Decision(document)) => self.decisions.push(Lined { document, line }),
            Ok(Mapped::Session(document)) => self.sessions.push(Lined { document, line }),
            Ok(Mapped::Erasure(mut erasure, position)) => {
                erasure.log = log.clone();
                if erasure.log.epochs.is_empty() {
                    erasure.log.epochs.push(position.epoch);
                }
                self.erasures.push((erasure, position));
            }
            Err((cause, reason)) => self.quarantine.push(line.quarantined(cause, reason)),
        }
    }
}

impl Work {
    /// All users that the batch names.
    pub(crate) fn people(&self) -> BTreeSet<i64> {
        let decisions = self.decisions.iter().map(|decision| &decision.document);
        let decisions = decisions.flat_map(DecisionDocument::people);
        let messages = self.messages.iter().map(|message| message.document.user_idx);
        let lines = self.quarantine.iter().flat_map(|line| line.users.iter().copied());
        messages.chain(decisions).chain(lines).collect()
    }
}

impl Line {
    /// The line as a document of the quarantine.
    pub(crate) fn quarantined(&self, cause: Cause, reason: String) -> QuarantineDocument {
        QuarantineDocument {
            id: self.position.to_string(),
            cause,
            reason,
            at: DateTime::now(),
            line: readable(&self.bytes),
            users: people(&self.bytes),
        }
    }
}

fn mapped(entry: &Entry) -> Result<Mapped, (Cause, String)> {
    let body = entry.body().map_err(|e| (Cause::Malformed, e.to_string()))?;
    let position = PositionDocument::try_from(entry.position).map_err(|e| (Cause::Unmappable, e.to_string()))?;
    let at = DateTime::from_millis(entry.at.as_millisecond());
    let id = entry.id.to_string();
    let room = entry.presenter.map(PresenterIdx::get);
    let its_room = room.ok_or_else(|| (Cause::Malformed, format!("{} without presenterIdx", entry.kind)));
    let audited = || DecisionDocument {
        id: id.clone(),
        kind: entry.kind.to_string(),
        presenter_idx: room,
        at,
        position,
        by: None,
        target: None,
        user_idx: None,
        until: None,
        purge_from: None,
        swept_from: None,
        forward: None,
        forward_until: None,
        rule: None,
        reason: None,
        category: None,
        settings: None,
        settings_changed: Vec::new(),
        settings_until: None,
    };
    let decision = |by: User, reason: Option<String>| DecisionDocument { by: Some(by.into()), reason, ..audited() };
    let about_held = |target: String, author: &User, decision: DecisionDocument| DecisionDocument {
        target: Some(target),
        user_idx: Some(author.idx.get()),
        ..decision
    };
    let bson = |members: &Map<String, Value>, what: &str| {
        let document = serialize_to_raw_document_buf(members).and_then(Document::try_from);
        document.map_err(|_| (Cause::Unmappable, format!("the {what} do not fit into BSON")))
    };
    let message = |posted: MessagePosted, presenter_idx, released| {
        Ok(MessageDocument {
            id: id.clone(),
            presenter_idx,
            user_idx: posted.user.idx.get(),
            nickname: posted.user.nickname,
            role: posted.user.role,
            folded: Some(folded(&posted.text)),
            text_index: Some(TEXT_INDEX_VERSION),
            message: Some(posted.text),
            sent_at: at,
            position,
            flags: posted.flags,
            reply_to: posted.reply_to.map(|id| id.to_string()),
            attributes: posted.attributes.map(|attributes| bson(&attributes.members(), "attributes")).transpose()?,
            emotes: posted.emotes.map(|emotes| emotes.iter().map(EmoteDocument::from).collect()),
            notice: false,
            released,
            deleted: None,
            restored: None,
            archived_at: None,
        })
    };
    let session = |session: chat::SessionId, presenter_idx, disconnected| {
        Mapped::Session(SessionEnd { session: session.to_string(), presenter_idx, at, position, disconnected })
    };
    Ok(match body {
        Body::MessagePosted(posted) => Mapped::Message(message(posted, its_room?, false)?),
        Body::MessageReleased(released) => {
            let (posted, hold) = (released.posted, released.held);
            let decided = DecisionDocument {
                kind: RELEASED.to_owned(),
                ..about_held(id.clone(), &posted.user, decision(hold.by, hold.reason))
            };
            Mapped::Audited(message(posted, its_room?, true)?, Box::new(decided))
        }
        Body::MessageHeld(held) => Mapped::Decision(DecisionDocument {
            until: Some(DateTime::from_millis(held.until.as_millisecond())),
            // The filter or the hook held it: there is nobody to name.
            ..about_held(held.target.to_string(), &held.posted.user, audited())
        }),
        Body::MessageDenied(denied) => Mapped::Decision(DecisionDocument {
            target: Some(denied.target.to_string()),
            user_idx: Some(denied.user.get()),
            ..decision(denied.by, denied.reason)
        }),
        Body::NoticePosted(notice) => {
            let audited = DecisionDocument { target: Some(id.clone()), ..decision(notice.user.clone(), None) };
            let message = MessageDocument {
                id,
                presenter_idx: its_room?,
                user_idx: notice.user.idx.get(),
                nickname: notice.user.nickname,
                role: notice.user.role,
                folded: Some(folded(&notice.text)),
                text_index: Some(TEXT_INDEX_VERSION),
                message: Some(notice.text),
                sent_at: at,
                position,
                flags: Vec::new(),
                reply_to: None,
                attributes: None,
                emotes: None,
                notice: true,
                released: false,
                deleted: None,
                restored: None,
                archived_at: None,
            };
            Mapped::Audited(message, Box::new(audited))
        }
        Body::MessagePinned(pinned) => {
            Mapped::Decision(DecisionDocument { target: Some(pinned.target.to_string()), ..decision(pinned.by, None) })
        }
        Body::MessageUnpinned(unpinned) => {
            let target = Some(unpinned.target.to_string());
            Mapped::Decision(DecisionDocument { target, ..decision(unpinned.by, None) })
        }
        Body::MessageDeleted(deleted) => Mapped::Decision(DecisionDocument {
            target: Some(deleted.target.to_string()),
            ..decision(deleted.by, deleted.reason)
        }),
        Body::MessageRestored(restored) => Mapped::Decision(DecisionDocument {
            target: Some(restored.target.to_string()),
            ..decision(restored.by, restored.reason)
        }),
        Body::MessageReported(reported) => Mapped::Decision(DecisionDocument {
            target: Some(reported.target.to_string()),
            category: Some(reported.category),
            ..decision(reported.by, reported.reason)
        }),
        Body::ReportClosed(closed) => Mapped::Decision(DecisionDocument {
            target: Some(closed.target.to_string()),
            ..decision(closed.by, closed.reason)
        }),
        Body::RoomCleared(cleared) => Mapped::Decision(decision(cleared.by, cleared.reason)),
        Body::RoomSwept(swept) => Mapped::Decision(DecisionDocument {
            swept_from: Some(DateTime::from_millis(swept.since(entry.at).as_millisecond())),
            forward: swept.forward.map(|forward| match forward.action {
                ForwardAction::Refuse => REFUSE.to_owned(),
                ForwardAction::Hold => "hold".to_owned(),
            }),
            forward_until: swept.forward.map(|forward| DateTime::from_millis(forward.until.as_millisecond())),
            rule: Some((&swept.rule).into()),
            ..decision(swept.by, swept.reason)
        }),
        Body::SweepUndone(undone) => Mapped::Decision(DecisionDocument {
            target: Some(undone.target.to_string()),
            ..decision(undone.by, undone.reason)
        }),
        Body::UserBanned(banned) => Mapped::Decision(DecisionDocument {
            user_idx: Some(banned.user.get()),
            until: banned.until.map(|until| DateTime::from_millis(until.as_millisecond())),
            purge_from: banned.purge_seconds.filter(|_| room.is_some()).map(|seconds| {
                DateTime::from_millis(entry.at.as_millisecond().saturating_sub(i64::from(seconds) * 1_000))
            }),
            ..decision(banned.by, banned.reason)
        }),
        Body::UserUnbanned(unbanned) => Mapped::Decision(DecisionDocument {
            user_idx: Some(unbanned.user.get()),
            ..decision(unbanned.by, unbanned.reason)
        }),
        Body::ModeratorAdded(added) => {
            Mapped::Decision(DecisionDocument { user_idx: Some(added.user.get()), ..decision(added.by, added.reason) })
        }
        Body::ModeratorRemoved(removed) => Mapped::Decision(DecisionDocument {
            user_idx: Some(removed.user.get()),
            ..decision(removed.by, removed.reason)
        }),
        Body::UserWarned(warned) => Mapped::Decision(DecisionDocument {
            user_idx: Some(warned.user.get()),
            ..decision(warned.by, warned.reason)
        }),
        Body::WarningWithdrawn(withdrawn) => Mapped::Decision(DecisionDocument {
            user_idx: Some(withdrawn.user.get()),
            ..decision(withdrawn.by, withdrawn.reason)
        }),
        Body::WarningSent(sent) => Mapped::Decision(DecisionDocument {
            user_idx: Some(sent.user.get()),
            target: Some(sent.target.to_string()),
            ..audited()
        }),
        // Its text is the reason, so that an erasure of the user removes it as that of any decision.
        Body::NoteAdded(added) => {
            Mapped::Decision(DecisionDocument { user_idx: Some(added.user.get()), ..decision(added.by, added.text) })
        }
        Body::NoteDeleted(deleted) => Mapped::Decision(DecisionDocument {
            user_idx: Some(deleted.user.get()),
            target: Some(deleted.target.to_string()),
            ..decision(deleted.by, deleted.reason)
        }),
        Body::RoomUpdated(updated) => {
            let until = if updated.until.is_empty() { None } else { Some(bson(&updated.until, "settings")?) };
            Mapped::Decision(DecisionDocument {
                settings: Some(bson(&updated.settings, "settings")?),
                settings_changed: updated.changed,
                settings_until: until,
                ..decision(updated.by, updated.reason)
            })
        }
        Body::UserErased(erased) => {
            let (user, mode, by) = (erased.user, erased.mode, erased.by);
            Mapped::Erasure(Erasure { id, user, mode, at, by, log: LogFacts::default() }, position)
        }
        Body::PresenterConnected(connected) => session(connected.session, its_room?, None),
        Body::PresenterDisconnected(disconnected) => {
            session(disconnected.session, its_room?, Some(disconnected.reason))
        }
        Body::Unknown { kind, .. } => return Err((Cause::UnknownType, format!("unknown type {kind:?}"))),
    })
}

#[cfg(test)]
mod tests;
