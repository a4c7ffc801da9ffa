//! Answers as data, and hooks that do not answer.

#![allow(clippy::disallowed_methods, reason = "a test awaits its tasks, or ends with them")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode as Status;
use axum::routing::post;
use chat::Role;
use tokio::net::TcpListener;

use super::*;

#[test]
fn an_answer_with_a_known_action_is_a_verdict_and_any_other_an_error() {
    let text = |text: &str| Verdict::Replace(Text::parse(text).unwrap());
    let deny = |reason: Option<&str>| Verdict::Deny { reason: reason.map(str::to_owned) };
    let good = [
        (r#"{"action":"allow"}"#, Verdict::Allow),
        (r#"{"action":"hold","text":"ignored"}"#, Verdict::Hold),
        (r#"{"action":"allow","score":0.2,"text":7}"#, Verdict::Allow),
        (r#"{"action":"deny"}"#, deny(None)),
        (r#"{"action":"deny","reason":null}"#, deny(None)),
        (r#"{"action":"deny","reason":" spam\n"}"#, deny(Some("spam"))),
        (r#"{"action":"deny","reason":"\u0007"}"#, deny(None)),
        (r#"{"action":"replace","text":" *** "}"#, text("***")),
    ];
    for (answer, expected) in good {
        assert_eq!(verdict(answer.as_bytes()).unwrap(), expected, "{answer}");
    }
    let long = format!(r#"{{"action":"deny","reason":"{}"}}"#, "가".repeat(201));
    assert_eq!(verdict(long.as_bytes()).unwrap(), deny(Some(&"가".repeat(200))));

    let bad = [
        "",
        "allow",
        "null",
        "{}",
        r#"{"action":"ALLOW"}"#,
        r#"{"action":"later"}"#,
        r#"{"action":true}"#,
        r#"{"action":"deny","reason":7}"#,
        r#"{"action":"replace"}"#,
        r#"{"action":"replace","text":null}"#,
        r#"{"action":"replace","text":" "}"#,
        r#"{"action":"replace","text":"two\nlines"}"#,
        r#"{"action":"allow"} more"#,
    ];
    for answer in bad {
        assert!(verdict(answer.as_bytes()).is_err(), "{answer}");
    }
}

/// A hook that always gives that answer, and how often it was asked.
async fn hook(status: u16, body: &str, change: impl FnOnce(&mut ReviewConfig)) -> (Review, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (counter, body) = (asked.clone(), body.to_owned());
    let handler = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::ready((Status::from_u16(status).unwrap(), [("location", "/allow")], body))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let review = asking(&listener, change);
    let app = Router::new().route("/hook", post(handler)).route("/allow", post(async || r#"{"action":"allow"}"#));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (review, asked)
}

fn asking(listener: &TcpListener, change: impl FnOnce(&mut ReviewConfig)) -> Review {
    let mut config = config(&format!("http://{}/hook", listener.local_addr().unwrap()));
    change(&mut config);
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Review::new(client, &config).unwrap().unwrap()
}

fn config(url: &str) -> ReviewConfig {
    let config = serde_json::json!({
        "url": url, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "deadline": "5s", "fallback": "deny",
        "max_in_flight": 2, "breaker_failures": 1_000, "breaker_open": "1m",
    });
    serde_json::from_value(config).unwrap()
}

async fn ask(review: &Review) -> Verdict {
    ask_about(review, 42).await
}

/// Asks about a message in the user's own room.
async fn ask_about(review: &Review, room: i64) -> Verdict {
    let presenter = PresenterIdx::try_from(room).unwrap();
    let user = User { idx: presenter.as_user(), nickname: "nick".to_owned(), role: Role::Presenter };
    let question = Question { id: EventId::new(), presenter, user: &user, text: "hi", flags: &[] };
    review.ask(&question).await
}

const UNAVAILABLE: Verdict = Verdict::Unavailable(Fallback::Deny);

#[tokio::test]
async fn an_error_a_redirect_or_a_large_answer_counts_as_unavailable() {
    let large = format!(r#"{{"action":"allow","more":"{}"}}"#, "x".repeat(70_000));
    for (status, body) in [(500, r#"{"action":"allow"}"#), (204, ""), (307, ""), (200, "yes"), (200, &large)] {
        let (review, _) = hook(status, body, |_| ()).await;
        assert_eq!(ask(&review).await, UNAVAILABLE, "{status} {body:.20}");
    }
    let (review, _) = hook(200, r#"{"action":"allow"}"#, |_| ()).await;
    assert_eq!(ask(&review).await, Verdict::Allow);
}

#[tokio::test]
async fn a_hung_hook_is_unavailable_at_the_deadline_and_at_once_when_all_slots_are_taken() {
    // Its backlog accepts connections, and it never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let review = asking(&listener, |config| config.deadline = Span::from_millis(100));
    assert_eq!(ask(&review).await, UNAVAILABLE);

    let patient = Arc::new(asking(&listener, |config| config.deadline = Span::from_secs(600)));
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let review = patient.clone();
            tokio::spawn(async move { ask(&review).await })
        })
        .collect();
    while patient.slots.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&patient).await, UNAVAILABLE, "a third question is not asked");
    for task in waiting {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    assert_eq!(patient.slots.available_permits(), 2);
}

#[tokio::test]
async fn the_breaker_opens_after_failures_of_enough_users_in_enough_rooms() {
    let (review, asked) = hook(500, "", |config| config.breaker_failures = 3).await;
    for _ in 0..10 {
        assert_eq!(ask(&review).await, UNAVAILABLE);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 10, "one user may be the reason");
    for room in 1..=10 {
        assert_eq!(ask_about(&review, room).await, UNAVAILABLE);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 12, "three users are not");
}

#[test]
fn a_hook_with_an_address_requires_a_signing_key() {
    let nobody = ReviewConfig { url: None, secret: None, ..config("http://127.0.0.1:1") };
    assert!(Review::new(Client::new(), &nobody).unwrap().is_none());
    let keyless = ReviewConfig { secret: None, ..config("http://127.0.0.1:1") };
    assert!(Review::new(Client::new(), &keyless).unwrap_err().contains("ingest.review.secret is required"));
}
