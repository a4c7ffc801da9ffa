//! The review hook: the requests to it, the effect of its answers, and that its failures harm no more than the operator
//! allows.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, DEADLINE, System, answer};
use crate::support::{NatsServer, ReviewHook, Role, Says, Settings, token};

const REJECTED: &str = "사용할 수 없는 표현이 포함되어 있습니다.";
const NOT_SENT: &str = "채팅이 정상적으로 전송되지 않았습니다.";

/// The failures of a hook.
fn failures() -> Vec<Says> {
    let garbage = |body: &str| Says::Garbage(body.to_owned());
    vec![
        Says::Delay(Duration::from_secs(600)),
        Says::Status(500),
        Says::Status(404),
        Says::Status(202),
        Says::Redirect,
        garbage(""),
        garbage("<html>It works!</html>"),
        garbage(r#"{"action":"perhaps"}"#),
        garbage(&json!({"action": "allow", "more": "x".repeat(70_000)}).to_string()),
        Says::Replace(" ".to_owned()),
        Says::Replace("two\nlines".to_owned()),
        Says::Replace("x".repeat(501)),
    ]
}

async fn start(hook: &ReviewHook, change: impl FnOnce(Settings) -> Settings) -> System {
    // On a busy machine an answer may take longer than the default.
    System::start_with(|settings| change(hook.settings(settings).set("ingest.review.deadline_ms", "10000"))).await
}

fn body(text: &str) -> Value {
    json!({"presenterIdx": 42, "userType": "viewer", "textMessage": text})
}

#[tokio::test]
async fn the_hook_is_asked_about_every_message_before_it_is_in_the_log() {
    let hook = ReviewHook::start().await;
    let system = start(&hook, |settings| settings).await;
    let accepted = system.post_v1("42", json!({"text": " 안녕 "})).await;
    assert_eq!(accepted.status, 202);
    system.send(body("hi")).await.assert_sent();

    let asked = hook.asked();
    assert_eq!(asked.len(), 2);
    let mut question = asked[0].body.clone();
    assert!(question["timestamp"].take().as_str().unwrap().ends_with('Z'));
    let id = accepted.json()["id"].clone();
    assert_eq!(asked[0].id, id.as_str().unwrap());
    let user = json!({"idx": 7, "nickname": "nick", "role": "viewer"});
    let data = json!({"id": id, "presenterIdx": 42, "user": user, "text": "안녕", "flags": []});
    assert_eq!(question, json!({"type": "message.review", "timestamp": null, "data": data}));

    let messages = system.messages().await;
    assert_eq!((&messages[0]["text"], &messages[1]["text"]), (&json!("안녕"), &json!("hi")));
    assert!(messages.iter().all(|message| message.get("flags").is_none()), "{messages:?}");
}

#[tokio::test]
async fn the_review_hook_sees_neither_refused_posts_nor_retries() {
    let hook = ReviewHook::start().await;
    let system = start(&hook, |settings| {
        settings.set("ingest.room.message_rate.messages", "2").set("ingest.room.message_rate.seconds", "3600")
    })
    .await;
    let keyed = async || {
        let request = system.post("/v1/rooms/42/messages").bearer_auth(token(7, "nick"));
        answer(request.header("idempotency-key", "key").json(&json!({"text": "hi"}))).await
    };
    let (first, second) = (keyed().await, keyed().await);
    assert_eq!((first.status.as_u16(), first.json()), (202, second.json()));
    assert_eq!(system.post_v1("42", json!({"text": "second"})).await.status, 202);
    system.post_v1("42", json!({"text": "third"})).await.assert_problem(429, "msg_rate_limited");
    system.rooms.set_live(43, false);
    system.post_v1("43", json!({"text": "hi"})).await.assert_problem(409, "room_not_live");
    let asked: Vec<Value> = hook.asked().iter().map(|asked| asked.body["data"]["text"].clone()).collect();
    assert_eq!(asked, ["hi", "second"]);
}

#[tokio::test]
async fn a_denied_message_is_refused_with_the_reason_and_leaves_no_trace() {
    let hook = ReviewHook::start().await;
    let slow = |settings: Settings| settings.set("ingest.room.slow_mode_seconds", "3600");
    let system = start(&hook, |settings| slow(settings).set("ingest.room.unique_chat", "true")).await;
    hook.say(Says::Deny(Some("no politics")));
    let last = system.last_sequence().await;
    let denied = system.post_v1("42", json!({"text": "hi"})).await;
    denied.assert_problem(422, "msg_rejected");
    assert!(denied.json()["detail"].as_str().unwrap().contains("no politics"), "{denied:?}");
    hook.say(Says::Deny(None));
    system.send(body("hi")).await.assert_original_error(422, REJECTED, "/send/message");
    assert_eq!(system.last_sequence().await, last);

    hook.say(Says::Allow);
    assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202, "it delayed and forbade nothing");
}

#[tokio::test]
async fn a_text_replaced_by_the_hook_is_stored_instead_of_the_original() {
    let hook = ReviewHook::start().await;
    let system = start(&hook, |settings| settings).await;
    hook.say(Says::Replace(" *** you ".to_owned()));
    assert_eq!(system.post_v1("42", json!({"text": "what I think of you"})).await.status, 202);
    system.send(body("and of you")).await.assert_sent();
    let messages = system.messages().await;
    let texts: Vec<&Value> = messages.iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, ["*** you", "*** you"]);
    assert!(!system.ingest.log().contains("what I think"), "a text is nothing for logs");
}

/// Posts on both surfaces while the hook fails in every way.
async fn posts_while_it_fails(fallback: &str) -> (System, Vec<(Says, Answer, Answer)>) {
    let hook = ReviewHook::start().await;
    let system = System::start_with(|settings| {
        hook.settings(settings)
            .set("ingest.review.fallback", fallback)
            .set("ingest.review.deadline_ms", "500")
            .set("ingest.review.breaker_failures", "1000000")
    })
    .await;
    let mut answers = Vec::new();
    for says in failures() {
        hook.say(says.clone());
        let posted = system.post_v1("42", json!({"text": "hi"})).await;
        answers.push((says, posted, system.send(body("hi")).await));
    }
    assert_eq!(hook.asked().len(), 2 * answers.len());
    // The port is closed.
    drop(hook);
    let posted = system.post_v1("42", json!({"text": "hi"})).await;
    answers.push((Says::Allow, posted, system.send(body("hi")).await));
    (system, answers)
}

#[tokio::test]
async fn with_the_fallback_allow_a_hook_that_fails_lets_messages_pass_with_a_flag() {
    let (system, answers) = posts_while_it_fails("allow").await;
    for (says, posted, sent) in &answers {
        assert_eq!(posted.status, 202, "{says:?} {posted:?}");
        assert_eq!(sent.status, 200, "{says:?} {sent:?}");
    }
    let messages = system.messages().await;
    assert_eq!(messages.len(), 2 * answers.len());
    for message in messages {
        assert_eq!((&message["text"], &message["flags"]), (&json!("hi"), &json!(["review.unavailable"])));
    }
}

#[tokio::test]
async fn with_the_fallback_deny_a_hook_that_fails_is_an_outage_and_not_the_senders_fault() {
    let (system, answers) = posts_while_it_fails("deny").await;
    for (says, posted, sent) in &answers {
        assert_eq!(posted.status, 503, "{says:?}");
        posted.assert_problem(503, "review_unavailable");
        assert_eq!(posted.json()["outcome"], "not_stored", "{says:?}");
        assert_eq!(posted.header("retry-after"), "1");
        sent.assert_original_error(503, NOT_SENT, "/send/message");
        assert_eq!((sent.header("retry-after"), sent.header("message-outcome")), ("1", "not_stored"));
    }
    assert!(system.messages().await.is_empty());
}

#[tokio::test]
async fn a_hanging_hook_is_not_asked_after_a_few_failures_and_probed_later() {
    let hook = ReviewHook::start().await;
    let system = System::start_with(|settings| {
        hook.settings(settings)
            .set("ingest.review.deadline_ms", "100")
            .set("ingest.review.breaker_failures", "3")
            .set("ingest.review.breaker_open_ms", "2000")
    })
    .await;
    hook.say(Says::Delay(Duration::from_secs(600)));
    for n in 0..30 {
        assert_eq!(system.write(&system.ingest, 100 + n, 200 + n, "hi").await.status, 202);
    }
    let asked = hook.asked().len();
    assert!((3..10).contains(&asked), "30 posts asked a hook that hangs {asked} times");
    let noticed = system.ingest.log().matches("the review hook does not answer, asking it less often").count();
    assert_eq!(noticed, 1, "{}", system.ingest.log());

    hook.say(Says::Deny(None));
    crate::support::eventually("the hook is asked again", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "hi"})).await.status == 422).then_some(())
    })
    .await;
    assert!(system.ingest.log().contains("the review hook answers again"));
}

/// A text on which the hook fails must not make everyone's posts unreviewed, however often it is sent.
#[tokio::test]
async fn failures_of_one_user_or_room_do_not_block_others() {
    for failure in [Says::Status(500), Says::Status(400), Says::Garbage(String::new()), Says::Delay(DEADLINE)] {
        let hook = ReviewHook::start().await;
        let system = System::start_with(|settings| {
            let settings = hook.settings(settings).set("ingest.review.deadline_ms", "1000");
            settings.set("ingest.review.breaker_failures", "3").set("ingest.review.breaker_open_ms", "60000")
        })
        .await;
        hook.say_to("poison", failure.clone());
        hook.say(Says::Deny(None));
        // One user in many rooms, then many users in one room.
        let posts = (0..6).map(|n| (666, 100 + n)).chain((0..6).map(|n| (700 + n, 42)));
        for (user, room) in posts {
            assert_eq!(system.write(&system.ingest, user, room, "poison").await.status, 202, "{failure:?}");
        }
        let other = system.write(&system.ingest, 7, 43, "hi").await;
        assert_eq!(other.status, 422, "{failure:?}: it was reviewed: {other:?}");
    }
}

#[tokio::test]
async fn a_room_without_any_answer_opens_only_its_own_circuit() {
    let hook = ReviewHook::start().await;
    let system = System::start_with(|settings| {
        let settings = hook.settings(settings).set("ingest.review.deadline_ms", "10000");
        settings.set("ingest.review.breaker_failures", "3").set("ingest.review.breaker_open_ms", "60000")
    })
    .await;
    hook.say(Says::Status(500));
    for user in 100..130 {
        assert_eq!(system.write(&system.ingest, user, 42, "hi").await.status, 202);
    }
    assert_eq!(hook.asked().len(), 3);
    assert!(system.ingest.log().contains("the review hook does not answer for room 42"), "{}", system.ingest.log());
}

#[tokio::test]
async fn an_unreachable_hook_is_not_asked_for_any_user() {
    let hook = ReviewHook::start().await;
    let system = System::start_with(|settings| hook.settings(settings).set("ingest.review.deadline_ms", "10000")).await;
    drop(hook);
    crate::support::eventually("the hook is left alone", DEADLINE, async || {
        assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
        system.ingest.log().contains("the review hook does not answer, asking it less often").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_invalid_hook_configuration_exits_with_64_and_names_the_key() {
    let nats = NatsServer::start().await;
    let url = |settings: Settings| settings.set("ingest.review.url", "http://127.0.0.1:1/review");
    let cases = [
        (url(Settings::new()), "ingest.review.secret"),
        (url(Settings::new()).set("ingest.review.secret", "whsec_c2hvcnQ="), "ingest.review.secret"),
        (Settings::new().set("ingest.review.url", "ftp://somewhere"), "ingest.review.url"),
        (Settings::new().set("ingest.review.fallback", "perhaps"), "ingest.review.fallback"),
        (Settings::new().set("ingest.limits.user_rate.messages", "0"), "ingest.limits.user_rate"),
    ];
    for (settings, key) in cases {
        let role = Role::spawn("ingest", &settings.nats(&nats));
        assert_eq!(role.exit_code(DEADLINE).await, 64, "{key}");
        assert!(role.log().contains(key), "{}", role.log());
        assert!(!role.log().contains("c2hvcnQ"), "{}", role.log());
    }
}
