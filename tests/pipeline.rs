//! The whole pipeline, from the gateway's post to the presenter's socket and the archive: whatever is killed while the
//! sample plays, every accepted message is found once and in order on both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chatting_server::play::Report;

use crate::archive::outages::has_lasted;
use crate::support::{Role, System, eventually, sample, token};

/// Blank, empty and too long texts. The rest of the sample is accepted.
pub(crate) const REFUSED: usize = 6;

/// The number of answered messages when the fault begins.
const BEFORE: usize = 60;

/// At this speed the sample takes nine seconds: long enough to kill and restart any part meanwhile.
const SPEED: f64 = 10.0;

/// Plays the sample with a fault in the middle, and finds every accepted message.
async fn play_with(system: &System, speed: f64, trouble: impl AsyncFnOnce()) -> Report {
    let answered = Arc::new(AtomicUsize::new(0));
    let progress = {
        let answered = Arc::clone(&answered);
        move || {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let in_its_midst = async {
        let enough = async || (answered.load(Ordering::Relaxed) >= BEFORE).then_some(());
        eventually("the play is under way", Duration::from_secs(60), enough).await;
        trouble().await;
        let at_its_end = answered.load(Ordering::Relaxed);
        assert!(at_its_end < sample().len(), "the trouble was over before the play was");
    };
    let (report, ()) = tokio::join!(system.play(sample(), Some(speed), progress), in_its_midst);
    report
}

/// A client retries unknown outcomes, so in the end every valid message is accepted.
fn check(report: &Report) {
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.accepted, sample().len() - REFUSED, "{report}");
    assert_eq!(report.refused.values().sum::<usize>(), REFUSED, "{report}");
}

async fn kill_and_start_again(role: &Role) {
    role.kill();
    role.start_again().await;
}

#[tokio::test]
async fn the_sample_arrives_once_and_in_order_on_the_socket_and_in_the_archive() {
    let system = System::start().await;
    let report = system.play(sample(), None, || {}).await;
    check(&report);
    // Again into the same room: an old message is not taken for a new one.
    check(&system.play(sample(), None, || {}).await);
}

#[tokio::test]
async fn ingest_killed_while_the_sample_plays_loses_nothing() {
    let system = System::start().await;
    check(&play_with(&system, SPEED, async || kill_and_start_again(&system.ingest).await).await);
}

#[tokio::test]
async fn delivery_killed_while_the_sample_plays_loses_nothing() {
    let system = System::start().await;
    check(&play_with(&system, SPEED, async || kill_and_start_again(&system.delivery).await).await);
}

#[tokio::test]
async fn the_archiver_killed_while_the_sample_plays_loses_nothing() {
    let system = System::start().await;
    check(&play_with(&system, SPEED, async || kill_and_start_again(&system.archiver).await).await);
}

#[tokio::test]
async fn nats_server_killed_while_the_sample_plays_loses_nothing() {
    let system = System::start().await;
    let trouble = async || {
        system.nats.kill();
        system.nats.start_again().await;
    };
    check(&play_with(&system, SPEED, trouble).await);
}

#[tokio::test]
async fn mongod_killed_while_the_sample_plays_loses_nothing() {
    let system = System::start().await;
    let trouble = async || {
        system.mongod.kill();
        system.mongod.start_again().await;
    };
    check(&play_with(&system, SPEED, trouble).await);
}

#[tokio::test]
async fn a_restart_of_each_role_in_turn_loses_nothing() {
    let system = System::start().await;
    let trouble = async || {
        for role in [&system.ingest, &system.delivery, &system.archiver] {
            assert_eq!(role.terminate().await, 0, "{}", role.log());
            role.start_again().await;
        }
    };
    // Three stops and starts take longer than a kill.
    check(&play_with(&system, SPEED / 2.0, trouble).await);
}

#[tokio::test]
async fn twenty_seconds_without_mongod_under_load_cost_no_message_and_no_answer() {
    let system = System::start().await;
    let outage = async || {
        system.mongod.kill();
        has_lasted(&system.archiver, Duration::from_secs(20)).await;
        system.mongod.start_again().await;
    };
    // 44 s: long enough for the outage and for a slow start of mongod.
    let report = play_with(&system, 2.0, outage).await;
    check(&report);
    // Senders do not notice.
    assert!(report.unknown.is_empty(), "{report}");
}

#[tokio::test]
async fn nats_down_is_answered_503_and_everything_recovers_without_a_restart() {
    let system = System::start().await;
    let processes = [&system.ingest, &system.delivery, &system.archiver].map(Role::id);
    system.nats.kill();

    let client = testkit::client().timeout(Duration::from_secs(20)).build().unwrap();
    let post = async || {
        let body = serde_json::json!({ "presenterIdx": 1, "userType": "viewer", "textMessage": "anyone there?" });
        let post = client.post(format!("{}/send/message", system.ingest.url()));
        post.header("token", token(42, "viewer")).json(&body).send().await.unwrap().status().as_u16()
    };
    let asked = Instant::now();
    assert_eq!(post().await, 503);
    assert!(asked.elapsed() < Duration::from_secs(10), "an outage is answered, not waited out");
    for role in [&system.ingest, &system.delivery] {
        let readyz = format!("{}/readyz", role.url());
        let not_ready = async || (client.get(&readyz).send().await.ok()?.status() == 503).then_some(());
        eventually("a role without its log is not ready", Duration::from_secs(30), not_ready).await;
    }

    system.nats.start_again().await;
    let accepted = async || (post().await == 200).then_some(());
    eventually("messages are accepted again", Duration::from_secs(30), accepted).await;
    check(&system.play(sample(), None, || {}).await);
    assert_eq!([&system.ingest, &system.delivery, &system.archiver].map(Role::id), processes);
}

#[tokio::test]
async fn logs_are_json_and_hold_neither_a_token_nor_a_text() {
    // All log lines of the project, at every level.
    let ours = ["ingest", "delivery", "archiver", "nats", "web", "chatting_server"].map(|part| format!("{part}=trace"));
    let filter = format!("info,{}", ours.join(","));
    let system = System::start_with(|settings| settings.set("log.filter", &filter)).await;
    check(&system.play(sample(), None, || {}).await);
    for role in [&system.ingest, &system.delivery, &system.archiver] {
        assert_eq!(role.terminate().await, 0, "{}", role.log());
        let log = role.log();
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
        }
        // Every JWT begins with this.
        assert!(!log.contains("eyJ"), "{log}");
        for line in sample().iter().filter(|line| line.text.chars().count() > 8) {
            assert!(!log.contains(line.text.trim()), "{:?} is in {log}", line.text);
        }
    }
}

/// Real chat, which is not in the tree. `.ci/run` sets its path and turns the feature on.
#[cfg(feature = "shared-data")]
mod shared_data {
    use std::path::Path;

    use crate::support::System;

    #[tokio::test]
    async fn ten_real_minutes_arrive_once_and_in_order() {
        let data = std::env::var("CHATTING_SHARED_DATA").expect("CHATTING_SHARED_DATA is the path of the data folder");
        let file = Path::new(&data).join("chat_youtube_mit/launch_2020_10min.ndjson");
        let lines = chatting_server::play::read(&file).unwrap();
        let expected = lines.len();
        let system = System::start().await;
        let report = system.play(lines, Some(60.0), || {}).await;
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.accepted, expected, "{report}");
    }
}
