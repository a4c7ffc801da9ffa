//! A network that fails on demand: a TCP proxy whose connections can be cut, and whose traffic can be held up.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Whole,
    /// Connections stand and carry nothing.
    HeldUp,
    /// The number tells one cut from the next.
    Cut(u32),
}

/// A way to one server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    accept: JoinHandle<()>,
}

impl Proxy {
    /// A whole network to the address, such as `127.0.0.1:4222`.
    pub async fn start(server: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, state) = watch::channel(Network::Whole);
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), state.clone()));
            }
        });
        Proxy { address, network, accept }
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Cuts every connection; new ones are welcome.
    pub fn cut(&self) {
        self.network.send_modify(|network| {
            *network = Network::Cut(if let Network::Cut(cuts) = network { *cuts + 1 } else { 0 });
        });
        self.network.send_replace(Network::Whole);
    }

    /// Carries nothing until [`Proxy::release`].
    pub fn hold_up(&self) {
        self.network.send_replace(Network::HeldUp);
    }

    pub fn release(&self) {
        self.network.send_replace(Network::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
        self.network.send_replace(Network::Cut(u32::MAX));
    }
}

async fn carry(mut client: TcpStream, server: String, network: watch::Receiver<Network>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        () = copy(from_client, to_server, network.clone()) => {}
        () = copy(from_server, to_client, network) => {}
    }
}

/// Copies one direction until either end closes or the network is cut.
async fn copy(
    mut from: tokio::net::tcp::ReadHalf<'_>,
    mut to: tokio::net::tcp::WriteHalf<'_>,
    mut network: watch::Receiver<Network>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut buffer = vec![0; 16 * 1024];
    network.mark_unchanged();
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = network.changed() => {
                // `cut` is over before anybody looks; that the value changed without being held up is the cut.
                if changed.is_err() || *network.borrow_and_update() != Network::HeldUp {
                    return;
                }
                if network.wait_for(|network| *network != Network::HeldUp).await.is_err() {
                    return;
                }
                network.mark_unchanged();
                continue;
            }
        };
        let Ok(read @ 1..) = read else { return };
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
