//! Peers that do not speak as they should, over bare sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DEADLINE, System};
use crate::support::{Role, token};

pub(crate) async fn connect(ingest: &Role) -> TcpStream {
    TcpStream::connect(ingest.url().replace("http://", "")).await.unwrap()
}

/// What comes until the other side closes.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    // A reset after the answer is an end as well.
    let _ = read;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_header_that_drips_in_is_cut_off() {
    let system = System::start_with(|settings| settings.set("ingest.http.header_timeout_ms", "500")).await;
    let mut stream = connect(&system.ingest).await;
    stream.write_all(b"POST /send/message HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let drip = async {
        while stream.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, drip).await.expect("the connection is cut off");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408() {
    let system = System::start_with(|settings| settings.set("ingest.body_timeout_ms", "200")).await;
    let mut stream = connect(&system.ingest).await;
    let head = format!(
        "POST /v1/rooms/42/messages HTTP/1.1\r\nhost: x\r\ntoken: {}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{",
        token(7, "nick")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body_timeout"), "{answer}");
}
