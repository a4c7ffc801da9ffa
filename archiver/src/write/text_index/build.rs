//! Builds the parts of the text index, beside the archiving: room by room, whenever a room has enough messages after
//! its last part, and again where a part was removed. Safe to repeat, to interrupt, and to run on several archivers at
//! once. Searches do not need it: they read messages without a part as before.

use std::time::{Duration, Instant};

use chat::EventId;
use mongodb::bson::{Binary, DateTime, Document, doc, spec::BinarySubtype};
use mongodb::options::{CountOptions, FindOptions, Hint};
use serde::Deserialize;
use tokio::time::sleep;

use super::{clean_up, parts};
use crate::grams::{EncodedPart, PartBuilder};
use crate::mongo::database::Database;
use crate::mongo::documents::{GramsDocument, PartDocument, PartState, PositionDocument};
use crate::mongo::failure::Failure;
use crate::mongo::schema::{ROOM_BY_POSITION, ROOM_TEXT, UNFOLDED, UNINDEXED, unfolded, unindexed};
use crate::write::backfill;

/// 2 MiB: the folded texts of a part, whose grams take up to 70 MB of memory while it is built. 16,384 texts usually have
/// 0.5.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// A minute: the last message of a part is older. Archivers may still store messages before a newer one.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// A minute: an archiver that takes longer to build a part gives it up.
const LONGEST: Duration = Duration::from_secs(60);

/// Five minutes: the claim of an archiver that died does not count any longer.
const ABANDONED_AFTER: Duration = Duration::from_secs(300);

/// A day: how often the texts of a part are counted. Texts that went by their age, by an earlier version or by hand are
/// noticed so, and the part is built again without them.
const CHECK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// 20: a pass over all rooms is followed by a pause of so many times its duration, without what it built.
const REST: u32 = 20;

/// Ten minutes: the longest such pause.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// What a pass built.
#[derive(Debug, Default)]
struct Built {
    parts: usize,
    /// The time that it took, with the pauses.
    took: Duration,
}

/// Keeps the text index complete. `size`: the messages of a part. Never ends.
pub(crate) async fn keep(database: Database, size: u64, interval: Duration) {
    loop {
        sleep(interval).await;
        // Retried by the next pass. The writing side logs an outage of MongoDB.
        if let Err(failure) = backfill::fold_texts(&database).await {
            tracing::warn!("cannot fold the texts of an earlier version, retrying later: {failure}");
        }
        if let Err(failure) = backfill::mark_texts(&database).await {
            tracing::warn!("cannot mark the texts of an earlier version, retrying later: {failure}");
        }
        if size == 0 {
            continue;
        }
        let began = Instant::now();
        let mut built = Built::default();
        if let Err(failure) = pass(&database, size, &mut built).await {
            tracing::warn!("cannot build the text index, retrying later: {failure}");
        }
        let Built { parts, took } = built;
        if parts > 0 {
            tracing::info!(parts, "built {parts} parts of the text index");
        }
        let looked = began.elapsed().saturating_sub(took);
        sleep((looked * REST).min(LONGEST_REST)).await;
    }
}

/// Builds every missing part.
async fn pass(database: &Database, size: u64, built: &mut Built) -> Result<(), Failure> {
    let mut room = None;
    while let Some(next) = next_room(database, room).await? {
        complete(database, next, size, built).await?;
        room = Some(next);
    }
    Ok(())
}

/// The next room with a message.
async fn next_room(database: &Database, after: Option<i64>) -> Result<Option<i64>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Room {
        presenter_idx: i64,
    }
    let after = after.unwrap_or(i64::MIN);
    let options = FindOptions::builder()
        .hint(Hint::Name(ROOM_BY_POSITION.to_owned()))
        .sort(doc! { "presenterIdx": 1 })
        .projection(doc! { "_id": 0, "presenterIdx": 1 })
        .limit(1)
        .build();
    let found: Vec<Room> =
        database.select(&database.messages(), doc! { "presenterIdx": { "$gt": after } }, options).await?;
    Ok(found.first().map(|room| room.presenter_idx))
}

/// Builds the missing parts of a room.
async fn complete(database: &Database, room: i64, size: u64, built: &mut Built) -> Result<(), Failure> {
    if lacks_marks(database, room).await? {
        return Ok(());
    }
    let mut standing = Vec::new();
    for part in parts(database, doc! { "presenterIdx": room }).await? {
        let is_abandoned = is_older(part.began_at, ABANDONED_AFTER);
        match part.state {
            PartState::Built if is_as_built(database, &part).await? => standing.push(part),
            PartState::Building if !is_abandoned => standing.push(part),
            PartState::Removed if !is_abandoned && part.messages == 0 => standing.push(part),
            _ => super::remove(database, &PartDocument { state: PartState::Removed, ..part }).await?,
        }
    }
    let mut from = None;
    for part in standing.iter().map(Some).chain([None]) {
        // What is missing before the part, or after the last one.
        let until = part.map(|part| part.from);
        while until.is_none_or(|until| until > from) {
            let began = Instant::now();
            let Some(last) = build(database, room, from, until.flatten(), size).await? else { break };
            from = Some(last);
            // At most half of the time.
            sleep(began.elapsed()).await;
            built.parts += 1;
            built.took += began.elapsed();
        }
        from = part.map(|part| part.last).max(from);
    }
    Ok(())
}

/// Whether the room has messages that the index may lack. Then it is not used, so it need not be built.
async fn lacks_marks(database: &Database, room: i64) -> Result<bool, Failure> {
    for (index, mut filter) in [(UNINDEXED, unindexed()), (UNFOLDED, unfolded())] {
        filter.insert("presenterIdx", room);
        let options =
            FindOptions::builder().hint(Hint::Name(index.to_owned())).projection(doc! { "_id": 1 }).limit(1).build();
        let found: Vec<Document> = database.select(&database.messages(), filter, options).await?;
        if !found.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether as many messages with a text are there as when the part was built, by a count that is not old.
async fn is_as_built(database: &Database, part: &PartDocument) -> Result<bool, Failure> {
    if !is_older(part.checked_at, CHECK_EVERY) {
        return Ok(true);
    }
    let mut texts = between(part.presenter_idx, part.from, Some(part.last));
    texts.insert("folded", doc! { "$gte": "" });
    let options = CountOptions::builder().hint(Hint::Name(ROOM_TEXT.to_owned())).build();
    let collection = database.messages();
    let counted = database.ask(async move { collection.count_documents(texts).with_options(options).await }).await?;
    let this = doc! { "_id": &part.id, "token": &part.token };
    let checked = doc! { "$set": { "checkedAt": DateTime::now() } };
    let collection = database.text_parts();
    database.ask(async move { collection.update_one(this, checked).await }).await?;
    Ok(i64::try_from(counted).is_ok_and(|counted| counted == part.texts))
}

/// Builds the part after that position: up to the other one, or of `size` messages. Returns where it ends. None: there
/// are too few messages, or another archiver builds it.
async fn build(
    database: &Database,
    room: i64,
    from: Option<PositionDocument>,
    until: Option<PositionDocument>,
    mut size: u64,
) -> Result<Option<PositionDocument>, Failure> {
    loop {
        let Some(last) = end(database, room, from, until, size).await? else { return Ok(None) };
        let Some(part) = claim(database, room, from, last).await? else { return Ok(None) };
        // Only after the claim: an archiver that stores a message from now on finds it.
        if lacks_marks(database, room).await? {
            clean_up(database, &part).await?;
            return Ok(None);
        }
        match read(database, &part).await? {
            Ok(texts) => {
                let is_finished = finish(database, &part, texts.encode()).await?;
                return Ok(is_finished.then_some(last));
            }
            Err(fewer) => {
                clean_up(database, &part).await?;
                size = fewer;
            }
        }
    }
}

/// The position of the last message of a part that begins after `from`.
async fn end(
    database: &Database,
    room: i64,
    from: Option<PositionDocument>,
    until: Option<PositionDocument>,
    size: u64,
) -> Result<Option<PositionDocument>, Failure> {
    #[derive(Deserialize)]
    struct Position {
        position: PositionDocument,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sent {
        sent_at: DateTime,
    }
    // The place of a part that got some late messages stays one part.
    let most = if until.is_some() { size + size / 2 } else { size };
    let options = FindOptions::builder()
        .hint(Hint::Name(ROOM_BY_POSITION.to_owned()))
        .sort(doc! { "position": 1 })
        .projection(doc! { "_id": 0, "position": 1 })
        .skip(most - 1)
        .limit(1)
        .build();
    let found: Vec<Position> = database.select(&database.messages(), between(room, from, until), options).await?;
    let Some(Position { position }) = found.into_iter().next() else { return Ok(until) };
    let options = FindOptions::builder().hint(Hint::Name(ROOM_BY_POSITION.to_owned())).limit(1).build();
    let last = doc! { "presenterIdx": room, "position": position };
    let last: Vec<Sent> = database.select(&database.messages(), last, options).await?;
    let is_settled = last.first().is_some_and(|last| is_older(last.sent_at, SETTLED_AFTER));
    Ok(is_settled.then_some(position))
}

/// Stores the claim. None: another archiver has it.
async fn claim(
    database: &Database,
    room: i64,
    from: Option<PositionDocument>,
    last: PositionDocument,
) -> Result<Option<PartDocument>, Failure> {
    let place =
        from.map_or_else(|| "start".to_owned(), |from| format!("{}-{}-{}", from.epoch, from.sequence, from.index));
    let now = DateTime::now();
    let part = PartDocument {
        id: format!("{room} {place}"),
        presenter_idx: room,
        from,
        last,
        token: EventId::new().to_string(),
        state: PartState::Building,
        messages: 0,
        texts: 0,
        buckets: 0,
        began_at: now,
        checked_at: now,
    };
    let inserted = database.insert(database.text_parts(), vec![part.clone()]).await?;
    if let Some((_, reason)) = inserted.refused.into_iter().next() {
        return Err(Failure::Refused(reason));
    }
    Ok(inserted.existing.is_empty().then_some(part))
}

/// Reads the messages of a part from the index. Err: they are too large, and so many fit.
async fn read(database: &Database, part: &PartDocument) -> Result<Result<PartBuilder, u64>, Failure> {
    let options = FindOptions::builder()
        .hint(Hint::Name(ROOM_TEXT.to_owned()))
        .sort(doc! { "position": 1 })
        .projection(doc! { "_id": 0, "position": 1, "folded": 1 })
        .batch_size(2_000)
        .build();
    let filter = between(part.presenter_idx, part.from, Some(part.last));
    let read = (PartBuilder::default(), None);
    let messages = database.messages();
    let read = database.fold(&messages, filter, options, read, |(builder, fitting), message| {
        let position = message.get_document("position").ok().and_then(|position| {
            let member = |name| position.get_i64(name).ok();
            Some(PositionDocument { epoch: member("epoch")?, sequence: member("sequence")?, index: member("index")? })
        });
        if let (Some(position), true) = (position, fitting.is_none()) {
            // A value of another type was put there by hand. No search finds it.
            let text = message.get_str("folded").ok();
            let size = builder.bytes() + text.map_or(0, str::len);
            if size > MOST_BYTES && builder.messages() > 0 {
                *fitting = Some(builder.messages() as u64);
            } else {
                builder.add(position, text);
            }
        }
    });
    let (builder, fitting) = read.await?;
    Ok(fitting.map_or(Ok(builder), Err))
}

/// Stores the documents of the part, and finishes it. Returns whether that still counts.
async fn finish(database: &Database, part: &PartDocument, encoded: EncodedPart) -> Result<bool, Failure> {
    let EncodedPart { messages, texts, buckets, positions } = encoded;
    let set = doc! { "$set": {
        "state": "built", "messages": i64::from(messages), "texts": i64::from(texts), "buckets": buckets.len() as i64,
    } };
    let document = |id, bytes| GramsDocument { id, data: Binary { subtype: BinarySubtype::Generic, bytes } };
    let buckets = buckets
        .into_iter()
        .zip(0..)
        .map(|(bytes, number)| document(GramsDocument::of_bucket(&part.token, number), bytes));
    let positions = positions
        .into_iter()
        .zip(0..)
        .map(|(bytes, number)| document(GramsDocument::of_positions(&part.token, number), bytes));
    let documents: Vec<GramsDocument> = buckets.chain(positions).collect();
    let is_late = is_older(part.began_at, LONGEST);
    if !is_late {
        let inserted = database.insert(database.text_grams(), documents).await?;
        if let Some((_, reason)) = inserted.refused.into_iter().next() {
            return Err(Failure::Refused(reason));
        }
        let claimed = doc! { "_id": &part.id, "token": &part.token, "state": "building" };
        let collection = database.text_parts();
        let finished = database.ask(async move { collection.update_one(claimed, set).await }).await?;
        if finished.modified_count == 1 {
            return Ok(true);
        }
    }
    clean_up(database, part).await?;
    Ok(false)
}

/// Matches the messages of the room after the one position, and up to the other.
fn between(room: i64, from: Option<PositionDocument>, until: Option<PositionDocument>) -> Document {
    let mut range = Document::new();
    range.extend(from.map(|from| ("$gt".to_owned(), from.into())));
    range.extend(until.map(|until| ("$lte".to_owned(), until.into())));
    let mut filter = doc! { "presenterIdx": room };
    if !range.is_empty() {
        filter.insert("position", range);
    }
    filter
}

fn is_older(at: DateTime, age: Duration) -> bool {
    let age = i64::try_from(age.as_millis()).expect("an age is short");
    at.timestamp_millis() < DateTime::now().timestamp_millis() - age
}
