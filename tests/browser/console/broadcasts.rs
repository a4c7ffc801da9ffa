//! A finished broadcast: its figures, and its chat beside the player's time.

use super::*;

/// A message every two seconds, which names its second.
async fn ten_minutes(world: &World) -> SessionId {
    let messages: Vec<String> = (1..300).map(|number| format!("second {}.", 2 * number)).collect();
    let session = world.broadcast(0, 600, &messages).await;
    world.archived().await;
    session
}

/// The seconds that the list shows, in order.
async fn seconds(console: &Console) -> Vec<u32> {
    let texts = console.texts(".list .text").await;
    texts.iter().map(|text| text.trim_matches(|char: char| !char.is_ascii_digit()).parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_follows_the_player_through_seeks_and_an_offset() {
    let world = World::start().await;
    let session = ten_minutes(&world).await;
    let console = world.open(&format!("rooms/42/broadcasts/{session}"), &analyst()).await;
    console.shows(".facts dd", "299").await;
    console.go(&format!("rooms/42/broadcasts/{session}/replay?t=100000")).await;
    // What was said in the half minute before, and nothing of what comes.
    let upto = |last: u32| (last - 28..=last).step_by(2).collect::<Vec<u32>>();
    console.waits_for("document.querySelectorAll('.list .text').length === 16").await;
    assert_eq!(seconds(&console).await, [vec![70], upto(100)].concat());

    for (place, last) in [("500", 500), ("41", 40), ("301", 300)] {
        console.fill("input[type=range]", place).await;
        console.shows(".list .text", &format!("second {last}.")).await;
        let shown = seconds(&console).await;
        assert_eq!(shown.last(), Some(&last), "{place}");
        assert!(shown.len() <= 16 && shown.is_sorted(), "{shown:?}");
    }
    // The recording began twenty seconds before the video.
    console.fill(".sources input[type=number]", "20").await;
    console.shows(".list .text", "second 320.").await;
    console.hides(".list .text", "second 322.").await;

    // Time passes, and messages come when they are due.
    console.fill(".clock select", "16").await;
    console.click(".clock button").await;
    console.shows(".list .text", "second 360.").await;
    console.click(".clock button").await;
    let shown = seconds(&console).await;
    assert!(shown.windows(2).all(|pair| pair[1] == pair[0] + 2), "one is missing, or twice there: {shown:?}");
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_broadcast_are_drawn_and_lead_to_the_replay() {
    let world = World::start().await;
    let session = ten_minutes(&world).await;
    let console = world.open("rooms/42/broadcasts", &analyst()).await;
    console.shows("tbody td", "299").await;
    console.click("tbody th a").await;
    console.shows(".ranking", "chatter10").await;
    console.shows(".ranking", "second").await;
    console.shows(".columns", "No moment stands out").await;
    console.shows(".page p", "Most messages in 2 s: 1, at").await;
    // Lines of two colours are on the canvas.
    let colours = "(() => {
        const canvas = document.querySelector('.chart canvas');
        if (!canvas) return 0;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const colours = new Set();
        for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) colours.add(data.slice(at, at + 3).join());
        return colours.size;
    })()";
    console.waits_for(&format!("{colours} >= 3")).await;

    // A click in the middle leads there, a little earlier.
    let middle = "(() => {
        const { left, top, width, height } = document.querySelector('.chart .u-over').getBoundingClientRect();
        return { x: left + width / 2, y: top + height / 2 };
    })()";
    let middle = console.page.evaluate(middle).await;
    for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let event = json!({ "type": kind, "x": middle["x"], "y": middle["y"], "button": button, "clickCount": 1 });
        console.page.command("Input.dispatchMouseEvent", event).await;
    }
    console.waits_for("location.hash.includes('/replay?t=')").await;
    let place = console.page.evaluate("Number(location.hash.split('t=')[1])").await.as_f64().unwrap();
    assert!((280_000.0..310_000.0).contains(&place), "{place}");
    assert!(console.page.evaluate("location.hash").await.as_str().unwrap().contains(&session.to_string()));
    console.shows(".list .text", "second 2").await;
    console.is_clean().await;
}

/// From now on the page's requests whose address matches `held` wait for `release()`.
const HOLD: &str = "window.waiting = [];
    window.release = () => waiting.splice(0).forEach((go) => go());
    const ask = window.fetch;
    window.fetch = (url, options) => {
        if (!held.test(url)) return ask(url, options);
        return new Promise((resolve, reject) => {
            options.signal.addEventListener('abort', () => reject(options.signal.reason));
            waiting.push(() => resolve(ask(url, options)));
        });
    };";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_archive_still_computes_holds_up_neither_the_chart_nor_the_replay() {
    let world = World::start().await;
    let session = ten_minutes(&world).await;
    let console = world.open("rooms/42/broadcasts", &analyst()).await;
    console.shows("tbody td", "299").await;
    console.page.evaluate(&format!("window.held = /statistics.highlights/; {HOLD}")).await;
    console.click("tbody th a").await;
    console.waits_for("document.querySelector('.chart canvas') !== null").await;
    console.shows(".page p", "Most messages in 2 s: 1, at").await;
    console.shows(".progress", "Computing the figures: 1 of 4 done").await;
    console.shows(".columns", "Loading…").await;
    console.waits_for("waiting.length === 1").await;
    console.page.evaluate("release()").await;
    console.shows(".columns", "No moment stands out").await;
    console.waits_for("document.querySelector('.progress.is-done')?.textContent === ''").await;
    console.shows(".ranking", "chatter10").await;
    console.waits_for("document.querySelector('.chart').ariaLabel.endsWith('0 highlights are marked.')").await;

    // The numbers of the broadcast, of which the replay needs only the length.
    console.page.evaluate("window.held = /broadcasts.[^/]+$/; true").await;
    console.go(&format!("rooms/42/broadcasts/{session}/replay?t=100000")).await;
    console.shows(".list .text", "second 100.").await;
    console.shows(".clock-time", "0:01:40 / …").await;
    assert_eq!(console.texts("h1 a").await, Vec::<String>::new());
    console.page.evaluate("release()").await;
    console.shows(".clock-time", "0:01:40 / 0:10:00").await;
    console.shows("h1 a", "2025").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_leads_to_its_moment_in_the_replay() {
    let world = World::start().await;
    ten_minutes(&world).await;
    let early = Timestamp::from_millisecond(1_763_805_600_000 - 3_600_000).unwrap();
    world.append(&[said(7, "early", "an hour before", early)]).await;
    world.archived().await;
    let console = world.open("rooms/42/search", &analyst()).await;
    console.go("rooms/42/search?text=second%20300.").await;
    console.click_beside(".message", "second 300.", "Details").await;
    console.click_beside(".card p", "Show this moment", "Show this moment in the replay").await;
    console.shows(".replay .list .text", "second 300.").await;
    console.hides(".replay .list .text", "second 304.").await;

    console.go("rooms/42/search?text=an%20hour").await;
    console.click_beside(".message", "an hour before", "Details").await;
    console.click_beside(".card p", "Show this moment", "Show this moment in the replay").await;
    console.shows(".card .outcome", "The room was not live at that time").await;
    console.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_a_whole_file() {
    let world = World::start().await;
    world.post(7, "안녕하세요").await.unwrap();
    world.archived().await;
    let console = world.open("rooms/42/search", &analyst()).await;
    console.shows(".message", "안녕하세요").await;
    let catch = "const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => make.call(URL, (window.saved = blob));
        HTMLAnchorElement.prototype.click = function () { window.savedAs = this.download; };";
    console.page.evaluate(catch).await;
    console.click(".exports button").await;
    console.shows(".exports .outcome", "is complete").await;
    assert_eq!(console.page.evaluate("window.savedAs").await, "room-42.csv");
    let file = console.page.evaluate("window.saved.text()").await;
    let lines: Vec<&str> = file.as_str().unwrap().lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("id,position,") && lines[1].contains(",안녕하세요,"), "{lines:?}");
    console.is_clean().await;
}
