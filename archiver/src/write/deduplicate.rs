//! Deduplication: of several copies of an event the archive keeps the one with the lowest position, in whichever order
//! they arrive.

use std::collections::HashMap;

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc, serialize_to_bson};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mongo::database::Database;
use crate::mongo::documents::{Cause, DecisionDocument, MessageDocument, PositionDocument, QuarantineDocument};
use crate::mongo::failure::Failure;
use crate::work::Lined;
use crate::write::decisions::holds::are_of_one_hold;

/// A document that one event makes.
pub(crate) trait EventDocument: Serialize + DeserializeOwned + Clone + Send + Sync + Unpin + 'static {
    /// The event's members that not every document has.
    const OPTIONAL: &[&str];
    /// The member that retention removes: a later copy must not restore it.
    const FORGETTABLE: Option<&str> = None;

    fn id(&self) -> &str;
    fn position(&self) -> PositionDocument;
    /// Whether all copies of the event are in one partition, where a position's epoch tells the newer one.
    fn is_of_one_room(&self) -> bool;
    /// The document as it is stored at that time.
    fn stored_at(self, at: DateTime) -> Self;
    /// Whether two documents of one event agree. If not, an id was reused.
    fn agrees_with(&self, other: &Self) -> bool;
}

impl EventDocument for MessageDocument {
    const OPTIONAL: &[&str] = &["replyTo", "attributes", "emotes", "released"];
    const FORGETTABLE: Option<&str> = Some("message");

    fn id(&self) -> &str {
        &self.id
    }

    fn position(&self) -> PositionDocument {
        self.position
    }

    fn is_of_one_room(&self) -> bool {
        true
    }

    fn stored_at(self, at: DateTime) -> MessageDocument {
        MessageDocument { archived_at: Some(at), ..self }
    }

    fn agrees_with(&self, other: &Self) -> bool {
        // Erased users and removed texts cannot be compared.
        let same_user = self.user_idx == other.user_idx || self.user_idx < 0 || other.user_idx < 0;
        let same_text = self.message == other.message || self.message.is_none() || other.message.is_none();
        self.presenter_idx == other.presenter_idx && same_user && same_text
    }
}

impl EventDocument for DecisionDocument {
    const OPTIONAL: &[&str] = &[
        "presenterIdx",
        "by",
        "target",
        "userIdx",
        "until",
        "purgeFrom",
        "sweptFrom",
        "forward",
        "forwardUntil",
        "rule",
        "reason",
        "category",
        "settings",
        "settingsChanged",
        "settingsUntil",
    ];

    fn id(&self) -> &str {
        &self.id
    }

    fn position(&self) -> PositionDocument {
        self.position
    }

    fn is_of_one_room(&self) -> bool {
        self.presenter_idx.is_some()
    }

    fn stored_at(self, _at: DateTime) -> DecisionDocument {
        self
    }

    fn agrees_with(&self, other: &Self) -> bool {
        let is_erased = |user: Option<i64>| user.is_some_and(|user| user < 0);
        let same_user = self.user_idx == other.user_idx || is_erased(self.user_idx) || is_erased(other.user_idx);
        // A release and a denial of one message have its id: the first one stays.
        let same_kind = self.kind == other.kind || are_of_one_hold(&self.kind, &other.kind);
        let same = (self.presenter_idx, &self.target) == (other.presenter_idx, &other.target);
        same && same_kind && same_user
    }
}

/// The result of storing a batch of documents.
#[derive(Debug, Default)]
pub(crate) struct StoredBatch {
    /// New documents.
    pub(crate) new: usize,
    /// Documents that were archived already, at the same position or another.
    pub(crate) duplicates: usize,
    /// The ids of events that the log has more than once.
    pub(crate) copied: Vec<String>,
    /// Documents whose content differs from the archived one.
    pub(crate) contradictions: usize,
    /// Documents that MongoDB refuses.
    pub(crate) refused: Vec<QuarantineDocument>,
}

/// Stores the documents so that the first copy of each event stays. Once it returns, they are durable.
pub(crate) async fn keep_first<T: EventDocument>(
    database: &Database,
    collection: &Collection<T>,
    lined: &[Lined<T>],
) -> Result<StoredBatch, Failure> {
    let mut kept = StoredBatch::default();
    if lined.is_empty() {
        return Ok(kept);
    }
    let now = DateTime::now();
    let documents = lined.iter().map(|lined| lined.document.clone().stored_at(now)).collect();
    let inserted = database.insert(collection.clone(), documents).await?;
    kept.new = lined.len() - inserted.existing.len() - inserted.refused.len();
    kept.duplicates = inserted.existing.len();
    for (index, reason) in inserted.refused {
        kept.refused.push(lined[index].line.quarantined(Cause::Refused, reason));
    }
    let copies: Vec<&Lined<T>> = inserted.existing.iter().map(|index| &lined[*index]).collect();
    let standing =
        find(database, collection, copies.iter().map(|copy| copy.document.id().to_owned()).collect()).await?;
    for copy in copies {
        let document = &copy.document;
        // A document that vanished or was changed by hand stays so: a copy must not undo that.
        let Some(standing) = standing.get(document.id()) else { continue };
        if standing.position() == document.position() {
            continue;
        }
        kept.copied.push(document.id().to_owned());
        if !document.agrees_with(standing) {
            kept.contradictions += 1;
            tracing::warn!(id = document.id(), "two different events in the log have the same id; the first one stays");
        }
        if replaces(document.position(), standing.position(), document.is_of_one_room()) {
            match replace(database, collection, document, standing.position()).await {
                Err(Failure::Refused(reason)) => {
                    kept.refused.push(copy.line.quarantined(Cause::Refused, reason));
                }
                other => other?,
            }
        }
    }
    Ok(kept)
}

/// Whether a copy's position replaces the archived one: the lower position stays. At one sequence and index of a
/// partition the higher epoch is right: that entry was archived before its epoch was recorded, or the lower epoch's
/// entry was lost.
fn replaces(copy: PositionDocument, archived: PositionDocument, is_one_partition: bool) -> bool {
    if is_one_partition && (copy.sequence, copy.index) == (archived.sequence, archived.index) {
        copy.epoch > archived.epoch
    } else {
        copy < archived
    }
}

/// The stored documents with these ids.
pub(crate) async fn find<T: EventDocument>(
    database: &Database,
    collection: &Collection<T>,
    ids: Vec<String>,
) -> Result<HashMap<String, T>, Failure> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<T> = database.find(collection, doc! { "_id": { "$in": ids } }, 0).await?;
    Ok(found.into_iter().map(|document| (document.id().to_owned(), document)).collect())
}

/// Replaces the members of a later copy by those of this one. Members that others added, such as a deletion, stay.
async fn replace<T: EventDocument>(
    database: &Database,
    collection: &Collection<T>,
    document: &T,
    archived: PositionDocument,
) -> Result<(), Failure> {
    let unfit = |_| Failure::Refused("a value does not fit into BSON".to_owned());
    let Bson::Document(mut members) = serialize_to_bson(document).map_err(unfit)? else {
        return Err(Failure::Refused("the value is not a document".to_owned()));
    };
    members.remove("_id");
    let absent = T::OPTIONAL.iter().filter(|name| !members.contains_key(**name));
    let mut update = doc! { "$unset": absent.map(|name| ((*name).to_owned(), "".into())).collect::<Document>() };
    update.insert("$set", members);
    // At the archived position, or at any later one: another archiver may have replaced it meanwhile.
    let position = doc! { "$or": [{ "position": archived }, { "position": { "$gt": document.position() } }] };
    let mut later = doc! { "_id": document.id() };
    later.extend(position);
    if let Some(forgettable) = T::FORGETTABLE {
        later.insert(forgettable, doc! { "$exists": true });
    }
    let collection = collection.clone();
    database.ask(async move { collection.update_one(later, update).await }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_position_stays_but_at_one_entry_of_the_log_the_higher_epoch() {
        let at = |epoch, sequence, index| PositionDocument { epoch, sequence, index };
        for is_one_partition in [false, true] {
            let replaces = |copy, archived| replaces(copy, archived, is_one_partition);
            assert!(replaces(at(1, 5, 0), at(1, 6, 0)) && !replaces(at(1, 6, 0), at(1, 5, 0)));
            assert!(replaces(at(1, 5, 0), at(1, 5, 2)) && !replaces(at(1, 5, 2), at(1, 5, 0)));
            assert!(replaces(at(1, 9, 0), at(2, 5, 0)) && !replaces(at(2, 5, 0), at(1, 9, 0)));
        }
        // Archived before the new epoch was recorded.
        assert!(replaces(at(2, 5, 1), at(1, 5, 1), true) && !replaces(at(1, 5, 1), at(2, 5, 1), true));
        // Copies of an event of every room, in two partitions.
        assert!(!replaces(at(2, 5, 1), at(1, 5, 1), false) && replaces(at(1, 5, 1), at(2, 5, 1), false));
    }
}
