//! Traces as an operator sees them: the spans that the roles send to a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};

use crate::delivery::page::Page;
use crate::ingest::{Answer, answer, client};
use crate::support::{Collector, Role, SECRET, Settings, System, Takes, eventually, port, token};

const PATIENCE: Duration = Duration::from_secs(30);

/// The caller's span of every trace here.
const CALLER: &str = "00f067aa0ba902b7";

fn trace(number: u8) -> String {
    format!("4bf92f3577b34da6a3ce929d0e0e47{number:02x}")
}

/// Posts to room 42 with a `traceparent` of these flags.
async fn post(ingest: &Role, trace: &str, flags: &str, text: &str) -> Answer {
    post_at(ingest, "/v1/rooms/42/messages", json!({ "text": text }), trace, flags).await
}

async fn post_at(ingest: &Role, path: &str, body: Value, trace: &str, flags: &str) -> Answer {
    let request = client().post(ingest.url() + path).bearer_auth(token(7, "nick-of-the-sender")).json(&body);
    answer(request.header("traceparent", format!("00-{trace}-{CALLER}-{flags}"))).await
}

/// The value of a metric of the role.
async fn metric(role: &Role, series: &str) -> u64 {
    let metrics = answer(client().get(role.admin_url() + "/metrics")).await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse().unwrap()
}

async fn exported(role: &Role) -> u64 {
    metric(role, r#"chatting_otlp_spans_total{result="exported"}"#).await
}

async fn dropped(role: &Role) -> u64 {
    metric(role, r#"chatting_otlp_spans_total{result="dropped"}"#).await
}

/// Ingest, which traces every post.
async fn ingest(change: impl FnOnce(Settings) -> Settings) -> crate::ingest::System {
    crate::ingest::System::start_with(|settings| change(settings).set("otlp.sample_ratio", "1.0")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_callers_span_to_the_socket_and_to_the_archive() {
    let collector = Collector::start().await;
    let system = System::start_with(|settings| collector.settings(settings)).await;
    let (mut page, _) = Page::connect(&system.delivery, 42).await;
    let posted = post(&system.ingest, &trace(1), "01", "text of the message").await;
    assert_eq!(posted.status, 202, "{posted:?}");
    let event = page.events(1).await.remove(0);
    page.ack(event["position"].as_str().unwrap()).await;

    let of = async |name: &str| collector.span(&trace(1), name).await;
    let served = of("POST /v1/rooms/{presenterIdx}/messages").await;
    let appended = of("append chat").await;
    let delivered = of("deliver chat").await;
    let acknowledged = of("acknowledge chat").await;
    let archived = of("archive chat").await;
    let written = of("write chat").await;
    for (span, service, kind, parent) in [
        (&served, "ingest", SpanKind::Server, CALLER),
        (&appended, "ingest", SpanKind::Producer, &*served.id),
        (&delivered, "delivery", SpanKind::Consumer, &*appended.id),
        (&acknowledged, "delivery", SpanKind::Internal, &*delivered.id),
        (&archived, "archiver", SpanKind::Consumer, &*appended.id),
        (&written, "archiver", SpanKind::Client, &*archived.id),
    ] {
        assert_eq!((&*span.service, span.kind), (&*format!("chatting-server-{service}"), kind), "{span:?}");
        assert_eq!(span.parent, parent, "{span:?}");
        assert!(span.start > 0 && span.start <= span.end && !span.has_failed, "{span:?}");
    }
    let id = event["id"].as_str();
    assert_eq!([&appended, &delivered, &archived].map(|span| span.attribute("messaging.message.id")), [id; 3]);
    assert_eq!(appended.attribute("chatting.position"), event["position"].as_str());
    assert_eq!(appended.attribute("messaging.destination.name"), Some("CHAT_0"));
    assert_eq!(served.attribute("http.response.status_code"), Some("202"));
    assert_eq!(written.attribute("db.system.name"), Some("mongodb"));

    let said = format!("{:?}", collector.spans());
    let bearer = token(7, "nick-of-the-sender");
    for secret in ["text of the message", "nick-of-the-sender", "user7@example.com", &bearer, SECRET] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
    for role in [&system.ingest, &system.delivery, &system.archiver] {
        assert!(!role.log().contains("secret-of-the-collector"), "{}", role.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_does_not_sample_is_recorded_nowhere() {
    let collector = Collector::start().await;
    let system = System::start_with(|settings| collector.settings(settings)).await;
    let (mut page, _) = Page::connect(&system.delivery, 42).await;
    for (trace, flags) in [(trace(1), "00"), ("garbage".to_owned(), "01"), (trace(2), "01")] {
        assert_eq!(post(&system.ingest, &trace, flags, "hi").await.status, 202);
        page.events(1).await;
    }
    // The spans of what was posted before would have come before these.
    for name in ["POST /v1/rooms/{presenterIdx}/messages", "deliver chat", "write chat"] {
        collector.span(&trace(2), name).await;
    }
    let traces: BTreeSet<String> = collector.spans().into_iter().map(|span| span.trace).collect();
    assert_eq!(traces, BTreeSet::from([trace(2)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_written_together_are_linked() {
    let collector = Collector::start().await;
    let system = System::start_with(|settings| collector.settings(settings)).await;
    system.archiver.pause();
    for number in 1..=3 {
        assert_eq!(post(&system.ingest, &trace(number), "01", "hi").await.status, 202);
    }
    system.archiver.resume();
    let mut archived = Vec::new();
    for number in 1..=3 {
        archived.push(collector.span(&trace(number), "archive chat").await);
    }
    // Each is in its own trace, and one write links to all of them but its parent.
    let write = eventually("the write of all", PATIENCE, async || {
        collector.spans().into_iter().find(|span| span.name == "write chat" && span.links.len() == 2)
    });
    let write = write.await;
    let (own, others): (Vec<_>, Vec<_>) = archived.iter().partition(|span| span.id == write.parent);
    assert_eq!((own.len(), own[0].links.len(), &own[0].trace), (1, 0, &write.trace), "{write:?} {archived:?}");
    assert_eq!(others.iter().map(|span| &span.id).collect::<BTreeSet<_>>(), write.links.iter().collect());
    assert!(others.iter().all(|span| span.links == [write.id.clone()]), "{write:?} {archived:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_a_batch_keeps_its_own_trace() {
    const UNSAMPLED: u8 = 3;
    let collector = Collector::start().await;
    let system = System::start_with(|settings| collector.settings(settings)).await;
    let (mut page, _) = Page::connect(&system.delivery, 42).await;
    // Later posts find the room's state and the sender remembered.
    assert_eq!(post(&system.ingest, &trace(0), "00", "first").await.status, 202);
    page.events(1).await;

    system.nats.pause();
    let flags = |number| if number == UNSAMPLED { "00" } else { "01" };
    let texts: Vec<String> = (0..=5).map(|number| format!("message {number}")).collect();
    let posts = (1..=5).map(|number| {
        let (ingest, text) = (&system.ingest, &texts[usize::from(number)]);
        async move { post(ingest, &trace(number), flags(number), text).await }
    });
    let all_wait = async {
        eventually("all posts wait for the log", PATIENCE, async || {
            (metric(&system.ingest, "chatting_log_append_queue_events").await == 5).then_some(())
        })
        .await;
        system.nats.resume();
    };
    let (answers, ()) = tokio::join!(join_all(posts), all_wait);
    assert!(answers.iter().all(|answer| answer.status == 202), "{answers:?}");
    let ids: BTreeMap<String, String> = page
        .events(5)
        .await
        .iter()
        .map(|event| (event["text"].as_str().unwrap().to_owned(), event["id"].as_str().unwrap().to_owned()))
        .collect();

    let mut in_batch: BTreeMap<String, usize> = BTreeMap::new();
    for number in (1..=5).filter(|number| *number != UNSAMPLED) {
        let appended = collector.span(&trace(number), "append chat").await;
        let delivered = collector.span(&trace(number), "deliver chat").await;
        let archived = collector.span(&trace(number), "archive chat").await;
        for span in [&appended, &delivered, &archived] {
            let id = &ids[&texts[usize::from(number)]];
            assert_eq!(span.attribute("messaging.message.id"), Some(id.as_str()), "{span:?}");
        }
        assert_eq!([&delivered.parent, &archived.parent], [&appended.id; 2]);
        let (batch, _line) = appended.attribute("chatting.position").unwrap().rsplit_once('-').unwrap();
        *in_batch.entry(batch.to_owned()).or_default() += 1;
    }
    // The log takes one batch at a time: one has those that came before the appender looked, another the rest.
    assert!(in_batch.len() <= 2 && in_batch.values().any(|events| *events >= 2), "{in_batch:?}");
    assert!(collector.spans().iter().all(|span| ![trace(0), trace(UNSAMPLED)].contains(&span.trace)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_post_has_a_span_and_so_has_a_refusal_with_its_lines_of_the_log() {
    let collector = Collector::start().await;
    let system = ingest(|settings| collector.settings(settings).set("log.filter", "info,ingest=debug")).await;
    let original = |text: &str| json!({"presenterIdx": 42, "userType": "viewer", "textMessage": text});
    for (number, path, body, status, name) in [
        (1, "/v1/rooms/42/messages", json!({"text": "hi"}), 202, "POST /v1/rooms/{presenterIdx}/messages"),
        (2, "/v1/rooms/%34%32/messages", json!({"text": "hi"}), 202, "POST /v1/rooms/{presenterIdx}/messages"),
        (3, "/send/message", original("hi"), 200, "POST /send/message"),
        (4, "/v1/rooms/42/messages", json!({"text": ""}), 400, "POST /v1/rooms/{presenterIdx}/messages"),
        (5, "/send/message", original(""), 400, "POST /send/message"),
    ] {
        let posted = post_at(&system.ingest, path, body, &trace(number), "01").await;
        assert_eq!(posted.status, status, "{path} {posted:?}");
        let span = collector.span(&trace(number), name).await;
        assert_eq!(span.attribute("http.response.status_code"), Some(&*status.to_string()), "{span:?}");
        assert!(!span.has_failed, "{span:?}");
    }
    for number in [4, 5] {
        let lines: Vec<Value> =
            system.ingest.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let line = lines.iter().find(|line| line["trace_id"] == trace(number)).expect("the refusal is in the log");
        assert!(line["message"].as_str().unwrap().starts_with("refused a request"), "{line}");
        assert!(line["request_id"].is_string(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_posts_go_on_and_spans_are_dropped_until_it_is_back() {
    const SAYS: &str = "the collector does not take spans";
    let collector = Collector::start().await;
    collector.takes(Takes::Nothing);
    let system = ingest(|settings| collector.settings(settings).set("otlp.timeout", "200ms")).await;
    for number in 1..=3 {
        let before = dropped(&system.ingest).await;
        assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
        // The post and its append.
        eventually("the spans are dropped", PATIENCE, async || {
            (dropped(&system.ingest).await == before + 2).then_some(())
        })
        .await;
        assert_eq!((exported(&system.ingest).await, dropped(&system.ingest).await), (0, 2 * number));
    }
    assert_eq!(system.messages().await.len(), 3);
    assert_eq!(system.ingest.log().matches(SAYS).count(), 1, "{}", system.ingest.log());

    collector.takes(Takes::All);
    assert_eq!(post(&system.ingest, &trace(1), "01", "hi").await.status, 202);
    collector.span(&trace(1), "append chat").await;
    system.ingest.says("the collector takes spans again").await;
    assert_eq!((exported(&system.ingest).await, dropped(&system.ingest).await), (2, 6));

    collector.takes(Takes::AllButOne);
    assert_eq!(post(&system.ingest, &trace(2), "01", "hi").await.status, 202);
    eventually("one span is rejected", PATIENCE, async || (dropped(&system.ingest).await == 7).then_some(())).await;
    assert_eq!(exported(&system.ingest).await, 3);
    assert_eq!(system.ingest.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_refused_for_now_is_repeated() {
    let collector = Collector::start().await;
    collector.takes(Takes::Nothing);
    let system = ingest(|settings| collector.settings(settings).set("otlp.timeout", "30s")).await;
    assert_eq!(post(&system.ingest, &trace(1), "01", "hi").await.status, 202);
    eventually("an export is refused", PATIENCE, async || (collector.asked() > 0).then_some(())).await;
    collector.takes(Takes::All);
    collector.span(&trace(1), "append chat").await;
    eventually("both spans count", PATIENCE, async || (exported(&system.ingest).await == 2).then_some(())).await;
    assert_eq!(dropped(&system.ingest).await, 0);
}

/// With a time for an export that is longer than this test waits for the role's end.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_delays_neither_posts_nor_the_end_and_no_more_spans_wait_than_allowed() {
    let collector = Collector::start().await;
    collector.takes(Takes::Silence);
    let system = ingest(|settings| collector.settings(settings).set("otlp.timeout", "1m").set("otlp.queue", "2")).await;
    assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
    eventually("an export is on its way", PATIENCE, async || (collector.asked() > 0).then_some(())).await;
    for _ in 0..3 {
        assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
    }
    // Two of the first post are being sent, two of the six others wait.
    assert_eq!((exported(&system.ingest).await, dropped(&system.ingest).await), (0, 4));
    assert_eq!(system.messages().await.len(), 4);
    assert_eq!(system.ingest.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_address_nor_the_headers_of_a_collector_are_shown() {
    let away = format!("http://bob:hunter2@127.0.0.1:{}/hunter2", port());
    let settings = |settings: Settings| settings.set("otlp.url", &away).set("otlp.headers", "authorization=hunter2");
    let system = ingest(settings).await;
    assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
    system.ingest.says("the collector does not take spans").await;
    let metrics = answer(client().get(system.ingest.admin_url() + "/metrics")).await.body;
    let log = system.ingest.log();
    assert!(!log.contains("hunter2") && !metrics.contains("hunter2") && log.contains("refused"), "{log}");
}

#[tokio::test]
async fn wrong_settings_of_the_collector_are_refused_by_name_and_not_shown() {
    for (key, value) in [
        ("otlp.url", "collector:4318/hunter2"),
        ("otlp.headers", "hunter2"),
        ("otlp.sample_ratio", "1.5"),
        ("otlp.sample_ratio", "all"),
        ("otlp.timeout", "2m"),
        ("otlp.queue", "0"),
    ] {
        let role = Role::spawn("delivery", &Settings::new().set(key, value));
        assert_eq!(role.exit_code(PATIENCE).await, 64, "{key}: {}", role.log());
        let log = role.log();
        assert!(log.contains(key) && !log.contains("hunter2"), "{key}: {log}");
    }
}
