//! More different words than the archiver counts one by one.

use chat::EventId;
use mongodb::bson::{DateTime, Document, doc};

use super::*;

/// More than the archiver counts one by one.
const WORDS: usize = 120_000;

/// Twice as many as fit into a message that is posted.
const WORDS_OF_A_MESSAGE: usize = 250;

fn word(number: usize) -> String {
    format!("w{number:06}")
}

fn message(number: usize, text: String) -> Document {
    let ms = evening(0).as_millisecond() + number as i64;
    doc! {
        "_id": EventId::new().to_string(), "presenterIdx": 42_i64, "userIdx": 7_i64, "nickname": "user7",
        "role": "viewer", "message": text, "sentAt": DateTime::from_millis(ms),
        "position": { "epoch": 1_i64, "sequence": number as i64, "index": 0_i64 }, "flags": [],
    }
}

#[tokio::test]
async fn words_are_ranked_right_however_many_there_are() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let numbers: Vec<usize> = (0..WORDS).collect();
    let mut texts: Vec<String> = numbers
        .chunks(WORDS_OF_A_MESSAGE)
        .map(|numbers| numbers.iter().map(|number| word(*number) + " ").collect::<String>() + "everywhere")
        .collect();
    let often = [5, WORDS / 2, WORDS - 1].map(word);
    texts.push(often.join(" "));
    let all = texts.len() as i64;
    let messages: Vec<Document> = texts.into_iter().enumerate().map(|(number, text)| message(number, text)).collect();
    world.collection("chatting_log").insert_many(messages).await.unwrap();

    let reader = Reader::analyst(&archiver);
    let entry = |word: &str, messages: i64| json!({ "word": word, "messages": messages, "uses": messages });
    let top = async |first: &str| {
        ask(&reader, &format!("{ROOM}/words"), 0, 1_000, &[("first", first)]).await["words"].clone()
    };
    assert_eq!(top("1").await, json!([entry("everywhere", all - 1)]));
    let expected = [entry("everywhere", all - 1), entry(&often[0], 2), entry(&often[1], 2), entry(&often[2], 2)];
    assert_eq!(top("4").await, json!(expected));
}
