//! The room server: rarely asked, and never misread.

use std::time::Duration;

use serde_json::json;

use super::{DEADLINE, Session, System, answer, until_connected};
use crate::support::{Behaviour, eventually, token};

const NOT_SENT: &str = "채팅이 정상적으로 전송되지 않았습니다.";

/// The failures of a room server.
const OUTAGES: [Behaviour; 6] = [
    Behaviour::Delay(Duration::from_secs(30)),
    Behaviour::Status(500),
    Behaviour::Status(404),
    Behaviour::Status(204),
    Behaviour::Redirect,
    Behaviour::Garbage,
];

#[tokio::test]
async fn a_hundred_concurrent_posts_ask_the_room_server_once() {
    let system = System::start_with(|settings| settings.set("ingest.rooms.live_ms", "60000")).await;
    system.rooms.set_behaviour(Behaviour::Delay(Duration::from_millis(100)));
    let posts = (0..100).map(|n| system.post_v1("42", json!({"text": n.to_string()})));
    let answers = futures_util::future::join_all(posts).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    assert_eq!(system.rooms.requests(), 1);
    assert_eq!(system.messages().await.len(), 100);
}

#[tokio::test]
async fn an_answer_holds_for_a_while_only() {
    let system = System::start_with(|settings| settings.set("ingest.rooms.live_ms", "100")).await;
    assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
    system.rooms.set_live(42, false);
    eventually("the end of the broadcast is noticed", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "hi"})).await.status == 409).then_some(())
    })
    .await;
    system.rooms.set_live(42, true);
    eventually("the next broadcast is noticed", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "hi"})).await.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_outage_of_the_room_server_is_a_503_and_never_not_live() {
    let system = System::start_with(|settings| {
        settings.set("ingest.rooms.deadline_ms", "200").set("ingest.rooms.breaker_failures", "1000000")
    })
    .await;
    for (room, behaviour) in (100..).zip(OUTAGES) {
        system.rooms.set_behaviour(behaviour);
        let refused = system.post_v1(&room.to_string(), json!({"text": "hi"})).await;
        refused.assert_problem(503, "room_server_unavailable");
        assert_eq!(refused.json()["outcome"], "not_stored", "{behaviour:?}");
        assert_eq!(refused.header("retry-after"), "1");
    }
    system.rooms.stop().await;
    let sent = system.send(json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"})).await;
    sent.assert_original_error(503, NOT_SENT, "/send/message");
    assert_eq!((sent.header("retry-after"), sent.header("message-outcome")), ("1", "not_stored"));
    assert!(system.messages().await.is_empty());
}

#[tokio::test]
async fn while_the_room_server_is_away_a_room_whose_presenter_is_connected_counts_as_live() {
    let system = System::start_with(|settings| {
        settings.set("ingest.rooms.deadline_ms", "200").set("ingest.rooms.live_ms", "50")
    })
    .await;
    let _session = Session::begin(&system.nats, 42).await;
    until_connected(&system, 42).await;
    for behaviour in OUTAGES {
        system.rooms.set_behaviour(behaviour);
        assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202, "{behaviour:?}");
    }
    system.rooms.stop().await;
    assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
    system.post_v1("43", json!({"text": "hi"})).await.assert_problem(503, "room_server_unavailable");
}

#[tokio::test]
async fn a_failing_room_server_is_not_asked_for_a_while_and_then_probed() {
    let system = System::start_with(|settings| {
        settings
            .set("ingest.rooms.breaker_failures", "3")
            .set("ingest.rooms.breaker_open_ms", "1000")
            .set("ingest.rooms.live_ms", "1")
    })
    .await;
    system.rooms.set_behaviour(Behaviour::Status(500));
    for room in 100..150 {
        system.post_v1(&room.to_string(), json!({"text": "hi"})).await.assert_problem(503, "room_server_unavailable");
    }
    let asked = system.rooms.requests();
    assert!((3..10).contains(&asked), "50 posts asked a failing room server {asked} times");

    system.rooms.set_behaviour(Behaviour::Answer);
    eventually("the room server is asked again", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "hi"})).await.status == 202).then_some(())
    })
    .await;
    assert_eq!(system.post_v1("43", json!({"text": "hi"})).await.status, 202);
}

/// Posts to rooms for which the room server fails do not affect posts to other rooms.
#[tokio::test]
async fn rooms_that_the_room_server_cannot_answer_for_leave_the_others_alone() {
    for status in [400, 404, 422, 500, 503] {
        let system = System::start_with(|settings| {
            settings.set("ingest.rooms.breaker_open_ms", "60000").set("ingest.rooms.live_ms", "1")
        })
        .await;
        system.rooms.set_behaviour(Behaviour::Narrow(status));
        for n in 0..60 {
            let bad = (1_i64 << 31) + n;
            let refused = system.write(&system.ingest, 666, bad, "hi").await;
            assert!([409, 503].contains(&refused.status.as_u16()), "{status}: {refused:?}");
            let posted = system.write(&system.ingest, 7 + n, 100 + n, "hi").await;
            assert_eq!(posted.status, 202, "{status}, post {n}: {posted:?}");
        }
    }
}

#[tokio::test]
async fn one_user_alone_opens_the_circuit_only_if_the_room_server_is_down() {
    let system = System::start_with(|settings| settings.set("ingest.rooms.live_ms", "1")).await;
    assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
    system.rooms.stop().await;
    eventually("the room server is left alone", DEADLINE, async || {
        system.post_v1("43", json!({"text": "hi"})).await.assert_problem(503, "room_server_unavailable");
        system.ingest.log().contains("the room server does not answer, asking it less often").then_some(())
    })
    .await;
    system.rooms.start_again().await;
    eventually("the room server is found again", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "hi"})).await.status == 202).then_some(())
    })
    .await;
    assert!(system.ingest.log().contains("the room server answers again"));
}

#[tokio::test]
async fn a_rate_limited_post_does_not_reach_the_room_server() {
    let system = System::start_with(|settings| {
        settings.set("ingest.limits.user_rate.messages", "20").set("ingest.limits.user_rate.seconds", "3600")
    })
    .await;
    for room in 1_000..1_200 {
        let posted = system.post_v1(&room.to_string(), json!({"text": "hi"})).await;
        assert!([202, 429].contains(&posted.status.as_u16()), "{posted:?}");
    }
    assert!(system.rooms.requests() <= 20, "{} questions", system.rooms.requests());
}

#[tokio::test]
async fn ingest_starts_and_is_ready_while_the_room_server_is_away() {
    let system = System::start().await;
    system.rooms.stop().await;
    system.ingest.kill();
    system.ingest.start_again().await;
    system.post_v1("42", json!({"text": "hi"})).await.assert_problem(503, "room_server_unavailable");
    system.rooms.start_again().await;
    eventually("the room server is found again", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "hi"})).await.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_presenter_without_a_session_is_asked_to_reconnect_at_most_every_5_seconds() {
    use futures_util::StreamExt;
    let (calls, mut called) = tokio::sync::mpsc::unbounded_channel();
    let webhook = axum::Router::new().route(
        "/hook",
        axum::routing::post(move |axum::Json(body): axum::Json<serde_json::Value>| {
            calls.send(body).unwrap();
            async { "thanks" }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let webhook = tokio::spawn(async move { axum::serve(listener, webhook).await });

    let system = System::start_with(|settings| settings.set("ingest.reconnect_webhook", &url)).await;
    let nats = async_nats::connect(system.nats.url()).await.unwrap();
    let mut requests = nats.subscribe("control.reconnect.>").await.unwrap();
    nats.flush().await.unwrap();
    for n in 0..20 {
        for room in ["42", "43"] {
            let posted = system.post_v1(room, json!({"text": n.to_string()})).await;
            assert_eq!(posted.json()["presenter"], "reconnecting");
        }
    }
    // The request about room 44 is the last one, so the others have arrived before it.
    system.post_v1("44", json!({"text": "last"})).await;
    let mut subjects = Vec::new();
    while subjects.last().is_none_or(|last| last != "control.reconnect.44") {
        let request = tokio::time::timeout(DEADLINE, requests.next()).await.expect("a reconnect request").unwrap();
        subjects.push(request.subject.to_string());
    }
    assert_eq!(subjects, ["control.reconnect.42", "control.reconnect.43", "control.reconnect.44"]);
    let mut bodies = Vec::new();
    for _ in 0..3 {
        bodies.push(tokio::time::timeout(DEADLINE, called.recv()).await.expect("a call of the webhook").unwrap());
    }
    bodies.sort_by_key(|body| body["presenterIdx"].as_str().unwrap().to_owned());
    assert_eq!(json!(bodies), json!([{"presenterIdx": "42"}, {"presenterIdx": "43"}, {"presenterIdx": "44"}]));
    assert!(called.try_recv().is_err());
    webhook.abort();
}

#[tokio::test]
async fn a_webhook_that_hangs_delays_nobody() {
    // Its backlog accepts connections, and nothing answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let system = System::start_with(|settings| settings.set("ingest.reconnect_webhook", &url)).await;
    let posts = (100..300).map(|room| {
        let request = system.post(&format!("/v1/rooms/{room}/messages")).bearer_auth(token(7, "nick"));
        answer(request.timeout(Duration::from_secs(10)).json(&json!({"text": "hi"})))
    });
    let answers = futures_util::future::join_all(posts).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
}
