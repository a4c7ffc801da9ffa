//! A busy room: the list stands still under the pointer while a hundred messages a second arrive. With
//! `CONSOLE_FIGURES=FILE` the test loads 5,000 messages, presses thirty rows, and writes there how long the page took
//! (docs/lab/console.md). Beside other work, the processor's time alone says something.

use std::fmt::Write as _;

use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::figures::Recording;
use super::*;

/// Five messages every 50 ms: 100 a second.
const TOGETHER: usize = 5;
const APART: Duration = Duration::from_millis(50);

/// Where a row in the middle of the list is, with its name, its author and what it says.
const ROW: &str = "(() => {
    const { left, top, height } = document.querySelector('.list').getBoundingClientRect();
    const row = document.elementFromPoint(left + 300, top + height / 2)?.closest('.message');
    const name = row?.querySelector('.name').getBoundingClientRect();
    return row && {
        x: left + 300, y: top + height / 2, nameX: name.left + 8, nameY: name.top + name.height / 2,
        author: row.querySelector('.name').textContent, text: row.querySelector('.text').textContent,
    };
})()";

/// Measures from an input to the first frame that shows what it brings.
const STOPWATCH: &str = "
    window.time = (what, input, isShown) => addEventListener(input, ({ timeStamp: start }) => {
        const look = () => {
            if (!isShown()) return requestAnimationFrame(look);
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => performance.measure(what, { start });
            port2.postMessage('painted');
        };
        requestAnimationFrame(look);
    }, { once: true, capture: true });";

/// The buttons of the row under the pointer.
const MENU: &str = "document.querySelector('.message:hover .row-actions')?.offsetWidth > 0";

/// Posts at that rate until the stop, with numbers after this one. Returns how many it posted.
async fn keep_posting(world: &World, number: usize, stop: &CancellationToken) -> usize {
    let mut pace = interval(APART);
    let mut posted = 0;
    while stop.run_until_cancelled(pace.tick()).await.is_some() {
        let numbers = number + posted..number + posted + TOGETHER;
        world.append_together(&numbers.map(message).collect::<Vec<_>>()).await;
        posted += TOGETHER;
    }
    posted
}

fn message(number: usize) -> Event {
    let user = 1_000 + (number % 300) as i64;
    said(user, &format!("chatter{user}"), &format!("message {number} of a busy room"), Timestamp::now())
}

/// Moves the pointer, or presses the left button there and lets it go.
async fn pointer(console: &Console, kinds: &[&str], x: &Value, y: &Value) {
    for kind in kinds {
        let button = if *kind == "mouseMoved" { "none" } else { "left" };
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
        console.page.command("Input.dispatchMouseEvent", event).await;
    }
}

/// Rests on a row, and opens the card of its author. The row that is pressed has to be the row that was there.
async fn press_a_row(console: &Console) {
    console.waits_for(&format!("{ROW} !== undefined && {ROW} !== null")).await;
    let at = console.page.evaluate(ROW).await;
    console.page.evaluate(&format!("time('menu', 'pointermove', () => {MENU})")).await;
    pointer(console, &["mouseMoved"], &at["x"], &at["y"]).await;
    console.waits_for(MENU).await;
    let chosen = console.page.evaluate(ROW).await;
    // Messages arrive, and the row stays.
    console.waits_for("document.querySelector('.unseen').hidden === false").await;
    assert_eq!(console.page.evaluate(ROW).await["text"], chosen["text"]);
    console.page.evaluate("time('card', 'pointerdown', () => document.querySelector('.card .ban') !== null)").await;
    pointer(console, &["mouseMoved", "mousePressed", "mouseReleased"], &chosen["nameX"], &chosen["nameY"]).await;
    console.shows(".card h2", chosen["author"].as_str().unwrap()).await;
    console.click(".card .close").await;
    // Elsewhere, the list goes on.
    pointer(console, &["mouseMoved"], &json!(2), &json!(2)).await;
    console.waits_for("document.querySelector('.unseen').hidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_moderator_is_about_to_press_stays_where_it_is() {
    let world = World::start().await;
    let figures = std::env::var_os("CONSOLE_FIGURES");
    let (loaded, followed, presses) = if figures.is_some() { (5_000, 1_000, 30) } else { (500, 50, 3) };
    for number in (0..loaded).step_by(500) {
        world.append_together(&(number..number + 500).map(message).collect::<Vec<_>>()).await;
    }
    let console = world.open("rooms/42/live", &moderator()).await;
    console.page.look((1_280, 800), "light").await;
    console.shows(".message", &format!("message {} of", loaded - 1)).await;
    console.waits_for("document.querySelector('.row-actions button') !== null").await;
    console.page.evaluate(STOPWATCH).await;
    let (stop, mut report) = (CancellationToken::new(), String::new());
    let watching = async {
        // Nobody touches the list: it follows.
        let last = format!(
            "[...document.querySelectorAll('.message')].some(({{ textContent }}) => \
             Number(textContent.match(/message (\\d+) of/)?.[1]) >= {})",
            loaded + followed
        );
        let following = Recording::start(&console.page).await;
        console.waits_for(&last).await;
        let following = following.end().await;
        let pressing = Recording::start(&console.page).await;
        for _ in 0..presses {
            press_a_row(&console).await;
        }
        let pressing = pressing.end().await;
        stop.cancel();
        let (menus, cards) = (pressing.interactions("menu"), pressing.interactions("card"));
        assert_eq!(menus.len(), presses);
        writeln!(report, "| {loaded} messages loaded, {presses} rows pressed | wall clock ms | processor ms |")
            .unwrap();
        writeln!(report, "|---|---|---|").unwrap();
        writeln!(report, "| pointer on a row until its buttons are painted | {menus} |").unwrap();
        writeln!(report, "| press of a name until the card is painted | {cards} |").unwrap();
        writeln!(report, "| longest task meanwhile | {} |", pressing.longest_task()).unwrap();
        writeln!(report, "| longest task while the list follows | {} |", following.longest_task()).unwrap();
        writeln!(report, "\nMain thread, while the list follows: {}", following.per_second()).unwrap();
        (following.seconds(), pressing.seconds())
    };
    let (posted, seconds) = tokio::join!(keep_posting(&world, loaded, &stop), watching);
    console.shows(".message", &format!("message {} of", loaded + posted - 1)).await;
    if let Some(file) = figures {
        let rate = posted as f64 / (seconds.0 + seconds.1);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap();
        writeln!(report, "\n{rate:.0} messages a second. Load of the machine (1, 5, 15 min): {load}").unwrap();
        std::fs::write(file, report).unwrap();
    }
    console.is_clean().await;
}
