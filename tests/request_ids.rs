//! The id of a request: in its answer, and in each line of the log that it causes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::delivery::presenter::Presenter;
use crate::ingest::{Answer, answer, client};
use crate::support::{Role, System, eventually, token};

const PATIENCE: Duration = Duration::from_secs(20);

const HEADER: &str = "x-request-id";

/// Waits until the role's log has a line with that message, and returns the line's request id.
async fn logged(role: &Role, message: &str) -> Value {
    let what = format!("the log says {message:?}");
    let line = eventually(&what, PATIENCE, async || {
        let lines: Vec<Value> = role.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.into_iter().find(|line| line["message"].as_str().is_some_and(|found| found.starts_with(message)))
    });
    line.await["request_id"].clone()
}

async fn get(url: String, id: Option<&str>) -> Answer {
    let request = client().get(url);
    answer(id.into_iter().fold(request, |request, id| request.header(HEADER, id))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_repeats_the_id_of_a_request_and_writes_it_into_the_log() {
    let system = System::start_with(|settings| settings.set("log.filter", "info,ingest=debug,archiver=debug")).await;
    let System { ingest, delivery, archiver, .. } = &system;
    for role in [ingest, delivery, archiver] {
        for url in [role.url() + "/v1/nowhere", role.url() + "/livez", role.admin_url() + "/readyz"] {
            let given = get(url.clone(), Some("from-the-gateway")).await;
            assert_eq!(given.header(HEADER), "from-the-gateway", "{url}");
            let [one, other] = [get(url.clone(), None).await, get(url.clone(), Some("not sane")).await];
            assert!(!one.header(HEADER).is_empty(), "{url}");
            assert_ne!(one.header(HEADER), other.header(HEADER), "{url}");
            assert_ne!(other.header(HEADER), "not sane", "{url}");
        }
    }

    for url in [ingest.url() + "/v1/rooms/42/bans", archiver.url() + "/v1/rooms/42/messages"] {
        assert_eq!(get(url, Some("without-a-token")).await.status, 401);
    }
    for role in [ingest, archiver] {
        assert_eq!(logged(role, "refused a request: token_missing").await, "without-a-token");
    }
    let mut presenter = Presenter::handshake(delivery, &[(HEADER, "handshake-42")]).await.unwrap();
    presenter.start(&token(42, "presenter")).await;
    assert_eq!(logged(delivery, "presenter 42 connected").await, "handshake-42");
    drop(presenter);
    assert_eq!(logged(delivery, "the session of presenter 42 ended").await, "handshake-42");
    assert!(delivery.log().lines().any(|line| !line.contains("request_id")), "{}", delivery.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_surface_of_the_original_has_the_id_in_a_header_alone() {
    let system = crate::ingest::System::start_with(|settings| settings.set("log.filter", "info,ingest=debug")).await;
    let post = |id: &str, text: &str| {
        let body = json!({"presenterIdx": 42, "userType": "viewer", "textMessage": text});
        system.post("/send/message").header("token", token(7, "nick")).header(HEADER, id).json(&body)
    };
    let sent = answer(post("sent", "hi")).await;
    sent.assert_sent();
    assert_eq!(sent.header(HEADER), "sent");

    let refused = answer(post("refused", "")).await;
    refused.assert_original_error(400, "보내는 채팅은 null이 될 수 없습니다.", "/send/message");
    assert_eq!(refused.header(HEADER), "refused");
    assert_eq!(logged(&system.ingest, "refused a request").await, "refused");

    let stored = system.messages().await;
    assert_eq!((stored.len(), &stored[0]["text"]), (1, &json!("hi")));
}
