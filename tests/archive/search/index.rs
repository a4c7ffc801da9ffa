//! The text index: a search of a room answers as it would without, whatever is stored, changed or removed beside it.

use chat::folded;
use chat::{ErasureMode, UserErased};
use mongodb::bson::{DateTime, Document};

use super::*;

/// The messages of a part: few, so that a test needs few.
const PART: usize = 64;

/// Words of which texts are made. Some are parts of others, or of two beside each other.
const WORDS: [&str; 16] = [
    "안녕",
    "안녕하세요",
    "하세",
    "ㅋㅋㅋㅋ",
    "ㅋㅏ",
    "바늘",
    "😀",
    "❤️",
    "hello",
    "Hello",
    "the",
    "heal",
    "ＷＯＲＬＤ",
    "world!",
    "1",
    "é",
];

/// Searches for what is in many texts, in few and in none, of one character and of many.
const SEARCHES: [&str; 24] = [
    "안녕",
    "녕하",
    "하세요",
    "요",
    "ㅋ",
    "ㅋㅋ",
    "ㅋㅏ",
    "바늘",
    "늘 바",
    "😀",
    "❤",
    "HELLO",
    "he",
    "hea",
    "the hea",
    "o w",
    "world",
    "d",
    "1",
    " ",
    "É",
    "needle",
    "xyzzy",
    "안녕하세요 hello the heal",
];

/// A sequence of numbers that looks random, the same in each run.
fn numbers() -> impl Iterator<Item = usize> {
    let mut state = 7_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as usize
    })
}

/// Messages of these words, of a few users.
fn chatter(room: i64, count: usize) -> Vec<Event> {
    let mut numbers = numbers();
    let mut next = move || numbers.next().expect("it never ends");
    let text = |next: &mut dyn FnMut() -> usize| {
        let words: Vec<&str> = (0..=next() % 4).map(|_| WORDS[next() % WORDS.len()]).collect();
        words.join(" ")
    };
    (0..count as i64).map(|ms| said(room, 5 + (next() % 3) as i64, 10 * ms, &text(&mut next))).collect()
}

/// An archiver that indexes at once.
async fn start(world: &World) -> Role {
    Role::start("archiver", &indexing(world)).await
}

fn indexing(world: &World) -> crate::support::Settings {
    let settings = world.settings.clone().set("archiver.text_index.part", &PART.to_string());
    settings.set("archiver.retention.sweep", "1s")
}

/// Waits until the room has parts with this many texts, and nothing is in progress. Returns their tokens.
async fn indexed(world: &World, room: i64, texts: i64) -> Vec<String> {
    let parts = world.collection("text_index_parts");
    eventually(&format!("{texts} texts of room {room} are indexed"), PATIENCE, async || {
        let mut found: Vec<Document> = Vec::new();
        let mut cursor = parts.find(doc! { "presenterIdx": room }).sort(doc! { "last": 1 }).await.unwrap();
        while cursor.advance().await.unwrap() {
            found.push(cursor.deserialize_current().unwrap());
        }
        let is_done = found.iter().all(|part| part.get_str("state").unwrap() == "built");
        let counted: i64 = found.iter().map(|part| part.get_i64("texts").unwrap()).sum();
        let tokens = found.iter().map(|part| part.get_str("token").unwrap().to_owned()).collect();
        (is_done && counted == texts).then_some(tokens)
    })
    .await
}

/// Compares every search with what the same list without a text contains, by pages of one size or another. Each is made
/// with every second filter.
async fn searches_are_right(reader: &Reader<'_>, room: i64) {
    let path = format!("/v1/rooms/{room}/messages");
    let (from, to) = (time(1_000), time(7_000));
    let filters: [&[(&str, &str)]; 6] = [
        &[],
        &[("order", "desc")],
        &[("from", &from), ("to", &to)],
        &[("from", &from), ("to", &to), ("order", "desc")],
        &[("deleted", "include")],
        &[("user", "6")],
    ];
    for (number, filter) in filters.into_iter().enumerate() {
        let all = reader.all(&path, filter, "messages", 1_000).await;
        let searches = SEARCHES.into_iter().skip(number % 2).step_by(2);
        for (search, first) in searches.zip([7, 50, 1_000].into_iter().cycle().skip(number)) {
            let contains =
                |message: &&Value| folded(message["text"].as_str().unwrap_or_default()).contains(&folded(search));
            let expected: Vec<&Value> = all.iter().filter(contains).collect();
            let mut query = vec![("text", search)];
            query.extend_from_slice(filter);
            let found = reader.all(&path, &query, "messages", first).await;
            let found: Vec<&Value> = found.iter().collect();
            assert!(found == expected, "{query:?}, {first} a page: {} of {}", found.len(), expected.len());
        }
    }
}

#[tokio::test]
async fn a_search_with_the_index_answers_as_one_that_reads_every_message() {
    let world = World::start().await;
    let archiver = start(&world).await;
    let events = chatter(42, 1_000);
    let gone = events.iter().skip(3).step_by(9).map(|event| deletion(42, event.id)).collect();
    archive_many(&world, events).await;
    archive_many(&world, gone).await;
    archive_many(&world, chatter(43, 100)).await;
    indexed(&world, 42, 1_000 / PART as i64 * PART as i64).await;
    indexed(&world, 43, PART as i64).await;
    let reader = Reader::moderator(&archiver);
    searches_are_right(&reader, 42).await;
    searches_are_right(&reader, 43).await;
    // Without its grams the index has none of the messages: so it is what a search reads.
    let grams = world.collection("text_index");
    let empty = mongodb::bson::Binary { subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: Vec::new() };
    let buckets = doc! { "_id": { "$regex": r"\.[0-9]" } };
    grams.update_many(buckets, doc! { "$set": { "data": empty } }).await.unwrap();
    let found = reader.all("/v1/rooms/42/messages", &[("text", "안녕")], "messages", 1_000).await;
    assert!(found.len() < PART, "{} messages", found.len());
    // Messages of a part that is incomplete are read.
    grams.delete_many(doc! { "_id": { "$regex": "0$" } }).await.unwrap();
    searches_are_right(&reader, 43).await;
}

#[tokio::test]
async fn a_message_that_comes_late_or_from_an_earlier_version_is_found_at_once() {
    let world = World::start().await;
    let archiver = start(&world).await;
    // One after the other, so that there is room in each batch of the log.
    archive(&world, &chatter(42, 300)).await;
    let before = indexed(&world, 42, 256).await;
    let reader = Reader::moderator(&archiver);
    let needles = async |count| {
        let found = reader.all("/v1/rooms/42/messages", &[("text", "needle")], "messages", 10).await;
        assert_eq!(found.len(), count);
    };
    needles(0).await;
    // At the beginning of the room: the archiver that stores it removes the part that has no needle.
    let late = said(42, 7, 5, "a needle that comes late");
    world.archive.write(vec![Ok(crate::archive::broadcasts::at(1, &late))]).await.unwrap();
    needles(1).await;
    let between = indexed(&world, 42, 257).await;
    assert!(before[0] != between[0] && before[1..] == between[1..], "{before:?} {between:?}");
    needles(1).await;
    // An earlier version stores a message beside the index, in the third part.
    let messages = world.collection("chatting_log");
    let third = doc! { "presenterIdx": 42_i64 };
    let mut neighbour =
        messages.find_one(third).sort(doc! { "position": 1 }).skip(2 * PART as u64 + 9).await.unwrap().unwrap();
    let index = neighbour.get_document("position").unwrap().get_i64("index").unwrap();
    neighbour.get_document_mut("position").unwrap().insert("index", index + 1_000_000);
    neighbour.extend(doc! { "_id": chat::EventId::new().to_string(), "message": "Needle", "folded": "needle" });
    neighbour.remove("textIndex");
    neighbour.remove("deleted");
    messages.insert_one(neighbour).await.unwrap();
    needles(2).await;
    let after = indexed(&world, 42, 258).await;
    assert!(between[..2] == after[..2] && between[2] != after[2], "{between:?} {after:?}");
    needles(2).await;
    searches_are_right(&reader, 42).await;
}

#[tokio::test]
async fn what_is_erased_or_has_lost_its_text_leaves_the_index() {
    let world = World::start().await;
    let archiver = start(&world).await;
    let mut events = chatter(42, 256);
    events[70] = said(42, 77, 700, "the secret of who is erased");
    events[200] = said(42, 5, 2_000, "a text that is deleted");
    let deleted = events[200].id;
    // One after the other, so that each is in its part.
    archive(&world, &events).await;
    archive(&world, &[deletion(42, deleted)]).await;
    let before = indexed(&world, 42, 256).await;
    let reader = Reader::moderator(&archiver);
    let found = async |text: &str| {
        reader.all("/v1/rooms/42/messages", &[("text", text), ("deleted", "include")], "messages", 10).await.len()
    };
    assert_eq!((found("who is erased").await, found("is deleted").await), (1, 1));
    let mode = ErasureMode::Remove;
    let erasure = Body::UserErased(UserErased { user: user(77).idx, mode, by: user(9) });
    world.log.append(&Event::of_every_room(erasure)).await.unwrap();
    let between = indexed(&world, 42, 255).await;
    let stays = [true, false, true, true];
    for (number, stays) in stays.into_iter().enumerate() {
        assert_eq!(before[number] == between[number], stays, "part {number}");
    }
    // The retention of the deleted text ends.
    let messages = world.collection("chatting_log");
    let at = DateTime::from_millis(time_of(40));
    messages.update_one(doc! { "_id": deleted.to_string() }, doc! { "$set": { "deleted.at": at } }).await.unwrap();
    let after = indexed(&world, 42, 254).await;
    assert!(between[..3] == after[..3] && between[3] != after[3], "{between:?} {after:?}");
    assert_eq!((found("who is erased").await, found("is deleted").await), (0, 0));
    // Nothing of a removed part is left.
    let grams = world.collection("text_index");
    for token in before.iter().chain(&between).filter(|token| !after.contains(token)) {
        let its = doc! { "_id": { "$regex": format!("^{token}") } };
        assert_eq!(grams.count_documents(its).await.unwrap(), 0, "{token}");
    }
    searches_are_right(&reader, 42).await;
}

fn time_of(days_ago: i64) -> i64 {
    DateTime::now().timestamp_millis() - days_ago * 24 * 60 * 60 * 1_000
}

#[tokio::test]
async fn texts_of_an_earlier_version_are_searched_without_the_index_until_it_has_them() {
    let world = World::start().await;
    // This archiver indexes nothing during the test.
    let settings = indexing(&world).set("archiver.retention.sweep", "1h");
    let archiver = Role::start("archiver", &settings).await;
    archive_many(&world, chatter(42, 500)).await;
    let messages = world.collection("chatting_log");
    messages.update_many(doc! {}, doc! { "$unset": { "textIndex": "" } }).await.unwrap();
    // What an archiver left that was killed while it built a part.
    let parts = world.collection("text_index_parts");
    let last = messages.find_one(doc! {}).sort(doc! { "position": 1 }).skip(PART as u64 - 1).await.unwrap().unwrap();
    let ago = DateTime::from_millis(time_of(1));
    let abandoned = doc! {
        "_id": "42 start", "presenterIdx": 42_i64, "last": last.get_document("position").unwrap(), "token": "abandoned",
        "state": "building", "messages": 0_i64, "texts": 0_i64, "buckets": 0_i64, "beganAt": ago, "checkedAt": ago,
    };
    parts.insert_one(abandoned).await.unwrap();
    let reader = Reader::moderator(&archiver);
    searches_are_right(&reader, 42).await;
    let (one, other) = tokio::join!(start(&world), start(&world));
    indexed(&world, 42, 448).await;
    assert_eq!(messages.count_documents(doc! { "textIndex": { "$ne": 1 } }).await.unwrap(), 0);
    assert_eq!(parts.count_documents(doc! {}).await.unwrap(), 7);
    searches_are_right(&reader, 42).await;
    assert_eq!((one.terminate().await, other.terminate().await), (0, 0));
}

#[tokio::test]
async fn a_part_whose_messages_were_removed_by_hand_is_built_again_once_it_is_counted() {
    let world = World::start().await;
    let _archiver = start(&world).await;
    archive_many(&world, chatter(42, 200)).await;
    let before = indexed(&world, 42, 192).await;
    let messages = world.collection("chatting_log");
    let first = messages.find_one(doc! {}).sort(doc! { "position": 1 }).await.unwrap().unwrap();
    messages.delete_one(doc! { "_id": first.get_str("_id").unwrap() }).await.unwrap();
    let checked = doc! { "$set": { "checkedAt": DateTime::from_millis(time_of(2)) } };
    world.collection("text_index_parts").update_many(doc! {}, checked).await.unwrap();
    let after = indexed(&world, 42, 191).await;
    assert!(before[0] != after[0] && before[1..] == after[1..], "{before:?} {after:?}");
}
