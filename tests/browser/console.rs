//! The console in a headless Chromium against the real roles: what moderators and analysts do there.

#[cfg(feature = "node")]
mod accessibility;
mod accounts;
mod broadcasts;
mod busy;
mod comparison;
mod figures;
#[cfg(feature = "firefox")]
mod firefox;
mod hostile;
mod large;
mod moderating;
mod queues;
mod reading;
mod sweeping;
mod views;
mod warning;

use std::path::Path;
use std::time::Duration;

use chat::{
    Body, Event, EventId, MessagePosted, PresenterConnected, PresenterDisconnected, PresenterIdx, SessionId, User,
    UserIdx,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use nats::Log;
use serde_json::{Value, json};

use super::Evaluate;
use super::chromium::{Chromium, Page};
use crate::ingest::tokens::token_with;
use crate::support::{self, Mongod, NatsServer, Role, RoomServer, Settings, eventually};

/// Long enough for a browser and a slow machine, and short enough to detect a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// The room of the tests.
const ROOM: i64 = 42;

/// What runs before the page: it speaks English, and records violations of its policy and unhandled errors.
const BEFORE: &str = "localStorage.setItem('chat-console-language', 'en');
    window.noted = [];
    addEventListener('securitypolicyviolation', (event) => noted.push(event.violatedDirective));
    addEventListener('error', (event) => noted.push(event.message));
    addEventListener('unhandledrejection', (event) => noted.push(String(event.reason)));";

/// All roles, as browsers reach them, and a browser.
struct World {
    ingest: Role,
    archiver: Role,
    log: Log,
    chromium: Chromium,
    delivery: Role,
    servers: (NatsServer, Mongod, RoomServer),
}

impl World {
    async fn start() -> World {
        World::start_with(|settings| settings).await
    }

    async fn start_with(changes: impl Fn(Settings) -> Settings) -> World {
        let servers = tokio::join!(NatsServer::start(), Mongod::start(), RoomServer::start());
        let settings = changes(Settings::new().nats(&servers.0).mongo(&servers.1).rooms(&servers.2));
        let log = support::log(&settings).await;
        let (ingest, delivery) = tokio::join!(Role::start("ingest", &settings), Role::start("delivery", &settings));
        let settings = settings
            .set("archiver.console.ingest_url", &ingest.url())
            .set("archiver.console.delivery_url", &delivery.url());
        let (archiver, chromium) = tokio::join!(Role::start("archiver", &settings), Chromium::start());
        World { ingest, archiver, log, chromium, delivery, servers }
    }

    fn url(&self, address: &str) -> String {
        format!("{}/console/{address}", self.archiver.url())
    }

    /// Opens a view as the holder of the token.
    async fn open(&self, view: &str, token: &str) -> Console {
        let page = self.chromium.open("about:blank").await;
        page.command("Page.enable", json!({})).await;
        page.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": BEFORE })).await;
        page.load(&self.url(&format!("#/{view}?token={token}"))).await;
        Console { page }
    }

    /// Posts as the user. Returns the id of the message, or the code of the refusal.
    async fn post(&self, user: i64, text: &str) -> Result<String, String> {
        let url = format!("{}/v1/rooms/{ROOM}/messages", self.ingest.url());
        let token = token_with(json!({ "user_idx": user, "nickname": format!("user{user}") }));
        let request = testkit::client().build().unwrap().post(url).bearer_auth(token).json(&json!({ "text": text }));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        match answer["id"].as_str() {
            Some(id) => Ok(id.to_owned()),
            None => Err(answer["code"].as_str().unwrap().to_owned()),
        }
    }

    /// A request to ingest, which has to be accepted.
    async fn ask(&self, method: &str, path: &str, token: &str, body: &Value) {
        let url = format!("{}/v1/rooms/{ROOM}/{path}", self.ingest.url());
        let request = testkit::client().build().unwrap().request(method.parse().unwrap(), url);
        let answer = request.bearer_auth(token).json(body).send().await.unwrap();
        assert_eq!(answer.status(), 202, "{path}: {}", answer.text().await.unwrap());
    }

    /// Waits until the archive has everything that is in the log now.
    async fn archived(&self) {
        let begun = Timestamp::now();
        eventually("everything is archived", PATIENCE, async || {
            let status = reqwest::get(format!("{}/v1/status", self.archiver.url())).await.ok()?;
            let log = status.json::<Value>().await.ok()?["log"].clone();
            let as_of: Timestamp = log["asOf"].as_str()?.parse().ok()?;
            let waits = |stream: &Value| stream["waitingBatches"] != 0 || stream["heldBatches"] != 0;
            (as_of > begun && !log["streams"].as_array()?.iter().any(waits)).then_some(())
        })
        .await;
    }

    /// A broadcast on that day after 2025-11-22, from ten o'clock on, with the messages at equal distances.
    async fn broadcast(&self, day: i64, seconds: i64, messages: &[String]) -> SessionId {
        let begin = 1_763_805_600_000 + day * 86_400_000;
        let at = |ms: i64| Timestamp::from_millisecond(begin + ms).unwrap();
        let (session, room) = (SessionId::new(), PresenterIdx::try_from(ROOM).unwrap());
        let begins = Body::PresenterConnected(PresenterConnected { session });
        let ends = Body::PresenterDisconnected(PresenterDisconnected { session, reason: "closed".to_owned() });
        let apart = seconds * 1_000 / (messages.len() as i64 + 1);
        let said = (1..).zip(messages).map(|(number, text)| {
            let user = 10 + number % 7;
            said(user, &format!("chatter{user}"), text, at(number * apart))
        });
        let mut events = vec![Event::now(room, begins).recorded_at(at(0))];
        events.extend(said);
        events.push(Event::now(room, ends).recorded_at(at(seconds * 1_000)));
        self.append(&events).await;
        session
    }

    /// Appends the events directly to the log, all at once, in this order.
    async fn append_together(&self, events: &[Event]) {
        for appended in join_all(events.iter().map(|event| self.log.append(event))).await {
            appended.unwrap();
        }
    }

    /// Appends the events directly to the log.
    async fn append(&self, events: &[Event]) {
        for event in events {
            self.log.append(event).await.unwrap();
        }
    }
}

/// A page of the console, in one of the browsers.
struct Console<P = Page> {
    page: P,
}

impl<P: Evaluate> Console<P> {
    /// Waits until the expression is true.
    async fn waits_for(&self, expression: &str) {
        eventually(expression, PATIENCE, async || (self.page.evaluate(expression).await == true).then_some(())).await;
    }

    /// Waits until an element of that kind shows the text.
    async fn shows(&self, selector: &str, text: &str) {
        self.waits_for(&format!("{}.some((text) => text.includes({}))", texts(selector), json!(text))).await;
    }

    /// Waits until no element of that kind does.
    async fn hides(&self, selector: &str, text: &str) {
        self.waits_for(&format!("!{}.some((text) => text.includes({}))", texts(selector), json!(text))).await;
    }

    async fn texts(&self, selector: &str) -> Vec<String> {
        serde_json::from_value(self.page.evaluate(&texts(selector)).await).unwrap()
    }

    /// Waits for the element, and clicks it.
    async fn click(&self, selector: &str) {
        self.waits_for(&format!("document.querySelector({}) !== null", json!(selector))).await;
        self.page.evaluate(&format!("document.querySelector({}).click()", json!(selector))).await;
    }

    /// Clicks the button with that label within the element that shows the text.
    async fn click_beside(&self, selector: &str, text: &str, label: &str) {
        let row = format!("[...document.querySelectorAll({})]", json!(selector));
        let row = format!("{row}.find((row) => row.textContent.includes({}))", json!(text));
        let button = "[...(row?.querySelectorAll('button') ?? [])].find((button) => button.textContent === label)";
        let button = format!("(({{ row, label }}) => {button})({{ row: {row}, label: {} }})", json!(label));
        // A page that was just loaded has no rows yet, and a row has no buttons while a decision is on its way.
        self.waits_for(&format!("{button} !== undefined")).await;
        let click = format!("{button}.click()");
        self.page.evaluate(&click).await;
    }

    /// Types into a field, with the events that its listeners expect.
    async fn fill(&self, selector: &str, text: &str) {
        self.waits_for(&format!("document.querySelector({}) !== null", json!(selector))).await;
        let fill = "(field, text) => {
            field.value = text;
            field.dispatchEvent(new Event('input', { bubbles: true }));
            field.dispatchEvent(new Event('change', { bubbles: true }));
        }";
        let field = format!("document.querySelector({})", json!(selector));
        self.page.evaluate(&format!("({fill})({field}, {})", json!(text))).await;
    }

    /// Goes to another view. The page stays.
    async fn go(&self, view: &str) {
        // Another address before the page has read its first one would lose the token.
        self.waits_for("!location.hash.includes('token=')").await;
        self.page.evaluate(&format!("location.hash = {}", json!(format!("#/{view}")))).await;
    }

    /// Asserts that nothing violated the policy, and that no error was unhandled.
    async fn is_clean(&self) {
        assert_eq!(self.page.evaluate("window.noted").await, json!([]));
    }
}

impl Console {
    /// Presses a key in the focused element.
    async fn press(&self, key: &str) {
        // What a key types does what it does in a form: a carriage return presses a button.
        let text = if key == "Enter" { "\r" } else { "" };
        for (kind, text) in [("keyDown", text), ("keyUp", "")] {
            let event = json!({ "type": kind, "key": key, "code": key, "text": text });
            self.page.command("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Saves a picture, if pictures are wanted.
    async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("CONSOLE_PICTURES") else { return };
        self.page.picture(&Path::new(&folder).join(format!("{name}.png"))).await;
    }

    /// Loads the page again, and waits until its modules have run.
    async fn reload(&self) {
        let address = self.page.evaluate("location.href").await;
        // A change of the fragment alone is not a navigation.
        self.page.load("about:blank").await;
        self.page.load(address.as_str().expect("an address is a text")).await;
    }
}

fn texts(selector: &str) -> String {
    format!("[...document.querySelectorAll({})].map((element) => element.textContent)", json!(selector))
}

fn moderator() -> String {
    token_with(json!({ "user_idx": 9, "nickname": "mod", "scope": "chat:moderate" }))
}

fn analyst() -> String {
    token_with(json!({ "user_idx": 8, "nickname": "analyst", "scope": "chat:read" }))
}

/// A message at this time, which ingest might refuse.
fn said(user: i64, nickname: &str, text: &str, at: Timestamp) -> Event {
    let user = User { idx: UserIdx::try_from(user).unwrap(), nickname: nickname.to_owned(), role: chat::Role::Viewer };
    let posted = MessagePosted::new(user, text);
    let event = Event::now(PresenterIdx::try_from(ROOM).unwrap(), Body::MessagePosted(posted));
    Event { id: EventId::new(), ..event.recorded_at(at) }
}
