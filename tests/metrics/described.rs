//! The reference lists exactly the exposed metrics, and they count.

use super::*;

/// Metrics that are exposed only after an answer of NATS, MongoDB or the issuer.
const LATE: [&str; 5] = [
    "chatting_archiver_backlog_batches",
    "chatting_archiver_missing_batches",
    "chatting_archiver_quarantine_lines",
    "chatting_auth_keys_fetched_timestamp_seconds",
    "chatting_log_stream_oldest_timestamp_seconds",
];

#[tokio::test]
async fn every_metric_is_described_as_it_is_exposed_and_no_other() {
    let world = World::start().await;
    let described = described();
    for (name, role) in world.roles() {
        let of = |section: &str| described.get(section).cloned().unwrap_or_default();
        let expected: BTreeMap<String, Family> = of("").into_iter().chain(of(name)).collect();
        let late: Vec<&str> = LATE.into_iter().filter(|metric| expected.contains_key(*metric)).collect();
        let exposed = eventually("NATS and MongoDB have answered", PATIENCE, async || {
            let exposed = families(&scrape(role).await);
            late.iter().all(|metric| exposed.contains_key(*metric)).then_some(exposed)
        })
        .await;
        for (metric, family) in &exposed {
            let row = format!("| `{metric}` | {} | {} | {} |", family.kind, labels(family), family.help);
            assert_eq!(expected.get(metric), Some(family), "docs/reference/metrics.md, {name}, needs\n{row}\n");
        }
        let missing: Vec<&String> = expected.keys().filter(|metric| !exposed.contains_key(*metric)).collect();
        assert!(missing.is_empty(), "{name} does not expose {missing:?}");
    }
}

fn labels(family: &Family) -> String {
    family.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_message_is_counted_at_every_stage() {
    let mut world = World::start().await;
    world.post().await;
    let refused = client().post(format!("{}/v1/rooms/{ROOM}/messages", world.ingest.url())).send().await.unwrap();
    assert_eq!(refused.status(), 401);

    let text = scrape(&world.ingest).await;
    for (series, expected) in [
        ("chatting_ready", 1.0),
        ("chatting_build_info{node=\"a-node\",role=\"ingest\",version=\"0.1.0\"}", 1.0),
        ("chatting_ingest_posts_total{code=\"accepted\"}", 1.0),
        ("chatting_ingest_posts_total{code=\"token_missing\"}", 1.0),
        ("chatting_ingest_post_seconds_count", 1.0),
        ("chatting_ingest_events_total{type=\"message.posted\"}", 1.0),
        ("chatting_ingest_review_hook_requests_total{result=\"answered\"}", 1.0),
        ("chatting_auth_token_failures_total{reason=\"missing\"}", 1.0),
        ("chatting_auth_key_fetches_total{result=\"ok\"}", 1.0),
        ("chatting_http_responses_total{code=\"token_missing\"}", 1.0),
        ("chatting_log_append_batches_total{outcome=\"stored\"}", 1.0),
        ("chatting_log_batch_events_sum", 1.0),
        ("chatting_dependency_up{dependency=\"review_hook\"}", 1.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }

    // Counted after the write to the socket, so the presenter may see the message first.
    eventually("the message is counted as delivered", PATIENCE, async || {
        let text = scrape(&world.delivery).await;
        assert_eq!(value(&text, "chatting_delivery_sessions"), Some(1.0), "{text}");
        assert_eq!(value(&text, "chatting_delivery_session_starts_total{resume=\"fresh\"}"), Some(1.0), "{text}");
        (value(&text, "chatting_delivery_write_lag_seconds_count")? >= 1.0).then_some(())
    })
    .await;

    // The start of the session is archived too.
    eventually("the message is counted as archived", PATIENCE, async || {
        let text = scrape(&world.archiver).await;
        let archived = value(&text, "chatting_archiver_events_total{result=\"message\"}")?;
        let committed = value(&text, "chatting_archiver_commit_lag_seconds_count")?;
        (archived == 1.0 && committed >= 2.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn readyz_names_what_fails_and_since_when() {
    let world = World::start().await;
    let readyz = format!("{}/readyz", world.archiver.admin_url());
    let log = async || {
        let answer = client().get(&readyz).send().await.ok()?;
        let (status, body) = (answer.status().as_u16(), answer.json::<serde_json::Value>().await.ok()?);
        let named = |dependency: &&serde_json::Value| dependency["name"] == "log";
        let dependency = body["dependencies"].as_array()?.iter().find(named)?.clone();
        Some((status, body["status"].as_str()?.to_owned(), dependency))
    };
    let (status, word, up) = log().await.unwrap();
    assert_eq!((status, word.as_str(), up["state"].as_str()), (200, "ready", Some("up")));
    world.nats.kill();
    let down = eventually("the log is reported to be down", PATIENCE, async || {
        let (status, word, dependency) = log().await?;
        (status == 503 && word == "not_ready" && dependency["state"] == "down").then_some(dependency)
    })
    .await;
    assert!(down["since"].as_str() > up["since"].as_str(), "{down} and {up}");
    assert_eq!(down["reason"], "not connected to NATS");
}
