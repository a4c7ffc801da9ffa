//! A network that fails on demand: a TCP proxy whose connections can be cut, refused, slowed down, and held up, in both
//! directions, which is what a half-open connection is, or in one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A direction of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What becomes of traffic at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Flows,
    /// Connections stand, new ones too, and carry nothing.
    HeldUp,
    /// The same in one direction; the other flows.
    HeldUpOneWay(Direction),
    /// Every piece of at most [`PIECE`] bytes takes so long.
    Slow(Duration),
    /// There are no connections.
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct Network {
    traffic: Traffic,
    /// Connections older than the last cut are gone.
    cuts: u64,
}

/// 16 KB: what is read at once.
const PIECE: usize = 16 * 1024;

/// A way to one server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    carried: Arc<Carried>,
    accept: JoinHandle<()>,
}

/// Bytes that have arrived at their end, by direction.
#[derive(Debug, Default)]
struct Carried {
    to_server: AtomicU64,
    to_client: AtomicU64,
}

impl Carried {
    fn of(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl Proxy {
    /// A whole network to the address, such as `127.0.0.1:4222`.
    pub async fn start(server: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback interface has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (network, state) = watch::channel(Network { traffic: Traffic::Flows, cuts: 0 });
        let carried = Arc::new(Carried::default());
        let counted = carried.clone();
        #[allow(
            clippy::disallowed_methods,
            reason = "it ends when the proxy is dropped, and its connections end with their peers"
        )]
        let accept = tokio::spawn(async move {
            // A failed accept is a connection that was given up before it was made.
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                // Refused: dropped at once.
                if state.borrow().traffic != Traffic::Refused {
                    tokio::spawn(carry(client, server.clone(), state.clone(), counted.clone()));
                }
            }
        });
        Proxy { address, network, carried, accept }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same for a client of NATS.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// How many bytes have come through in that direction, over all connections.
    pub fn carried(&self, direction: Direction) -> u64 {
        self.carried.of(direction).load(Ordering::Relaxed)
    }

    /// Cuts every connection; new ones fare as [`Proxy::hold_up`] and the others last said.
    pub fn cut(&self) {
        self.network.send_modify(|network| network.cuts += 1);
    }

    /// Carries nothing until [`Proxy::release`], and nobody is told.
    pub fn hold_up(&self) {
        self.set(Traffic::HeldUp);
    }

    /// Carries nothing in that direction until [`Proxy::release`], and nobody is told; the other direction flows.
    pub fn hold_up_one_way(&self, direction: Direction) {
        self.set(Traffic::HeldUpOneWay(direction));
    }

    /// Carries at most 16 KB each `pause` and connection, and everything so much later, until [`Proxy::release`].
    pub fn slow_down(&self, pause: Duration) {
        self.set(Traffic::Slow(pause));
    }

    /// Cuts every connection, and each new one, until [`Proxy::release`].
    pub fn refuse(&self) {
        self.set(Traffic::Refused);
        self.cut();
    }

    /// The network is whole again; what was held up flows.
    pub fn release(&self) {
        self.set(Traffic::Flows);
    }

    fn set(&self, traffic: Traffic) {
        self.network.send_modify(|network| network.traffic = traffic);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
        self.cut();
    }
}

async fn carry(mut client: TcpStream, server: String, mut network: watch::Receiver<Network>, carried: Arc<Carried>) {
    let born = network.borrow().cuts;
    let is_cut = |network: &Network| network.cuts != born;
    // A cut ends the attempt too: a server that is stopped may take connections again a minute later.
    let mut server = tokio::select! {
        biased;
        _ = network.wait_for(is_cut) => return,
        Ok(server) = TcpStream::connect(server) => server,
        else => return,
    };
    // Small pieces are not to wait for each other: the delays are ours.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // The connection is over with whichever ends first; what is lost with the others was on its way.
    let (to, back) = (network.clone(), network.clone());
    tokio::select! {
        biased;
        _ = network.wait_for(is_cut) => {}
        () = copy(Direction::ToServer, from_client, to_server, to, &carried) => {}
        () = copy(Direction::ToClient, from_server, to_client, back, &carried) => {}
    }
}

/// Copies one direction until either end closes.
async fn copy(
    direction: Direction,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut network: watch::Receiver<Network>,
    carried: &Carried,
) {
    let mut buffer = vec![0; PIECE];
    loop {
        let flows = |network: &Network| match network.traffic {
            Traffic::HeldUp => false,
            Traffic::HeldUpOneWay(held_up) => held_up != direction,
            Traffic::Flows | Traffic::Slow(_) | Traffic::Refused => true,
        };
        let Ok(_) = network.wait_for(flows).await.map(|_| ()) else { return };
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        // What was read meanwhile is held up too.
        let Ok(traffic) = network.wait_for(flows).await.map(|network| network.traffic) else { return };
        if let Traffic::Slow(pause) = traffic {
            tokio::time::sleep(pause).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        carried.of(direction).fetch_add(read as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than loopback takes.
    const SOON: Duration = Duration::from_secs(10);

    /// Long enough to see that nothing comes.
    const A_WHILE: Duration = Duration::from_millis(200);

    async fn pair() -> (Proxy, TcpStream, TcpStream) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap().to_string()).await;
        let client = TcpStream::connect(proxy.address()).await.unwrap();
        let (accepted, _) = tokio::time::timeout(SOON, server.accept()).await.unwrap().unwrap();
        (proxy, client, accepted)
    }

    async fn comes(from: &mut TcpStream, to: &mut TcpStream, within: Duration) -> bool {
        from.write_all(b"x").await.unwrap();
        let mut byte = [0];
        tokio::time::timeout(within, to.read_exact(&mut byte)).await.is_ok()
    }

    #[tokio::test]
    async fn one_direction_is_held_up_while_the_other_flows() {
        let (proxy, mut client, mut server) = pair().await;
        assert!(comes(&mut client, &mut server, SOON).await && comes(&mut server, &mut client, SOON).await);
        // A byte counts once it is written, and may be read a moment before.
        let counts = async {
            while proxy.carried(Direction::ToServer) + proxy.carried(Direction::ToClient) < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, counts).await.unwrap();

        proxy.hold_up_one_way(Direction::ToClient);
        assert!(comes(&mut client, &mut server, SOON).await);
        assert!(!comes(&mut server, &mut client, A_WHILE).await);

        proxy.hold_up_one_way(Direction::ToServer);
        // What was held up in the other direction comes now.
        let mut byte = [0];
        tokio::time::timeout(SOON, client.read_exact(&mut byte)).await.unwrap().unwrap();
        assert!(comes(&mut server, &mut client, SOON).await);
        assert!(!comes(&mut client, &mut server, A_WHILE).await);
    }
}
