//! presenter.js, relay.js and viewer.js in a headless Chromium against the real server: a presenter's page, viewers'
//! pages, real peer connections, and kills of everything around them.

pub(crate) mod chromium;
mod console;
mod demo;
mod example;
#[cfg(feature = "firefox")]
mod firefox;
mod newcomer;
#[cfg(feature = "node")]
mod package;
mod readers;
mod site;

use std::time::{Duration, Instant};

use chat::{Body, Event, MessagePosted, PresenterIdx, User, UserIdx};
use nats::Log;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::support::{self, NatsServer, Role, Settings, eventually, token};
use chromium::{Chromium, Page};
#[cfg(feature = "firefox")]
use firefox::Firefox;
use site::{Balancer, Site};

/// Long enough for a browser and a slow machine, and short enough to detect a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the tests need of a browser: the value of an expression. A promise is awaited, and an exception panics.
trait Evaluate {
    async fn evaluate(&self, expression: &str) -> Value;
}

impl Evaluate for Page {
    async fn evaluate(&self, expression: &str) -> Value {
        Page::evaluate(self, expression).await
    }
}

#[cfg(feature = "firefox")]
impl Evaluate for Firefox {
    async fn evaluate(&self, expression: &str) -> Value {
        Firefox::evaluate(self, expression).await
    }
}

/// A nats-server, what the tests write to it, and the platform around the pages.
struct World {
    nats: NatsServer,
    log: Log,
    settings: Settings,
    site: Site,
    chromium: Chromium,
}

impl World {
    async fn start() -> World {
        let nats = NatsServer::start().await;
        let settings = Settings::new()
            .nats(&nats)
            .set("nats.max_size", "1073741824 B")
            .set("nats.lease", "2s")
            .set("log.filter", "info,delivery=debug");
        let log = support::log(&settings).await;
        World { nats, log, settings, site: Site::start().await, chromium: Chromium::start().await }
    }

    async fn node(&self) -> Role {
        Role::start("delivery", &self.settings).await
    }

    /// Opens the presenter's page, and waits until it is connected.
    async fn presenter(&self, balancer: &Balancer, relay: &str) -> Page {
        let page = self.chromium.open(&self.presenter_url(balancer, relay)).await;
        is_live(&page).await;
        page
    }

    fn presenter_url(&self, balancer: &Balancer, relay: &str) -> String {
        self.site.url(&format!("presenter.html?url={}&relay={relay}", balancer.ws_url("/v1/presenter")))
    }

    /// Opens a viewer's page and connects it to the presenter's.
    async fn viewer(&self, presenter: &Page, name: &str) -> Page {
        let page = self.chromium.open(&self.site.url("viewer.html")).await;
        connect(presenter, &page, name).await;
        page
    }

    /// Posts the messages concurrently, in this order.
    async fn post(&self, texts: &[String]) {
        let appending = texts.iter().map(|text| async { self.log.append(&message(text)).await.unwrap() });
        futures_util::future::join_all(appending).await;
    }

    /// Posts about fifty numbered messages a second until the stop. Returns their number.
    fn keep_posting(&self, stop: &CancellationToken) -> JoinHandle<usize> {
        let (log, stop) = (self.log.clone(), stop.clone());
        tokio::spawn(async move {
            let mut posted = 0;
            let mut pace = interval(Duration::from_millis(20));
            while stop.run_until_cancelled(pace.tick()).await.is_some() {
                posted += 1;
                log.append(&message(&format!("message {posted}"))).await.unwrap();
            }
            posted
        })
    }
}

fn message(text: &str) -> Event {
    let user = User { idx: UserIdx::try_from(7).unwrap(), nickname: "별명".to_owned(), role: chat::Role::Viewer };
    let body = Body::MessagePosted(MessagePosted::new(user, text));
    Event::now(PresenterIdx::try_from(42).unwrap(), body)
}

/// The signalling between two pages.
async fn connect(presenter: &Page, viewer: &Page, name: &str) {
    let offer = presenter.evaluate(&format!("window.offer('{name}')")).await;
    let answer = viewer.evaluate(&format!("window.answer({offer})")).await;
    presenter.evaluate(&format!("window.accept('{name}', {answer})")).await;
}

async fn is_live(presenter: &Page) {
    eventually("the presenter's page is connected", PATIENCE, async || {
        (presenter.evaluate("window.presenter.status.state").await == "live").then_some(())
    })
    .await;
}

/// Waits until the page has received this many more events.
async fn takes(page: &Page, more: usize) {
    let goal = taken(page).await.len() + more;
    eventually("the page takes more events", PATIENCE, async || {
        (page.evaluate("window.taken.length").await.as_u64()? as usize >= goal).then_some(())
    })
    .await;
}

async fn taken(page: &Page) -> Vec<String> {
    serde_json::from_value(page.evaluate("window.taken").await).unwrap()
}

/// Waits until the page has all messages. Asserts that it has each once, in order, without an error.
async fn has_everything(page: &Page, name: &str, posted: usize) {
    let last = format!("message {posted}");
    eventually("the last message comes", PATIENCE, async || {
        (page.evaluate("window.taken.at(-1)").await == last.as_str()).then_some(())
    })
    .await;
    let (expected, taken) = (texts(1, posted), taken(page).await);
    assert_eq!(taken.len(), posted, "{name} has another number of messages than were posted");
    assert_eq!(taken, expected, "{name}");
    assert_eq!(page.evaluate("window.gaps").await, serde_json::json!([]), "{name} was told of a gap");
    assert_eq!(page.evaluate("window.errors").await, serde_json::json!([]), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_viewer_gets_every_message_once_and_in_order_whatever_dies_in_between() {
    let world = World::start().await;
    let node = world.node().await;
    let balancer = Balancer::start(&[&node]).await;
    let presenter = world.presenter(&balancer, "{}").await;
    let mut viewers = Vec::new();
    for name in ["anna", "bela", "cleo"] {
        viewers.push((name, world.viewer(&presenter, name).await));
    }
    let stop = CancellationToken::new();
    let posting = world.keep_posting(&stop);
    takes(&viewers[0].1, 50).await;

    // The server dies.
    node.kill();
    node.start_again().await;
    is_live(&presenter).await;
    takes(&presenter, 50).await;

    // The log dies; sessions go on.
    world.nats.kill();
    world.nats.start_again().await;
    takes(&presenter, 50).await;

    // The presenter's network dies, the browser says so, and the connection breaks.
    presenter.offline(true).await;
    node.kill();
    node.start_again().await;
    eventually("the page waits for its network", PATIENCE, async || {
        (presenter.evaluate("window.presenter.status.reason").await == "offline").then_some(())
    })
    .await;
    let back = Instant::now();
    presenter.offline(false).await;
    is_live(&presenter).await;
    assert!(back.elapsed() < Duration::from_secs(10), "it did not try at once");
    takes(&presenter, 50).await;

    // The server dies again, and when it is back the page's token has expired.
    world.site.expire_tokens(true);
    node.kill();
    node.start_again().await;
    eventually("the page's token is refused", PATIENCE, async || {
        (presenter.evaluate("window.statuses.some(({ code }) => code === 4005)").await == true).then_some(())
    })
    .await;
    world.site.expire_tokens(false);
    takes(&presenter, 50).await;

    // A viewer's connection dies.
    connect(&presenter, &viewers[1].1, "bela").await;
    takes(&viewers[1].1, 50).await;

    stop.cancel();
    let posted = posting.await.unwrap();
    has_everything(&presenter, "the presenter", posted).await;
    for (name, viewer) in &viewers {
        has_everything(viewer, name, posted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_hands_its_presenter_over_and_nothing_is_lost_or_repeated() {
    let world = World::start().await;
    let (one, other) = (world.node().await, world.node().await);
    let balancer = Balancer::start(&[&one, &other]).await;
    let presenter = world.presenter(&balancer, "{}").await;
    let viewer = world.viewer(&presenter, "anna").await;
    let stop = CancellationToken::new();
    let posting = world.keep_posting(&stop);
    for (stopping, name) in [(&one, "the first"), (&other, "the second"), (&one, "the first again")] {
        takes(&viewer, 30).await;
        presenter.evaluate("window.statuses.length = 0").await;
        assert_eq!(stopping.terminate().await, 0);
        takes(&viewer, 30).await;
        // It was connected throughout: the second connection was open before the first was closed.
        let statuses = presenter.evaluate("window.statuses.map((status) => status.state)").await;
        assert_eq!(statuses, serde_json::json!(["live"]), "{name}");
        stopping.start_again().await;
    }
    stop.cancel();
    let posted = posting.await.unwrap();
    has_everything(&presenter, "the presenter", posted).await;
    has_everything(&viewer, "the viewer", posted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_get_all_that_was_missed_even_if_it_is_more_than_the_relay_keeps() {
    let world = World::start().await;
    let node = world.node().await;
    let balancer = Balancer::start(&[&node]).await;
    let presenter = world.presenter(&balancer, r#"{"maxEvents":200}"#).await;
    let viewer = world.viewer(&presenter, "anna").await;
    world.post(&["hello".to_owned()]).await;
    takes_all(&viewer, 1).await;
    node.kill();
    // Also more than the channel takes at once.
    let filler = "x".repeat(1_000);
    let missed: Vec<String> = (1..=5_000).map(|number| format!("{number} {filler}")).collect();
    world.post(&missed).await;
    node.start_again().await;
    for page in [&presenter, &viewer] {
        let taken = taken_when_last(page, missed.last().unwrap()).await;
        assert!(taken[1..] == missed, "{} messages of {}", taken.len() - 1, missed.len());
        assert_eq!(page.evaluate("window.gaps").await, serde_json::json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_falls_behind_is_told_of_the_gap_and_the_others_notice_nothing() {
    let world = World::start().await;
    let node = world.node().await;
    let balancer = Balancer::start(&[&node]).await;
    let presenter = world.presenter(&balancer, r#"{"maxEvents":200}"#).await;
    let fast = world.viewer(&presenter, "fast").await;
    // In its own browser, which can be suspended.
    let laptop = Chromium::start().await;
    let slow = laptop.open(&world.site.url("viewer.html")).await;
    connect(&presenter, &slow, "slow").await;
    world.post(&["hello".to_owned()]).await;
    takes_all(&slow, 1).await;

    laptop.pause();
    let filler = "x".repeat(2_000);
    let many: Vec<String> = (1..=2_000).map(|number| format!("{number} {filler}")).collect();
    world.post(&many).await;
    takes_all(&fast, 2_001).await;
    laptop.resume();
    world.post(&["goodbye".to_owned()]).await;

    for page in [&presenter, &fast] {
        let taken = taken_when_last(page, "goodbye").await;
        let expected: Vec<String> = [vec!["hello".into()], many.clone(), vec!["goodbye".into()]].concat();
        assert!(taken == expected, "{} messages of {}", taken.len(), expected.len());
        assert_eq!(page.evaluate("window.gaps").await, serde_json::json!([]));
    }
    let taken = taken_when_last(&slow, "goodbye").await;
    let gaps = slow.evaluate("window.gaps").await;
    let [gap] = gaps.as_array().unwrap().as_slice() else { panic!("not one gap: {gaps}") };
    let (missed, at) = (gap["missed"].as_u64().unwrap() as usize, gap["at"].as_u64().unwrap() as usize);
    assert_eq!(taken.len() + missed, 2_002, "what came and what was missed is everything");
    assert!(taken[1..at] == many[..at - 1], "before the gap everything is in order");
    assert!(taken[at..taken.len() - 1] == many[at - 1 + missed..], "after the gap everything is in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_viewer_gets_the_latest_events_including_large_ones() {
    let world = World::start().await;
    let node = world.node().await;
    let balancer = Balancer::start(&[&node]).await;
    let presenter = world.presenter(&balancer, r#"{"history":3}"#).await;
    // More than a data channel takes at once, and three bytes a letter, so that a cut goes through one.
    let large: String = "가나다라".chars().cycle().take(70_000).collect();
    let texts: Vec<String> = (1..=9).map(|number| format!("message {number}")).chain([large]).collect();
    world.post(&texts).await;
    takes_all(&presenter, 10).await;
    let viewer = world.viewer(&presenter, "late").await;
    takes_all(&viewer, 3).await;
    assert!(taken(&viewer).await == texts[7..]);

    // A reloaded presenter's page has a new relay, and the viewer continues.
    presenter.load(&world.presenter_url(&balancer, "{}")).await;
    is_live(&presenter).await;
    connect(&presenter, &viewer, "late").await;
    world.post(&["after".to_owned()]).await;
    let taken = taken_when_last(&viewer, "after").await;
    assert!(taken[..3] == texts[7..], "what it has seen does not come again");
    assert_eq!(taken.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_presenter_opened_another_one_stops_and_says_why() {
    let world = World::start().await;
    let node = world.node().await;
    let balancer = Balancer::start(&[&node]).await;
    let older = world.presenter(&balancer, "{}").await;
    world.post(&texts(1, 5)).await;
    takes_all(&older, 5).await;
    // Its last frame is an acknowledgement, and the newer page begins there.
    older.evaluate("window.dispatchEvent(new Event('pagehide'))").await;
    let newer = world.presenter(&balancer, "{}").await;
    eventually("the older page stops", PATIENCE, async || {
        (older.evaluate("[presenter.status.state, presenter.status.code]").await
            == serde_json::json!(["stopped", 4002]))
        .then_some(())
    })
    .await;
    world.post(&texts(6, 10)).await;
    takes_all(&newer, 5).await;
    assert_eq!(taken(&newer).await, texts(6, 10));
    assert_eq!(taken(&older).await, texts(1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_in_the_documentation_works() {
    let world = World::start().await;
    let node = world.node().await;
    let delivery = node.url().replace("http://", "");
    let page = world.chromium.open(&world.site.url(&format!("documented/{delivery}"))).await;
    let connect = format!("token.value = '{}'; connect.click()", token(42, "presenter"));
    page.evaluate(&connect).await;
    world.post(&texts(1, 20)).await;
    node.kill();
    world.post(&texts(21, 40)).await;
    node.start_again().await;
    let expected = texts(1, 40).iter().map(|text| format!("별명: {text}")).collect::<Vec<_>>();
    for list in ["presenter", "viewer1", "viewer2"] {
        let shown = format!("[...{list}.children].map((line) => line.textContent)");
        eventually("the page shows everything", PATIENCE, async || {
            (page.evaluate(&shown).await == serde_json::json!(expected)).then_some(())
        })
        .await;
    }
}

fn texts(from: usize, to: usize) -> Vec<String> {
    (from..=to).map(|number| format!("message {number}")).collect()
}

async fn takes_all(page: &Page, count: usize) {
    eventually("the page has all events", PATIENCE, async || {
        (page.evaluate("window.taken.length").await == count).then_some(())
    })
    .await;
}

async fn taken_when_last(page: &Page, last: &str) -> Vec<String> {
    eventually("the last event comes", PATIENCE, async || {
        (page.evaluate("window.taken.at(-1)").await == last).then_some(())
    })
    .await;
    taken(page).await
}
