//! Listens for connections, with a queue of those that are not accepted yet. When the queue is full, the kernel drops
//! the peer's SYN, and the peer sends it again 1, 3 and 7 s after the first.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use tls::ServerTls;
use tokio::net::{TcpListener, TcpSocket};

/// The kernel takes the smaller of this and `net.core.somaxconn` (4,096 by default). tokio's own `bind` asks for 128.
const QUEUE: u32 = 65_535;

/// A bound socket, with the TLS of its connections.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    /// None: connections are plain.
    pub(crate) tls: Option<Arc<ServerTls>>,
}

impl Listener {
    /// A listener at that address. Port 0: a free one.
    pub fn bind(address: SocketAddr, tls: Option<Arc<ServerTls>>) -> io::Result<Listener> {
        Ok(Listener { socket: listen(address)?, tls })
    }

    /// Another handle on the same socket.
    pub fn duplicate(&self) -> io::Result<Listener> {
        let socket = std::net::TcpListener::from(self.socket.as_fd().try_clone_to_owned()?);
        Ok(Listener { socket: TcpListener::from_std(socket)?, tls: self.tls.clone() })
    }
}

impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Listener {
        Listener { socket, tls: None }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted role binds its port at once, although connections of the last one are still known to the kernel.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// The peer left before it was accepted. The listener works.
pub(crate) fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn connections_beyond_a_hundred_wait_to_be_accepted() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..400 {
            // The queue of 128 would drop the SYN of the 130th, and of each one after it.
            waiting.push(timeout(Duration::from_secs(10), TcpStream::connect(address)).await.unwrap().unwrap());
        }
        for _ in waiting {
            timeout(Duration::from_secs(10), listener.accept()).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn an_address_of_either_version_is_bound() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = listen(address.parse().unwrap()).unwrap();
            assert_ne!(listener.local_addr().unwrap().port(), 0);
        }
    }
}
