//! A newcomer's first minutes with `dev`, by the pointer and the keyboard alone: they press only what is in view. They
//! delete a message, see it vanish from a viewer, from the search and from the replay, restore it, sweep a raid, and
//! find the busiest moment of the broadcast. With `DEMO_PICTURES=FOLDER` the test saves a picture before each press.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::dev::Dev;
use crate::support::Folder;

/// Long enough for a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// What the newcomer writes, deletes and restores.
const RUDE: &str = "a rude message";

/// Where to press the first element of that kind that shows the text. It is scrolled into view, as a newcomer would.
/// Null: it is not there, or something is in front of it.
const POINT: &str = "((selector, text) => {
    const isVisible = (element) => element.checkVisibility({ visibilityProperty: true });
    const elements = [...document.querySelectorAll(selector)].filter(isVisible);
    const found = elements.find(({ textContent }) => textContent.includes(text));
    if (!found || found.disabled) return null;
    found.scrollIntoView({ block: 'nearest' });
    const { left, top, width, height } = found.getBoundingClientRect();
    const [x, y] = [left + width / 2, top + height / 2];
    return found.contains(document.elementFromPoint(x, y)) ? { x, y } : null;
})";

/// A person at a page.
struct Hand {
    page: Page,
    presses: usize,
}

impl Hand {
    fn at(page: Page) -> Hand {
        Hand { page, presses: 0 }
    }

    /// Moves the pointer there. Returns the place.
    async fn point(&self, selector: &str, text: &str) -> (f64, f64) {
        let point = format!("{POINT}({}, {})", json!(selector), json!(text));
        let what = format!("{selector} with {text:?} is in view");
        let (x, y) = eventually(&what, LONG, async || {
            let place = self.page.evaluate(&point).await;
            Some((place["x"].as_f64()?, place["y"].as_f64()?))
        })
        .await;
        self.pointer("mouseMoved", (x, y)).await;
        (x, y)
    }

    async fn press(&mut self, selector: &str, text: &str) {
        // A tab in the background is not painted.
        self.page.command("Page.bringToFront", json!({})).await;
        self.point(selector, text).await;
        self.picture().await;
        // What moved meanwhile is where it is now.
        let place = self.point(selector, text).await;
        for kind in ["mousePressed", "mouseReleased"] {
            self.pointer(kind, place).await;
        }
        self.presses += 1;
    }

    /// Presses a button of the row: its buttons appear under the pointer.
    async fn press_in_row(&mut self, row: &str, text: &str, label: &str) {
        self.point(row, text).await;
        self.press(".message:hover .row-actions button", label).await;
    }

    async fn pointer(&self, kind: &str, (x, y): (f64, f64)) {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
        self.page.command("Input.dispatchMouseEvent", event).await;
    }

    /// Types into the field that was pressed, and presses Enter.
    async fn write(&self, text: &str) {
        self.page.command("Input.insertText", json!({ "text": text })).await;
        for (kind, text) in [("keyDown", "\r"), ("keyUp", "")] {
            let key =
                json!({ "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": text });
            self.page.command("Input.dispatchKeyEvent", key).await;
        }
    }

    async fn sees(&self, selector: &str, text: &str) {
        self.point(selector, text).await;
    }

    /// Waits until no element of that kind shows the text.
    async fn misses(&self, selector: &str, text: &str) {
        let list = format!("[...document.querySelectorAll({})]", json!(selector));
        let is_gone = format!("!{list}.some((element) => element.textContent.includes({}))", json!(text));
        eventually(&is_gone, LONG, async || (self.page.evaluate(&is_gone).await == true).then_some(())).await;
    }

    async fn picture(&self) {
        let Some(folder) = std::env::var_os("DEMO_PICTURES") else { return };
        let place = self.page.evaluate("location.port").await;
        let name = format!("newcomer-{}-{:02}.png", place.as_str().unwrap(), self.presses);
        self.page.picture(&Path::new(&folder).join(name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_moderates_and_finds_the_peak_without_the_documentation() {
    let place = Folder::new("newcomer");
    let mut dev = Dev::start(&place, &[]).await;
    let chromium = Chromium::start().await;
    let mut demo = Hand::at(chromium.open(&dev.demo()).await);
    demo.page.look((1_280, 800), "light").await;
    demo.press("#play", "Start").await;
    demo.sees("[data-place=viewer43] .log li", "").await;
    demo.press("[data-place=viewer42] input", "").await;
    demo.write(RUDE).await;
    demo.sees("[data-place=viewer43] .log li", RUDE).await;
    // The log of the pages holds 200 messages, and the newcomer takes their time.
    demo.press("#play", "Stop").await;
    demo.press("#console", "console").await;

    let mut console = Hand::at(chromium.opened("/console/").await);
    console.page.look((1_280, 800), "light").await;
    console.press_in_row(".list .text", RUDE, "Delete").await;
    console.sees(".message .note", "Deleted by moderator99").await;
    demo.misses(".log span", RUDE).await;
    console.press_in_row(".list .note", "Deleted by", "Details").await;
    console.press(".card button", "Show this moment in the replay").await;
    console.sees(".replay .message", "").await;
    console.misses(".replay .message", RUDE).await;
    console.press("nav a", "Search").await;
    console.press(".filters [name=text]", "").await;
    console.write(RUDE).await;
    console.sees(".foot", "Nothing was found").await;

    console.press("nav a", "Live").await;
    console.press_in_row(".list .note", "Deleted by", "Restore").await;
    demo.sees("[data-place=viewer43] .log li", RUDE).await;
    console.press("nav a", "Search").await;
    console.press(".filters [name=text]", "").await;
    console.write(RUDE).await;
    console.press_in_row(".list .text", RUDE, "Details").await;
    console.press(".card button", "Show this moment in the replay").await;
    console.sees(".replay .message .text", RUDE).await;

    demo.press("#raid", "Raid").await;
    demo.sees("[data-place=viewer43] .log li", "come to my room 5").await;
    console.press("nav a", "Live").await;
    console.press_in_row(".list .text", "come to my room", "Sweep").await;
    console.press(".sweep-found button", "similar").await;
    console.press(".sweep-form .danger", "Delete 15").await;
    console.misses(".list .message .text", "come to my room").await;
    demo.misses(".log span", "come to my room").await;

    console.press("nav a", "Broadcasts").await;
    console.press("tbody th a", "").await;
    console.sees(".chart .u-legend", "").await;
    console.press(".page p a", ":").await;
    console.press(".clock button", "Play").await;
    console.sees(".replay .message", "").await;
    assert!(demo.presses + console.presses < 40, "{} and {} presses", demo.presses, console.presses);
    assert_eq!(dev.interrupt().await, Some(0), "{}", dev.printed());
}
