//! What TwitchDownloader reads in the file.

use mongodb::bson::{DateTime, Document, doc};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::mongo::documents::{EmoteDocument, PositionDocument};

fn recording(room: i64, nickname: &str) -> Recording {
    Recording {
        id: "a-session".to_owned(),
        room,
        nickname: nickname.to_owned(),
        started: 1_763_805_600_000,
        duration: 3_723_250,
        made: 1_763_809_999_000,
    }
}

fn message(role: Role, nickname: &str, text: &str) -> MessageDocument {
    MessageDocument {
        id: "an-event".to_owned(),
        presenter_idx: 42,
        user_idx: 7,
        nickname: nickname.to_owned(),
        role,
        message: Some(text.to_owned()),
        folded: None,
        text_index: None,
        sent_at: DateTime::from_millis(1_763_805_601_250),
        position: PositionDocument { epoch: 1, sequence: 2, index: 3 },
        flags: Vec::new(),
        reply_to: None,
        attributes: None,
        emotes: None,
        notice: false,
        released: false,
        deleted: None,
        restored: None,
        archived_at: None,
    }
}

/// A whole file, read back.
fn file(recording: &Recording, messages: &[MessageDocument]) -> serde_json::Value {
    let mut file = recording.head().into_bytes();
    let mut comments = recording.comments();
    for (offset, message) in (1_250..).zip(messages) {
        comments.write(offset, message, &mut file);
    }
    file.extend_from_slice(TAIL.as_bytes());
    serde_json::from_slice(&file).unwrap()
}

#[test]
fn the_file_is_pinned() {
    let messages = [message(Role::Viewer, "닉", "안녕 \"\\\n"), message(Role::Presenter, "닉", "hi")];
    insta::assert_json_snapshot!(file(&recording(42, "방송 \"인\""), &messages));
}

fn with(attributes: Document) -> MessageDocument {
    MessageDocument { attributes: Some(attributes), ..message(Role::Moderator, "n", "hi") }
}

#[test]
fn a_colour_and_badges_come_from_attributes_if_they_fit() {
    let drawn = |attributes: Document| {
        let file = file(&recording(42, "n"), &[with(attributes)]);
        let message = &file["comments"][0]["message"];
        (message["user_color"].clone(), message["user_badges"].clone())
    };
    let badge = |id: &str, version: &str| json!({ "_id": id, "version": version });
    let moderator = badge("moderator", "1");
    let badges = vec![
        doc! { "id": "subscriber", "version": 12_i64 }.into(),
        doc! { "id": "vip", "version": "gold" }.into(),
        Bson::from("founder"),
        doc! { "version": 1_i64 }.into(),
        Bson::from(7_i64),
    ];
    assert_eq!(
        drawn(doc! { "color": "#00c853", "badges": badges }),
        (json!("#00c853"), json!([moderator, badge("subscriber", "12"), badge("vip", "gold"), badge("founder", "1")]))
    );
    for other in
        [doc! {}, doc! { "color": "red", "badges": "gold" }, doc! { "color": 7_i64 }, doc! { "color": "#00C85G" }]
    {
        assert_eq!(drawn(other), (json!(null), json!([moderator])));
    }
}

#[test]
fn emotes_are_fragments_and_emoticons() {
    let emote = |id: &str, start, end| EmoteDocument { id: id.to_owned(), start, end };
    let drawn = |text: &str, emotes: Vec<EmoteDocument>| {
        let message = MessageDocument { emotes: Some(emotes), ..message(Role::Viewer, "n", text) };
        let message = &file(&recording(42, "n"), &[message])["comments"][0]["message"];
        assert_eq!(message["body"], text);
        (message["fragments"].clone(), message["emoticons"].clone())
    };
    let text = |text: &str| json!({ "text": text, "emoticon": null });
    let picture = |text: &str, id: &str| json!({ "text": text, "emoticon": { "emoticon_id": id } });
    assert_eq!(
        drawn("🎉안녕 wave🎉", vec![emote("hi", 1, 3), emote("wave", 4, 8), emote("tada", 8, 9)]),
        (
            json!([text("🎉"), picture("안녕", "hi"), text(" "), picture("wave", "wave"), picture("🎉", "tada")]),
            json!([
                { "_id": "hi", "begin": 1, "end": 4 },
                { "_id": "wave", "begin": 4, "end": 9 },
                { "_id": "tada", "begin": 8, "end": 11 },
            ])
        )
    );
    // A range that is not in the text is left out.
    for stray in [emote("a", -1, 1), emote("a", 1, 9), emote("a", 1, 1), emote("a", 0, 1 << 40)] {
        assert_eq!(drawn("hi", vec![stray]), (json!([text("hi")]), json!([])));
    }
}

#[test]
fn no_room_is_taken_for_a_channel_of_twitch() {
    for room in [1, 42, i64::from(i32::MAX), 1 << 40] {
        let streamer = &file(&recording(room, "n"), &[])["streamer"];
        assert_eq!((&streamer["id"], &streamer["login"]), (&0.into(), &room.to_string().into()), "{streamer}");
    }
}

proptest! {
    #[test]
    fn the_file_is_json_with_every_text_unchanged(
        presenter in any::<String>(),
        said in prop::collection::vec((any::<String>(), any::<String>()), 0..4),
    ) {
        let messages: Vec<_> = said.iter().map(|(nickname, text)| message(Role::Viewer, nickname, text)).collect();
        let file = file(&recording(42, &presenter), &messages);
        prop_assert_eq!(&file["streamer"]["name"], &presenter);
        let comments = file["comments"].as_array().unwrap();
        prop_assert_eq!(comments.len(), said.len());
        for ((nickname, text), comment) in said.iter().zip(comments) {
            prop_assert_eq!(&comment["commenter"]["display_name"], nickname);
            prop_assert_eq!(&comment["message"]["body"], text);
            prop_assert_eq!(&comment["message"]["fragments"][0]["text"], text);
        }
    }
}
