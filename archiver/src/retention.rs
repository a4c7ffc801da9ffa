//! Retention: MongoDB removes whole documents by age (TTL indexes, which follow the configuration at each start), and a
//! sweep removes the texts of messages that were deleted long ago. Removed data does not come back, because nothing is
//! removed that the log still holds.

use std::time::Duration;

use conf::{Problem, Problems, Span};
use mongodb::bson::{Bson, DateTime, Document, doc};
use nats::Log;
use serde::Deserialize;
use tokio::time::sleep;

use crate::erasure::receipt;
use crate::erasure::service;
use crate::mongo::collections::{BROADCASTS, DECISIONS, ERASED_IDS, ERASURES, MESSAGES, QUARANTINE};
use crate::mongo::database::Database;
use crate::mongo::failure::Failure;
use crate::write::text_index;
use crate::{Config, Error};

/// 1,000: the texts that one request removes.
const PAGE: i64 = 1_000;

/// 10 s: the pause before another attempt to repeat the erasures that the log has lost.
const REPEAT_PAUSE: Duration = Duration::from_secs(10);

/// A day: ingest undoes no sweep that is older.
const UNDOABLE_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// 24,000 days: MongoDB counts a TTL in 31 bits of seconds.
const LONGEST: Span = Span::from_days(24_000);

/// The section `[archiver.retention]`: whole days, 0 for ever.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// The age at which a message is removed from `chatting_log`.
    pub messages: Span,
    /// The age at which a decision is removed from `moderation_log`.
    pub moderation: Span,
    /// The age at which a presenter's session is removed from `broadcasts`.
    pub broadcasts: Span,
    /// The age at which a line is removed from `quarantine`.
    pub quarantine: Span,
    /// The time after its deletion at which a message loses its text.
    pub deleted_text: Span,
    /// The time between two sweeps, which remove texts and finish abandoned erasures.
    pub sweep: Span,
}

impl RetentionConfig {
    fn ages(&self) -> [(&'static str, Span); 5] {
        [
            ("retention.messages", self.messages),
            ("retention.moderation", self.moderation),
            ("retention.broadcasts", self.broadcasts),
            ("retention.quarantine", self.quarantine),
            ("retention.deleted_text", self.deleted_text),
        ]
    }

    /// Refuses ages below that of the log: data that the log still holds could come back.
    pub(crate) fn check(&self, log_age: Duration) -> Result<(), Error> {
        self.problems(log_age).into_iter().next().map_or(Ok(()), |problem| Err(problem.into()))
    }

    /// Every setting that cannot work.
    pub(crate) fn problems(&self, log_age: Duration) -> Vec<Problem> {
        let mut problems = Problems::of("archiver");
        for (key, age) in self.ages().into_iter().filter(|(_, age)| !age.is_zero()) {
            let log_age = Span::from(log_age);
            let reason = format!(
                "must be 0d or more than the {log_age} of nats.max_age: a redelivery from the log would bring documents back"
            );
            problems.require(age > log_age, key, reason);
            problems.require(age <= LONGEST, key, format!("must be at most {LONGEST}; 0d is for ever"));
            problems.require(age.whole_days().is_some(), key, "must be whole days");
        }
        problems.at_least("retention.sweep", self.sweep, Span::from_secs(1));
        problems.found()
    }

    /// Collection, the date that counts, days.
    fn expiries(&self) -> [(&'static str, &'static str, u64); 5] {
        [
            (MESSAGES, "sentAt", days(self.messages)),
            (DECISIONS, "at", days(self.moderation)),
            (BROADCASTS, "connectedAt", days(self.broadcasts)),
            // For sessions of which only the end is known.
            (BROADCASTS, "disconnectedAt", days(self.broadcasts)),
            (QUARANTINE, "at", days(self.quarantine)),
        ]
    }
}

fn days(age: Span) -> u64 {
    age.whole_days().expect("an age is checked to be whole days")
}

/// Updates the TTL indexes to the configuration, and the tombstones to the age limit of the log.
pub(crate) async fn prepare(database: &Database, config: &RetentionConfig, log_age: Duration) -> Result<(), Failure> {
    for (collection, field, days) in config.expiries() {
        let seconds = (days > 0).then_some(days as i64 * 24 * 60 * 60);
        expire(database, collection, field, seconds).await?;
    }
    // Each of these documents has its own expiry.
    for collection in [ERASURES, ERASED_IDS] {
        expire(database, collection, "expiresAt", Some(0)).await?;
    }
    receipt::hold_for(database, log_age).await
}

/// Makes documents expire so long after the date in `field`, or never.
async fn expire(
    database: &Database,
    collection: &'static str,
    field: &'static str,
    seconds: Option<i64>,
) -> Result<(), Failure> {
    let name = format!("expires_by_{field}");
    let indexes = database.command(doc! { "listIndexes": collection }).await?;
    let indexes = indexes.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let mut indexes = indexes.ok().into_iter().flatten().filter_map(Bson::as_document);
    let ours = indexes.find(|index| index.get_str("name").is_ok_and(|other| other == name));
    let present = ours.map(|index| match index.get("expireAfterSeconds") {
        Some(Bson::Int32(seconds)) => i64::from(*seconds),
        Some(Bson::Int64(seconds)) => *seconds,
        Some(Bson::Double(seconds)) => *seconds as i64,
        _ => -1,
    });
    let days = seconds.map(|seconds| seconds / (24 * 60 * 60));
    match (present, seconds) {
        (None, None) => return Ok(()),
        (Some(present), Some(wanted)) if present == wanted => return Ok(()),
        (None, Some(wanted)) => {
            create(database, collection, doc! { "name": &name, "key": { field: 1 }, "expireAfterSeconds": wanted })
                .await?;
        }
        (Some(_), Some(wanted)) => {
            let index = doc! { "name": &name, "expireAfterSeconds": wanted };
            database.command(doc! { "collMod": collection, "index": index }).await?;
        }
        (Some(_), None) => database.drop_index(collection, &name).await?,
    }
    match days {
        Some(days) => {
            tracing::info!(collection, days, "documents of {collection} now expire {days} days after {field}")
        }
        None => tracing::info!(collection, "documents of {collection} no longer expire"),
    }
    Ok(())
}

async fn create(database: &Database, collection: &'static str, index: Document) -> Result<(), Failure> {
    let name = index.get_str("name").unwrap_or_default().to_owned();
    match database.create_indexes(collection, vec![index]).await {
        Err(Failure::Exists) => {
            tracing::error!(
                collection,
                index = name,
                "documents of {collection} do not expire: another index has the keys of {name}. \
                 Drop that index, then restart"
            );
            Ok(())
        }
        answer => answer,
    }
}

/// Repeats erasures that the log has lost. Then it sweeps again and again: removes old texts and rules, and
/// finishes abandoned erasures. Never ends.
pub(crate) async fn sweep(config: Config, database: Database, log: Log) {
    let interval = config.retention.sweep.get();
    // A role that notices a loss exits and starts again, so one check per start is enough.
    while let Err(failure) = service::repeat_lost(&database, &log).await {
        tracing::warn!("cannot check whether the log has lost an erasure, retrying: {failure}");
        sleep(REPEAT_PAUSE.min(interval)).await;
    }
    loop {
        sleep(interval).await;
        // Retried by the next sweep. The writing side logs an outage of MongoDB.
        if let Err(failure) = forget_texts(&database, days(config.retention.deleted_text)).await {
            tracing::warn!("cannot remove the texts of deleted messages, retrying later: {failure}");
        }
        if let Err(failure) = forget_rules(&database, log.max_age()).await {
            tracing::warn!("cannot remove the rules of old sweeps, retrying later: {failure}");
        }
        if let Err(failure) = service::finish_left(&database, &log, interval).await {
            tracing::warn!("cannot finish an erasure, retrying later: {failure}");
        }
    }
}

/// Removes the texts of messages that were deleted so many days ago.
async fn forget_texts(database: &Database, days: u64) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct OldText {
        #[serde(rename = "_id")]
        id: Bson,
    }
    if days == 0 {
        return Ok(());
    }
    let millis = days as i64 * 24 * 60 * 60 * 1_000;
    let before = DateTime::from_millis(DateTime::now().timestamp_millis() - millis);
    let old = doc! { "deleted.at": { "$lt": before }, "message": { "$exists": true } };
    let mut gone = 0;
    loop {
        let found: Vec<OldText> = database.find(&database.messages(), old.clone(), PAGE).await?;
        if found.is_empty() {
            break;
        }
        let mut page = old.clone();
        page.insert("_id", doc! { "$in": found.into_iter().map(|found| found.id).collect::<Vec<_>>() });
        let collection = database.messages();
        let text = doc! { "$unset": { "message": "", "folded": "", "attributes": "", "emotes": "" } };
        let messages = page.clone();
        let update = database.ask(async move { collection.update_many(page, text).await });
        gone += text_index::forget(database, messages, update).await?.modified_count;
    }
    if gone > 0 {
        tracing::info!(texts = gone, "removed the texts of {gone} messages that were deleted {days} days ago");
    }
    Ok(())
}

/// Removes the rules of sweeps that are older than the log. They have texts of people, who may be erased. Nothing needs
/// them any more: every message that they are about is archived, and its mark tells which decision deleted it.
async fn forget_rules(database: &Database, log_age: Duration) -> Result<(), Failure> {
    let millis = i64::try_from(log_age.max(UNDOABLE_FOR).as_millis()).unwrap_or(i64::MAX);
    let before = DateTime::from_millis(DateTime::now().timestamp_millis().saturating_sub(millis));
    let old = doc! { "rule": { "$exists": true }, "at": { "$lt": before } };
    let collection = database.decisions();
    let update = async move { collection.update_many(old, doc! { "$unset": { "rule": "" } }).await };
    let rules = database.ask(update).await?.modified_count;
    if rules > 0 {
        tracing::info!(rules, "removed the rules of {rules} sweeps that are older than the log");
    }
    Ok(())
}
