//! A client's connection to a role, for one request at a time.

use std::net::SocketAddr;

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Connections from one loopback address. With thousands from one, the kernel takes longest of all to find free ports.
const CONNECTIONS_AN_ADDRESS: usize = 100;

/// The address from which a client of this number connects, if there are thousands.
pub(crate) fn source(number: usize) -> SocketAddr {
    let address = number / CONNECTIONS_AN_ADDRESS;
    SocketAddr::from(([127, 1, (address / 250) as u8, (address % 250 + 1) as u8], 0))
}

/// Connects to a port of this machine.
pub(crate) async fn connect(port: u16) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream =
        TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("cannot connect to port {port}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
