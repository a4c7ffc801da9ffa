//! Searches: which messages a question selects, in a room, of a user, or one by its id.

use chat::EventId;
use mongodb::bson::{Bson, Document, doc};

use super::sequence::{Bounds, Only, Order, Sequence, Span};
use super::times;
use crate::mongo::database::Database;
use crate::mongo::documents::MessageDocument;
use crate::mongo::failure::Failure;

/// The messages of a sequence that match, in an order.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) sequence: Sequence,
    pub(crate) bounds: Bounds,
    pub(crate) order: Order,
    /// What else they match.
    pub(crate) filter: Document,
    /// What their texts contain, folded.
    pub(crate) text: Option<String>,
    /// Whether messages are compared that no index selects.
    pub(crate) is_scan: bool,
}

/// What a search asks for, beside the room or the user.
#[derive(Debug, Clone)]
pub(crate) struct Criteria {
    pub(crate) span: Span,
    /// What their texts contain, folded.
    pub(crate) text: Option<String>,
    /// A label of the word filter or of the review.
    pub(crate) flag: Option<String>,
    pub(crate) attribute: Option<AttributeMatch>,
    /// The id of an emote in the text.
    pub(crate) emote: Option<String>,
    pub(crate) deleted: Deleted,
    pub(crate) order: Order,
}

/// An attribute and its value, as text. Of a list, one of the items has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttributeMatch {
    /// The names that lead to it, separated by dots.
    pub(crate) path: String,
    pub(crate) value: String,
}

/// Whether deleted messages match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deleted {
    /// They do not.
    Hide,
    /// They do, too.
    Include,
    /// Nothing else does.
    Only,
    /// Those that this decision deleted, and nothing else.
    By(EventId),
}

/// The messages of a room, or of one user in it. None: nothing was sent in that span.
pub(crate) async fn of_room(
    database: &Database,
    presenter_idx: i64,
    user: Option<i64>,
    criteria: Criteria,
) -> Result<Option<Selection>, Failure> {
    if let Some(user_idx) = user {
        return Ok(Some(of_user(user_idx, Some(presenter_idx), criteria)));
    }
    let bounds = times::bounds(database, presenter_idx, criteria.span).await?;
    let sequence = Sequence::Room { presenter_idx, only: criteria.only() };
    Ok(bounds.map(|bounds| criteria.select(sequence, bounds)))
}

/// The messages of a user, in every room or in one.
pub(crate) fn of_user(user_idx: i64, room: Option<i64>, criteria: Criteria) -> Selection {
    criteria.select(Sequence::User { user_idx, presenter_idx: room }, Bounds::default())
}

/// The message with this id, unless it was deleted or is in another room.
pub(crate) async fn one(
    database: &Database,
    presenter_idx: i64,
    id: EventId,
) -> Result<Option<MessageDocument>, Failure> {
    let filter = doc! { "_id": id.to_string(), "presenterIdx": presenter_idx, "deleted": { "$exists": false } };
    let found = database.select(&database.messages(), filter, Default::default()).await?;
    Ok(found.into_iter().next())
}

impl Criteria {
    /// The index to read: the narrowest one that has every match.
    fn only(&self) -> Only {
        match (self.deleted, &self.flag) {
            (Deleted::Only | Deleted::By(_), _) => Only::Deleted,
            (_, Some(_)) => Only::Flagged,
            _ => Only::All,
        }
    }

    fn select(self, sequence: Sequence, bounds: Bounds) -> Selection {
        let mut filter = match self.deleted {
            Deleted::Hide => doc! { "deleted": { "$exists": false } },
            Deleted::Include => doc! {},
            Deleted::Only => doc! { "deleted": { "$exists": true } },
            Deleted::By(decision) => {
                doc! { "deleted": { "$exists": true }, "deleted.decision": decision.to_string() }
            }
        };
        filter.extend(self.flag.map(|flag| ("flags".to_owned(), flag.into())));
        filter.extend(self.span.filter().map(|range| ("sentAt".to_owned(), range)));
        let is_scan = self.text.is_some() || self.attribute.is_some() || self.emote.is_some();
        filter.extend(self.attribute.map(|attribute| attribute.filter()));
        filter.extend(self.emote.map(|id| ("emotes.id".to_owned(), id.into())));
        Selection { sequence, bounds, order: self.order, filter, text: self.text, is_scan }
    }
}

impl AttributeMatch {
    /// The member and its condition. A query cannot tell 5 from "5", so both match.
    fn filter(self) -> (String, Bson) {
        let AttributeMatch { path, value } = self;
        let number = value.parse().ok().filter(|number: &i64| number.to_string() == value).map(Bson::from);
        let truth = value.parse().ok().map(|truth: bool| Bson::from(truth));
        let values: Vec<Bson> = [Some(Bson::from(value)), number, truth].into_iter().flatten().collect();
        (format!("attributes.{path}"), doc! { "$in": values }.into())
    }
}
