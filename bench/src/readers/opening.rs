//! How a reader connects: by a WebSocket or by server-sent events, to ours or to nchan.

use crate::load::wire::{handshake, text_frame};
use crate::system::System;

/// By what readers receive events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Socket,
    Events,
}

/// How a reader connects.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) port: u16,
    pub(super) request: Vec<u8>,
    /// The status of the answer.
    pub(super) status: u16,
    /// What is sent after the answer.
    pub(super) first: Option<Vec<u8>>,
    /// The reader is connected once it has received this.
    pub(super) welcome: &'static [u8],
}

impl Way {
    pub(super) const ALL: [Way; 2] = [Way::Socket, Way::Events];

    /// Its name with ours.
    pub(super) fn ours(self) -> &'static str {
        match self {
            Way::Socket => "ours, chat.v1",
            Way::Events => "ours, server-sent events",
        }
    }

    /// Its name with nchan.
    pub(super) fn nchan(self) -> &'static str {
        match self {
            Way::Socket => "nchan, WebSocket",
            Way::Events => "nchan, server-sent events",
        }
    }

    /// A reader of the first node, with a token of its own.
    pub(super) fn open_ours(self, system: &System, user: i64, room: usize) -> Opening {
        let (port, token) = (system.nodes[0].port, system.token_with(user, &["chat:read"]));
        match self {
            Way::Socket => {
                let start = format!(r#"{{"type":"start","token":"{token}","room":{room}}}"#);
                let request = handshake("/v1/presenter", Some("chat.v1")).into_bytes();
                Opening { port, request, status: 101, first: Some(text_frame(&start)), welcome: b"\"welcome\"" }
            }
            Way::Events => {
                let authorization = format!("authorization: Bearer {token}\r\n");
                let request = events(&format!("/v1/rooms/{room}/events"), &authorization);
                Opening { port, request, status: 200, first: None, welcome: b"event: welcome" }
            }
        }
    }

    /// A reader of nchan, which asks for no token and welcomes nobody.
    pub(super) fn open_nchan(self, port: u16, room: usize) -> Opening {
        let path = format!("/sub?id={room}");
        let (request, status) = match self {
            Way::Socket => (handshake(&path, None).into_bytes(), 101),
            Way::Events => (events(&path, ""), 200),
        };
        Opening { port, request, status, first: None, welcome: b"" }
    }
}

/// The request for a stream of events.
fn events(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n{headers}\r\n").into_bytes()
}
