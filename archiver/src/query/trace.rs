//! A message with everything that was decided about it.

use chat::EventId;
use mongodb::bson::{Document, doc};
use mongodb::options::FindOptions;

use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, MessageDocument};
use crate::mongo::failure::Failure;

/// 100: the decisions about one message that a trace has. The earliest come first.
const MOST_DECISIONS: i64 = 100;

/// The message with this id, deleted or not, unless it is in another room.
pub(crate) async fn message(
    database: &Database,
    presenter_idx: i64,
    id: EventId,
) -> Result<Option<MessageDocument>, Failure> {
    let filter = doc! { "_id": id.to_string(), "presenterIdx": presenter_idx };
    let found = database.select(&database.messages(), filter, Default::default()).await?;
    Ok(found.into_iter().next())
}

/// The decisions about the message, in the order of the log: those that name it, and the one that deleted it.
pub(crate) async fn decisions(
    database: &Database,
    message: &MessageDocument,
) -> Result<Vec<DecisionDocument>, Failure> {
    let mut about: Vec<Document> =
        vec![doc! { "type": { "$in": ["message.deleted", "message.restored"] }, "target": &message.id }];
    about.extend(message.deleted.as_ref().map(|deleted| doc! { "_id": &deleted.decision }));
    let filter = doc! { "presenterIdx": message.presenter_idx, "$or": about };
    let options = FindOptions::builder().sort(doc! { "position": 1 }).limit(MOST_DECISIONS).build();
    database.select(&database.decisions(), filter, options).await
}
