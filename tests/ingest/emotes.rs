//! Emotes: parts of a text that the sender's token allows to be pictures. In the log their ranges fit the stored text.

use serde_json::{Value, json};

use super::tokens::token_with;
use super::{Answer, System, answer};
use crate::support::{ReviewHook, Says, token};

async fn post(system: &System, token: &str, text: &str, emotes: &Value) -> Answer {
    let body = json!({ "text": text, "emotes": emotes });
    answer(system.post("/v1/rooms/42/messages").bearer_auth(token).json(&body)).await
}

fn service() -> String {
    token_with(json!({ "scope": "chat:attributes" }))
}

fn emote(id: &str, start: u32, end: u32) -> Value {
    json!({ "id": id, "start": start, "end": end })
}

/// The text of each message in the log, and its emotes with the text that they cover.
async fn logged(system: &System) -> Vec<(String, Vec<(String, String)>)> {
    let covered = |text: &str, emote: &Value| {
        let place = |name: &str| emote[name].as_u64().unwrap() as usize;
        let covered = text.chars().skip(place("start")).take(place("end") - place("start")).collect();
        (emote["id"].as_str().unwrap().to_owned(), covered)
    };
    let messages = system.messages().await;
    let message = |message: &Value| {
        let text = message["text"].as_str().unwrap();
        let emotes = message["emotes"].as_array().into_iter().flatten();
        (text.to_owned(), emotes.map(|emote| covered(text, emote)).collect())
    };
    messages.iter().map(message).collect()
}

fn said(text: &str, emotes: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    (text.to_owned(), emotes.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect())
}

#[tokio::test]
async fn the_ranges_of_emotes_fit_the_stored_text_in_its_order() {
    let system = System::start().await;
    let emotes = json!([emote("wave", 6, 10), emote("tada", 2, 3), emote("tada", 4, 5)]);
    assert_eq!(post(&system, &service(), "  🎉가🎉 wave \u{3000}", &emotes).await.status, 202);
    assert_eq!(post(&system, &service(), "none", &json!(null)).await.status, 202);
    let expected = [said("🎉가🎉 wave", &[("tada", "🎉"), ("tada", "🎉"), ("wave", "wave")]), said("none", &[])];
    assert_eq!(logged(&system).await, expected);
    assert_eq!(system.messages().await[1].get("emotes"), None);
}

#[tokio::test]
async fn a_token_names_the_emotes_that_its_user_has_and_a_viewers_word_is_not_enough() {
    let system = System::start().await;
    let (wave, tada) = (json!([emote("wave", 0, 2)]), json!([emote("wave", 0, 1), emote("tada", 1, 2)]));
    for allowed in [json!(["wave"]), json!(["tada", "wave"]), json!("*")] {
        let answer = post(&system, &token_with(json!({ "chat_emotes": allowed })), "hi", &wave).await;
        assert_eq!(answer.status, 202, "{allowed}");
    }
    let refused = post(&system, &token_with(json!({ "chat_emotes": ["wave"] })), "hi", &tada).await;
    refused.assert_problem(403, "emotes_forbidden");
    assert!(refused.json()["detail"].as_str().unwrap().contains("\"tada\""), "{refused:?}");
    let viewers = [json!({}), json!({ "chat_emotes": [] }), json!({ "chat_emotes": null, "scope": "chat:moderate" })];
    for viewer in viewers.map(token_with).into_iter().chain([token(42, "presenter")]) {
        post(&system, &viewer, "hi", &wave).await.assert_problem(403, "emotes_forbidden");
        post(&system, &viewer, "hi", &json!("wave")).await.assert_problem(403, "emotes_forbidden");
        assert_eq!(post(&system, &viewer, "hi", &json!([])).await.status, 202);
    }
    for broken in [json!("wave"), json!(["a b"]), json!({})] {
        post(&system, &token_with(json!({ "chat_emotes": broken })), "hi", &json!(null))
            .await
            .assert_problem(401, "token_invalid");
    }
    // The original's surface has no such member.
    let original = json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": "two", "emotes": "wave" });
    answer(system.post("/send/message").header("token", token(7, "nick")).json(&original)).await.assert_sent();
    let logged = logged(&system).await;
    let (with, without) = logged.split_at(3);
    assert!(with.iter().all(|(_, emotes)| emotes.len() == 1), "{with:?}");
    assert!(without.len() == 5 && without.iter().all(|(_, emotes)| emotes.is_empty()), "{without:?}");
}

#[tokio::test]
async fn emotes_that_are_no_ranges_of_the_text_are_refused_and_named() {
    let system = System::start().await;
    for (emotes, named) in [
        (json!({}), "list"),
        (json!("wave"), "list"),
        (json!(7), "list"),
        (json!(["wave"]), "emotes[0].id"),
        (json!([{ "start": 0, "end": 1 }]), "emotes[0].id"),
        (json!([emote("a/b", 0, 1)]), "emotes[0].id"),
        (json!([emote(&"a".repeat(65), 0, 1)]), "emotes[0].id"),
        (json!([emote("a", 0, 1), { "id": "b", "start": 1.5, "end": 2 }]), "emotes[1].start"),
        (json!([{ "id": "a", "start": 0 }]), "emotes[0].end"),
        (json!([{ "id": "a", "start": -1, "end": 1 }]), "emotes[0].start"),
        (json!([emote("a", 0, 0)]), "emotes[0]"),
        (json!([emote("a", 0, 6)]), "5 code points"),
        (json!([emote("a", 3, 5)]), "white space"),
        (json!([emote("a", 0, 3), emote("b", 2, 3)]), "overlap"),
        (json!(vec![emote("a", 0, 1); 101]), "100 emotes"),
    ] {
        let refused = post(&system, &service(), "🎉hi h", &emotes).await;
        refused.assert_problem(400, "emotes_invalid");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{emotes}: {detail}");
    }
    // What is wrong with the text is said as without emotes.
    post(&system, &service(), " ", &json!([])).await.assert_problem(400, "text_empty");
    let body = json!({ "text": null, "emotes": [emote("a", 0, 1)] });
    let missing = answer(system.post("/v1/rooms/42/messages").bearer_auth(service()).json(&body)).await;
    missing.assert_problem(400, "text_empty");
    assert!(logged(&system).await.is_empty());
}

#[tokio::test]
async fn a_masked_word_is_no_emote_and_the_emotes_behind_it_move() {
    let system = System::start_with(|settings| settings.set("ingest.room.word_policy", "mask")).await;
    // The word has four characters of five code points. A star stands for each character.
    let text = "wave s\u{301}h1t tada";
    let word = 5;
    let emotes = json!([emote("wave", 0, 4), emote("bad", word, word + 5), emote("tada", word + 6, word + 10)]);
    assert_eq!(post(&system, &service(), text, &emotes).await.status, 202);
    assert_eq!(logged(&system).await, [said("wave **** tada", &[("wave", "wave"), ("tada", "tada")])]);
}

#[tokio::test]
async fn emotes_stay_in_what_the_review_hook_leaves_as_it_is() {
    let hook = ReviewHook::start().await;
    let change = |settings| hook.settings(settings).set("ingest.review.deadline_ms", "10000");
    let system = System::start_with(change).await;
    hook.say(Says::Replace("wave [number removed] tada".to_owned()));
    let emotes = json!([emote("wave", 0, 4), emote("phone", 5, 13), emote("tada", 14, 18)]);
    assert_eq!(post(&system, &service(), "wave 555-0199 tada", &emotes).await.status, 202);
    hook.say(Says::Replace("other".to_owned()));
    assert_eq!(post(&system, &service(), "wave", &json!([emote("wave", 0, 4)])).await.status, 202);
    let expected = said("wave [number removed] tada", &[("wave", "wave"), ("tada", "tada")]);
    assert_eq!(logged(&system).await, [expected, said("other", &[])]);
    assert_eq!(system.messages().await[1].get("emotes"), None);
}

#[tokio::test]
async fn emotes_are_emoji_where_a_room_takes_nothing_else() {
    let system = System::start_with(|settings| settings.set("ingest.room.emoji_only", "true")).await;
    let wave = json!([emote("wave", 2, 6)]);
    assert_eq!(post(&system, &service(), "🎉 wave", &wave).await.status, 202);
    post(&system, &service(), "🎉 wave hi", &wave).await.assert_problem(403, "msg_emoji_only");
    post(&system, &service(), "🎉 wave", &json!([])).await.assert_problem(403, "msg_emoji_only");
    assert_eq!(logged(&system).await.len(), 1);
}

#[tokio::test]
async fn a_retry_has_the_same_emotes() {
    let system = System::start().await;
    let keyed = async |text: &str, emotes: Value| {
        let request = system.post("/v1/rooms/42/messages").bearer_auth(service()).header("idempotency-key", "a-key");
        answer(request.json(&json!({ "text": text, "emotes": emotes }))).await
    };
    let first = keyed("hi wave", json!([emote("hi", 0, 2), emote("wave", 3, 7)])).await;
    assert_eq!(first.status, 202);
    let respelled = json!([{ "end": 8.0, "id": "wave", "start": 4 }, emote("hi", 1, 3)]);
    assert_eq!(keyed(" hi wave", respelled).await.json(), first.json());
    for other in [json!(null), json!([emote("hi", 0, 2)]), json!([emote("hi", 0, 2), emote("wave", 3, 6)])] {
        keyed("hi wave", other).await.assert_problem(422, "idempotency_key_reused");
    }
    assert_eq!(logged(&system).await.len(), 1);
}
