//! Traces as an operator sees them: the spans that the roles send to a collector.

use std::collections::BTreeSet;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use crate::delivery::page::Page;
use crate::ingest::{Answer, answer, client};
use crate::support::{Collector, Role, Settings, System, eventually, port, token};

const PATIENCE: Duration = Duration::from_secs(30);

/// The caller's span of every trace here.
const CALLER: &str = "00f067aa0ba902b7";

fn trace(number: u8) -> String {
    format!("4bf92f3577b34da6a3ce929d0e0e47{number:02x}")
}

/// Posts to room 42 with a `traceparent` of these flags.
async fn post(ingest: &Role, trace: &str, flags: &str, text: &str) -> Answer {
    let request = client().post(format!("{}/v1/rooms/42/messages", ingest.url()));
    let request = request.bearer_auth(token(7, "nick-of-the-sender")).json(&json!({ "text": text }));
    answer(request.header("traceparent", format!("00-{trace}-{CALLER}-{flags}"))).await
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
    for secret in ["text of the message", "nick-of-the-sender", &token(7, "nick-of-the-sender")] {
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
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let away = format!("http://127.0.0.1:{}", port());
    let traced = |settings: Settings| settings.set("otlp.url", &away).set("otlp.sample_ratio", "1.0");
    let system = crate::ingest::System::start_with(traced).await;
    for _ in 0..3 {
        system.post_v1("42", json!({"text": "hi"})).await;
        let dropped = || client().get(system.ingest.admin_url() + "/metrics");
        eventually("the spans are dropped", PATIENCE, async || {
            let metrics = answer(dropped()).await.body;
            (metrics.contains("chatting_otlp_spans_total{result=\"exported\"} 0")
                && !metrics.contains("chatting_otlp_spans_total{result=\"dropped\"} 0"))
            .then_some(())
        })
        .await;
    }
    assert_eq!(system.messages().await.len(), 3);
    system.ingest.says("the collector does not take spans").await;
    assert_eq!(system.ingest.log().matches("the collector does not take spans").count(), 1, "{}", system.ingest.log());
    assert_eq!(system.ingest.terminate().await, 0);
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
