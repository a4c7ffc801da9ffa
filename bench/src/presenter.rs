//! A `chat.v1` presenter that costs its own process little: small buffers, one task.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpSocket;
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::connection::source;

/// The pause before another try of a connection that the node dropped.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// How long it is tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connected presenter.
pub(crate) struct Presenter {
    socket: WebSocketStream<tokio::net::TcpStream>,
    /// The last event received.
    pub(crate) position: Option<String>,
    /// Whether the session resumed without a gap.
    pub(crate) recovered: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Frame {
    Welcome {
        position: Option<String>,
        recovered: bool,
    },
    Events {
        events: Vec<Event>,
        position: String,
    },
    #[serde(other)]
    Other,
}

/// The members of an event that the bench needs.
#[derive(Deserialize)]
pub(crate) struct Event {
    #[serde(default)]
    pub(crate) text: String,
}

impl Presenter {
    /// Connects and waits for the welcome. A node drops connections beyond its bounds, and clients come again.
    pub(crate) async fn connect(
        port: u16,
        number: usize,
        token: &str,
        position: Option<String>,
    ) -> anyhow::Result<Presenter> {
        let began = Instant::now();
        loop {
            match Presenter::connect_once(port, number, token, position.clone()).await {
                Err(_) if began.elapsed() < PATIENCE => sleep(TRY_AGAIN).await,
                connected => return connected,
            }
        }
    }

    async fn connect_once(
        port: u16,
        number: usize,
        token: &str,
        position: Option<String>,
    ) -> anyhow::Result<Presenter> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(source(number))?;
        let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://127.0.0.1:{port}/v1/presenter").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("chat.v1"));
        let config = WebSocketConfig::default().read_buffer_size(1_024).write_buffer_size(0);
        let (mut socket, _) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await.context("no handshake")?;
        let start = match &position {
            Some(position) => json!({ "type": "start", "token": token, "position": position }),
            None => json!({ "type": "start", "token": token }),
        };
        socket.send(Message::text(start.to_string())).await?;
        let mut presenter = Presenter { socket, position, recovered: false };
        match presenter.frame().await? {
            Frame::Welcome { position, recovered } => {
                presenter.position = position.or(presenter.position);
                presenter.recovered = recovered;
                Ok(presenter)
            }
            _ => anyhow::bail!("the first frame is not a welcome"),
        }
    }

    /// The events of the next frame. Cancel safe.
    pub(crate) async fn events(&mut self) -> anyhow::Result<Vec<Event>> {
        loop {
            if let Frame::Events { events, position } = self.frame().await? {
                self.position = Some(position);
                return Ok(events);
            }
        }
    }

    async fn frame(&mut self) -> anyhow::Result<Frame> {
        loop {
            match self.socket.next().await.context("the socket ended")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => anyhow::bail!("closed: {frame:?}"),
                _ => {}
            }
        }
    }
}
