//! The demo of `dev` in a browser: it connects by itself, delivers every message to every page, and loses nothing while
//! the recording plays and every part is killed. With `DEMO_PICTURES=FOLDER` it saves pictures there, and the frames of a
//! film for `docs/images/animate`.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::*;
use crate::dev::Dev;
use crate::support::Folder;

/// The columns of the page.
const SCREENS: [&str; 4] = ["presenter", "viewer42", "viewer43", "viewer44"];

/// The parts, in the order of the path of a message.
const PARTS: [&str; 5] = ["ingest", "nats-server", "delivery", "archiver", "mongod"];

/// Long enough for a part to restart on a busy machine and for its clients to reconnect.
const LONG: Duration = Duration::from_secs(120);

/// Whether every place has every accepted message.
const ARRIVED: &str = "[...document.querySelectorAll('#places li')].every(({ dataset }) => dataset.state === 'well')";

/// Between two frames of the film: four a second.
const FRAME: Duration = Duration::from_millis(250);

/// Frames before the part is killed, and after every message has arrived: 2 s each.
const STILL: usize = 8;

/// The part whose death the film shows: all pages lose their connections.
const FILMED: &str = "delivery";

/// The demo in a browser.
struct Demo<P = Page> {
    page: P,
}

impl<P: Evaluate> Demo<P> {
    /// Of a page that was just opened.
    async fn of(page: P) -> Demo<P> {
        page.evaluate(
            "(() => { window.errors = []; \
             window.addEventListener('error', ({ message }) => window.errors.push(message)); \
             window.addEventListener('unhandledrejection', ({ reason }) => window.errors.push(String(reason))); \
             document.addEventListener('securitypolicyviolation', ({ blockedURI }) => window.errors.push(blockedURI)); \
             })()",
        )
        .await;
        let demo = Demo { page };
        demo.is("everybody is connected", "document.querySelectorAll('.column[data-connected=true]').length === 4")
            .await;
        demo
    }

    /// Waits until the expression is true.
    #[track_caller]
    fn is<'a>(&'a self, what: &'a str, expression: &'a str) -> impl Future<Output = ()> + 'a {
        eventually(what, LONG, async move || (self.page.evaluate(expression).await == true).then_some(()))
    }

    async fn click(&self, selector: &str) {
        let clicked = format!("document.querySelector({selector:?}).click() ?? true");
        assert_eq!(self.page.evaluate(&clicked).await, true);
    }

    /// Posts as a user of the page.
    async fn write(&self, screen: &str, text: &str) {
        self.page
            .evaluate(&format!(
                "{{ const form = document.querySelector('[data-place={screen}] form'); \
                 form.querySelector('input').value = {}; form.requestSubmit(); }}",
                json!(text)
            ))
            .await;
    }

    /// The latest 200 texts of a column.
    async fn shown(&self, screen: &str) -> Vec<String> {
        let lines =
            format!("[...document.querySelectorAll('[data-place={screen}] .log span')].map((s) => s.textContent)");
        serde_json::from_value(self.page.evaluate(&lines).await).unwrap()
    }

    async fn number(&self, place: &str) -> usize {
        let number = format!("document.querySelector('#places [data-name={place}] .number').textContent");
        self.page.evaluate(&number).await.as_str().unwrap().parse().unwrap()
    }

    /// Waits until every accepted message has arrived everywhere. Returns their number.
    async fn all_arrived(&self) -> usize {
        self.is("every accepted message is everywhere", ARRIVED).await;
        let accepted = self.number("accepted").await;
        for place in SCREENS.into_iter().chain(["archive"]) {
            assert_eq!(self.number(place).await, accepted, "{place}");
        }
        accepted
    }

    /// Kills a part. `meanwhile` runs while it is away. Waits until messages are accepted again and everybody is
    /// connected.
    async fn kill(&self, part: &str, meanwhile: impl Future<Output = ()>) {
        let before = self.number("accepted").await;
        let item = format!("#parts [data-name={part}]");
        if part == "mongod" {
            self.click("#down [data-choice='15']").await;
        }
        self.click(&format!("{item} button")).await;
        self.is("it is killed", &format!("document.querySelector('{item}').dataset.state !== 'running'")).await;
        meanwhile.await;
        self.is("it is back", &format!("document.querySelector('{item}').dataset.state === 'running'")).await;
        self.is("the presenter is connected", "document.querySelector('.column[data-connected=false]') === null").await;
        eventually("messages are accepted again", LONG, async || {
            (self.number("accepted").await > before).then_some(())
        })
        .await;
    }
}

impl Demo {
    async fn open(chromium: &Chromium, url: &str) -> Demo {
        Demo::of(chromium.open(url).await).await
    }

    /// While MongoDB is away the archive waits for it. Saves pictures of that.
    async fn is_waiting_for_mongodb(&self) {
        let waiting = "Number(document.querySelector('#places [data-name=archive]').dataset.waiting) > 20";
        self.is("the archive waits for MongoDB", waiting).await;
        self.picture("desktop-light", (1280, 800), "light").await;
        self.picture("desktop-dark", (1280, 800), "dark").await;
        self.picture("phone-light", (390, 844), "light").await;
        self.picture("phone-dark", (390, 844), "dark").await;
    }

    async fn picture(&self, name: &str, size: (u32, u32), scheme: &str) {
        let Some(folder) = std::env::var_os("DEMO_PICTURES") else { return };
        self.page.look(size, scheme).await;
        self.page.picture(&Path::new(&folder).join(format!("{name}.png"))).await;
    }
}

/// Frames of the demo, saved in a folder if pictures are wanted.
struct Film<'a> {
    page: &'a Page,
    folder: Option<PathBuf>,
    frames: usize,
}

impl<'a> Film<'a> {
    async fn of(demo: &'a Demo) -> Film<'a> {
        let folder = std::env::var_os("DEMO_PICTURES").map(PathBuf::from);
        if folder.is_some() {
            demo.page.look((1120, 700), "light").await;
        }
        Film { page: &demo.page, folder, frames: 0 }
    }

    /// Takes so many frames.
    async fn take(&mut self, frames: usize) {
        let Some(folder) = &self.folder else { return };
        let mut pace = interval(FRAME);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..frames {
            pace.tick().await;
            self.page.picture(&folder.join(format!("frame-{:04}.png", self.frames))).await;
            self.frames += 1;
        }
    }

    /// Takes frames until it has happened.
    async fn take_until(&mut self, happening: impl Future<Output = ()>) {
        let is_wanted = self.folder.is_some();
        // A picture that is not finished is dropped.
        tokio::select! {
            () = happening => {}
            () = self.take(usize::MAX), if is_wanted => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_loses_nothing_although_every_part_is_killed() {
    let place = Folder::new("demo");
    let mut dev = Dev::start(&place, &[]).await;
    let chromium = Chromium::start().await;
    let demo = Demo::open(&chromium, &dev.demo()).await;

    // Every message reaches every column, as text.
    let texts = SCREENS.map(|screen| format!("<img src=x onerror=window.errors.push(1)> from {screen}"));
    for (screen, text) in SCREENS.iter().zip(&texts) {
        demo.write(screen, text).await;
    }
    for screen in SCREENS {
        eventually("everybody sees the messages of all", LONG, async || {
            let shown = demo.shown(screen).await;
            texts.iter().all(|text| shown.contains(text)).then_some(())
        })
        .await;
    }
    assert_eq!(demo.all_arrived().await, SCREENS.len());
    demo.write("viewer43", " ").await;
    demo.is(
        "a refusal is shown with its code and sentence",
        "document.querySelector('[data-place=viewer43] output').textContent.startsWith('Refused: 400 text_empty. ')",
    )
    .await;

    // A viewer who was away gets the missed messages.
    demo.click("[data-place=viewer44] header button").await;
    demo.write("viewer42", "while 44 is away").await;
    demo.is(
        "it waits for the viewer",
        "document.querySelector('#places [data-name=viewer44]').dataset.waiting === '1'",
    )
    .await;
    demo.click("[data-place=viewer44] header button").await;
    demo.all_arrived().await;

    demo.click("#speed [data-choice='3']").await;
    demo.click("#play").await;
    for part in PARTS {
        if part == "mongod" {
            demo.kill(part, demo.is_waiting_for_mongodb()).await;
            continue;
        }
        if part != FILMED {
            demo.kill(part, async {}).await;
            continue;
        }
        let mut film = Film::of(&demo).await;
        film.take(STILL).await;
        let happening = async {
            demo.kill(part, async {}).await;
            // Nobody writes until everything has arrived.
            demo.click("#play").await;
            demo.is("every accepted message is everywhere", ARRIVED).await;
        };
        film.take_until(happening).await;
        film.take(STILL).await;
        demo.click("#play").await;
    }
    demo.click("#play").await;
    let accepted = demo.all_arrived().await;
    for finding in ["lost", "repeated", "disordered"] {
        let found = demo.page.evaluate(&format!("document.getElementById('{finding}').textContent")).await;
        assert_eq!(found, "0", "{finding}");
    }
    assert_eq!(demo.page.evaluate("window.errors").await, json!([]));
    // The page counts the messages.
    assert_eq!(dev.archived(&place).await, accepted);
    assert_eq!(dev.interrupt().await, Some(0), "{}", dev.printed());
}

#[cfg(feature = "firefox")]
#[tokio::test(flavor = "multi_thread")]
async fn firefox_plays_the_demo_and_loses_nothing_although_parts_are_killed() {
    let place = Folder::new("demo");
    let (mut dev, firefox) = tokio::join!(Dev::start(&place, &[]), Firefox::start());
    firefox.load(&dev.demo()).await;
    let demo = Demo::of(firefox).await;
    demo.click("#play").await;
    for part in ["delivery", "ingest"] {
        demo.kill(part, async {}).await;
    }
    demo.click("#play").await;
    let accepted = demo.all_arrived().await;
    assert_eq!(demo.page.evaluate("window.errors").await, json!([]));
    assert_eq!(dev.archived(&place).await, accepted);
    assert_eq!(dev.interrupt().await, Some(0), "{}", dev.printed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_fits_a_phone_speaks_korean_and_names_every_control() {
    let place = Folder::new("demo");
    let dev = Dev::start(&place, &[]).await;
    let chromium = Chromium::start().await;
    let demo = Demo::open(&chromium, &dev.demo()).await;
    for (language, title) in [("ko", "강제 종료해 보기"), ("en", "Kill a part")] {
        demo.click(&format!("#language [data-choice={language}]")).await;
        let said = demo.page.evaluate("document.getElementById('parts-title').textContent").await;
        assert_eq!((said, demo.page.evaluate("document.documentElement.lang").await), (title.into(), language.into()));
        for width in [320, 390, 768, 1280] {
            let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
            demo.page.command("Emulation.setDeviceMetricsOverride", size).await;
            for is_open in [true, false] {
                demo.page.evaluate(&format!("document.getElementById('try').open = {is_open}")).await;
                let too_wide = "document.documentElement.scrollWidth - innerWidth";
                let too_wide = demo.page.evaluate(too_wide).await.as_i64().unwrap();
                assert!(too_wide <= 0, "{language}, {width}: {too_wide} pixels too wide");
            }
        }
        let nameless = "[...document.querySelectorAll('button, input, progress, [tabindex], code')].filter((element) => \
                        !element.closest('[hidden]') && !element.textContent.trim() && !element.ariaLabel).length";
        assert_eq!(demo.page.evaluate(nameless).await, 0, "{language}");
    }
}
