//! Attacks by withholding: unread answers, and headers and bodies that do not end.

use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::attacks::attacker::Attacker;
use crate::attacks::floods::BANS_OF;
use crate::attacks::world::{Role, World, token};

/// The number of pipelined requests.
const PIPELINED: usize = 200;

/// Connections that read a list of bans slowly: 256 MB of answers, four times what may be held.
const SLOW_READERS: usize = 1_000;

/// The bytes read at a time, and the pause between reads.
const SLOW_BYTES: usize = 1_024;
const SLOW_EVERY: Duration = Duration::from_secs(1);

/// More than `ingest.max_unfinished`.
const BODIES: usize = 4_150;

/// The bytes of an unfinished body. The bound of a body is 64 KB.
const BODY_BYTES: usize = 65_000;
const SENT_BYTES: usize = 60_000;

/// With headers just under the bound of 32 KB, almost three times what may be held.
const HEADERS: usize = 6_000;
const HEADER_BYTES: usize = 31_000;

/// Connections that pipeline one request and read nothing.
pub(super) fn unread(attacker: &Attacker, port: u16, path: &str, connections: usize) {
    let requests = Bytes::from(format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").repeat(PIPELINED));
    attacker.repeat(connections, move |attacker, _| {
        let requests = requests.clone();
        async move {
            let mut stream = attacker.connect(port).await?;
            // Until it is closed: the kernels buffer some requests and then block.
            loop {
                stream.write_all(&requests).await?;
            }
        }
    });
}

/// Reads a list of bans slowly.
pub(super) fn slow_bans(attacker: &Attacker, world: &World) {
    let port = world.port(Role::Ingest);
    let request = format!(
        "GET /v1/rooms/{BANS_OF}/bans?first=1000 HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\r\n",
        token(BANS_OF)
    );
    attacker.repeat(SLOW_READERS, move |attacker, _| {
        let request = request.clone();
        async move {
            let mut stream = attacker.connect(port).await?;
            stream.write_all(request.as_bytes()).await?;
            attacker.has_sent(1);
            read(&attacker, stream, SLOW_EVERY).await
        }
    });
}

/// Posts with unfinished bodies.
pub(super) fn bodies(attacker: &Attacker, world: &World, token: Option<&str>) {
    let port = world.port(Role::Ingest);
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /v1/rooms/1/messages HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
         Content-Length: {BODY_BYTES}\r\n{token}\r\n"
    );
    let body = format!(r#"{{"text":"{:x<SENT_BYTES$}"#, "");
    hold(attacker, port, BODIES, head + &body);
}

/// Requests with unfinished headers.
pub(super) fn headers(attacker: &Attacker, world: &World) {
    let header = format!("POST /v1/rooms/1/messages HTTP/1.1\r\nHost: bench\r\nX-Long: {:x<HEADER_BYTES$}", "");
    hold(attacker, world.port(Role::Ingest), HEADERS, header);
}

/// Connections that send these bytes and wait.
fn hold(attacker: &Attacker, port: u16, connections: usize, bytes: String) {
    let bytes = Bytes::from(bytes);
    attacker.repeat(connections, move |attacker, _| {
        let bytes = bytes.clone();
        async move {
            let mut stream = attacker.connect(port).await?;
            stream.write_all(&bytes).await?;
            attacker.has_sent(1);
            read(&attacker, stream, Duration::ZERO).await
        }
    });
}

/// Reads with these pauses until the connection is closed, and counts the first status.
async fn read(attacker: &Attacker, mut stream: TcpStream, pause: Duration) -> anyhow::Result<()> {
    let (mut bytes, mut is_first) = ([0; SLOW_BYTES], true);
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        if std::mem::take(&mut is_first)
            && let Some(status) = bytes.get(9..12).and_then(|status| str::from_utf8(status).ok()?.parse().ok())
        {
            attacker.was_answered(status);
        }
        tokio::time::sleep(pause).await;
    }
}
