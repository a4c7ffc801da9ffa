//! Attacks on the presenter's WebSocket. Frames are written as bytes, because no library sends such frames.

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Bytes;
use mongodb::bson::{Document, doc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::attacks::attacker::Attacker;
use crate::attacks::world::{Role, World, token};

/// The presenter who starts sessions, and the number of concurrent sockets.
const STARTER: i64 = 600;
const STARTERS: usize = 20;

/// The sockets that send empty parts.
const EMPTY: usize = 64;

/// More than `delivery.max_unauthenticated`.
const IDLE: usize = 10_500;

/// With frames just under the bound of 32 KB, almost four times what may be held.
const UNFINISHED: usize = 4_000;
const FRAME_BYTES: u16 = 32_000;
const SENT_BYTES: usize = 31_000;

/// The maximum length of the handshake's answer.
const LONGEST_ANSWER: usize = 4_096;

/// Sessions of one presenter, one after the other, each replaced by the next.
pub(super) fn session_starts(attacker: &Attacker, world: &World) {
    let port = world.port(Role::Delivery);
    attacker.repeat(STARTERS, move |attacker, _| async move {
        let mut request = format!("ws://127.0.0.1:{port}/v1/presenter").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("chat.v1"));
        let stream = attacker.connect(port).await?;
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        let start = serde_json::json!({ "type": "start", "token": token(STARTER) });
        socket.send(Message::text(start.to_string())).await?;
        attacker.has_sent(1);
        while let Some(frame) = socket.next().await {
            if let Message::Close(Some(frame)) = frame? {
                attacker.was_answered(frame.code.into());
            }
        }
        Ok(())
    });
}

/// The number of that presenter's sessions in the archive.
pub(super) async fn sessions(world: &World) -> anyhow::Result<u64> {
    let broadcasts = world.database.collection::<Document>("broadcasts");
    Ok(broadcasts.count_documents(doc! { "presenterIdx": STARTER }).await?)
}

/// An endless message in empty parts.
pub(super) fn empty_frames(attacker: &Attacker, world: &World) {
    let port = world.port(Role::Delivery);
    // A text frame and continuations, all masked and none final.
    let parts = Bytes::from([0x00, 0x80, 0, 0, 0, 0].repeat(10_000));
    attacker.repeat(EMPTY, move |attacker, _| {
        let parts = parts.clone();
        async move {
            let mut stream = handshake(&attacker, port).await?;
            stream.write_all(&[0x01, 0x80, 0, 0, 0, 0]).await?;
            // Until it is closed.
            loop {
                stream.write_all(&parts).await?;
                attacker.has_sent(10_000);
            }
        }
    });
}

/// Silent sockets.
pub(super) fn idle(attacker: &Attacker, world: &World) {
    hold(attacker, world.port(Role::Delivery), IDLE, Vec::new());
}

/// Sockets with an unfinished frame.
pub(super) fn unfinished_frames(attacker: &Attacker, world: &World) {
    let length = FRAME_BYTES.to_be_bytes();
    let mut frame = vec![0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    frame.extend(std::iter::repeat_n(b'x', SENT_BYTES));
    hold(attacker, world.port(Role::Delivery), UNFINISHED, frame);
}

/// Sockets that send these bytes and wait.
fn hold(attacker: &Attacker, port: u16, sockets: usize, bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    attacker.repeat(sockets, move |attacker, _| {
        let bytes = bytes.clone();
        async move {
            let mut stream = handshake(&attacker, port).await?;
            stream.write_all(&bytes).await?;
            attacker.has_sent(1);
            closed(&attacker, stream).await
        }
    });
}

/// A socket after its handshake.
async fn handshake(attacker: &Attacker, port: u16) -> anyhow::Result<TcpStream> {
    let mut stream = attacker.connect(port).await?;
    let request = "GET /v1/presenter HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: chat.v1\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < LONGEST_ANSWER {
        answer.push(stream.read_u8().await?);
    }
    let status = answer.get(9..12).and_then(|status| str::from_utf8(status).ok()).context("no status")?;
    attacker.was_answered(status.parse()?);
    anyhow::ensure!(status == "101", "no WebSocket: {status}");
    Ok(stream)
}

/// Waits for the close, and counts its code.
async fn closed(attacker: &Attacker, mut stream: TcpStream) -> anyhow::Result<()> {
    let mut frames = Vec::new();
    stream.read_to_end(&mut frames).await?;
    // A socket without a token receives only a close frame: two bytes, and two of the code.
    if let [0x88, _, high, low, ..] = frames[..] {
        attacker.was_answered(u16::from_be_bytes([high, low]));
    }
    Ok(())
}
