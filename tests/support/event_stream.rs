//! A stream of server-sent events, as an `EventSource` reads it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

/// The stream of an answer.
pub struct EventStream {
    answer: reqwest::Response,
    /// The deadline of each read.
    patience: Duration,
    /// The part of the next event that has arrived.
    bytes: Vec<u8>,
}

/// An event with data.
#[derive(Debug)]
pub struct StreamEvent {
    pub event: Option<String>,
    pub id: Option<String>,
    pub data: Value,
}

impl EventStream {
    pub fn of(answer: reqwest::Response, patience: Duration) -> EventStream {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        EventStream { answer, patience, bytes: Vec::new() }
    }

    /// The next event with data. None: the stream ended after a complete event.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            while let Some(end) = self.bytes.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let fields: Vec<(&str, &str)> = block.lines().filter_map(|line| line.split_once(": ")).collect();
                let field =
                    |name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
                if let Some(data) = field("data") {
                    let data = serde_json::from_str(&data).unwrap();
                    return Some(StreamEvent { event: field("event"), id: field("id"), data });
                }
            }
            let chunk = timeout(self.patience, self.answer.chunk()).await.expect("something comes");
            let chunk = chunk.expect("the stream does not break")?;
            self.bytes.extend_from_slice(&chunk);
        }
    }
}
