//! A presenter's page: a WebSocket client that waits for frames, with a deadline.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::PATIENCE;
use crate::support::{Role, token};

pub(crate) struct Presenter {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

/// A received frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// A frame of JSON.
    Frame(Value),
    /// Any other text.
    Text(String),
    /// The code of the close frame: 1005 without a code, 1006 without a close frame.
    Closed(u16),
}

impl Presenter {
    /// Opens a socket without a token.
    pub(crate) async fn open(node: &Role) -> Presenter {
        Presenter::handshake(node, &[]).await.unwrap()
    }

    /// Opens a socket with a token in the handshake.
    pub(crate) async fn connect(node: &Role, room: i64) -> Presenter {
        Presenter::handshake(node, &[("token", &token(room, "presenter"))]).await.unwrap()
    }

    pub(crate) async fn handshake(node: &Role, headers: &[(&'static str, &str)]) -> Result<Presenter, Error> {
        Presenter::handshake_on(TcpSocket::new_v4().unwrap(), node, headers).await
    }

    pub(crate) async fn handshake_on(
        socket: TcpSocket,
        node: &Role,
        headers: &[(&'static str, &str)],
    ) -> Result<Presenter, Error> {
        Presenter::handshake_at(socket, node, "/chatting", headers).await
    }

    pub(crate) async fn handshake_at(
        socket: TcpSocket,
        node: &Role,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Presenter, Error> {
        let mut request = node.ws_url(path).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let address = request.uri().authority().unwrap().as_str().parse().unwrap();
        let stream = socket.connect(address).await.map_err(Error::Io)?;
        let (socket, _) = timeout(PATIENCE, client_async(request, stream)).await.expect("the handshake hangs")?;
        Ok(Presenter { socket })
    }

    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    pub(crate) async fn start(&mut self, token: &str) {
        self.say(json!({ "id": "start", "token": token }).to_string()).await;
    }

    /// The next frame.
    pub(crate) async fn see(&mut self) -> Seen {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("nothing is to be seen");
            return match message {
                Some(Ok(Message::Text(text))) => match serde_json::from_str::<Value>(&text) {
                    Ok(frame) => Seen::Frame(frame),
                    Err(_) => Seen::Text(text.as_str().to_owned()),
                },
                Some(Ok(Message::Close(frame))) => Seen::Closed(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Seen::Closed(1006),
            };
        }
    }

    /// The next chat message's frame.
    pub(crate) async fn chat(&mut self) -> Value {
        match self.see().await {
            Seen::Frame(frame) if frame["id"] == "sendChatting" => frame,
            other => panic!("not a chat message: {other:?}"),
        }
    }

    /// The texts of the next chat messages.
    pub(crate) async fn chats(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            texts.push(self.chat().await["message"].as_str().unwrap().to_owned());
        }
        texts
    }

    /// All frames until the close, and its code.
    pub(crate) async fn rest(&mut self) -> (Vec<String>, u16) {
        let mut texts = Vec::new();
        loop {
            match self.see().await {
                Seen::Frame(frame) => texts.push(frame["message"].as_str().unwrap().to_owned()),
                Seen::Text(text) => texts.push(text),
                Seen::Closed(code) => return (texts, code),
            }
        }
    }

    /// Proves that the socket is open and that only a pong is in flight.
    pub(crate) async fn is_served_and_quiet(&mut self) {
        self.say("ping").await;
        assert_eq!(self.see().await, Seen::Text("pong".to_owned()));
    }
}
