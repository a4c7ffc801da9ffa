//! Reports of messages by viewers, as their callers and the log see them.

use chat::{Body, Event};
use nats::{Log, Start};

use super::*;

fn of_an_hour(settings: Settings, reports: u32) -> Settings {
    let rate = "ingest.limits.report_rate";
    settings.set(&format!("{rate}.messages"), &reports.to_string()).set(&format!("{rate}.seconds"), "3600")
}

fn reports_of(message: uuid::Uuid) -> String {
    format!("/v1/rooms/{PRESENTER}/messages/{message}/reports")
}

impl World {
    async fn report(&self, node: &Role, user: i64, message: uuid::Uuid, body: Value) -> Answer {
        self.call(node, Method::POST, &reports_of(message), &token(user, "viewer"), Some(body)).await
    }
}

/// Every event of the log.
async fn events(log: &Log) -> Vec<Event> {
    let mut tail = log.tail(Start::Oldest);
    let status = tail.status();
    let mut events = Vec::new();
    loop {
        tokio::select! {
            biased;
            more = tail.next() => events.extend(more.unwrap().iter().map(|entry| entry.event().unwrap())),
            () = status.caught_up() => return events,
        }
    }
}

#[tokio::test]
async fn a_user_reports_a_message_once_through_any_node_and_another_report_gets_the_same_answer() {
    let world = World::start_with(|settings| of_an_hour(settings, 2)).await;
    let [one, other] = [&world.nodes[0], &world.nodes[1]];
    let message = uuid::Uuid::now_v7();
    let first = world.report(one, 7, message, json!({ "category": "spam", "reason": " a link " })).await;
    let report = decided(&first);
    assert!(first.header("ratelimit").starts_with("\"reports\";r=1;t="), "{first:?}");
    for node in [one, other] {
        let again = world.report(node, 7, message, json!({ "category": "hate" })).await;
        assert_eq!(decided(&again), report, "the first report counts");
    }
    // Another user, and another message.
    let by_another =
        decided(&world.report(other, 8, message, json!({ "category": "self_harm", "reason": null })).await);
    let of_another = decided(&world.report(other, 7, uuid::Uuid::now_v7(), json!({ "category": "other" })).await);
    assert!(by_another["id"] != report["id"] && of_another["id"] != report["id"]);

    // The rate holds over all nodes, and repeated reports cost nothing. A node answers a change of the settings when it
    // has read what other nodes wrote before.
    decided(&world.patch(one, SETTINGS, &presenter(), json!({ "settings": { "maxLength": 90 } })).await);
    let refused = world.report(one, 7, uuid::Uuid::now_v7(), json!({ "category": "spam" })).await;
    refused.assert_problem(429, "report_rate_limited");
    assert_eq!(decided(&world.report(one, 7, message, json!({ "category": "spam" })).await), report);
    assert_eq!(world.post(one, PRESENTER, 7, "messages have their own rate").await.status, 202);

    let reports: Vec<Event> = events(&world.log().await)
        .await
        .into_iter()
        .filter(|event| matches!(event.body, Body::MessageReported(_)))
        .collect();
    assert_eq!(reports.len(), 3, "{reports:?}");
    let Body::MessageReported(reported) = &reports[0].body else { unreachable!("it is a report") };
    assert_eq!((reported.category.as_str(), reported.reason.as_deref()), ("spam", Some("a link")));
    assert_eq!((reported.target.to_string(), reported.by.idx.get()), (message.to_string(), 7));
}

#[tokio::test]
async fn a_report_that_is_not_one_is_refused_and_leaves_nothing_in_the_log() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let message = uuid::Uuid::now_v7();
    for (body, code) in [
        (json!({}), "category_invalid"),
        (json!({ "category": null }), "category_invalid"),
        (json!({ "category": 5 }), "category_invalid"),
        (json!({ "category": "boring" }), "category_invalid"),
        (json!({ "category": "spam", "reason": "" }), "reason_invalid"),
        (json!({ "category": "spam", "reason": "a\nb" }), "reason_invalid"),
        (json!({ "category": "spam", "reason": "x".repeat(501) }), "reason_invalid"),
        (json!({ "category": "spam", "reason": 5 }), "body_malformed"),
        (json!(["spam"]), "body_malformed"),
    ] {
        let refused = world.report(node, 7, message, body.clone()).await;
        refused.assert_problem(400, code);
    }
    let path = format!("/v1/rooms/{PRESENTER}/messages/x/reports");
    let body = || Some(json!({ "category": "spam" }));
    world.call(node, Method::POST, &path, &token(7, "viewer"), body()).await.assert_problem(400, "message_id_invalid");
    world.call(node, Method::POST, &reports_of(message), "x", body()).await.assert_problem(401, "token_invalid");
    assert!(events(&world.log().await).await.is_empty());
}

#[tokio::test]
async fn moderators_close_reports_and_viewers_do_not() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let message = uuid::Uuid::now_v7();
    decided(&world.report(node, 7, message, json!({ "category": "spam" })).await);
    let path = format!("/v1/rooms/{PRESENTER}/reports/{message}/close");
    let close = async |token: &str, body: Value| world.call(node, Method::POST, &path, token, Some(body)).await;
    close(&token(7, "viewer"), json!({})).await.assert_problem(403, "forbidden");
    close(&presenter(), json!({ "reason": "" })).await.assert_problem(400, "reason_invalid");
    decided(&close(&presenter(), json!({ "reason": "harmless" })).await);
    decided(&close(&moderator(), json!({})).await);
    let closed = events(&world.log().await).await;
    let reasons: Vec<Option<String>> = closed
        .into_iter()
        .filter_map(|event| match event.body {
            Body::ReportClosed(closed) => Some(closed.reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [Some("harmless".to_owned()), None]);
}
