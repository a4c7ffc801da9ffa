//! What waits for a moderator: held messages and reports. Notices and the pinned message.

use super::*;
use crate::delivery::page::Page as Presenter;

/// A text that would run if anything took it for markup. The room holds it for its last word.
const HOSTILE: &str = "<img src=x onerror=\"window.hacked = 1\"> spoiler";

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_is_released_or_denied_from_the_queue() {
    let world = World::start().await;
    let hold = json!({ "settings": { "wordPolicy": "hold", "words": ["spoiler"] } });
    world.ask("PATCH", "settings", &moderator(), &hold).await;
    let (mut presenter, _) = Presenter::connect(&world.delivery, ROOM).await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".held-count", "Held: 0").await;
    world.post(7, HOSTILE).await.unwrap();
    world.post(8, "another spoiler").await.unwrap();
    console.shows(".held-count", "Held: 2").await;
    console.shows(".is-held", HOSTILE).await;
    console.click(".held-count").await;
    console.shows(".queue li", HOSTILE).await;

    console.click_beside(".queue li", "another spoiler", "Deny…").await;
    console.fill("dialog input", "a <b>spoiler</b>").await;
    console.click("dialog .danger").await;
    console.shows(".is-held", "Denied by mod: a <b>spoiler</b>").await;
    console.click_beside(".queue li", HOSTILE, "Release").await;
    console.shows(".message:not(.is-held) .text", HOSTILE).await;
    console.shows(".held-count", "Held: 0").await;
    console.waits_for("document.querySelector('.queue').children.length === 0").await;
    loop {
        let frame = presenter.frame().await.to_string();
        assert!(!frame.contains("another spoiler") && !frame.contains("message.held"), "{frame}");
        if frame.contains("onerror") {
            break;
        }
    }
    world.archived().await;
    console.go("rooms/42/audit").await;
    console.shows(".decisions", "mod released a message by").await;
    console.shows(".decisions", "mod denied a message by").await;
    assert_eq!(console.page.evaluate("window.hacked === undefined").await, true);
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_closed_by_a_deletion_or_with_a_reason() {
    let world = World::start().await;
    let [spam, harmless] = [world.post(7, "buy <i>this</i>").await.unwrap(), world.post(8, "harmless").await.unwrap()];
    world.archived().await;
    let viewer = token_with(json!({ "user_idx": 6, "nickname": "<b>viewer</b>" }));
    let report = json!({ "category": "spam", "reason": "<script>window.hacked = 1</script>" });
    let live = world.open("rooms/42/live", &moderator()).await;
    live.shows(".message", "harmless").await;
    world.ask("POST", &format!("messages/{spam}/reports"), &viewer, &report).await;
    world.ask("POST", &format!("messages/{harmless}/reports"), &viewer, &report).await;
    live.shows(".message", "Reported: 1").await;
    live.shows(".bar a", "Reports: 2").await;
    world.archived().await;
    let console = world.open("rooms/42/reports", &moderator()).await;
    console.shows(".queue li", "Users who reported this: 1 – Spam 1").await;
    console.shows(".queue details", "<b>viewer</b> Spam: <script>").await;
    console.click_beside(".queue > li", "buy <i>this</i>", "Delete").await;
    console.shows(".queue .outcome", "Its reports are closed").await;
    live.hides(".message", "buy <i>this</i>").await;
    console.click_beside(".queue > li", "harmless", "Close…").await;
    console.fill("dialog input", "no harm").await;
    console.click("dialog .danger").await;
    console.shows(".queue .outcome", "Closed.").await;
    live.shows(".bar a", "Reports: 0").await;
    world.archived().await;
    console.go("rooms/42/reports?state=closed").await;
    console.shows(".queue > li", "no harm").await;
    console.waits_for("document.querySelectorAll('.queue > li').length === 2").await;
    assert_eq!(console.page.evaluate("window.hacked === undefined").await, true);
    console.is_clean().await;
    live.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_posted_and_pinned_and_a_message_tells_where_it_is() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.waits_for("document.querySelector('.notice-form')?.hidden === false").await;
    console.fill(".notice-form input", "<b>the quiz</b> starts").await;
    console.click(".notice-form button").await;
    console.shows(".message.is-notice", "<b>the quiz</b> starts").await;
    console.click_beside(".message", "the quiz", "Pin").await;
    console.shows(".pin:not([hidden])", "<b>the quiz</b> starts").await;
    console.shows(".event", "mod pinned a message").await;
    world.archived().await;
    // A page that comes later learns of the pin too.
    console.reload().await;
    console.shows(".pin:not([hidden])", "<b>the quiz</b> starts").await;
    console.click_beside(".message", "the quiz", "Details").await;
    console.shows(".trace", "Archived").await;
    console.click(".pin button").await;
    console.waits_for("document.querySelector('.pin').hidden").await;
    console.click_beside(".message", "the quiz", "Pin").await;
    console.waits_for("!document.querySelector('.pin').hidden").await;
    console.click_beside(".message", "the quiz", "Delete").await;
    console.waits_for("document.querySelector('.pin').hidden").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_from_the_card_purges() {
    let world = World::start().await;
    world.post(7, "flood").await.unwrap();
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".message .text", "flood").await;
    console.click(".message .name").await;
    console.fill(".ban select[name=purge]", "300").await;
    console.click(".ban button").await;
    console.shows(".ban-state", "Banned until").await;
    console.hides(".list .message .text", "flood").await;
    console.is_clean().await;
}
