//! A recorded chat, played into the log and archived, and then every question answered as an independent recount of the
//! recording has it: an evening that was written for this project, and with `shared-data` 126,330 messages of 52 rooms.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use chat::{Body, Event, EventId, MessagePosted, User};
use futures_util::{StreamExt as _, stream};
use mongodb::bson::doc;
use serde_json::Value;

use super::reading::{Reader, archived, evening, texts, time};
use super::replay::replay_is_right;
use super::statistics::statistics_are_right;
use super::{World, deletion, presenter, user};
use crate::support::eventually;

/// The number of the first room. The others follow.
const FIRST_ROOM: i64 = 1_000;

/// One message in this many is deleted afterwards.
const DELETED: usize = 97;

/// The messages that are indexed together: few, so that most rooms have some parts and a rest.
const PART: usize = 128;

/// The rooms of a recording, by number, each with its messages in order.
pub(super) type Rooms = BTreeMap<i64, Vec<Said>>;

/// A message of a recording.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) id: EventId,
    pub(super) user: i64,
    pub(super) ms: i64,
    pub(super) text: String,
    pub(super) deleted: bool,
}

/// Reads a recording, gzip or not.
fn read(path: &Path) -> Rooms {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).map(drop).unwrap(),
        false => text = String::from_utf8(bytes).unwrap(),
    }
    let (mut rooms, mut users) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
    let mut recording = Rooms::new();
    for (number, line) in text.lines().enumerate() {
        let row: Value = serde_json::from_str(line).unwrap();
        let known = rooms.len() as i64;
        let room = *rooms.entry(row["room"].as_str().unwrap_or("room").to_owned()).or_insert(FIRST_ROOM + known);
        let known = users.len() as i64;
        let user = *users.entry(row["user"].as_str().unwrap().to_owned()).or_insert(1 + known);
        recording.entry(room).or_default().push(Said {
            id: EventId::new(),
            user,
            ms: row["t_ms"].as_i64().unwrap(),
            text: row["text"].as_str().unwrap().to_owned(),
            deleted: number % DELETED == DELETED - 1,
        });
    }
    recording
}

fn event(room: i64, said: &Said) -> Event {
    let user = User { nickname: format!("사용자{}", said.user), ..user(said.user) };
    let posted = MessagePosted::new(user, said.text.clone());
    let event = Event::now(presenter(room), Body::MessagePosted(posted)).recorded_at(evening(said.ms));
    Event { id: said.id, ..event }
}

/// Plays the recording into the log, as batches that ingest could have packed, and deletes some of it afterwards.
async fn play_in(world: &World, rooms: &Rooms) {
    // In order of time, with all rooms interleaved.
    let mut everything: Vec<(i64, &Said)> =
        rooms.iter().flat_map(|(room, messages)| messages.iter().map(|said| (*room, said))).collect();
    everything.sort_by_key(|(_, said)| said.ms);
    for batch in everything.chunks(500) {
        let lines: Vec<_> = batch.iter().map(|(room, said)| event(*room, said).to_line()).collect();
        world.append_raw(&lines.join(&b'\n')).await;
    }
    archived(world).await;
    let gone = everything.iter().filter(|(_, said)| said.deleted);
    let deletions: Vec<Event> = gone.map(|(room, said)| deletion(*room, said.id)).collect();
    for batch in deletions.chunks(500) {
        let lines: Vec<_> = batch.iter().map(Event::to_line).collect();
        world.append_raw(&lines.join(&b'\n')).await;
    }
    archived(world).await;
}

/// The messages of a room that are shown.
pub(super) fn shown(messages: &[Said]) -> impl Iterator<Item = &Said> {
    messages.iter().filter(|said| !said.deleted)
}

/// Checks the rooms, some concurrently: the archiver answers for one during the recount of another.
pub(super) async fn each_of(rooms: &Rooms, look: impl AsyncFn(i64, &[Said])) {
    let looking = rooms.iter().map(|(room, messages)| look(*room, messages));
    stream::iter(looking).buffer_unordered(4).collect::<()>().await;
}

/// Compares the search and the export of every room and of the busiest users with the recording.
async fn search_is_right(world: &World, reader: &Reader<'_>, rooms: &Rooms) {
    each_of(rooms, async |room, messages| {
        let path = format!("/v1/rooms/{room}/messages");
        let found = reader.all(&path, &[], "messages", 1_000).await;
        let expected: Vec<&str> = shown(messages).map(|said| said.text.as_str()).collect();
        assert!(texts(&found, "text") == expected, "room {room} differs from its recording");
        let exported = reader.ask(&format!("/v1/rooms/{room}/export"), &[]).await.text().await.unwrap();
        let exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(exported == found, "the export of room {room} differs from its search");
        let (first, last) = (messages[0].ms, messages[messages.len() - 1].ms);
        let (from, to) = (first + (last - first) / 3, first + (last - first) / 2 + 1);
        let query = [("from", time(from)), ("to", time(to))];
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let found = reader.all(&path, &query, "messages", 1_000).await;
        let expected: Vec<&str> =
            shown(messages).filter(|said| (from..to).contains(&said.ms)).map(|said| said.text.as_str()).collect();
        assert!(texts(&found, "text") == expected, "room {room} from {from} to {to}");
        // A word of the middle of the room, cut so that it is a substring of others too.
        let word = words(&messages[messages.len() / 2].text).next().unwrap_or("gg").to_lowercase();
        let piece: String = word.chars().take(3).collect();
        let found = reader.all(&path, &[("text", &piece)], "messages", 1_000).await;
        let expected: Vec<&str> = shown(messages)
            .filter(|said| said.text.to_lowercase().contains(&piece))
            .map(|said| said.text.as_str())
            .collect();
        assert_eq!(texts(&found, "text"), expected, "{piece:?} in room {room}");
        text_searches_are_right(reader, &path, messages).await;
        let deleted = reader.all(&path, &[("deleted", "only")], "messages", 1_000).await;
        let expected: Vec<&str> = messages.iter().filter(|said| said.deleted).map(|said| said.text.as_str()).collect();
        assert_eq!(texts(&deleted, "text"), expected, "what room {room} deleted");
    })
    .await;
    let mut users: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for said in rooms.values().flatten().filter(|said| !said.deleted) {
        users.entry(said.user).or_default().push(said.id.to_string());
    }
    let mut busiest: Vec<(&i64, &Vec<String>)> = users.iter().collect();
    busiest.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.len()));
    for (user, ids) in busiest.into_iter().take(20) {
        let found = reader.all(&format!("/v1/users/{user}/messages"), &[], "messages", 500).await;
        assert!(found.is_sorted_by_key(|message| message["sentAt"].as_str().unwrap().to_owned()));
        let (mut found, mut expected) = (texts(&found, "id"), ids.iter().map(String::as_str).collect::<Vec<_>>());
        found.sort_unstable();
        expected.sort_unstable();
        assert!(found == expected, "user {user} differs from the recording");
    }
    let documents = world.collection("chatting_log").count_documents(doc! {}).await.unwrap();
    assert_eq!(documents, rooms.values().map(Vec::len).sum::<usize>() as u64);
}

/// Searches, in one direction or the other, for pieces of the room's words: of any script, of one character and of
/// several, common and rare.
async fn text_searches_are_right(reader: &Reader<'_>, path: &str, messages: &[Said]) {
    let folded: Vec<(String, &str)> =
        shown(messages).map(|said| (chat::folded(&said.text), said.text.as_str())).collect();
    let mut pieces: Vec<String> = vec!["absent 없음".to_owned()];
    for place in 0..3 {
        let (_, text) = &folded[place * folded.len() / 3];
        let word = text.split_whitespace().last().unwrap_or_default();
        for length in [1, 2, 7] {
            pieces.push(word.chars().take(length).collect());
            // Across words, too.
            pieces.push(text.chars().skip(2).take(length).collect());
        }
    }
    pieces.retain(|piece| !piece.contains(char::is_control) && !chat::folded(piece).is_empty());
    pieces.sort_unstable();
    pieces.dedup();
    for (piece, order) in pieces.iter().zip(["asc", "desc"].into_iter().cycle()) {
        let search = chat::folded(piece);
        let mut expected: Vec<&str> =
            folded.iter().filter(|(folded, _)| folded.contains(&search)).map(|(_, text)| *text).collect();
        if order == "desc" {
            expected.reverse();
        }
        let query = [("text", piece.as_str()), ("order", order)];
        let found = reader.all(path, &query, "messages", 500).await;
        assert!(texts(&found, "text") == expected, "{piece:?} {order} in {path}");
    }
}

/// Waits until the text index has all messages of a room that make whole parts.
async fn is_indexed(world: &World, rooms: &Rooms) {
    let whole = |messages: &Vec<Said>| (messages.len() / PART * PART) as i64;
    let expected: i64 = rooms.values().map(whole).sum();
    let parts = world.collection("text_index_parts");
    eventually("the texts are indexed", Duration::from_secs(300), async || {
        let mut counted = 0;
        let mut cursor = parts.find(doc! { "state": "built" }).await.unwrap();
        while cursor.advance().await.unwrap() {
            counted += cursor.deserialize_current().unwrap().get_i64("texts").unwrap();
        }
        (counted >= expected).then_some(())
    })
    .await;
}

/// Words of at least two ASCII letters, whose case folding is unambiguous.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_ascii_alphabetic()).filter(|word| word.len() >= 2)
}

async fn is_answered_right(rooms: &Rooms) {
    let mut world = World::start().await;
    let settings = world.settings.clone().set("archiver.text_index.part", &PART.to_string());
    world.settings = settings.set("archiver.retention.sweep", "1s");
    let archiver = world.archiver().await;
    play_in(&world, rooms).await;
    is_indexed(&world, rooms).await;
    let reader = Reader::moderator(&archiver);
    search_is_right(&world, &reader, rooms).await;
    statistics_are_right(&reader, rooms).await;
    replay_is_right(&world, &reader, rooms).await;
}

#[tokio::test]
async fn an_evening_of_chat_is_answered_as_a_recount_has_it() {
    is_answered_right(&read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/evening.ndjson"))).await;
}

#[cfg(feature = "shared-data")]
mod shared_data {
    use std::path::PathBuf;

    /// `RECORDED_ROOMS`: only so many of the rooms, for `.ci/run`.
    #[tokio::test]
    async fn fifty_two_rooms_are_answered_as_a_recount_has_it() {
        let folder = std::env::var_os("CHATTING_SHARED_DATA");
        let folder = PathBuf::from(folder.expect("CHATTING_SHARED_DATA must name the folder with the data sets"));
        let mut rooms = super::read(&folder.join("chat_youtube_multiroom/rooms52.ndjson.gz"));
        if let Ok(some) = std::env::var("RECORDED_ROOMS") {
            let some: usize = some.parse().expect("RECORDED_ROOMS must be a number of rooms");
            // Large ones and small ones.
            let step = rooms.len().div_ceil(some);
            rooms = rooms.into_iter().step_by(step).collect();
        }
        super::is_answered_right(&rooms).await;
    }
}
