//! The socket of a connection, plain or within TLS. TLS is above the pacing: what it sends of an answer, and what comes
//! of a handshake, counts as the bytes on the wire do.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tls::{ServerTls, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::on_wake::OnWake;
use super::peer::{Paced, Peer};

/// An enum and no trait object: the plain socket costs a branch more than it would alone.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(Paced),
    Encrypted(Box<TlsStream<Paced>>),
}

/// The socket after its handshake, until whose end the connection waits for its peer. None: it failed, or the
/// connection had to go before.
pub(super) async fn encrypted(
    tls: &ServerTls,
    stream: Paced,
    address: SocketAddr,
    peer: &Peer,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> Option<Socket> {
    // Whichever comes first drops the handshake, which has changed nothing.
    let shaken = tokio::select! {
        biased;
        () = OnWake::new(peer.has_to_go()) => {
            metrics.pushed_out.inc();
            tracing::debug!(peer = %address, "closed a connection of {address}, amid its handshake, for another one");
            return None;
        }
        () = OnWake::new(stop.cancelled()) => return None,
        shaken = tls.accept(stream) => shaken,
    };
    match shaken {
        Ok(stream) => {
            peer.has_shaken_hands();
            Some(Socket::Encrypted(Box::new(stream)))
        }
        Err(error) => {
            metrics.failed_handshakes.inc();
            tracing::debug!(%error, peer = %address, "connection of {address} ended: {error}");
            None
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Socket::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Socket::Plain(stream) => stream.is_write_vectored(),
            Socket::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(context),
            Socket::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
