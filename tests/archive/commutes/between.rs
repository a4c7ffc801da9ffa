//! Decisions between the messages of one write, in one batch or in several.

use futures_util::StreamExt as _;

use super::super::{deletion, message};
use super::*;

/// Where the lines stand: in one batch, or in batches one after the other.
fn lines(events: &[&Event], in_one_batch: bool) -> Vec<Entry> {
    let place = |number: usize| match in_one_batch {
        true => chat::Position { epoch: 1, sequence: 5, index: number as u32 },
        false => chat::Position { epoch: 1, sequence: 5 + number as u64, index: 0 },
    };
    let entry = |(number, event): (usize, &&Event)| Entry::read(place(number), event.to_line()).unwrap();
    events.iter().enumerate().map(entry).collect()
}

#[tokio::test]
async fn a_decision_between_two_messages_of_one_write_is_about_those_before_it() {
    let mongod = Mongod::start().await;
    let (cleared, elsewhere) = (message(1, "before"), message(2, "in another room"));
    let clear = Event::now(presenter(1), Body::RoomCleared(RoomCleared { by: user(1), reason: None }));
    let (deleted, after) = (message(1, "deleted"), message(1, "after"));
    // Of what was not said yet: it is about nothing.
    let early = deletion(1, after.id);
    let delete = deletion(1, deleted.id);
    let log = [&cleared, &elsewhere, &clear, &deleted, &early, &delete, &after];
    for (case, in_one_batch) in [true, false].into_iter().enumerate() {
        let entries = lines(&log, in_one_batch);
        let whole = vec![(0..log.len()).collect::<Vec<_>>()];
        // The decisions before all that they are about, and after it.
        let decisions_first = vec![vec![2, 4, 5], vec![0, 1, 3, 6]];
        let decisions_last = vec![vec![0, 1, 3, 6], vec![2, 4, 5]];
        let backwards = vec![(0..log.len()).rev().collect::<Vec<_>>()];
        for (number, writes) in [whole, decisions_first, decisions_last, backwards].into_iter().enumerate() {
            let mut config = config(&mongod).archiver;
            config.database = format!("between_{case}_{number}");
            let archive = Archive::connect(&config).await.unwrap();
            for write in &writes {
                archive.write(write.iter().map(|place| Ok(entries[*place].clone())).collect()).await.unwrap();
            }
            let mut seen = Vec::new();
            for room in [1, 2] {
                let messages = archive.room(presenter(room)).await.unwrap();
                let by = |message: &ArchivedMessage| message.deleted.as_ref().map(|deleted| deleted.decision);
                seen.extend(messages.iter().map(|message| (message.message.clone(), by(message))));
            }
            let expected =
                [("before", Some(clear.id)), ("deleted", Some(delete.id)), ("after", None), ("in another room", None)];
            let expected = expected.map(|(text, decision)| (text.to_owned(), decision));
            assert_eq!(seen, expected, "in one batch: {in_one_batch}, written as {writes:?}");
        }
    }
}

#[tokio::test]
async fn a_message_that_was_denied_before_its_release_is_not_in_the_archive_for_a_moment() {
    let mongod = Mongod::start().await;
    let client = mongodb::Client::with_uri_str(mongod.uri()).await.unwrap();
    let denial = Step::Deny { id: 8, room: 1 }.event(1);
    let release = Step::Release { id: 8, room: 1, author: 7 }.event(2);
    let after = message(1, "after");
    for (case, in_one_batch) in [true, false].into_iter().enumerate() {
        let mut config = config(&mongod).archiver;
        config.database = format!("denied_{case}");
        let archive = Archive::connect(&config).await.unwrap();
        let messages = client.database(&config.database).collection::<Document>("chatting_log");
        let mut changes = messages.watch().await.unwrap();
        let entries = lines(&[&denial, &release, &after], in_one_batch);
        let writes = if in_one_batch { vec![entries] } else { entries.chunks(1).map(<[Entry]>::to_vec).collect() };
        for write in writes {
            archive.write(write.into_iter().map(Ok).collect()).await.unwrap();
        }
        let change = changes.next().await.unwrap().unwrap();
        let changed = change.document_key.unwrap();
        assert_eq!(changed.get_str("_id").unwrap(), after.id.to_string(), "in one batch: {in_one_batch}");
    }
}
