//! A session ends with its token, unless its client sends another one.

use std::time::Instant;

use serde_json::{Value, json};

use super::dialect::{now, signed};
use super::presenter::Seen;
use super::*;
use crate::support::SECRET;

/// A presenter's token that expires in this many seconds.
fn expiring(room: i64, seconds: u64) -> String {
    signed(SECRET, json!({ "user_idx": room, "exp": now() + seconds }))
}

async fn begin(node: &Role, token: &str) -> (Page, Value) {
    let mut page = Page::open(node).await;
    page.say_start(token, None).await;
    let welcome = page.frame().await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    (page, welcome)
}

async fn closed(page: &mut Page) -> u16 {
    loop {
        if let Seen::Closed(code) = page.see().await {
            return code;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token_and_the_leeway_also_while_much_is_said() {
    for (leeway, seconds) in [("0", 3), ("2", 1)] {
        let world = World::with(&[("auth.leeway_seconds", leeway)]).await;
        let node = world.node().await;
        let (mut quiet, welcome) = begin(&node, &expiring(41, seconds)).await;
        let began = Instant::now();
        assert!(welcome["expiresInSeconds"].as_u64().unwrap() <= 3, "{welcome}");
        let (mut busy, _) = begin(&node, &expiring(42, seconds)).await;
        let writing = async {
            for number in 0.. {
                world.post(42, &[&format!("message {number}")]).await;
            }
        };
        let ends = async { (closed(&mut quiet).await, closed(&mut busy).await) };
        let ends = tokio::select! {
            () = writing => unreachable!("it writes for ever"),
            ends = ends => ends,
        };
        assert_eq!(ends, (4005, 4005));
        assert!(began.elapsed() > Duration::from_millis(1_500), "it lasted {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_with_another_token_of_its_presenter_and_with_no_other() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut page, _) = begin(&node, &expiring(42, 8)).await;
    for refused in
        [expiring(43, 3_600), signed("another secret, also of more than 32 bytes", json!({})), "x".to_owned()]
    {
        page.say(json!({ "type": "token", "token": refused })).await;
        let answer = page.frame().await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("token_not_renewed")), "{answer}");
    }
    page.say(json!({ "type": "token" })).await;
    assert_eq!(page.frame().await["code"], "bad_frame");
    page.say(json!({ "type": "token", "token": expiring(42, 3_600) })).await;
    let renewed = page.frame().await;
    assert_eq!(renewed["type"], "renewed", "{renewed}");
    assert!(renewed["expiresInSeconds"].as_u64().unwrap() > 3_500, "{renewed}");
    // A shorter token counts too: it is the client's current one.
    page.say(json!({ "type": "token", "token": expiring(42, 2) })).await;
    assert_eq!(page.frame().await["type"], "renewed");
    world.post(42, &["still here"]).await;
    assert_eq!(page.texts(1).await, ["still here"]);
    assert_eq!(closed(&mut page).await, 4005);
    // Nothing was lost: the page resumes with another token.
    world.post(42, &["meanwhile"]).await;
    let position = page.position.clone();
    let (mut page, welcome) = Page::resume(&node, 42, position.as_deref()).await;
    assert_eq!(welcome["recovered"], true);
    assert_eq!(page.texts(1).await, ["meanwhile"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_before_the_start_is_no_start() {
    let world = World::start().await;
    let node = world.node().await;
    let mut page = Page::open(&node).await;
    page.say(json!({ "type": "token", "token": expiring(42, 60) })).await;
    assert_eq!(page.frame().await["code"], "not_started");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_page_outlives_its_token_by_the_configured_grace() {
    let world = World::start().await;
    let (patient, strict) = (world.node().await, world.node_with("original_grace_seconds", "0").await);
    let began_at = now();
    let mut presenter = Presenter::open(&patient).await;
    presenter.start(&expiring(42, 1)).await;
    let mut closed = Presenter::open(&strict).await;
    closed.start(&expiring(43, 2)).await;
    let mut renewed = Presenter::open(&strict).await;
    renewed.start(&expiring(44, 3)).await;
    world.session(44, None).await;
    renewed.start(&expiring(44, 3_600)).await;
    renewed.is_served_and_quiet().await;
    // Later than the first token, too.
    assert_eq!(closed.see().await, Seen::Closed(4005));
    eventually("the third one's first token has ended", PATIENCE, async || (now() > began_at + 4).then_some(())).await;
    for (room, presenter) in [(42, &mut presenter), (44, &mut renewed)] {
        world.post(room, &["still here"]).await;
        assert_eq!(presenter.chats(1).await, ["still here"]);
    }
}
