//! A presenter's page that speaks `chat.v1` and checks every frame.

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Error;

use super::asyncapi::check_frame;
use super::presenter::{Presenter, Seen};
use crate::support::{Role, token};

const PATH: &str = "/v1/presenter";
const SUBPROTOCOL: (&str, &str) = ("sec-websocket-protocol", "chat.v1");

pub(crate) struct Page {
    pub(crate) presenter: Presenter,
    /// The position of the last event, or of the welcome.
    pub(crate) position: Option<String>,
}

impl Page {
    /// Opens a socket without a start.
    pub(crate) async fn open(node: &Role) -> Page {
        Page::handshake(node, &[]).await.unwrap()
    }

    pub(crate) async fn handshake(node: &Role, headers: &[(&'static str, &str)]) -> Result<Page, Error> {
        Page::handshake_on(TcpSocket::new_v4().unwrap(), node, headers).await
    }

    pub(crate) async fn handshake_on(
        socket: TcpSocket,
        node: &Role,
        headers: &[(&'static str, &str)],
    ) -> Result<Page, Error> {
        let headers = [&[SUBPROTOCOL], headers].concat();
        let presenter = Presenter::handshake_at(socket, node, PATH, &headers).await?;
        Ok(Page { presenter, position: None })
    }

    /// Opens a socket without offering the subprotocol.
    pub(crate) async fn without_subprotocol(node: &Role, headers: &[(&'static str, &str)]) -> Result<Presenter, Error> {
        Presenter::handshake_at(TcpSocket::new_v4().unwrap(), node, PATH, headers).await
    }

    /// A session that begins at the saved cursor, and its welcome.
    pub(crate) async fn connect(node: &Role, room: i64) -> (Page, Value) {
        Page::resume(node, room, None).await
    }

    /// A session that begins after the position, and its welcome.
    pub(crate) async fn resume(node: &Role, room: i64, position: Option<&str>) -> (Page, Value) {
        let mut page = Page::open(node).await;
        let welcome = page.start(room, position).await;
        (page, welcome)
    }

    /// Sends start and expects the welcome.
    pub(crate) async fn start(&mut self, room: i64, position: Option<&str>) -> Value {
        self.say_start(&token(room, "presenter"), position).await;
        let welcome = self.frame().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        self.position = welcome["position"].as_str().map(str::to_owned);
        welcome
    }

    pub(crate) async fn say_start(&mut self, token: &str, position: Option<&str>) {
        let mut start = json!({ "type": "start", "token": token });
        if let Some(position) = position {
            start["position"] = position.into();
        }
        self.say(start).await;
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.presenter.say(frame.to_string()).await;
    }

    pub(crate) async fn ack(&mut self, position: &str) {
        self.say(json!({ "type": "ack", "position": position })).await;
    }

    /// The next frame.
    pub(crate) async fn see(&mut self) -> Seen {
        let seen = self.presenter.see().await;
        if let Seen::Frame(frame) = &seen {
            check_frame(frame);
            if let Some(events) = frame.get("events").and_then(Value::as_array) {
                assert_eq!(frame["position"], events.last().unwrap()["position"]);
                self.position = frame["position"].as_str().map(str::to_owned);
            }
        }
        seen
    }

    pub(crate) async fn frame(&mut self) -> Value {
        match self.see().await {
            Seen::Frame(frame) => frame,
            other => panic!("not a frame: {other:?}"),
        }
    }

    /// The next events, this many.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            let mut frame = self.frame().await;
            assert_eq!(frame["type"], "events", "{frame}");
            events.append(frame["events"].as_array_mut().unwrap());
        }
        assert_eq!(events.len(), count);
        events
    }

    /// The texts of the next messages, this many.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<String> {
        self.events(count).await.iter().map(text_of).collect()
    }

    /// The texts of the next messages, up to this one.
    pub(crate) async fn texts_to(&mut self, last: &str) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        while texts.last().is_none_or(|text| text != last) {
            let frame = self.frame().await;
            texts.extend(frame["events"].as_array().unwrap_or_else(|| panic!("{frame}")).iter().map(text_of));
        }
        texts
    }

    /// Every event until the close, and its code.
    pub(crate) async fn rest(&mut self) -> (Vec<Value>, u16) {
        let mut events = Vec::new();
        loop {
            match self.see().await {
                Seen::Frame(mut frame) if frame["type"] == "events" => {
                    events.append(frame["events"].as_array_mut().unwrap());
                }
                Seen::Frame(_) | Seen::Text(_) => {}
                Seen::Closed(code) => return (events, code),
            }
        }
    }

    /// Expects this error as the next frame, except keepalives.
    pub(crate) async fn is_told(&mut self, code: &str) {
        let mut frame = self.frame().await;
        while frame["type"] == "keepalive" {
            frame = self.frame().await;
        }
        assert_eq!((&frame["type"], &frame["code"]), (&json!("error"), &json!(code)), "{frame}");
        assert!(frame["message"].is_string());
    }

    /// Proves that the socket is open and that nothing is in flight.
    pub(crate) async fn is_served_and_quiet(&mut self) {
        self.say(json!({ "type": "a type of later" })).await;
        self.is_told("unknown_type").await;
    }

    pub(crate) async fn close(mut self) {
        self.presenter.socket.close(None).await.unwrap();
        self.rest().await;
    }

    /// Vanishes without a close.
    pub(crate) fn break_off(self) {
        drop(self);
    }
}

pub(crate) fn text_of(event: &Value) -> String {
    event["text"].as_str().unwrap_or_else(|| panic!("not a message: {event}")).to_owned()
}
