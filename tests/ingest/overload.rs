//! More requests than the log can take: refusals are quick and certain, and leave nothing.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{DEADLINE, System, client};
use crate::support::{NatsServer, Proxy, Role, RoomServer, Settings, eventually, token};

/// Ingest behind a network that can be held up.
async fn start() -> (System, Proxy) {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let proxy = Proxy::start(nats.url().replace("nats://", "")).await;
    // The deadline is far away and refuses nothing.
    let settings = Settings::new().nats(&nats).rooms(&rooms).set("nats.urls", &proxy.url());
    let settings = settings.set("nats.append_deadline_ms", "60000").set("nats.append_queue_wait", "250ms");
    let settings = settings.set("ingest.http.request_timeout_ms", "90000");
    let ingest = Role::start("ingest", &settings).await;
    (System { ingest, rooms, nats, client: client() }, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_behind_a_hanging_log_are_refused_long_before_the_deadline_and_leave_nothing() {
    let (system, proxy) = start().await;
    assert_eq!(system.post_v1("42", json!({"text": "before"})).await.status, 202);
    proxy.hold_up();
    let refused = Mutex::new(0);
    let post = async |number: usize| {
        let request = system.post("/v1/rooms/42/messages").bearer_auth(token(7, "nick"));
        let request = request.timeout(Duration::from_secs(60)).json(&json!({"text": number.to_string()}));
        let answer = super::answer(request).await;
        if answer.status != 202 {
            answer.assert_problem(503, "overloaded");
            assert_eq!((answer.header("retry-after"), &answer.json()["outcome"]), ("1", &json!("not_stored")));
            *refused.lock() += 1;
            return None;
        }
        Some(answer.json()["id"].as_str().unwrap().to_owned())
    };
    let posts = join_all((0..300).map(&post));
    // All but those in flight are answered while the log is still away.
    let release = async {
        eventually("most are refused", DEADLINE, async || (*refused.lock() >= 200).then_some(())).await;
        proxy.release();
    };
    let (answers, ()) = tokio::join!(posts, release);
    let accepted: HashSet<String> = answers.into_iter().flatten().collect();
    eventually("the log takes posts again", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "after"})).await.status == 202).then_some(())
    })
    .await;
    let stored = system.messages().await;
    let of_round = |message: &&Value| !["before", "after"].contains(&message["text"].as_str().unwrap());
    let stored: HashSet<String> =
        stored.iter().filter(of_round).map(|message| message["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(stored, accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_log_refuses_the_posts_it_has_no_time_for_and_accepts_the_rest() {
    let (system, proxy) = start().await;
    assert_eq!(system.post_v1("42", json!({"text": "before"})).await.status, 202);
    // A batch takes longer than the limit of the queue, and less than the second of an attempt.
    proxy.slow_down(Duration::from_millis(150));
    let stop = tokio_util::sync::CancellationToken::new();
    let (accepted, refused) = (Mutex::new(HashSet::new()), Mutex::new(0));
    let poster = async |poster: usize| {
        for number in 0.. {
            if stop.is_cancelled() {
                return;
            }
            let text = format!("{poster}/{number}");
            let request = system.post("/v1/rooms/42/messages").bearer_auth(token(7, "nick"));
            let answer = super::answer(request.timeout(Duration::from_secs(60)).json(&json!({"text": text}))).await;
            match answer.status.as_u16() {
                202 => assert!(accepted.lock().insert(text)),
                _ => {
                    answer.assert_problem(503, "overloaded");
                    *refused.lock() += 1;
                }
            }
        }
    };
    let done = async {
        eventually("there are some of both", 3 * DEADLINE, async || {
            (*refused.lock() > 10 && accepted.lock().len() > 10).then_some(())
        })
        .await;
        proxy.release();
        stop.cancel();
    };
    tokio::join!(join_all((0..100).map(&poster)), done);
    let messages = system.messages().await;
    let stored: HashSet<&str> = messages.iter().map(|message| message["text"].as_str().unwrap()).collect();
    let mut accepted = accepted.into_inner();
    accepted.insert("before".to_owned());
    assert_eq!(stored, accepted.iter().map(String::as_str).collect());
}
