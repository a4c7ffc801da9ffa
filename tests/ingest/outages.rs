//! The log fails and returns, and ingest is stopped under load. Its promises hold.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::sockets::connect;
use super::{DEADLINE, System, answer};
use crate::support::{Role, Settings, eventually, token};

#[tokio::test]
async fn during_an_outage_of_the_log_posts_get_503_and_later_posts_are_accepted_without_a_restart() {
    let system = System::start_with(|settings| settings.set("nats.append_deadline_ms", "1000")).await;
    let before = system.post_v1("42", json!({"text": "before"})).await;
    assert_eq!(before.status, 202);
    system.nats.kill();
    for _ in 0..5 {
        let refused = system.post_v1("42", json!({"text": "during"})).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        let (code, outcome) = (&refused.json()["code"], &refused.json()["outcome"]);
        let expected = [("log_unavailable", "not_stored"), ("outcome_unknown", "unknown")];
        assert!(expected.iter().any(|known| (code, outcome) == (&json!(known.0), &json!(known.1))), "{refused:?}");
        refused.header("retry-after");
    }
    let sent = system.send(json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "during"})).await;
    sent.assert_original_error(503, "채팅이 정상적으로 전송되지 않았습니다.", "/send/message");
    eventually("ingest is not ready", DEADLINE, async || {
        (answer(system.get("/readyz")).await.status == 503).then_some(())
    })
    .await;
    assert_eq!(answer(system.get("/livez")).await.status, 200);

    system.nats.start_again().await;
    let after = eventually("posts are accepted again", DEADLINE, async || {
        let after = system.post_v1("42", json!({"text": "after"})).await;
        (after.status == 202).then(|| after.json()["id"].clone())
    })
    .await;
    eventually("ingest is ready again", DEADLINE, async || {
        (answer(system.get("/readyz")).await.status == 200).then_some(())
    })
    .await;
    let ids: Vec<_> = system.messages().await.iter().map(|message| message["id"].clone()).collect();
    assert!(ids.contains(&before.json()["id"]) && ids.contains(&after), "{ids:?}");
}

#[tokio::test]
async fn a_post_of_unknown_outcome_can_be_retried_under_its_key() {
    let system = System::start_with(|settings| settings.set("nats.append_deadline_ms", "500")).await;
    let post = || {
        let request = system.post("/v1/rooms/42/messages").bearer_auth(token(7, "nick"));
        answer(request.header("idempotency-key", "the-key").json(&json!({"text": "hi"})))
    };
    system.nats.pause();
    let unknown = post().await;
    assert_eq!(unknown.status, 503);
    // A node that cannot tell whether the key is new does not try.
    let (code, outcome) = (&unknown.json()["code"], &unknown.json()["outcome"]);
    let expected = [("log_unavailable", "not_stored"), ("outcome_unknown", "unknown")];
    assert!(expected.iter().any(|known| (code, outcome) == (&json!(known.0), &json!(known.1))), "{unknown:?}");
    system.nats.resume();
    let id = eventually("the retry is accepted", DEADLINE, async || {
        let retried = post().await;
        (retried.status == 202).then(|| retried.json()["id"].clone())
    })
    .await;
    let ids: HashSet<String> = system.messages().await.iter().map(|message| message["id"].to_string()).collect();
    assert_eq!(ids, HashSet::from([id.to_string()]), "however often it was stored, it is one message");
}

/// Sends a post over a new or an existing connection, without waiting for the answer.
async fn send_post(stream: &mut TcpStream, text: &str) {
    let (body, token) = (json!({ "text": text }).to_string(), token(7, "nick"));
    let head = format!(
        "POST /v1/rooms/42/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
}

#[tokio::test]
async fn requests_sent_to_a_paused_node_are_not_accepted_when_it_resumes() {
    let system = System::start().await;
    let mut standing = connect(&system.ingest).await;
    send_post(&mut standing, "before").await;
    let mut buffer = vec![0; 8_192];
    assert!(standing.read(&mut buffer).await.unwrap() > 0 && buffer.starts_with(b"HTTP/1.1 202"));

    system.ingest.pause();
    send_post(&mut standing, "over a connection from before").await;
    let mut meanwhile = connect(&system.ingest).await;
    send_post(&mut meanwhile, "over a connection from meanwhile").await;
    // Clients that give up while only the kernel has the connection would get no answer either.
    assert!(timeout(Duration::from_secs(6), meanwhile.read(&mut buffer)).await.is_err());
    system.ingest.resume();

    let read = standing.read(&mut buffer).await.unwrap();
    let answer = String::from_utf8_lossy(&buffer[..read]);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("request_stale"), "{answer}");
    assert!(answer.contains("\"outcome\":\"not_stored\"") && answer.contains("connection: close"), "{answer}");
    // Refused in the same way, or closed.
    let read = meanwhile.read(&mut buffer).await.unwrap_or(0);
    assert!(!buffer[..read].starts_with(b"HTTP/1.1 202"));
    eventually("posts are accepted again", DEADLINE, async || {
        (system.post_v1("42", json!({"text": "after"})).await.status == 202).then_some(())
    })
    .await;
    let texts: Vec<Value> = system.messages().await.iter().map(|message| message["text"].clone()).collect();
    assert!(texts.iter().all(|text| text == "before" || text == "after"), "{texts:?}");
}

#[tokio::test]
async fn ingest_that_starts_without_the_log_answers_503_until_it_is_there() {
    let system = System::start().await;
    system.ingest.kill();
    system.nats.kill();
    let settings = Settings::new().set("nats.urls", &system.nats.url()).rooms(&system.rooms);
    let ingest = Role::spawn("ingest", &settings);
    let post = || {
        let request = system.client.post(ingest.url() + "/v1/rooms/42/messages").bearer_auth(token(7, "nick"));
        request.json(&json!({"text": "hi"})).send()
    };
    let refused = eventually("ingest listens", DEADLINE, async || post().await.ok()).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["code"], "log_unavailable");
    system.nats.start_again().await;
    eventually("posts are accepted", DEADLINE, async || {
        // The connection may be closed between the two kinds of answers.
        let answer = post().await.ok()?;
        (answer.status() == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_full_log_refuses_posts_with_log_full() {
    // The smallest log, and the longest texts.
    let system = System::start_with(|settings| settings.set("nats.max_size", "524288 B")).await;
    let text = format!("a{}", "\u{301}".repeat(7)).repeat(500);
    let refused = eventually("the log is full", DEADLINE, async || {
        let posted = system.post_v1("42", json!({"text": text})).await;
        (posted.status != 202).then_some(posted)
    })
    .await;
    refused.assert_problem(503, "log_full");
    assert_eq!((refused.header("retry-after"), &refused.json()["outcome"]), ("5", &json!("not_stored")));
    let sent = system.send(json!({"presenterIdx": 42, "userType": "viewer", "textMessage": text})).await;
    sent.assert_original_error(503, "채팅이 정상적으로 전송되지 않았습니다.", "/send/message");
    assert_eq!(sent.header("message-outcome"), "not_stored");
}

#[tokio::test]
async fn a_nearly_full_log_refuses_messages_and_still_accepts_moderation() {
    let system = System::start_with(|settings| settings.set("nats.max_size", "1048576 B")).await;
    let text = format!("a{}", "\u{301}".repeat(7)).repeat(500);
    eventually("messages are refused", DEADLINE, async || {
        let posted = system.post_v1("42", json!({"text": text})).await;
        (posted.status == 503).then_some(())
    })
    .await;
    let client = super::client();
    let moderator = super::tokens::token_with(json!({ "user_idx": 9, "nickname": "m", "scope": "chat:moderate" }));
    for user in 100..150 {
        let url = format!("{}/v1/rooms/42/bans/{user}", system.ingest.url());
        let answer = client.put(url).bearer_auth(&moderator).json(&json!({})).send().await.unwrap();
        assert!(answer.status().is_success(), "{}: {}", answer.status(), answer.text().await.unwrap());
    }
    system.post_v1("42", json!({"text": "short"})).await.assert_problem(503, "log_full");
    eventually("readiness says so, and traffic for moderators still comes", DEADLINE, async || {
        let answer = reqwest::get(format!("{}/readyz", system.ingest.url())).await.unwrap();
        assert_eq!(answer.status(), 200);
        (answer.text().await.unwrap() == "ready; the log is nearly full: messages are refused, moderation is not")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stop_answers_the_posts_in_progress_and_exits_with_0() {
    let system = System::start().await;
    let (stopping, accepted) = (tokio_util::sync::CancellationToken::new(), parking_lot::Mutex::new(HashSet::new()));
    let poster = async |n: usize| {
        // Each has its own keep-alive connection, and posts until a connection is refused.
        let client = super::client();
        for m in 0.. {
            let request = client.post(system.ingest.url() + "/v1/rooms/42/messages").bearer_auth(token(7, "nick"));
            let sent = request.json(&json!({"text": format!("{n}/{m}")})).send().await;
            let Ok(response) = sent else {
                assert!(stopping.is_cancelled(), "a post failed before the stop: {sent:?}");
                return;
            };
            assert_eq!(response.status(), 202);
            let body: serde_json::Value = response.json().await.expect("an answer that has begun is whole");
            accepted.lock().insert(body["id"].as_str().unwrap().to_owned());
        }
    };
    let posters = futures_util::future::join_all((0..16).map(&poster));
    let stop = async {
        eventually("the posters are at work", DEADLINE, async || (accepted.lock().len() > 200).then_some(())).await;
        stopping.cancel();
        system.ingest.terminate().await
    };
    let (_, code) = tokio::join!(posters, stop);
    assert_eq!(code, 0, "{}", system.ingest.log());
    let stored: HashSet<String> =
        system.messages().await.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect();
    let accepted = accepted.into_inner();
    assert!(accepted.is_subset(&stored), "{} accepted messages are lost", accepted.difference(&stored).count());
    assert!(!system.ingest.log().contains("panicked"));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_idle_or_silent_connections() {
    let system = System::start().await;
    let address = system.ingest.url().replace("http://", "");
    let _silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    assert_eq!(answer(system.get("/")).await.status, 200);
    let started = std::time::Instant::now();
    assert_eq!(system.ingest.terminate().await, 0);
    assert!(started.elapsed() < Duration::from_secs(5), "the stop took {:?}", started.elapsed());
}

#[tokio::test]
async fn a_log_that_lost_events_ends_the_process_because_bans_would_not_reach_it() {
    let system = System::start().await;
    // Under a key the answer comes once the node has replayed the message.
    let say = async |text: &str| {
        let key = text.replace(' ', "-");
        let posted = async || {
            let post = system.post("/v1/rooms/42/messages").bearer_auth(token(7, "nick"));
            let answer = answer(post.header("idempotency-key", &key).json(&json!({ "text": text }))).await;
            (answer.status == 202).then_some(())
        };
        eventually("a message is accepted", DEADLINE, posted).await;
    };
    say("before the copy").await;
    system.nats.kill();
    let backup = system.nats.backup();
    system.nats.start_again().await;
    for text in ["lost", "lost too"] {
        say(text).await;
    }
    system.nats.kill();
    system.nats.restore(&backup);
    system.nats.start_again().await;
    assert_eq!(system.ingest.exit_code(DEADLINE).await, 70, "{}", system.ingest.log());
    assert!(system.ingest.log().contains("it went back"), "{}", system.ingest.log());
    // The next node starts with the existing log.
    system.ingest.start_again().await;
    say("after it").await;
}
