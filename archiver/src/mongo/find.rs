//! Questions to MongoDB. A question of the read API has a time limit on the server too, so that MongoDB stops when the
//! client no longer waits. A document that was changed by hand is skipped: it must not spoil an answer.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Document, RawDocument, deserialize_from_document};
use mongodb::options::{AggregateOptions, FindOptions};
use serde::de::DeserializeOwned;

use crate::mongo::database::Database;
use crate::mongo::failure::Failure;

/// 1,000: the first documents arrive after 3 ms, and 290,000 per second. With 101, the driver's default, it is a
/// quarter slower.
pub(crate) const BATCH: u32 = 1_000;

impl Database {
    /// The documents that match, for the writing side: without a time limit on the server. `limit` 0: all.
    pub(crate) async fn find<T, D>(
        &self,
        collection: &Collection<D>,
        filter: Document,
        limit: i64,
    ) -> Result<Vec<T>, Failure>
    where
        T: DeserializeOwned,
        D: Send + Sync,
    {
        let collection = collection.clone_with_type::<Document>();
        let name = collection.name().to_owned();
        let found = async move { collection.find(filter).limit(limit).await?.try_collect().await };
        Ok(read_each(&name, self.ask(found).await?))
    }

    /// The documents that match, within the deadline.
    pub(crate) async fn select<T, D>(
        &self,
        collection: &Collection<D>,
        filter: Document,
        options: FindOptions,
    ) -> Result<Vec<T>, Failure>
    where
        T: DeserializeOwned,
        D: Send + Sync,
    {
        let found = self.select_within(collection, filter, options, self.request_timeout()).await?;
        found.ok_or_else(|| Failure::Unavailable("MaxTimeMSExpired (50)".to_owned()))
    }

    /// The same within that time. None: MongoDB gave it up.
    pub(crate) async fn select_within<T, D>(
        &self,
        collection: &Collection<D>,
        filter: Document,
        mut options: FindOptions,
        within: Duration,
    ) -> Result<Option<Vec<T>>, Failure>
    where
        T: DeserializeOwned,
        D: Send + Sync,
    {
        options.max_time = Some(within);
        options.batch_size.get_or_insert(BATCH);
        let collection = collection.clone_with_type::<Document>();
        let name = collection.name().to_owned();
        let found = async move { collection.find(filter).with_options(options).await?.try_collect().await };
        Ok(self.ask_within(found).await?.map(|found| read_each(&name, found)))
    }

    /// Folds the documents that match, one after the other as they arrive, within the deadline. Keeps none of them.
    pub(crate) async fn fold<A, D>(
        &self,
        collection: &Collection<D>,
        filter: Document,
        mut options: FindOptions,
        mut folded: A,
        mut step: impl FnMut(&mut A, &RawDocument) + Send + 'static,
    ) -> Result<A, Failure>
    where
        A: Send + 'static,
        D: Send + Sync,
    {
        options.max_time = Some(self.request_timeout());
        let collection = collection.clone_with_type::<Document>();
        let found = async move {
            let mut cursor = collection.find(filter).with_options(options).await?;
            while cursor.advance().await? {
                step(&mut folded, cursor.current());
            }
            Ok(folded)
        };
        self.ask(found).await
    }

    /// The result of an aggregation.
    pub(crate) async fn aggregate<T, D>(
        &self,
        collection: &Collection<D>,
        stages: Vec<Document>,
        hint: Option<&str>,
    ) -> Result<Vec<T>, Failure>
    where
        T: DeserializeOwned,
        D: Send + Sync,
    {
        let mut options = AggregateOptions::default();
        options.max_time = Some(self.request_timeout());
        options.batch_size = Some(BATCH);
        options.hint = hint.map(|name| mongodb::options::Hint::Name(name.to_owned()));
        // A group of many users may need more than the 100 MB of memory that MongoDB allows.
        options.allow_disk_use = Some(true);
        let collection = collection.clone_with_type::<Document>();
        let name = collection.name().to_owned();
        let found = async move { collection.aggregate(stages).with_options(options).await?.try_collect().await };
        Ok(read_each(&name, self.ask(found).await?))
    }
}

/// The documents that are valid. Others are logged and skipped.
pub(crate) fn read_each<T: DeserializeOwned>(collection: &str, documents: Vec<Document>) -> Vec<T> {
    let mut read = Vec::with_capacity(documents.len());
    for document in documents {
        let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
        match deserialize_from_document(document) {
            Ok(document) => read.push(document),
            Err(_) => tracing::warn!(collection, id, "a document is invalid and is skipped"),
        }
    }
    read
}
