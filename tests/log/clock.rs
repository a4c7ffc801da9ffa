//! The log's clock is that of its servers, whatever this machine's says.

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::config;
use crate::support::{NatsServer, connect};

/// Forwards everything, but shifts the server's times to the next century.
async fn a_century_ahead(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server.trim_start_matches("nats://")).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let (mut lines, mut line) = (BufReader::new(from_server), Vec::new());
                while lines.read_until(b'\n', &mut line).await.unwrap() > 0 {
                    let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
                    let text = text.replace(r#""ts":"20"#, r#""ts":"21"#);
                    to_client.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn the_logs_clock_is_that_of_its_servers() {
    let server = NatsServer::start().await;
    let log = connect(&config(&server.url()), "test").await;
    assert!(log.now().duration_since(Timestamp::now()).abs() < SignedDuration::from_mins(1));
    let ahead = connect(&config(&a_century_ahead(server.url()).await), "test").await.now();
    let a_century = SignedDuration::from_hours(36_524 * 24);
    assert!(ahead.duration_since(Timestamp::now()) >= a_century - SignedDuration::from_mins(1), "{ahead}");
}
