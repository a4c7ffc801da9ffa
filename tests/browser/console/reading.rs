//! Long lists, the language and the size of the page.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_room_keeps_the_page_short_and_does_not_scroll_under_a_reader() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    let messages = |from: usize, to: usize| -> Vec<Event> {
        (from..=to).map(|number| said(7, "chatter", &format!("message {number}."), Timestamp::now())).collect()
    };
    world.append(&messages(1, 1_500)).await;
    console.shows(".message", "message 1500.").await;
    let rows = console.page.evaluate("document.querySelectorAll('.message').length").await;
    assert!(rows.as_u64().unwrap() < 120, "{rows} rows are in the document");

    // Scrolled up, the list stays where it is and says how many have come.
    console.page.evaluate("document.querySelector('.list').scrollTop -= 10_000").await;
    console.hides(".message", "message 1500.").await;
    let first = "(() => {
        const top = document.querySelector('.list').getBoundingClientRect().top;
        return [...document.querySelectorAll('.message')].find((row) => row.getBoundingClientRect().top >= top).textContent;
    })()";
    console.waits_for("document.querySelectorAll('.message').length > 0").await;
    let before = console.page.evaluate(first).await;
    world.append(&messages(1_501, 1_600)).await;
    console.shows(".unseen", "100 new").await;
    assert_eq!(console.page.evaluate(first).await, before);
    console.click(".unseen").await;
    console.shows(".message", "message 1600.").await;
    console.waits_for("document.querySelector('.unseen').hidden").await;

    // The search has them too, page by page.
    world.archived().await;
    console.go("rooms/42/search?order=asc").await;
    console.shows(".foot", "100 so far").await;
    console.click(".foot button").await;
    console.shows(".foot", "200 so far").await;
    console.go("rooms/42/search?text=nothing").await;
    console.waits_for("document.querySelector('.list-inner')?.dataset.empty === 'Nothing was found.'").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_languages_say_everything() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows("nav", "Audit").await;
    let keys = "Promise.all([import('./en.js'), import('./ko.js')])
        .then(([{ en }, { ko }]) => [Object.keys(en), Object.keys(ko)])";
    let keys = console.page.evaluate(keys).await;
    assert_eq!(keys[0], keys[1]);
    console.click("button[lang=ko]").await;
    console.shows("nav", "처리 기록").await;
    console.shows(".status", "연결됨").await;
    assert_eq!(console.page.evaluate("document.documentElement.lang").await, "ko");
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_view_is_wider_than_a_phone() {
    let world = World::start().await;
    let both = views::furnish(&world).await;
    world.post(7, &"w".repeat(500)).await.unwrap();
    world.archived().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.page.look((360, 740), "light").await;
    for step in views::steps(both) {
        console.takes(&step).await;
        let width = "Math.max(document.documentElement.scrollWidth, document.querySelector('main').scrollWidth)";
        assert_eq!(console.page.evaluate(width).await, 360, "{step:?}");
    }
    console.is_clean().await;
}
