//! Rate limits: the answers to the sender, that a refused message leaves no trace, and that posts through one node
//! count on the others.

use std::time::Duration;

use chat::{Body, Event, MessagePosted, User, UserIdx};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Answer, DEADLINE, System, answer, log};
use crate::support::{Role, Settings, eventually, token};

const TOO_MANY: &str = "채팅을 너무 빠르게 보내고 있습니다. 잠시 후에 다시 보내주세요.";
const SLOW_MODE: &str = "느린 채팅 모드입니다. 잠시 후에 다시 보내주세요.";
const DUPLICATE: &str = "이미 같은 내용의 채팅이 있습니다.";

/// The deployment's rates over an hour: no quota returns during a test.
fn rates(settings: Settings) -> Settings {
    [("ingest.room.message_rate", 20), ("ingest.limits.moderator_rate", 100), ("ingest.limits.user_rate", 200)]
        .into_iter()
        .fold(settings, |settings, (key, messages)| {
            settings.set(&format!("{key}.messages"), &messages.to_string()).set(&format!("{key}.seconds"), "3600")
        })
}

impl System {
    /// Another ingest node on the same log.
    async fn second(&self, change: impl FnOnce(Settings) -> Settings) -> Role {
        Role::start("ingest", &change(Settings::new().nats(&self.nats).rooms(&self.rooms))).await
    }

    pub(super) async fn write(&self, node: &Role, user: i64, room: i64, text: &str) -> Answer {
        let request = self.client.post(format!("{}/v1/rooms/{room}/messages", node.url()));
        answer(request.bearer_auth(token(user, "nick")).json(&json!({"text": text}))).await
    }

    /// Changes a setting of a room as its presenter, and waits until it holds on the node. The node has then replayed
    /// everything before it.
    async fn set(&self, room: i64, settings: Value, on: &Role) {
        let url = |node: &Role| format!("{}/v1/rooms/{room}/settings", node.url());
        let presenter = token(room, "presenter");
        let patch = self.client.patch(url(&self.ingest)).bearer_auth(&presenter);
        let patched = answer(patch.json(&json!({"settings": settings}))).await;
        assert!(patched.status.is_success(), "{patched:?}");
        eventually("the settings hold on the node", DEADLINE, async || {
            let own = answer(self.client.get(url(on)).bearer_auth(&presenter)).await.json()["own"].clone();
            let holds = settings.as_object().unwrap().iter().all(|(name, value)| own[name] == *value);
            holds.then_some(())
        })
        .await;
    }
}

/// Expects 429 with the headers that a client needs.
#[track_caller]
fn assert_rate_limited(refused: &Answer, policy: &str) {
    refused.assert_problem(429, "msg_rate_limited");
    let retry_after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3_600).contains(&retry_after), "{refused:?}");
    let (name, _) = policy.split_once(';').unwrap();
    assert_eq!(
        (refused.header("ratelimit-policy"), refused.header("ratelimit")),
        (policy, &*format!("{name};r=0;t=3600"))
    );
}

#[tokio::test]
async fn by_default_a_viewer_may_write_20_messages_in_30_s_and_the_presenter_100() {
    let unset = |settings: Settings| {
        let keys = ["ingest.room.message_rate", "ingest.limits.moderator_rate", "ingest.limits.user_rate"];
        keys.iter()
            .fold(settings, |settings, key| settings.unset(&format!("{key}.messages")).unset(&format!("{key}.seconds")))
    };
    let system = System::start_with(unset).await;
    let viewer = system.post_v1("42", json!({"text": "hi"})).await;
    assert_eq!(viewer.header("ratelimit-policy"), "\"room\";q=20;w=30");
    assert_eq!(viewer.header("ratelimit"), "\"room\";r=19;t=2");
    let presenter = system.write(&system.ingest, 42, 42, "hi").await;
    assert_eq!(presenter.header("ratelimit-policy"), "\"room\";q=100;w=30");
    let sent = system.send_as(8, json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"})).await;
    sent.assert_sent();
    assert_eq!(sent.header("ratelimit"), "\"room\";r=19;t=2");
}

#[tokio::test]
async fn the_21st_message_is_refused_on_both_surfaces_and_leaves_no_trace() {
    let system = System::start_with(rates).await;
    for n in 0..20 {
        let accepted = system.post_v1("42", json!({"text": n.to_string()})).await;
        assert_eq!(accepted.status, 202);
        assert!(accepted.header("ratelimit").starts_with(&format!("\"room\";r={};t=", 19 - n)), "{accepted:?}");
    }
    let last = system.last_sequence().await;
    assert_rate_limited(&system.post_v1("42", json!({"text": "one more"})).await, "\"room\";q=20;w=3600");
    let sent = system.send(json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "one more"})).await;
    sent.assert_original_error(429, TOO_MANY, "/send/message");
    assert_eq!(sent.header("ratelimit"), "\"room\";r=0;t=3600");
    assert!(sent.header("retry-after").parse::<u64>().unwrap() > 0);

    assert_eq!(system.last_sequence().await, last);
    assert_eq!(system.messages().await.len(), 20);
    assert_eq!(system.write(&system.ingest, 8, 42, "another viewer").await.status, 202);
    assert_eq!(system.post_v1("43", json!({"text": "another room"})).await.status, 202);
}

#[tokio::test]
async fn the_presenters_rate_is_100_messages_and_a_room_sets_its_viewers_rate() {
    let system = System::start_with(rates).await;
    let texts: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let posts = join_all(texts.iter().map(|text| system.write(&system.ingest, 42, 42, text))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = posts.into_iter().partition(|answer| answer.status == 202);
    assert_eq!((accepted.len(), refused.len()), (100, 1));
    assert_rate_limited(&refused[0], "\"room\";q=100;w=3600");

    system.set(43, json!({"messageRate": {"messages": 2, "seconds": 3_600}}), &system.ingest).await;
    let statuses = [(); 3].map(|()| system.post_v1("43", json!({"text": "hi"})));
    let statuses: Vec<u16> = join_all(statuses).await.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 2, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn a_user_is_limited_over_all_rooms_together() {
    let system = System::start_with(|settings| rates(settings).set("ingest.limits.user_rate.messages", "5")).await;
    for room in 100..105 {
        assert_eq!(system.post_v1(&room.to_string(), json!({"text": "hi"})).await.status, 202);
    }
    assert_rate_limited(&system.post_v1("200", json!({"text": "hi"})).await, "\"user\";q=5;w=3600");
    assert_eq!(system.write(&system.ingest, 8, 200, "hi").await.status, 202);
}

#[tokio::test]
async fn posts_through_one_node_count_on_another_and_on_one_started_later() {
    let system = System::start_with(rates).await;
    let second = system.second(rates).await;
    for n in 0..20 {
        let node = if n % 2 == 0 { &system.ingest } else { &second };
        assert_eq!(system.write(node, 7, 42, &n.to_string()).await.status, 202);
        // So that neither node counts a message before it has replayed those of the other.
        system.set(42, json!({"maxLength": 100 + n}), &second).await;
        system.set(42, json!({"maxLength": 200 + n}), &system.ingest).await;
    }
    let third = system.second(rates).await;
    for node in [&system.ingest, &second, &third] {
        assert_rate_limited(&system.write(node, 7, 42, "one more").await, "\"room\";q=20;w=3600");
        assert_eq!(system.write(node, 7, 43, "another room").await.status, 202);
    }
    assert_eq!(system.messages().await.len(), 23);
}

#[tokio::test]
async fn slow_mode_counts_a_viewers_posts_through_all_nodes() {
    let system = System::start().await;
    let second = system.second(|settings| settings).await;
    system.set(42, json!({"slowModeSeconds": 3_600}), &system.ingest).await;

    let posts = join_all((0..20).map(|_| system.post_v1("42", json!({"text": "hi"})))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = posts.into_iter().partition(|answer| answer.status == 202);
    assert_eq!(accepted.len(), 1, "of twenty at once");
    for refused in refused {
        refused.assert_problem(429, "msg_slow_mode");
        let retry_after: u64 = refused.header("retry-after").parse().unwrap();
        assert!((3_500..=3_600).contains(&retry_after), "{refused:?}");
    }
    let sent = system.send(json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "again"})).await;
    sent.assert_original_error(429, SLOW_MODE, "/send/message");

    system.set(42, json!({"slowModeSeconds": 3_000}), &second).await;
    system.write(&second, 7, 42, "again").await.assert_problem(429, "msg_slow_mode");
    assert_eq!(system.write(&second, 8, 42, "another viewer").await.status, 202);
    for n in 0..3 {
        assert_eq!(system.write(&second, 42, 42, &format!("the presenter {n}")).await.status, 202);
    }
    assert_eq!(system.messages().await.len(), 5);
}

/// As through a node whose clock is an hour behind.
#[tokio::test]
async fn slow_mode_counts_by_the_logs_clock_and_not_by_an_events_own_time() {
    let system = System::start().await;
    system.set(42, json!({"slowModeSeconds": 600}), &system.ingest).await;
    let user = User { idx: UserIdx::try_from(7).unwrap(), nickname: "nick".to_owned(), role: chat::Role::Viewer };
    let posted = Body::MessagePosted(MessagePosted::new(user, "hi"));
    let event = Event::now(42.try_into().unwrap(), posted);
    let log = log(&system.nats).await;
    log.append(&Event { at: event.at - Duration::from_secs(3_600), ..event }).await.unwrap();
    // The node has then replayed it.
    system.set(42, json!({"maxLength": 90}), &system.ingest).await;
    system.write(&system.ingest, 7, 42, "again").await.assert_problem(429, "msg_slow_mode");
}

#[tokio::test]
async fn slow_mode_ends_by_itself_and_a_message_that_was_refused_delays_none() {
    let system = System::start_with(|settings| settings.set("ingest.room.slow_mode_seconds", "1")).await;
    system.rooms.set_live(43, false);
    system.post_v1("43", json!({"text": "hi"})).await.assert_problem(409, "room_not_live");
    assert_eq!(system.post_v1("42", json!({"text": "first"})).await.status, 202);
    eventually("the pause is over", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "second"})).await.status == 202).then_some(())
    })
    .await;
    assert_eq!(system.messages().await.len(), 2);
}

#[tokio::test]
async fn unique_chat_compares_with_posts_through_all_nodes() {
    let system = System::start().await;
    let second = system.second(|settings| settings).await;
    system.set(42, json!({"uniqueChat": true}), &system.ingest).await;

    let posts = join_all((100..120).map(|user| system.write(&system.ingest, user, 42, "First!"))).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = posts.into_iter().partition(|answer| answer.status == 202);
    assert_eq!(accepted.len(), 1, "of twenty at once");
    for refused in &refused {
        refused.assert_problem(409, "msg_duplicate");
    }
    let body = json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "first!!!"});
    system.send(body).await.assert_original_error(409, DUPLICATE, "/send/message");

    system.set(42, json!({"maxLength": 100}), &second).await;
    system.write(&second, 7, 42, "  ＦＩＲＳＴ! ").await.assert_problem(409, "msg_duplicate");
    assert_eq!(system.write(&second, 7, 42, "second").await.status, 202);
    assert_eq!(system.write(&second, 42, 42, "first!").await.status, 202, "the presenter");
    assert_eq!(system.write(&second, 7, 43, "first!").await.status, 202, "another room");
    assert_eq!(system.messages().await.len(), 4);
}

#[tokio::test]
async fn slow_mode_and_unique_chat_never_refuse_a_retry() {
    let change = |settings: Settings| {
        settings.set("ingest.room.slow_mode_seconds", "3600").set("ingest.room.unique_chat", "true")
    };
    let system = System::start_with(change).await;
    let second = system.second(change).await;
    let tries = (0..20).map(|n| {
        let node = if n % 2 == 0 { &system.ingest } else { &second };
        let request = system.client.post(format!("{}/v1/rooms/42/messages", node.url()));
        let request = request.bearer_auth(token(7, "nick")).header("idempotency-key", "key");
        answer(request.json(&json!({"text": "hi"})))
    });
    let answers = join_all(tries).await;
    for answer in &answers {
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.json(), answers[0].json());
    }
    system.post_v1("42", json!({"text": "more"})).await.assert_problem(429, "msg_slow_mode");
}

#[tokio::test]
async fn a_message_that_was_not_stored_can_be_sent_again_in_slow_mode_and_unique_chat() {
    let system = System::start_with(|settings| {
        let settings = settings.set("nats.append_deadline_ms", "1000").set("ingest.room.unique_chat", "true");
        settings.set("ingest.room.slow_mode_seconds", "3600")
    })
    .await;
    let post = async |user: i64, text: &str, key: Option<&str>| {
        let request = system.post("/v1/rooms/42/messages").bearer_auth(token(user, "nick"));
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        answer(request.json(&json!({"text": text}))).await
    };
    let senders = [(7, "with a key", Some("key")), (8, "without a key", None)];
    assert_eq!(post(9, "before", Some("before")).await.status, 202);
    system.nats.kill();
    for (user, text, key) in senders {
        for _ in 0..2 {
            let failed = post(user, text, key).await;
            assert_eq!(failed.status, 503, "{failed:?}");
        }
    }
    system.nats.start_again().await;
    for (user, text, key) in senders {
        eventually("the same message is accepted", DEADLINE, async || {
            let answer = post(user, text, key).await;
            assert!([202, 503].contains(&answer.status.as_u16()), "{user}: {answer:?}");
            (answer.status == 202).then_some(())
        })
        .await;
        post(user, "another", None).await.assert_problem(429, "msg_slow_mode");
        post(10, text, None).await.assert_problem(409, "msg_duplicate");
    }
}

#[tokio::test]
async fn unique_chat_ignores_invisible_characters() {
    let system = System::start_with(|settings| settings.set("ingest.room.unique_chat", "true")).await;
    assert_eq!(system.write(&system.ingest, 7, 42, "buy now").await.status, 202);
    assert_eq!(system.write(&system.ingest, 7, 42, "오늘 방송 재밌다").await.status, 202);
    let again = ["buy now \u{E0000}", "buy\u{3164}now", "b\u{FE0F}uy now\u{2800}", "오늘 방송 재밌다 \u{34F}"];
    for (text, user) in again.into_iter().zip(100..) {
        let refused = system.write(&system.ingest, user, 42, text).await;
        assert_eq!(refused.status, 409, "{}: {refused:?}", text.escape_unicode());
        refused.assert_problem(409, "msg_duplicate");
    }
    // Marks of the letter's own script make another word: "not" and "wood".
    for text in ["ไม่", "ไม้"] {
        assert_eq!(system.write(&system.ingest, 7, 42, text).await.status, 202, "{text}");
    }
    assert_eq!(system.messages().await.len(), 4);
}

#[tokio::test]
async fn an_invisible_nickname_counts_as_none_and_one_with_many_marks_is_cut() {
    let system = System::start().await;
    let zalgo = format!("Z{}", "\u{301}".repeat(300));
    for (given, stored) in [("\u{3164}\u{200B}\u{E0000}", ""), (zalgo.as_str(), "Z"), ("\u{200F}a", "\u{200F}a")] {
        let token = super::tokens::token_with(json!({ "nickname": given }));
        let posted = system.post("/v1/rooms/42/messages").bearer_auth(token).json(&json!({ "text": "hi" }));
        assert_eq!(answer(posted).await.status, 202);
        assert_eq!(system.messages().await.last().unwrap()["user"]["nickname"], stored, "{}", given.escape_unicode());
    }
}

#[tokio::test]
async fn a_user_reads_so_often_and_still_posts_and_others_still_read() {
    let rate = |settings: Settings| {
        settings.set("ingest.limits.read_rate.messages", "3").set("ingest.limits.read_rate.seconds", "3600")
    };
    let system = System::start_with(rate).await;
    let read = async |path: &str, user: i64| {
        answer(system.client.get(format!("{}{path}", system.ingest.url())).bearer_auth(token(user, "nick"))).await
    };
    // Refused for want of a right, and of a key: these cost as much as others.
    assert_eq!(read("/v1/rooms/42/settings", 42).await.status, 200);
    assert_eq!(read("/v1/rooms/43/bans", 42).await.status, 403);
    assert_eq!(read("/v1/rooms/42/requests", 42).await.status, 400);
    for path in ["/v1/rooms/42/settings", "/v1/rooms/42/bans", "/v1/rooms/42/moderators/7", "/v1/requests"] {
        let refused = read(path, 42).await;
        refused.assert_problem(429, "read_rate_limited");
        assert_eq!(refused.header("ratelimit-policy"), "\"reads\";q=3;w=3600");
        assert!((1..=3_600).contains(&refused.header("retry-after").parse::<u64>().unwrap()), "{refused:?}");
    }
    let token = system.client.get(format!("{}/token", system.ingest.url())).header("token", token(42, "nick"));
    assert_eq!(answer(token).await.header("message-code"), "read_rate_limited");
    assert_eq!(read("/v1/rooms/8/settings", 8).await.status, 200);
    assert_eq!(system.write(&system.ingest, 42, 42, "hi").await.status, 202);
}
