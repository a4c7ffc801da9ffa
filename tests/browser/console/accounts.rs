//! Signing in: by the form or a link, until the token expires.

use super::*;
use crate::ingest::tokens::signed_by_another_key;

/// Seconds from 1970 on.
fn now() -> i64 {
    Timestamp::now().as_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_signs_in_and_a_forged_or_expired_one_does_not() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", "nonsense").await;
    // A link with nonsense in it leaves nobody signed in, and nothing in the address.
    console.shows("h1", "Sign in").await;
    assert_eq!(console.page.evaluate("location.hash").await, "#/rooms/42/live");

    let forged = signed_by_another_key();
    let expired = token_with(json!({ "exp": now() - 10 }));
    for (token, complaint) in [("a.b.c", "not a token"), (&expired, "has expired"), (&forged, "not signed as required")]
    {
        console.fill("textarea[name=token]", token).await;
        console.click("form.sign-in button").await;
        console.shows(".outcome[data-state=failed]", complaint).await;
        assert_eq!(console.page.evaluate("sessionStorage.length").await, 0, "{complaint}");
    }
    console.fill("textarea[name=token]", &moderator()).await;
    console.click("form.sign-in button").await;
    console.shows(".who", "mod").await;
    console.shows(".status", "Connected").await;
    // The token outlives a reload, in this tab and nowhere else.
    console.reload().await;
    console.shows(".status", "Connected").await;
    let kept = "JSON.stringify([Object.keys(localStorage), document.cookie])";
    assert_eq!(console.page.evaluate(kept).await, r#"[["chat-console-language"],""]"#);
    console.click(".identity button").await;
    console.shows("h1", "Sign in").await;
    assert_eq!(console.page.evaluate("sessionStorage.length").await, 0);
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_goes_on_where_it_was_when_its_token_is_replaced() {
    let world = World::start().await;
    let short = token_with(json!({ "user_idx": 9, "scope": "chat:moderate", "exp": now() + 20 }));
    let console = world.open("rooms/42/live", &short).await;
    console.shows(".status", "Connected").await;
    world.post(7, "before").await.unwrap();
    console.shows(".message", "before").await;
    console.fill(".settings input[name=reason]", "half a word").await;

    console.shows("dialog h2", "Sign in again").await;
    world.post(7, "meanwhile").await.unwrap();
    console.fill("dialog textarea", &moderator()).await;
    console.click("dialog button").await;
    console.waits_for("document.querySelector('dialog') === null").await;
    console.shows(".message", "meanwhile").await;
    console.shows(".message", "before").await;
    let kept = console.page.evaluate("document.querySelector('.settings input[name=reason]').value").await;
    assert_eq!(kept, "half a word");
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_moderation_rights_is_offered_no_decisions() {
    let world = World::start().await;
    world.post(7, "hello").await.unwrap();
    world.archived().await;
    let console = world.open("rooms/42/live", &analyst()).await;
    console.shows(".message", "hello").await;
    console.shows(".settings .outcome", "not moderate it").await;
    assert_eq!(console.texts(".row-actions button").await, ["Details"]);
    assert_eq!(console.texts(".notice-form:not([hidden])").await, Vec::<String>::new());
    console.click(".message .name").await;
    console.shows(".card .history", "hello").await;
    assert_eq!(console.texts("form.ban").await, Vec::<String>::new());
    console.is_clean().await;
}
