//! Questions to the archive: each with a deadline that MongoDB knows too, so that it does not go on with what nobody
//! waits for. A document that somebody has changed by hand is left out of an answer; it must not spoil it.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Document, deserialize_from_document};
use mongodb::options::{AggregateOptions, FindOptions};
use serde::de::DeserializeOwned;

use crate::mongo::database::{Database, Failure};

pub(crate) mod broadcasts;
pub(crate) mod cursor;
pub(crate) mod pages;
pub(crate) mod replay;
pub(crate) mod sequence;
pub(crate) mod sessions;
pub(crate) mod statistics;
pub(crate) mod timeline;
pub(crate) mod times;

/// 1,000: the first documents come after 3 ms, and all at 290,000 a second; with 101, the driver's default, a quarter slower.
pub(crate) const BATCH: u32 = 1_000;

impl Database {
    /// The documents that match, read as `T`.
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

    /// The same; none: MongoDB did not come to the end in that time.
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

    /// What the stages make of the collection, read as `T`.
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
        // A group of many users may take more than the 100 MB that MongoDB allows in memory.
        options.allow_disk_use = Some(true);
        let collection = collection.clone_with_type::<Document>();
        let name = collection.name().to_owned();
        let found = async move { collection.aggregate(stages).with_options(options).await?.try_collect().await };
        Ok(read_each(&name, self.ask(found).await?))
    }
}

/// Those of the documents that are as archived.
pub(crate) fn read_each<T: DeserializeOwned>(collection: &str, documents: Vec<Document>) -> Vec<T> {
    let mut read = Vec::with_capacity(documents.len());
    for document in documents {
        let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
        match deserialize_from_document(document) {
            Ok(document) => read.push(document),
            Err(_) => tracing::warn!(collection, id, "a document is not as archived and is left out of an answer"),
        }
    }
    read
}
