//! Erasures and messages commute: a message before an erasure is not in the archive under the user's name, in whichever
//! order the two are archived, and however many archivers do it.
//!
//! Both sides write first and look afterwards, as with deletions. The erasing side records the tombstone, then erases
//! what is archived. The archiving side stores a batch, then looks for tombstones. It also looks before, so that erased
//! messages do not appear for a moment when the log is read again.

use std::collections::BTreeSet;

use chat::{ErasureMode, Position, Role};
use mongodb::bson::{Document, doc};

use crate::mongo::database::Database;
use crate::mongo::documents::{
    DecisionDocument, ErasureDocument, MessageDocument, PositionDocument, QuarantineDocument, REPORTED, UserDocument,
};
use crate::mongo::failure::Failure;
use crate::work::{Lined, Work};

#[cfg(test)]
mod tests;

/// The erasures of some users.
#[derive(Debug, Default)]
pub(crate) struct Tombstones(Vec<ErasureDocument>);

impl Tombstones {
    /// The erasures of all users that the batch names.
    pub(crate) async fn of(database: &Database, work: &Work) -> Result<Tombstones, Failure> {
        Tombstones::of_users(database, work.people()).await
    }

    pub(crate) async fn of_users(database: &Database, users: BTreeSet<i64>) -> Result<Tombstones, Failure> {
        if users.is_empty() {
            return Ok(Tombstones::default());
        }
        let users: Vec<i64> = users.into_iter().collect();
        let mut found: Vec<ErasureDocument> =
            database.find(&database.erasures(), doc! { "userIdx": { "$in": users } }, 0).await?;
        found.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        Ok(Tombstones(found))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> &[ErasureDocument] {
        &self.0
    }

    /// The erasures that are about something in the batch.
    pub(crate) fn about(&self, work: &Work) -> impl Iterator<Item = &ErasureDocument> {
        let messages = work.messages.iter().map(|message| (message.document.user_idx, message.document.position));
        let decisions = work
            .decisions
            .iter()
            .flat_map(|Lined { document, .. }| document.people().map(|person| (person, document.position)));
        let lines = work.quarantine.iter().filter_map(|line| Some((place(&line.id)?, &line.users)));
        let lines = lines.flat_map(|(place, users)| users.iter().map(move |user| (*user, place)));
        let covering = messages.chain(decisions).chain(lines);
        let covering: BTreeSet<&str> =
            covering.filter_map(|(user, place)| Some(self.covering(user, place)?.id.as_str())).collect();
        self.0.iter().filter(move |erasure| covering.contains(erasure.id.as_str()))
    }

    /// The batch without erased messages and names.
    pub(crate) fn censor(&self, work: &Work) -> Work {
        let messages = work.messages.iter().filter_map(|Lined { document, line }| {
            Some(Lined { document: self.message(document)?, line: line.clone() })
        });
        let decisions = work
            .decisions
            .iter()
            .map(|Lined { document, line }| Lined { document: self.decision(document), line: line.clone() });
        Work {
            messages: messages.collect(),
            decisions: decisions.collect(),
            sessions: work.sessions.clone(),
            quarantine: work.quarantine.iter().filter(|line| !self.is_about(line)).cloned().collect(),
            erasures: work.erasures.clone(),
        }
    }

    /// For each erasure that removes messages, the messages of the batch that it removes.
    pub(crate) fn removed<'a>(&'a self, work: &'a Work) -> Vec<(&'a ErasureDocument, Vec<&'a str>)> {
        let mut removed: Vec<(&ErasureDocument, Vec<&str>)> = Vec::new();
        for Lined { document, .. } in &work.messages {
            let Some(erasure) = self.covering(document.user_idx, document.position) else { continue };
            if erasure.mode != ErasureMode::Remove {
                continue;
            }
            let message = document.id.as_str();
            match removed.iter_mut().find(|(other, _)| other.id == erasure.id) {
                Some((_, messages)) => messages.push(message),
                None => removed.push((erasure, vec![message])),
            }
        }
        removed
    }

    /// Whether messages of the user were removed.
    pub(crate) fn has_removed(&self, user: i64) -> bool {
        self.0.iter().any(|erasure| erasure.user_idx == user && erasure.mode == ErasureMode::Remove)
    }

    /// Whether the line names an erased user, so that it must not be kept.
    pub(crate) fn is_about(&self, line: &QuarantineDocument) -> bool {
        let Some(position) = place(&line.id) else { return false };
        line.users.iter().any(|user| self.covering(*user, position).is_some())
    }

    /// The erasure that covers what the user did at this position: the first one after it.
    pub(crate) fn covering(&self, user: i64, position: PositionDocument) -> Option<&ErasureDocument> {
        let of_user = || self.0.iter().filter(move |erasure| erasure.user_idx == user);
        let here = of_user().filter_map(|erasure| Some((erasure.position_after(position)?, erasure)));
        here.min_by_key(|(after, _)| *after)
            .map(|(_, erasure)| erasure)
            // Events of an earlier log are before everything in this one.
            .or_else(|| of_user().find(|erasure| erasure.is_complete() && erasure.is_later_than(position.epoch)))
    }

    fn message(&self, message: &MessageDocument) -> Option<MessageDocument> {
        match self.covering(message.user_idx, message.position) {
            None => Some(message.clone()),
            Some(erasure) if erasure.mode == ErasureMode::Remove => None,
            Some(erasure) => Some(MessageDocument {
                user_idx: erasure.pseudonym,
                nickname: String::new(),
                role: anonymous_role(message.role, Role::Viewer),
                attributes: None,
                ..message.clone()
            }),
        }
    }

    fn decision(&self, decision: &DecisionDocument) -> DecisionDocument {
        let mut decision = decision.clone();
        if let Some(by) = &decision.by
            && let Some(erasure) = self.covering(by.user_idx, decision.position)
        {
            let role = anonymous_role(by.role, Role::Moderator);
            decision.by = Some(UserDocument { user_idx: erasure.pseudonym, nickname: String::new(), role });
            if decision.kind == REPORTED {
                decision.reason = None;
            }
        }
        if let Some(user) = decision.user_idx
            && let Some(erasure) = self.covering(user, decision.position)
        {
            (decision.user_idx, decision.reason) = (Some(erasure.pseudonym), None);
        }
        for user in decision.rule.iter_mut().filter_map(|rule| rule.users.as_mut()).flatten() {
            if let Some(erasure) = self.covering(*user, decision.position) {
                (*user, decision.reason) = (erasure.pseudonym, None);
            }
        }
        decision
    }
}

impl ErasureDocument {
    /// Whether the position of its copy in each partition is known.
    pub(crate) fn is_complete(&self) -> bool {
        self.epochs.iter().all(|epoch| self.positions.iter().any(|position| position.epoch == *epoch))
    }

    /// Whether the epoch is of an earlier log, or an earlier one of this log. A later epoch began after the erasure.
    fn is_later_than(&self, epoch: i64) -> bool {
        !self.epochs.contains(&epoch) && self.epochs.iter().any(|own| *own > epoch)
    }

    /// Matches earlier epochs.
    fn earlier_epochs(&self, field: &str) -> Document {
        let latest = self.epochs.iter().max().copied().unwrap_or_default();
        doc! { format!("{field}.epoch"): { "$nin": &self.epochs, "$lt": latest } }
    }

    /// Its position in that epoch, if that is after this one.
    pub(crate) fn position_after(&self, position: PositionDocument) -> Option<PositionDocument> {
        self.positions.iter().copied().find(|own| own.epoch == position.epoch && *own > position)
    }

    /// Matches the positions that it covers: in each epoch those before it and after the user's previous erasure, whose
    /// mode applies to everything before that; and those of earlier epochs that no earlier erasure covers. `others`:
    /// all erasures of the user, the oldest first.
    pub(crate) fn range(&self, field: &str, others: &[ErasureDocument]) -> Document {
        let mut ranges: Vec<Document> = Vec::new();
        for own in &self.positions {
            let earlier = others.iter().flat_map(|other| &other.positions);
            let earlier = earlier.filter(|other| other.epoch == own.epoch && *other < own).max().copied();
            let start = earlier.unwrap_or(PositionDocument { epoch: own.epoch, sequence: 0, index: 0 });
            ranges.push(doc! { field: { "$gte": start, "$lt": *own } });
        }
        if self.is_complete() {
            let before = others.iter().take_while(|other| other.id != self.id);
            let of_others: Vec<Document> = before
                .flat_map(|other| {
                    let start = |own: &PositionDocument| PositionDocument { epoch: own.epoch, sequence: 0, index: 0 };
                    let places =
                        other.positions.iter().map(move |own| doc! { field: { "$gte": start(own), "$lt": *own } });
                    places.chain(other.is_complete().then(|| other.earlier_epochs(field)))
                })
                .collect();
            let mut earlier = self.earlier_epochs(field);
            if !of_others.is_empty() {
                earlier.insert("$nor", of_others);
            }
            ranges.push(earlier);
        }
        // Nothing, while no copy is known.
        if ranges.is_empty() {
            doc! { field: { "$in": [] } }
        } else {
            doc! { "$or": ranges }
        }
    }
}

/// The position of a line in quarantine, from its `_id`.
pub(crate) fn place(id: &str) -> Option<PositionDocument> {
    PositionDocument::try_from(id.parse::<Position>().ok()?).ok()
}

/// A role that does not identify the user: the presenter of a room is known by its number.
fn anonymous_role(role: Role, instead: Role) -> Role {
    if role == Role::Presenter { instead } else { role }
}
