//! A whole room and the whole moderation log, for programs that check the archive.

use futures_util::TryStreamExt;
use mongodb::bson::doc;

use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, MessageDocument};
use crate::mongo::failure::Failure;
use crate::mongo::find::BATCH;

/// All messages of the room, in the order of the log.
pub(crate) async fn messages(database: &Database, presenter_idx: i64) -> Result<Vec<MessageDocument>, Failure> {
    let collection = database.messages();
    let found = async move {
        let find = collection.find(doc! { "presenterIdx": presenter_idx });
        find.sort(doc! { "position": 1 }).batch_size(BATCH).await?.try_collect().await
    };
    database.ask(found).await
}

/// All decisions, in the order of their ids.
pub(crate) async fn decisions(database: &Database) -> Result<Vec<DecisionDocument>, Failure> {
    let collection = database.decisions();
    let found =
        async move { collection.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(BATCH).await?.try_collect().await };
    database.ask(found).await
}
