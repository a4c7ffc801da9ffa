//! Highlights: moments in which more people wrote than the room's own recent past suggests. People count, not messages:
//! a user who floods the room is one person.
//!
//! A bucket of `c` chatters is compared with its past: the [`PAST`] buckets that end [`GAP`] buckets before it. Their
//! numbers of chatters have the mean `m` and the population variance `v`:
//!
//! `score = (c - m) / sqrt(max(v, m) + 1)`
//!
//! The unit is standard deviations. If people write independently of each other, the variance is `m`. In real rooms it
//! is larger, and `v` measures it. The 1, a person squared, keeps a quiet room from being all highlights, and allows
//! for the skew of small numbers: people who write independently pass the threshold of 5 about once in 100,000 buckets
//! (simulated with 0.05 to 30 people a bucket).

use mongodb::bson::{DateTime, Document, doc};
use serde::Deserialize;

use super::Stretch;
use crate::mongo::database::Database;
use crate::mongo::documents::MessageDocument;
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_TIMES;
use crate::query::times::later;

/// 30: the buckets that a bucket is compared with. With buckets of 10 s they are 5 minutes.
const PAST: i64 = 30;

/// 3: the buckets between the past and the bucket, so that a moment that rises slowly is not compared with its own
/// rise.
const GAP: i64 = 3;

/// 150: the buckets before the past. With buckets of 10 s they are 25 minutes. If nobody wrote in them, the chat has
/// only just begun, and everything would stand out against the silence: there are no highlights.
const EARLIER: i64 = 150;

/// 5: the lowest score of a highlight.
const LEAST_SCORE: f64 = 5.0;

/// 5: fewer people are no highlight, however quiet it was.
const LEAST_CHATTERS: i64 = 5;

/// 5: the sample messages of a moment.
const SAMPLES: i64 = 5;

/// Neighbouring buckets that stand out.
#[derive(Debug)]
pub(crate) struct Highlight {
    pub(crate) at: DateTime,
    pub(crate) until: DateTime,
    /// Messages in all buckets.
    pub(crate) messages: u64,
    /// The bucket with the highest score. The members below are about it.
    pub(crate) peak_at: DateTime,
    pub(crate) chatters: u64,
    /// The mean of its past.
    pub(crate) chatters_before: f64,
    pub(crate) score: f64,
    /// The texts that most of its chatters wrote, each once, as the first of them wrote it.
    pub(crate) samples: Vec<MessageDocument>,
}

/// The first highlights by score, then by time.
pub(crate) async fn top(
    database: &Database,
    stretch: Stretch,
    bucket_ms: i64,
    first: usize,
) -> Result<Vec<Highlight>, Failure> {
    let mut moments = moments(outstanding(database, stretch, bucket_ms).await?, bucket_ms);
    moments.sort_by(|one, other| other.peak.score.total_cmp(&one.peak.score).then(one.peak.at.cmp(&other.peak.at)));
    moments.truncate(first);
    let mut samples = samples(database, stretch, bucket_ms, &moments).await?;
    let highlight = |moment: Moment| {
        let Outstanding { at, chatters, past_chatters, score, .. } = moment.peak;
        let samples = samples.iter_mut().find(|samples| samples.at == at);
        Highlight {
            at: moment.at,
            until: moment.until.min(stretch.to),
            messages: moment.messages,
            peak_at: at,
            chatters,
            // Exact: both are far below 2^53.
            chatters_before: past_chatters as f64 / PAST as f64,
            score,
            samples: samples.map(|samples| std::mem::take(&mut samples.messages)).unwrap_or_default(),
        }
    };
    Ok(moments.into_iter().map(highlight).collect())
}

/// A bucket that stands out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outstanding {
    at: DateTime,
    messages: u64,
    chatters: u64,
    /// The sum of its past.
    past_chatters: i64,
    score: f64,
}

/// The buckets that stand out, by time.
async fn outstanding(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<Vec<Outstanding>, Failure> {
    let earliest = EARLIER + PAST + GAP;
    let from = later(stretch.from, -earliest * bucket_ms);
    let whole = Stretch { from, ..stretch };
    let end = (earliest + i64::try_from(stretch.buckets(bucket_ms)).unwrap_or(i64::MAX)).saturating_mul(bucket_ms);
    let sum = |what: &str, first: i64, last: i64| doc! { "$sum": what, "window": { "documents": [first, last] } };
    let stages = vec![
        doc! { "$match": whole.filter() },
        doc! { "$group": {
            "_id": whole.bucket("$sentAt", bucket_ms),
            "messages": { "$sum": 1 },
            "chatters": { "$addToSet": "$userIdx" },
        } },
        doc! { "$set": { "chatters": { "$size": "$chatters" } } },
        doc! { "$densify": { "field": "_id", "range": { "step": bucket_ms, "bounds": [0_i64, end] } } },
        doc! { "$set": {
            "chatters": { "$ifNull": ["$chatters", 0] },
            "square": { "$multiply": [{ "$ifNull": ["$chatters", 0] }, { "$ifNull": ["$chatters", 0] }] },
        } },
        doc! { "$setWindowFields": { "sortBy": { "_id": 1 }, "output": {
            "pastChatters": sum("$chatters", -GAP - PAST, -GAP - 1),
            "pastSquares": sum("$square", -GAP - PAST, -GAP - 1),
            "earlier": sum("$chatters", -earliest, -GAP - PAST - 1),
        } } },
        doc! { "$match": {
            "_id": { "$gte": earliest * bucket_ms },
            "chatters": { "$gte": LEAST_CHATTERS },
            "earlier": { "$gt": 0 },
        } },
        doc! { "$set": { "score": score() } },
        doc! { "$match": { "score": { "$gte": LEAST_SCORE } } },
        doc! { "$sort": { "_id": 1 } },
        doc! { "$project": {
            "_id": 0,
            "at": { "$add": [from, "$_id"] },
            "messages": 1,
            "chatters": 1,
            "pastChatters": 1,
            "score": 1,
        } },
    ];
    database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await
}

/// The score, with both sides of the fraction multiplied by [`PAST`]: integers up to the root, so nothing is rounded
/// before.
fn score() -> Document {
    let (sum, squares) = ("$pastChatters", "$pastSquares");
    let above = doc! { "$subtract": [{ "$multiply": [PAST, "$chatters"] }, sum] };
    let variance = doc! { "$subtract": [{ "$multiply": [PAST, squares] }, { "$multiply": [sum, sum] }] };
    let mean = doc! { "$multiply": [PAST, sum] };
    doc! { "$divide": [above, { "$sqrt": { "$add": [{ "$max": [variance, mean] }, PAST * PAST] } }] }
}

/// Neighbouring buckets that stand out.
#[derive(Debug)]
struct Moment {
    at: DateTime,
    until: DateTime,
    messages: u64,
    /// The first bucket with the highest score.
    peak: Outstanding,
}

fn moments(outstanding: Vec<Outstanding>, bucket_ms: i64) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    for bucket in outstanding {
        let until = later(bucket.at, bucket_ms);
        match moments.last_mut() {
            Some(moment) if moment.until == bucket.at => {
                moment.until = until;
                moment.messages += bucket.messages;
                if bucket.score > moment.peak.score {
                    moment.peak = bucket;
                }
            }
            _ => moments.push(Moment { at: bucket.at, until, messages: bucket.messages, peak: bucket }),
        }
    }
    moments
}

/// The sample messages of a bucket.
#[derive(Debug, Deserialize)]
struct Samples {
    #[serde(rename = "_id")]
    at: DateTime,
    messages: Vec<MessageDocument>,
}

/// For each moment's peak, the texts that most chatters wrote, then the earliest.
async fn samples(
    database: &Database,
    stretch: Stretch,
    bucket_ms: i64,
    moments: &[Moment],
) -> Result<Vec<Samples>, Failure> {
    if moments.is_empty() {
        return Ok(Vec::new());
    }
    let peak = |at: DateTime| doc! { "sentAt": { "$gte": at, "$lt": later(at, bucket_ms).min(stretch.to) } };
    let mut filter = stretch.counting();
    filter.insert("$or", moments.iter().map(|moment| peak(moment.peak.at)).collect::<Vec<_>>());
    filter.insert("message", doc! { "$type": "string" });
    let stages = vec![
        doc! { "$match": filter },
        doc! { "$sort": { "position": 1 } },
        doc! { "$group": {
            "_id": {
                "at": { "$add": [stretch.from, stretch.bucket("$sentAt", bucket_ms)] },
                "text": { "$toLower": "$message" },
            },
            "chatters": { "$addToSet": "$userIdx" },
            "message": { "$first": "$$ROOT" },
        } },
        doc! { "$set": { "chatters": { "$size": "$chatters" } } },
        doc! { "$sort": { "chatters": -1, "message.position": 1 } },
        doc! { "$group": {
            "_id": "$_id.at",
            "messages": { "$firstN": { "input": "$message", "n": SAMPLES } },
        } },
    ];
    database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(at: i64, score: f64) -> Outstanding {
        Outstanding { at: DateTime::from_millis(at), messages: 2, chatters: 1, past_chatters: 0, score }
    }

    #[test]
    fn neighbours_are_one_moment_with_the_peaks_score() {
        let buckets = vec![bucket(0, 5.0), bucket(10, 9.0), bucket(20, 9.0), bucket(40, 6.0)];
        let moments = moments(buckets, 10);
        let told: Vec<_> = moments
            .iter()
            .map(|moment| {
                let Moment { at, until, messages, peak } = moment;
                (at.timestamp_millis(), until.timestamp_millis(), *messages, peak.at.timestamp_millis(), peak.score)
            })
            .collect();
        assert_eq!(told, [(0, 30, 6, 10, 9.0), (40, 50, 2, 40, 6.0)]);
    }
}
