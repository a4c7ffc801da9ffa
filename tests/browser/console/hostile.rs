//! Hostile texts. Each is shown as text everywhere, and none is executed.

use super::*;

/// Markup, templates, and what bends a line: directions, marks, sizes.
const TEXTS: [&str; 26] = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror=\"window.hacked = 1\">",
    "<svg/onload=window.hacked=1>",
    "<iframe srcdoc=\"<script>parent.hacked = 1</script>\"></iframe>",
    "<a href=\"javascript:window.hacked=1\">click</a>",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content=\"0;url=about:blank\">",
    "</span></div></main><form action=//evil.example><input name=token>",
    "<!--",
    "]]><![CDATA[",
    "\"><script>window.hacked = 1</script>",
    "' onmouseover='window.hacked = 1",
    "javascript:window.hacked=1",
    "${window.hacked = 1}",
    "{{constructor.constructor('window.hacked = 1')()}}",
    "#{window.hacked = 1}",
    "{reason} {count} {at}",
    "&lt;b&gt; &amp; &#60; &nbsp;",
    "__proto__",
    "constructor",
    "%00%0a%3Cscript%3E",
    "مرحبا بالعالم hello",
    "Z̷̢̧̛̙̭̳̝͉̺̤̦̟͐̎̈́̌̆͂͝a̵̡̨̢̛̺͕̬̦̬̐͊̀̈́̕l̷̡̛̰̹̫̈́̀̔̕g̸̨̛̳̩͈̈́̄̕o̷̡̧̹̫̅̀̈́̕",
    "👨‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿🏳️‍🌈👩🏽‍❤️‍💋‍👨🏻",
    "﷽﷽﷽﷽﷽﷽﷽﷽",
    "w\u{2060}o\u{200d}r\u{ad}d",
];

/// What ingest refuses in a text, and the log could hold all the same.
const FROM_THE_LOG: [&str; 3] = ["\u{202e}<b>desrever\u{202c}", "two\nlines", "\u{2066}isolated\u{2069}"];

/// Every text of a message, and the elements within it.
const SHOWN: &str = "[...document.querySelectorAll('.message .text')].map((text) => [text.textContent,
    [...text.querySelectorAll('*')].map((element) => element.tagName).join()])";

/// The elements within names, each kind once.
const NAMES: &str = "[...new Set([...document.querySelectorAll('.message .name *')].map(({ tagName }) => tagName))]";

/// Whether there are rows at both ends of what is visible.
const COVERED: &str = "(() => {
    const { left, top, bottom } = document.querySelector('.list').getBoundingClientRect();
    return [top + 4, bottom - 4].every((y) => document.elementFromPoint(left + 30, y)?.closest('.row'));
})()";

#[tokio::test(flavor = "multi_thread")]
async fn text_that_a_user_typed_is_shown_and_never_executed() {
    let world = World::start().await;
    let console = world.open("rooms/42/live", &moderator()).await;
    console.shows(".status", "Connected").await;
    for text in TEXTS {
        world.post(7, text).await.unwrap();
    }
    let nicknames = TEXTS.iter().chain(&FROM_THE_LOG);
    let events: Vec<Event> = nicknames
        .map(|text| said(6, text, if TEXTS.contains(text) { "named" } else { text }, Timestamp::now()))
        .collect();
    world.append(&events).await;
    let expected: Vec<&str> = TEXTS.iter().copied().chain(TEXTS.iter().map(|_| "named")).chain(FROM_THE_LOG).collect();

    for view in ["rooms/42/live", "rooms/42/search?order=asc"] {
        world.archived().await;
        console.go(view).await;
        let last = json!(expected[expected.len() - 1]);
        let to_end = "document.querySelector('.list')?.scrollTo(0, 1e9)";
        console.waits_for(&format!("({to_end}, {SHOWN}.some(([text]) => text === {last}))")).await;
        // Rows that are out of view are in no document, so each is looked at where it is.
        let mut seen: Vec<String> = Vec::new();
        for part in 0..=20 {
            console.page.evaluate(&format!("document.querySelector('.list').scrollTop = {part} * 120")).await;
            console.waits_for(COVERED).await;
            let shown: Vec<(String, String)> = serde_json::from_value(console.page.evaluate(SHOWN).await).unwrap();
            for (text, elements) in shown {
                assert_eq!(elements, "BDI", "{view}: {text:?} became elements");
                seen.push(text);
            }
            assert_eq!(console.page.evaluate(NAMES).await, json!(["BDI"]), "{view}");
        }
        for text in &expected {
            assert!(seen.iter().any(|shown| shown == text), "{view} does not show {text:?}");
        }
    }

    // As a reason, on a card, in the audit trail, and in the address.
    console.go("rooms/42/live").await;
    console.waits_for("document.querySelector('.live .row-actions') !== null").await;
    console.click(".message .name").await;
    for text in TEXTS.iter().take(6) {
        console.fill(".ban input[name=reason]", text).await;
        console.click(".ban button").await;
        console.shows(".ban-state", text).await;
    }
    world.archived().await;
    console.go("rooms/42/audit").await;
    for text in TEXTS.iter().take(6) {
        console.shows(".decisions", text).await;
    }
    console.go("rooms/42/search?text=%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D1%3E&user=7%22%3E").await;
    console.shows(".foot .outcome", "user").await;
    console.go("rooms/%3Cscript%3E/live").await;
    console.shows("h1", "Which room?").await;

    assert_eq!(console.page.evaluate("window.hacked === undefined").await, true);
    console.is_clean().await;
}
