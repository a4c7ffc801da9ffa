//! Of several copies of an event the archive keeps the one with the lowest position, in whichever order they come.

use std::collections::HashMap;

use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::{Cause, DecisionDocument, MessageDocument, PositionDocument, QuarantineDocument};
use crate::write::work::Lined;

/// A document that stands for an event.
pub(crate) trait OfEvent: Serialize + DeserializeOwned + Clone + Send + Sync + Unpin + 'static {
    /// The members that not every such document has, and that come from the event.
    const OPTIONAL: &[&str];
    /// The member that was taken away on purpose where it is missing: what comes again must not bring it back.
    const FORGETTABLE: Option<&str> = None;

    fn id(&self) -> &str;
    fn position(&self) -> PositionDocument;
    /// Whether two documents of one event say the same; if not, somebody reused an id.
    fn agrees_with(&self, other: &Self) -> bool;
}

impl OfEvent for MessageDocument {
    const OPTIONAL: &[&str] = &[];
    const FORGETTABLE: Option<&str> = Some("message");

    fn id(&self) -> &str {
        &self.id
    }

    fn position(&self) -> PositionDocument {
        self.position
    }

    fn agrees_with(&self, other: &Self) -> bool {
        // Who was erased and what was deleted long ago cannot be compared.
        let same_user = self.user_idx == other.user_idx || self.user_idx < 0 || other.user_idx < 0;
        let same_text = self.message == other.message || self.message.is_none() || other.message.is_none();
        self.presenter_idx == other.presenter_idx && same_user && same_text
    }
}

impl OfEvent for DecisionDocument {
    const OPTIONAL: &[&str] =
        &["presenterIdx", "by", "target", "userIdx", "until", "reason", "settings", "settingsChanged", "settingsUntil"];

    fn id(&self) -> &str {
        &self.id
    }

    fn position(&self) -> PositionDocument {
        self.position
    }

    fn agrees_with(&self, other: &Self) -> bool {
        let is_erased = |user: Option<i64>| user.is_some_and(|user| user < 0);
        let same_user = self.user_idx == other.user_idx || is_erased(self.user_idx) || is_erased(other.user_idx);
        let same = (self.presenter_idx, &self.kind, &self.target) == (other.presenter_idx, &other.kind, &other.target);
        same && same_user
    }
}

/// What became of a batch of documents that are not simply new.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// How many were new.
    pub(crate) new: usize,
    /// How many were there before, at the same position or another.
    pub(crate) duplicates: usize,
    /// The ids of events that stand in the log more than once.
    pub(crate) copied: Vec<String>,
    /// How many said something else than the document with their id.
    pub(crate) contradictions: usize,
    /// What MongoDB will not take.
    pub(crate) refused: Vec<QuarantineDocument>,
}

/// Stores the documents, so that of each event the first copy stays. Once it returns all of it is durable.
pub(crate) async fn keep_first<T: OfEvent>(
    database: &Database,
    collection: &Collection<T>,
    lined: &[Lined<T>],
) -> Result<Kept, Failure> {
    let mut kept = Kept::default();
    if lined.is_empty() {
        return Ok(kept);
    }
    let documents = lined.iter().map(|lined| lined.document.clone()).collect();
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
        // It may be gone again, or changed by somebody: that was on purpose, and a copy must not undo it.
        let Some(standing) = standing.get(document.id()) else { continue };
        if standing.position() == document.position() {
            continue;
        }
        kept.copied.push(document.id().to_owned());
        if !document.agrees_with(standing) {
            kept.contradictions += 1;
            tracing::warn!(id = document.id(), "an id in the log stands for two different events; the first stays");
        }
        if document.position() < standing.position() {
            match replace(database, collection, document).await {
                Err(Failure::Refused(reason)) => {
                    kept.refused.push(copy.line.quarantined(Cause::Refused, reason));
                }
                other => other?,
            }
        }
    }
    Ok(kept)
}

/// The documents with these ids, as they stand.
pub(crate) async fn find<T: OfEvent>(
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

/// Puts the event's own members in the place of those of a later copy. What others added, such as a deletion, stays.
async fn replace<T: OfEvent>(database: &Database, collection: &Collection<T>, document: &T) -> Result<(), Failure> {
    let unfit = |_| Failure::Refused("a value does not fit into BSON".to_owned());
    let Bson::Document(mut members) = serialize_to_bson(document).map_err(unfit)? else {
        return Err(Failure::Refused("not a document".to_owned()));
    };
    members.remove("_id");
    let absent = T::OPTIONAL.iter().filter(|name| !members.contains_key(**name));
    let mut update = doc! { "$unset": absent.map(|name| ((*name).to_owned(), "".into())).collect::<Document>() };
    update.insert("$set", members);
    let mut later = doc! { "_id": document.id(), "position": { "$gt": document.position() } };
    if let Some(forgettable) = T::FORGETTABLE {
        later.insert(forgettable, doc! { "$exists": true });
    }
    let collection = collection.clone();
    database.ask(async move { collection.update_one(later, update).await }).await?;
    Ok(())
}
