//! Which line of the log becomes which document. Pure: it knows no connection.

use std::collections::BTreeSet;
use std::time::Duration;

use chat::{Body, ErasureMode, MessagePosted, Position, PresenterIdx, User, UserIdx};
use mongodb::bson::{DateTime, Document, serialize_to_raw_document_buf};
use nats::{Entry, Malformed};
use serde_json::{Map, Value};

use crate::mongo::documents::{
    Cause, DecisionDocument, MessageDocument, PositionDocument, QuarantineDocument, SessionEnd, people, readable,
};
use crate::text_folding::folded;
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
    /// A held message, and the decision to release it.
    Released(MessageDocument, Box<DecisionDocument>),
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
            Ok(Mapped::Released(document, decision)) => {
                self.messages.push(Lined { document, line: line.clone() });
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
        let decisions = decisions.flat_map(|decision| [decision.by.as_ref().map(|by| by.user_idx), decision.user_idx]);
        let messages = self.messages.iter().map(|message| message.document.user_idx);
        let lines = self.quarantine.iter().flat_map(|line| line.users.iter().copied());
        messages.chain(decisions.flatten()).chain(lines).collect()
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
    let decision = |by: User, reason: Option<String>| DecisionDocument {
        id: id.clone(),
        kind: entry.kind.to_string(),
        presenter_idx: room,
        at,
        position,
        by: Some(by.into()),
        target: None,
        user_idx: None,
        until: None,
        purge_from: None,
        reason,
        settings: None,
        settings_changed: Vec::new(),
        settings_until: None,
    };
    let about_held = |target: String, author: &User, decision: DecisionDocument| DecisionDocument {
        target: Some(target),
        user_idx: Some(author.idx.get()),
        ..decision
    };
    let message = |posted: MessagePosted, presenter_idx| MessageDocument {
        id: id.clone(),
        presenter_idx,
        user_idx: posted.user.idx.get(),
        nickname: posted.user.nickname,
        role: posted.user.role,
        folded: Some(folded(&posted.text)),
        message: Some(posted.text),
        sent_at: at,
        position,
        flags: posted.flags,
        deleted: None,
        restored: None,
    };
    let session = |session: chat::SessionId, presenter_idx, disconnected| {
        Mapped::Session(SessionEnd { session: session.to_string(), presenter_idx, at, position, disconnected })
    };
    Ok(match body {
        Body::MessagePosted(posted) => Mapped::Message(message(posted, its_room?)),
        Body::MessageReleased(released) => {
            let (posted, hold) = (released.posted, released.held);
            let decided = DecisionDocument {
                kind: RELEASED.to_owned(),
                ..about_held(id.clone(), &posted.user, decision(hold.by, hold.reason))
            };
            Mapped::Released(message(posted, its_room?), Box::new(decided))
        }
        Body::MessageHeld(held) => Mapped::Decision(DecisionDocument {
            // The filter or the hook held it: there is nobody to name.
            by: None,
            until: Some(DateTime::from_millis(held.until.as_millisecond())),
            ..about_held(held.target.to_string(), &held.posted.user, decision(held.posted.user.clone(), None))
        }),
        Body::MessageDenied(denied) => Mapped::Decision(DecisionDocument {
            target: Some(denied.target.to_string()),
            user_idx: Some(denied.user.get()),
            ..decision(denied.by, denied.reason)
        }),
        Body::MessageDeleted(deleted) => Mapped::Decision(DecisionDocument {
            target: Some(deleted.target.to_string()),
            ..decision(deleted.by, deleted.reason)
        }),
        Body::MessageRestored(restored) => Mapped::Decision(DecisionDocument {
            target: Some(restored.target.to_string()),
            ..decision(restored.by, restored.reason)
        }),
        Body::RoomCleared(cleared) => Mapped::Decision(decision(cleared.by, cleared.reason)),
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
        Body::RoomUpdated(updated) => {
            let document = |members: &Map<String, Value>| {
                let document = serialize_to_raw_document_buf(members).and_then(Document::try_from);
                document.map_err(|_| (Cause::Unmappable, "the settings do not fit into BSON".to_owned()))
            };
            let until = if updated.until.is_empty() { None } else { Some(document(&updated.until)?) };
            Mapped::Decision(DecisionDocument {
                settings: Some(document(&updated.settings)?),
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
mod tests {
    use chat::Event;
    use mongodb::bson::serialize_to_bson;
    use serde::Serialize;
    use serde_json::json;

    use super::*;

    /// The document of one line and where it goes, as extended JSON with the members in their order: positions are
    /// compared member by member.
    fn document(line: &Value) -> String {
        let position = Position { epoch: 0x1879_f0c3_a1b2_c3d4, sequence: 31, index: 3 };
        let mut work = Work::default();
        work.add(Entry::read(position, line.to_string().into()));
        fn json<T: Serialize>(collection: &str, document: &T) -> String {
            format!("{collection}: {}", serde_json::to_string(&serialize_to_bson(document).unwrap()).unwrap())
        }
        let Work { messages, decisions, sessions, quarantine, erasures } = &work;
        let mut documents: Vec<String> = messages.iter().map(|m| json("chatting_log", &m.document)).collect();
        documents.extend(decisions.iter().map(|decision| json("moderation_log", &decision.document)));
        documents.extend(sessions.iter().map(|session| format!("broadcasts: {:?}", session.document)));
        documents.extend(quarantine.iter().map(|q| json("quarantine", &(&q.id, q.cause, &q.reason, &q.users))));
        documents.extend(erasures.iter().map(|erasure| format!("erasures: {erasure:?}")));
        documents.join("\n  ")
    }

    #[test]
    fn every_type_of_event_has_its_place() {
        let by = json!({ "idx": 42, "nickname": "진행자", "role": "presenter" });
        let target = "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3";
        let documents = [
            (
                "message.posted",
                json!({ "user": { "idx": 7, "nickname": "별명", "role": "viewer" }, "text": "안녕 👋" }),
            ),
            ("message.posted", json!({ "user": by, "text": "flagged", "flags": ["profanity"], "later": "member" })),
            ("message.deleted", json!({ "target": target, "by": by, "reason": "spam" })),
            ("message.restored", json!({ "target": target, "by": by, "reason": "a mistake" })),
            ("message.held", json!({ "target": target, "until": "2026-11-22T10:10:00.000Z", "user": { "idx": 7, "nickname": "별명", "role": "viewer" }, "text": "held", "flags": ["profanity"] })),
            ("message.posted", json!({ "user": { "idx": 7, "nickname": "별명", "role": "viewer" }, "text": "held", "held": { "at": "2026-11-22T09:59:00.000Z", "position": "1879f0c3a1b2c3d4-1e-0", "by": by, "reason": "harmless" } })),
            ("message.denied", json!({ "target": target, "user": 7, "by": by, "reason": "harmful" })),
            ("user.banned", json!({ "user": 7, "until": "2026-11-23T10:00:00.000Z", "by": by })),
            ("user.banned", json!({ "user": 7, "purgeSeconds": 600, "by": by })),
            ("user.banned", json!({ "presenterIdx": null, "user": 7, "purgeSeconds": 600, "by": by })),
            ("user.unbanned", json!({ "user": 7, "by": by, "reason": "appeal" })),
            ("user.banned", json!({ "presenterIdx": null, "user": 7, "by": by, "reason": "spam" })),
            ("moderator.added", json!({ "user": 7, "by": by })),
            ("moderator.removed", json!({ "user": 7, "by": by, "reason": "left the team" })),
            ("room.cleared", json!({ "by": by, "reason": "raid" })),
            ("room.updated", json!({ "settings": { "slowModeSeconds": 5 }, "changed": ["slowModeSeconds"], "until": { "slowModeSeconds": "2026-11-23T10:00:00.000Z" }, "by": by, "reason": "raid" })),
            ("user.erased", json!({ "presenterIdx": null, "user": 7, "mode": "anonymise", "by": by })),
            ("presenter.connected", json!({ "session": target })),
            ("presenter.disconnected", json!({ "session": target, "reason": "closed" })),
            ("message.translated", json!({ "text": "of a later version" })),
            ("message.deleted", json!({ "target": "not an id", "by": by })),
        ]
        .map(|(kind, members)| {
            let mut line = json!({
                "v": 1,
                "id": "0192f0c1-2d3e-7a4b-8c5d-000000000001",
                "type": kind,
                "presenterIdx": 42,
                "at": "2026-11-22T10:00:00.123Z",
            });
            line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            format!("{kind} {members}\n  {}\n", document(&line))
        });
        insta::assert_snapshot!(documents.concat());
    }

    #[test]
    fn a_position_that_mongodb_cannot_hold_is_put_aside() {
        let mut work = Work::default();
        let event = Event::now(
            PresenterIdx::try_from(1).unwrap(),
            Body::RoomCleared(chat::RoomCleared {
                by: User {
                    idx: chat::UserIdx::try_from(1).unwrap(),
                    nickname: String::new(),
                    role: chat::Role::Presenter,
                },
                reason: None,
            }),
        );
        let position = Position { epoch: u64::MAX, sequence: 1, index: 0 };
        work.add(Entry::read(position, event.to_line()));
        assert_eq!(work.quarantine.len(), 1);
        assert_eq!(work.quarantine[0].cause, Cause::Unmappable);
    }
}
