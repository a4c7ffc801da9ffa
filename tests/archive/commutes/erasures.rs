//! Logs with erasures: the traces of an erased user are a function of the log, too.

use super::*;

/// A log with erasures: messages and decisions of a few users, with a few ids.
#[derive(Debug, Clone, Copy)]
enum Life {
    /// Each id belongs to one user, and comes from a key, so that copies are possible.
    Post {
        id: u8,
    },
    /// A user deletes a message.
    Delete {
        id: u8,
        target: u8,
    },
    /// A presenter clears the room.
    Clear {
        id: u8,
    },
    /// One user bans another.
    Ban {
        id: u8,
    },
    Erase {
        id: u8,
    },
}

/// Users 1 and 2 present rooms 1 and 2, and post in each other's.
const PEOPLE: u8 = 2;

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        6 => (0..8_u8).prop_map(|id| Life::Post { id }),
        // In the room of the decision, because each id belongs to one room.
        2 => (0..4_u8, 0..8_u8).prop_map(|(id, target)| Life::Delete { id, target: target & !2 | id & 2 }),
        1 => (0..2_u8).prop_map(|id| Life::Clear { id }),
        1 => (0..2_u8).prop_map(|id| Life::Ban { id }),
        2 => (0..3_u8).prop_map(|id| Life::Erase { id }),
    ]
}

impl Life {
    fn person(id: u8) -> i64 {
        1 + i64::from(id % PEOPLE)
    }

    fn event(self, mode: ErasureMode) -> Event {
        let id = |kind: u8, id: u8| format!("00000000-0000-5000-8000-0000000000{kind:x}{id:x}").parse().unwrap();
        let event = |event: Event, id: EventId| Event { id, ..event };
        let room = |id: u8| presenter(1 + i64::from(id / PEOPLE % 2));
        match self {
            Life::Post { id: message } => {
                let (user, text) = (user(Life::person(message)), format!("text {message}"));
                let posted = MessagePosted::new(user, text);
                event(Event::now(room(message), Body::MessagePosted(posted)), id(1, message))
            }
            Life::Delete { id: decision, target } => {
                let (by, reason) = (user(Life::person(decision)), Some("reason".to_owned()));
                let deleted = MessageDeleted { target: id(1, target), by, reason };
                event(Event::now(room(target), Body::MessageDeleted(deleted)), id(2, decision))
            }
            Life::Clear { id: decision } => {
                let by = user(Life::person(decision));
                let room = presenter(Life::person(decision));
                event(Event::now(room, Body::RoomCleared(RoomCleared { by, reason: None })), id(3, decision))
            }
            Life::Ban { id: decision } => {
                let (banned, by) = (user(Life::person(decision)).idx, user(Life::person(decision + 1)));
                let reason = Some("reason".to_owned());
                let banned = UserBanned { user: banned, until: None, purge_seconds: Some(600), by, reason };
                event(Event::now(presenter(1), Body::UserBanned(banned)), id(4, decision))
            }
            Life::Erase { id: erasure } => {
                let erased = UserErased { user: user(Life::person(erasure)).idx, mode, by: user(9) };
                event(Event::of_every_room(Body::UserErased(erased)), id(5, erasure))
            }
        }
    }
}

/// The author of each message, and the author and the subject of each decision. None: unidentifiable.
type Named = (BTreeMap<String, Option<i64>>, BTreeMap<String, [Option<i64>; 2]>);

/// The first copy of each message and decision counts, and the last one of each erasure. Events before the erasure of
/// their author or subject have no number there.
fn names_left(lives: &[Life], mode: ErasureMode) -> Named {
    let mut erased_until = BTreeMap::new();
    for (place, life) in lives.iter().enumerate() {
        if let Life::Erase { id } = life {
            erased_until.insert(Life::person(*id), place);
        }
    }
    let left = |person: i64, place: usize| {
        let is_erased = erased_until.get(&person).is_some_and(|until| place < *until);
        if is_erased { None } else { Some(person) }
    };
    let (mut messages, mut decisions) = (BTreeMap::new(), BTreeMap::new());
    for (place, life) in lives.iter().enumerate() {
        let id = life.event(mode).id.to_string();
        match life {
            Life::Post { id: message } => _ = messages.entry(id).or_insert(left(Life::person(*message), place)),
            Life::Delete { id: decision, .. } | Life::Clear { id: decision } => {
                decisions.entry(id).or_insert([left(Life::person(*decision), place), None]);
            }
            Life::Ban { id: decision } => {
                let (banned, by) = (Life::person(*decision), Life::person(decision + 1));
                decisions.entry(id).or_insert([left(by, place), left(banned, place)]);
            }
            Life::Erase { .. } => {}
        }
    }
    if mode == ErasureMode::Remove {
        messages.retain(|_, author| author.is_some());
    }
    (messages, decisions)
}

#[test]
fn the_traces_of_an_erased_user_do_not_depend_on_the_order_repetition_or_concurrency_of_batches() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mongod = runtime.block_on(Mongod::start());
    let databases = std::cell::Cell::new(0);
    let settings = Config { cases: 32, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mode = prop_oneof![Just(ErasureMode::Remove), Just(ErasureMode::Anonymise)];
    let lives = prop::collection::vec(life(), 4..24).prop_flat_map(|lives| {
        let groups = groups(lives.len());
        (Just(lives), groups)
    });
    let result = TestRunner::new(settings).run(&(lives, mode), |((lives, groups), mode)| {
        databases.set(databases.get() + 1);
        runtime.block_on(check_lives(&mongod, &format!("life_{}", databases.get()), &lives, &groups, mode))
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn check_lives(
    mongod: &Mongod,
    database: &str,
    lives: &[Life],
    groups: &[Vec<usize>],
    mode: ErasureMode,
) -> Result<(), TestCaseError> {
    let mut config = config(mongod).archiver;
    config.database = database.to_owned();
    let archives = [Archive::connect(&config).await.unwrap(), Archive::connect(&config).await.unwrap()];
    let log: Vec<Entry> =
        lives.iter().enumerate().map(|(place, life)| at(1 + place as u64, &life.event(mode))).collect();
    for group in groups {
        let writes = group.iter().enumerate().map(|(turn, place)| {
            let (archive, lines) = (&archives[turn % 2], vec![Ok(log[*place].clone())]);
            async move { archive.write(lines).await.unwrap() }
        });
        join_all(writes).await;
    }
    let database = mongodb::Client::with_uri_str(mongod.uri()).await.unwrap().database(database);
    let person = |document: &Document, path: &str| {
        let value = path.split('.').try_fold(Bson::from(document.clone()), |value, name| {
            value.as_document().and_then(|document| document.get(name)).cloned()
        });
        value.and_then(|value| value.as_i64()).filter(|person| *person > 0)
    };
    let (mut messages, mut decisions) = (BTreeMap::new(), BTreeMap::new());
    let mut found = database.collection::<Document>("moderation_log").find(doc! {}).await.unwrap();
    while found.advance().await.unwrap() {
        let document = found.deserialize_current().unwrap();
        let [by, about] = ["by.userIdx", "userIdx"].map(|path| person(&document, path));
        prop_assert_eq!(by.is_some(), !document.get_document("by").unwrap().get_str("nickname").unwrap().is_empty());
        decisions.insert(document.get_str("_id").unwrap().to_owned(), [by, about]);
    }
    let mut found = database.collection::<Document>("chatting_log").find(doc! {}).await.unwrap();
    while found.advance().await.unwrap() {
        let document = found.deserialize_current().unwrap();
        let author = person(&document, "userIdx");
        prop_assert_eq!(author.is_some(), !document.get_str("nickname").unwrap().is_empty());
        if let Ok(deleted) = document.get_document("deleted") {
            // The user who deleted it is named as in the decision.
            let decision = &decisions[deleted.get_str("decision").unwrap()];
            prop_assert_eq!(person(&document, "deleted.by.userIdx"), decision[0], "{}", document);
        }
        messages.insert(document.get_str("_id").unwrap().to_owned(), author);
    }
    let (messages_left, decisions_left) = names_left(lives, mode);
    prop_assert_eq!(messages, messages_left);
    prop_assert_eq!(decisions, decisions_left);
    Ok(())
}
