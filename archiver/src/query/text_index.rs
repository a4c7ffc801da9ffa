//! The text index, as searches of a room read it. For a part it tells which messages can match, so that only those are
//! read. Messages without a part are read as without an index.

use std::collections::{BTreeSet, HashMap};

use mongodb::bson::{Document, doc};
use mongodb::options::{FindOptions, Hint};

use super::sequence::{Bounds, Key, Order};
use crate::grams::{Numbers, POSITIONS_TOGETHER, Wanted, decode_positions};
use crate::mongo::database::Database;
use crate::mongo::documents::{GramsDocument, PartDocument, PositionDocument};
use crate::mongo::failure::Failure;
use crate::mongo::schema::{UNINDEXED, unindexed};

/// 64: the parts that are looked up at once. The first time it is one, which is enough for a common word.
const MOST_PARTS: usize = 64;

/// 3: after the first part, only the rarest grams of the search text are looked up.
const RAREST: usize = 3;

/// 1,000: the messages that are read at once.
const MOST_CANDIDATES: usize = 1_000;

/// 8: where one message in so many can match, reading all of them is as fast.
const DENSE: u32 = 8;

/// The parts of a room, for one search.
#[derive(Debug)]
pub(super) struct TextIndex {
    /// In the order of the room.
    parts: Vec<Part>,
    wanted: Vec<Wanted>,
    bounds: Bounds,
    order: Order,
    at_once: usize,
}

#[derive(Debug, Clone)]
struct Part {
    from: Option<PositionDocument>,
    last: PositionDocument,
    token: String,
    messages: u32,
    buckets: u32,
}

/// What a search reads next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// All messages up to this one.
    All { end: Option<PositionDocument> },
    /// Of the messages up to this one only these can match.
    Among { end: Option<PositionDocument>, candidates: Vec<PositionDocument> },
}

/// What the lookup of some parts found.
enum Found {
    Stretch(Stretch),
    /// The first part cannot be read: it was removed meanwhile.
    Gone,
}

impl TextIndex {
    /// None: the index may lack messages of the room, or has none of them.
    pub(super) async fn open(
        database: &Database,
        presenter_idx: i64,
        (bounds, order): (&Bounds, Order),
        text: &str,
    ) -> Result<Option<TextIndex>, Failure> {
        let mut filter = doc! { "presenterIdx": presenter_idx, "state": "built" };
        filter.extend(bounds.lower.map(|lower| ("last".to_owned(), doc! { "$gte": lower }.into())));
        // Without a hint: an operator may have dropped the collection.
        let options = FindOptions::builder().sort(doc! { "last": 1 }).build();
        // First what the index may lack, then the parts: who marks a message removes its part before.
        if is_incomplete(database, presenter_idx).await? {
            return Ok(None);
        }
        let parts: Vec<PartDocument> = database.select(&database.text_parts(), filter, options).await?;
        let begins_within = |part: &Part| bounds.upper.is_none_or(|upper| part.from < Some(upper));
        let parts: Vec<Part> = parts.into_iter().filter_map(Part::new).filter(begins_within).collect();
        let index = TextIndex { parts, wanted: Wanted::of(text), bounds: bounds.clone(), order, at_once: 1 };
        Ok((!index.parts.is_empty()).then_some(index))
    }

    /// What to read after the key. `most`: the number of messages that may be read at once.
    pub(super) async fn next(
        &mut self,
        database: &Database,
        after: Option<&Key>,
        most: usize,
    ) -> Result<Stretch, Failure> {
        let after = match after {
            Some(Key::Position(position)) => Some(*position),
            _ => None,
        };
        loop {
            let run = match self.locate(after) {
                Ok(run) => run,
                Err(end) => return Ok(Stretch::All { end }),
            };
            match self.look_up(database, &run, after, most.clamp(1, MOST_CANDIDATES)).await? {
                Found::Stretch(stretch) => return Ok(stretch),
                // Its messages are read without an index.
                Found::Gone => self.parts.retain(|part| part.token != run[0].token),
            }
        }
    }

    /// The next parts, if they begin at the place. Err: where the next part begins, if there is one.
    fn locate(&self, after: Option<PositionDocument>) -> Result<Vec<Part>, Option<PositionDocument>> {
        let mut run: Vec<Part> = Vec::new();
        match self.order {
            Order::Asc => {
                let is_before = |part: &Part| match (after, self.bounds.lower) {
                    (Some(after), _) => part.last <= after,
                    (None, Some(lower)) => part.last < lower,
                    (None, None) => false,
                };
                let next = self.parts.iter().skip_while(|part| is_before(part));
                for part in next.take(self.at_once) {
                    let is_next = match (run.last(), after, self.bounds.lower) {
                        (Some(before), ..) => part.from == Some(before.last),
                        (None, Some(after), _) => part.from <= Some(after),
                        (None, None, Some(lower)) => part.from < Some(lower),
                        (None, None, None) => part.from.is_none(),
                    };
                    match (is_next, part.from) {
                        (true, _) => run.push(part.clone()),
                        (false, Some(from)) if run.is_empty() => return Err(Some(from)),
                        _ => break,
                    }
                }
            }
            Order::Desc => {
                let start = after.or(self.bounds.upper);
                let is_beyond = |part: &Part| start.is_some_and(|start| part.from >= Some(start));
                let next = self.parts.iter().rev().skip_while(|part| is_beyond(part));
                for part in next.take(self.at_once) {
                    let is_next = match run.last() {
                        Some(before) => before.from == Some(part.last),
                        None => start.is_some_and(|start| start <= part.last),
                    };
                    match is_next {
                        true => run.push(part.clone()),
                        false if run.is_empty() => return Err(Some(part.last)),
                        false => break,
                    }
                }
            }
        }
        if run.is_empty() { Err(None) } else { Ok(run) }
    }

    /// Looks the grams up in the parts.
    async fn look_up(
        &mut self,
        database: &Database,
        run: &[Part],
        after: Option<PositionDocument>,
        most: usize,
    ) -> Result<Found, Failure> {
        let ids = run.iter().flat_map(|part| self.wanted.iter().map(|wanted| part.bucket(wanted)));
        let buckets = read(database, ids.collect()).await?;
        let mut rarity: Vec<u32> = vec![0; self.wanted.len()];
        let mut found: Vec<(&Part, Vec<u32>)> = Vec::new();
        let mut count = 0;
        for part in run {
            let mut numbers = Numbers::all(part.messages);
            let mut is_gone = false;
            for (wanted, rarity) in self.wanted.iter().zip(&mut rarity) {
                let bucket = buckets.get(&part.bucket(wanted));
                match bucket.and_then(|bucket| wanted.look_up(bucket, part.messages)) {
                    Some(with) => {
                        *rarity += with.count();
                        numbers.retain(&with);
                    }
                    None => is_gone = true,
                }
            }
            let is_dense = numbers.count() > part.messages / DENSE;
            match (is_gone || is_dense, found.is_empty()) {
                (true, false) => break,
                (true, true) if is_gone => return Ok(Found::Gone),
                (true, true) => return Ok(Found::Stretch(Stretch::All { end: self.end_of(part) })),
                (false, _) => {}
            }
            let numbers: Vec<u32> = match self.order {
                Order::Asc => numbers.iter().collect(),
                Order::Desc => numbers.iter().rev().collect(),
            };
            count += numbers.len();
            found.push((part, numbers));
            if count > most {
                break;
            }
        }
        let Some(positions) = positions(database, &found).await? else { return Ok(Found::Gone) };
        let (Some(last), order) = (found.last(), self.order) else { return Ok(Found::Gone) };
        let mut end = self.end_of(last.0);
        let Bounds { lower, upper } = self.bounds;
        let is_left = |position: &PositionDocument| {
            let is_ahead = after.is_none_or(|after| match order {
                Order::Asc => *position > after,
                Order::Desc => *position < after,
            });
            let is_within =
                lower.is_none_or(|lower| *position >= lower) && upper.is_none_or(|upper| *position <= upper);
            is_ahead && is_within
        };
        let mut candidates: Vec<PositionDocument> = positions.into_iter().filter(is_left).collect();
        if candidates.len() > most {
            candidates.truncate(most);
            end = candidates.last().copied();
        } else if let (Order::Desc, Some(end)) = (order, end) {
            // The parts end after this message, and the next stretch begins before it.
            candidates.push(end);
        }
        self.narrow(&rarity);
        self.at_once = (4 * self.at_once).min(MOST_PARTS);
        Ok(Found::Stretch(Stretch::Among { end, candidates }))
    }

    /// Where a stretch ends that has all of the part.
    fn end_of(&self, part: &Part) -> Option<PositionDocument> {
        match self.order {
            Order::Asc => Some(part.last),
            Order::Desc => part.from,
        }
    }

    /// Keeps the rarest grams.
    fn narrow(&mut self, rarity: &[u32]) {
        if self.wanted.len() > RAREST {
            let mut rarest: Vec<(u32, Wanted)> = rarity.iter().copied().zip(self.wanted.iter().copied()).collect();
            rarest.sort_by_key(|(count, _)| *count);
            self.wanted = rarest.into_iter().take(RAREST).map(|(_, wanted)| wanted).collect();
        }
    }
}

impl Part {
    /// None: it was changed by hand.
    fn new(part: PartDocument) -> Option<Part> {
        let (messages, buckets) = (u32::try_from(part.messages).ok()?, u32::try_from(part.buckets).ok()?);
        buckets.is_power_of_two().then_some(Part {
            from: part.from,
            last: part.last,
            token: part.token,
            messages,
            buckets,
        })
    }

    fn bucket(&self, wanted: &Wanted) -> String {
        GramsDocument::of_bucket(&self.token, wanted.bucket(self.buckets))
    }
}

/// Whether the room has messages that the index may lack.
async fn is_incomplete(database: &Database, presenter_idx: i64) -> Result<bool, Failure> {
    let mut filter = unindexed();
    filter.insert("presenterIdx", presenter_idx);
    let hint = Hint::Name(UNINDEXED.to_owned());
    let options = FindOptions::builder().hint(hint).projection(doc! { "_id": 1 }).limit(1).build();
    let found: Vec<Document> = database.select(&database.messages(), filter, options).await?;
    Ok(!found.is_empty())
}

/// The data of these documents of the index, by id.
async fn read(database: &Database, ids: BTreeSet<String>) -> Result<HashMap<String, Vec<u8>>, Failure> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<String> = ids.into_iter().collect();
    let filter = doc! { "_id": { "$in": ids } };
    let found: Vec<GramsDocument> = database.select(&database.text_grams(), filter, FindOptions::default()).await?;
    Ok(found.into_iter().map(|grams| (grams.id, grams.data.bytes)).collect())
}

/// The positions of the messages with these numbers, in this order. None: a part was removed meanwhile.
async fn positions(database: &Database, found: &[(&Part, Vec<u32>)]) -> Result<Option<Vec<PositionDocument>>, Failure> {
    let together = u32::try_from(POSITIONS_TOGETHER).expect("it is small");
    let id = |part: &Part, number: &u32| GramsDocument::of_positions(&part.token, number / together);
    let ids = found.iter().flat_map(|(part, numbers)| numbers.iter().map(|number| id(part, number)));
    let encoded = read(database, ids.collect()).await?;
    let decoded: HashMap<String, Vec<PositionDocument>> =
        encoded.into_iter().filter_map(|(id, bytes)| Some((id, decode_positions(&bytes)?))).collect();
    let mut positions = Vec::new();
    for (part, numbers) in found {
        for number in numbers {
            let place = decoded.get(&id(part, number)).and_then(|some| some.get((number % together) as usize));
            match place {
                Some(position) => positions.push(*position),
                None => return Ok(None),
            }
        }
    }
    Ok(Some(positions))
}

#[cfg(test)]
mod tests;
