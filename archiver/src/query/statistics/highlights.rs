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

use mongodb::bson::{DateTime, doc};
use serde::Deserialize;

use super::Stretch;
use super::authors::{self, Written};
use crate::mongo::database::Database;
use crate::mongo::documents::MessageDocument;
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_TIMES;
use crate::query::times::later;

/// 30: the buckets that a bucket is compared with. With buckets of 10 s they are 5 minutes.
const PAST: usize = 30;

/// 3: the buckets between the past and the bucket, so that a moment that rises slowly is not compared with its own
/// rise.
const GAP: usize = 3;

/// 150: the buckets before the past. With buckets of 10 s they are 25 minutes. If nobody wrote in them, the chat has
/// only just begun, and everything would stand out against the silence: there are no highlights.
const EARLIER: usize = 150;

/// The buckets before the first one that can stand out.
const FIRST: usize = EARLIER + PAST + GAP;

/// 5: the lowest score of a highlight.
const LEAST_SCORE: f64 = 5.0;

/// 5: fewer people are no highlight, however quiet it was.
const LEAST_CHATTERS: u64 = 5;

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
#[derive(Debug, Clone)]
struct Outstanding {
    at: DateTime,
    messages: u64,
    chatters: u64,
    /// The sum of its past.
    past_chatters: u64,
    score: f64,
}

/// The buckets that stand out, by time.
async fn outstanding(database: &Database, stretch: Stretch, bucket_ms: i64) -> Result<Vec<Outstanding>, Failure> {
    let from = later(stretch.from, -i64::try_from(FIRST).unwrap_or(i64::MAX).saturating_mul(bucket_ms));
    let authors = authors::of_buckets(database, Stretch { from, ..stretch }, bucket_ms).await?;
    let at = |number: usize| later(from, i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(bucket_ms));
    let buckets = &authors.buckets;
    let outstanding = (FIRST..buckets.len()).filter_map(|number| {
        let Written { messages, chatters } = buckets[number];
        let (past_chatters, score) = score(buckets, number)?;
        Some(Outstanding { at: at(number), messages, chatters, past_chatters, score })
    });
    Ok(outstanding.collect())
}

/// The sum of the bucket's past, and its score. None: it does not stand out.
fn score(buckets: &[Written], number: usize) -> Option<(u64, f64)> {
    let chatters = buckets[number].chatters;
    let past = &buckets[number - GAP - PAST..number - GAP];
    let has_begun = buckets[number - FIRST..number - GAP - PAST].iter().any(|bucket| bucket.chatters > 0);
    if chatters < LEAST_CHATTERS || !has_begun {
        return None;
    }
    let sum: u64 = past.iter().map(|bucket| bucket.chatters).sum();
    let squares: u64 = past.iter().map(|bucket| bucket.chatters * bucket.chatters).sum();
    // Both sides of the fraction are multiplied by PAST: integers up to the root, so nothing is rounded before it.
    let count = PAST as u64;
    let variance = count * squares - sum * sum;
    let root = ((variance.max(count * sum) + count * count) as f64).sqrt();
    let score = (count * chatters) as f64 - sum as f64;
    Some((sum, score / root)).filter(|(_, score)| *score >= LEAST_SCORE)
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
    fn a_bucket_stands_out_against_its_own_past_once_the_chat_has_begun() {
        let last = FIRST;
        let mut buckets = vec![Written { messages: 1, chatters: 1 }; last + 1];
        buckets[last].chatters = 10;
        // (30 * 10 - 30) / sqrt(max(0, 30 * 30) + 30 * 30): nobody varies, so the mean counts.
        assert_eq!(score(&buckets, last), Some((30, 270.0 / 1_800_f64.sqrt())));
        // What is in the gap is not compared.
        buckets[last - GAP..last].fill(Written { messages: 9, chatters: 9 });
        assert_eq!(score(&buckets, last), Some((30, 270.0 / 1_800_f64.sqrt())));
        // Past rushes make the same number usual.
        buckets[last - GAP - 1].chatters = 30;
        assert_eq!(score(&buckets, last), None);
        buckets[last - GAP - 1].chatters = 1;
        buckets[last].chatters = LEAST_CHATTERS - 1;
        assert_eq!(score(&buckets, last), None);
        buckets[last].chatters = 10;
        buckets[..EARLIER].fill(Written::default());
        assert_eq!(score(&buckets, last), None);
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
