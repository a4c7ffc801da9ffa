//! What is not proper HTTP, over bare sockets: answered with a 4xx or cut off, and the server goes on.

use tokio::io::AsyncWriteExt;

use crate::ingest::sockets::{connect, read_to_end};
use crate::ingest::{System, answer};
use crate::support::token;

/// What is sent, and the statuses of which one is to come. 0: none, the connection just ends.
type Case = (&'static str, Vec<u8>, &'static [u16]);

fn cases() -> Vec<Case> {
    let body = r#"{"text":"over a bare socket"}"#;
    let head = |version: &str, more: &str| {
        let token = token(7, "nick");
        format!(
            "POST /v1/rooms/42/messages {version}\r\nhost: x\r\nconnection: close\r\ntoken: {token}\r\n\
             content-type: application/json\r\n{more}\r\n"
        )
    };
    let post = |more: &str, body: &str| (head("HTTP/1.1", more) + body).into_bytes();
    let sized = |length: usize| format!("content-length: {length}\r\n");
    let chunked = "transfer-encoding: chunked\r\n";
    let good_chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let many_headers: String = (0..1_000).map(|n| format!("x-{n}: y\r\n")).collect();
    vec![
        ("a good post", post(&sized(body.len()), body), &[202]),
        ("a good post in chunks", post(chunked, &good_chunks), &[202]),
        ("HTTP/1.0", (head("HTTP/1.0", &sized(body.len())) + body).into_bytes(), &[202]),
        (
            "bare line feeds",
            post(&sized(body.len()), body).into_iter().filter(|byte| *byte != b'\r').collect(),
            &[202, 400],
        ),
        ("HTTP/3.0", (head("HTTP/3.0", &sized(body.len())) + body).into_bytes(), &[400, 0]),
        ("lower-case version", (head("http/1.1", &sized(body.len())) + body).into_bytes(), &[400, 0]),
        ("HTTP/0.9", b"GET /\r\n".to_vec(), &[400, 0]),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[400, 0]),
        ("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[400, 0]),
        ("garbage", b"\xFF\xFE\x00garbage\r\n\r\n".to_vec(), &[400, 0]),
        ("nothing", Vec::new(), &[0]),
        ("empty lines only", b"\r\n\r\n\r\n\r\n".to_vec(), &[400, 0]),
        ("a request line only", b"POST /send/message HTTP/1.1\r\n".to_vec(), &[400, 0]),
        ("two lengths that differ", post("content-length: 5\r\ncontent-length: 29\r\n", body), &[400, 0]),
        ("a negative length", post("content-length: -1\r\n", body), &[400, 0]),
        ("a length in words", post("content-length: many\r\n", body), &[400, 0]),
        ("a length with a sign", post("content-length: +29\r\n", body), &[400, 0]),
        ("a length beyond 2^64", post("content-length: 99999999999999999999999\r\n", body), &[400, 0]),
        ("a length that is too short", post(&sized(10), body), &[400]),
        ("a length of 2^40", post(&sized(1 << 40), body), &[413]),
        ("a truncated body", post(&sized(1_000), body), &[400, 408, 0]),
        ("a length and chunks", post(&format!("{}{chunked}", sized(3)), &good_chunks), &[202, 400, 0]),
        ("chunks of no size", post(chunked, "zz\r\nhi\r\n0\r\n\r\n"), &[400, 0]),
        ("a chunk of a negative size", post(chunked, "-5\r\nhi\r\n0\r\n\r\n"), &[400, 0]),
        ("a chunk beyond 2^64", post(chunked, "fffffffffffffffff\r\nhi\r\n0\r\n\r\n"), &[400, 0]),
        ("a chunk shorter than it says", post(chunked, "ff\r\nhi\r\n0\r\n\r\n"), &[400, 408, 0]),
        ("chunks without an end", post(chunked, "2\r\nhi\r\n"), &[400, 408, 0]),
        (
            "a chunk extension of 100 KB",
            post(chunked, &format!("2;{}\r\nhi\r\n0\r\n\r\n", "x".repeat(100_000))),
            &[400, 0],
        ),
        ("an unknown transfer coding", post("transfer-encoding: rot13\r\n", body), &[400, 501, 0]),
        ("a header without a colon", post("garbage\r\n", ""), &[400, 0]),
        ("a header with a blank in its name", post("bad name: x\r\n", ""), &[400, 0]),
        ("a header with a NUL", post("x: a\0b\r\n", ""), &[400, 0]),
        ("a folded header", post("x: a\r\n b\r\n", ""), &[400, 0]),
        ("a header of 64 KB", post(&format!("x: {}\r\n", "y".repeat(64 * 1024)), ""), &[431]),
        ("1,000 headers", post(&many_headers, ""), &[431]),
        ("a method of 10 KB", format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(10_000)).into_bytes(), &[400, 405, 431, 0]),
        (
            "a URI of 100 KB",
            format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000)).into_bytes(),
            &[414, 431],
        ),
        ("a URI with high bytes", b"GET /\xFF HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(), &[400, 404]),
        ("a URI with a blank", b"GET / HTTP/1.1 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), &[400, 0]),
        ("an absolute URI", b"GET http://x/nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(), &[404]),
        ("a CONNECT", b"CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\nconnection: close\r\n\r\n".to_vec(), &[400, 404, 405]),
        (
            "an OPTIONS of everything",
            b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
            &[200, 400, 404],
        ),
        ("no host", b"GET /nowhere HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("no host and HTTP/1.0", b"GET /nowhere HTTP/1.0\r\n\r\n".to_vec(), &[404]),
        ("no host for a preflight", b"OPTIONS / HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("no host but in the URI", b"GET http://x/nowhere HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("two hosts", post(&format!("host: x\r\n{}", sized(body.len())), body), &[400]),
        ("an empty host", b"GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("a host with a path", b"GET / HTTP/1.1\r\nhost: a/b\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("a host with a user", b"GET / HTTP/1.1\r\nhost: a@b\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("two hosts in one", b"GET / HTTP/1.1\r\nhost: a, b\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("a host with a port of letters", b"GET / HTTP/1.1\r\nhost: a:b\r\nconnection: close\r\n\r\n".to_vec(), &[400]),
        ("an expectation", post(&format!("expect: 100-continue\r\n{}", sized(body.len())), body), &[100, 202]),
        ("an impossible expectation", post(&format!("expect: miracles\r\n{}", sized(body.len())), body), &[202, 417]),
    ]
}

#[tokio::test]
async fn requests_that_are_not_http_are_answered_or_cut_off_and_the_server_keeps_serving() {
    let system = System::start_with(|settings| settings.set("ingest.body_timeout_ms", "2000")).await;
    let attempts = cases().into_iter().map(async |(name, bytes, expected)| {
        let mut stream = connect(&system.ingest).await;
        // It may be cut off before it has sent everything.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let answer = read_to_end(&mut stream).await;
        let status = match answer.strip_prefix("HTTP/1.1 ").or(answer.strip_prefix("HTTP/1.0 ")) {
            Some(rest) => rest[..3].parse().unwrap(),
            None => {
                assert_eq!(answer, "", "{name}");
                0
            }
        };
        (!expected.contains(&status)).then(|| format!("{name}: {status}, not one of {expected:?}: {answer}"))
    });
    let wrong: Vec<String> = futures_util::future::join_all(attempts).await.into_iter().flatten().collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(answer(system.get("/readyz")).await.status, 200);
    assert!(!system.ingest.log().contains("panicked"), "{}", system.ingest.log());
    // Whatever was accepted is the one text that was sent.
    let messages = system.messages().await;
    assert!(messages.len() >= 3 && messages.iter().all(|message| message["text"] == "over a bare socket"));
}
