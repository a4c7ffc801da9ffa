//! Statistics of a stretch of a room. They are exact, and deleted messages do not count. Who wrote when is read from an
//! index and counted here; MongoDB counts the rest.

use mongodb::bson::{DateTime, Document, doc};

mod authors;
pub(crate) mod buckets;
pub(crate) mod chatters;
pub(crate) mod highlights;
pub(crate) mod words;

/// 16: the parts of a stretch. They are of equal length, and one may hold most of the messages.
const PARTS: i64 = 16;

/// 4: the questions that are asked at once. MongoDB uses one core for each.
const AT_ONCE: usize = 4;

/// A stretch of a room: a time span, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) presenter_idx: i64,
    pub(crate) from: DateTime,
    pub(crate) to: DateTime,
}

impl Stretch {
    /// Matches the messages that count. The index `ROOM_TIMES` finds them.
    fn filter(self) -> Document {
        let mut filter = self.span();
        filter.extend(self.counting());
        filter
    }

    /// Matches the same messages by the index `ROOM_AUTHORS` alone.
    fn indexed(self) -> Document {
        let mut filter = self.span();
        // Matches messages without this member too. For an equality with null the messages would be read.
        filter.insert("deleted.at", doc! { "$not": { "$gte": DateTime::MIN } });
        filter
    }

    /// Matches the room's messages of the stretch, those included that do not count.
    fn span(self) -> Document {
        doc! { "presenterIdx": self.presenter_idx, "sentAt": { "$gte": self.from, "$lt": self.to } }
    }

    /// The stretch in parts, in order. A query uses one core of MongoDB, so [`AT_ONCE`] of them are read at once.
    fn parts(self) -> impl Iterator<Item = Stretch> {
        let (from, to) = (self.from.timestamp_millis(), self.to.timestamp_millis());
        let length = to.saturating_sub(from).max(0) / PARTS + 1;
        let begins = (0..PARTS).map(move |part| from + part * length).take_while(move |begin| *begin < to);
        begins.map(move |begin| Stretch {
            from: DateTime::from_millis(begin),
            to: DateTime::from_millis((begin + length).min(to)),
            ..self
        })
    }

    /// Matches the room's messages that count, of any time.
    fn counting(self) -> Document {
        doc! { "presenterIdx": self.presenter_idx, "deleted": { "$exists": false } }
    }

    /// The number of buckets. The last one may be shorter.
    pub(crate) fn buckets(self, bucket_ms: i64) -> u64 {
        let ms = self.to.timestamp_millis().saturating_sub(self.from.timestamp_millis());
        u64::try_from(ms).unwrap_or(0).div_ceil(bucket_ms.unsigned_abs().max(1))
    }

    /// The bucket of a time: the milliseconds from the start of the stretch to the start of the bucket.
    fn bucket(self, time: &str, bucket_ms: i64) -> Document {
        let since = doc! { "$subtract": [time, self.from] };
        doc! { "$subtract": [since.clone(), { "$mod": [since, bucket_ms] }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn stretch(from: i64, to: i64) -> Stretch {
        Stretch { presenter_idx: 1, from: DateTime::from_millis(from), to: DateTime::from_millis(to) }
    }

    #[test]
    fn the_parts_of_a_stretch_cover_it_without_overlap() {
        for (from, to) in [(0, 0), (5, 3), (0, 1), (10, 25), (7, 14_400_007), (-1_000, 1_000)] {
            let parts: Vec<Stretch> = stretch(from, to).parts().collect();
            assert_eq!(parts.is_empty(), to <= from, "{from} to {to}");
            let mut end = DateTime::from_millis(from);
            for part in &parts {
                assert_eq!(part.from, end, "{from} to {to}");
                end = part.to;
            }
            assert!(parts.is_empty() || end == DateTime::from_millis(to), "{from} to {to}");
        }
    }

    #[test]
    fn the_last_bucket_may_be_cut_short() {
        let buckets = |ms: i64| stretch(500, 500 + ms).buckets(1_000);
        assert_eq!([-1, 0, 1, 999, 1_000, 1_001, 2_000].map(buckets), [0, 0, 1, 1, 1, 2, 2]);
    }
}
