//! A network that fails on demand: a TCP proxy that can cut, refuse and slow down its connections, and stop their
//! traffic without a notice, in one direction or in both as on a half-open connection.

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

/// The current state of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Flows,
    /// Connections stay open, and new ones are accepted, but nothing is carried.
    HeldUp,
    /// Nothing is carried in this direction. The other one flows.
    HeldUpOneWay(Direction),
    /// Each piece of at most [`PIECE`] bytes takes this long.
    Slow(Duration),
    /// All connections are refused.
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct Network {
    traffic: Traffic,
    /// The number of cuts so far. A cut closes the connections that are older.
    cuts: u64,
}

/// 16 KB: the most that is read at once.
const PIECE: usize = 16 * 1024;

/// A proxy in front of one server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    carried: Arc<Carried>,
    accept: JoinHandle<()>,
}

/// Bytes delivered, by direction.
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
    /// Starts a proxy to an address such as `127.0.0.1:4222`. Traffic flows.
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
            // Accept fails if the client has gone already.
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                // A refused connection is dropped at once.
                if state.borrow().traffic != Traffic::Refused {
                    tokio::spawn(carry(client, server.clone(), state.clone(), counted.clone()));
                }
            }
        });
        Proxy { address, network, carried, accept }
    }

    /// The address where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a NATS URL.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The bytes delivered in this direction, over all connections.
    pub fn carried(&self, direction: Direction) -> u64 {
        self.carried.of(direction).load(Ordering::Relaxed)
    }

    /// Closes every connection. New ones are treated as the last call of the other methods says.
    pub fn cut(&self) {
        self.network.send_modify(|network| network.cuts += 1);
    }

    /// Carries nothing until [`Proxy::release`]. Neither side is notified.
    pub fn hold_up(&self) {
        self.set(Traffic::HeldUp);
    }

    /// As [`Proxy::hold_up`], in this direction only. The other one flows.
    pub fn hold_up_one_way(&self, direction: Direction) {
        self.set(Traffic::HeldUpOneWay(direction));
    }

    /// Delays each piece of at most 16 KB of a connection by `pause`, until [`Proxy::release`].
    pub fn slow_down(&self, pause: Duration) {
        self.set(Traffic::Slow(pause));
    }

    /// Closes every connection, and each new one, until [`Proxy::release`].
    pub fn refuse(&self) {
        self.set(Traffic::Refused);
        self.cut();
    }

    /// Restores the network. Held up traffic is delivered.
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
    // A cut ends the attempt too: a stopped server may accept it a minute later.
    let connected = tokio::select! {
        biased;
        _ = network.wait_for(is_cut) => return,
        connected = TcpStream::connect(server) => connected,
    };
    // Where nobody listens, the client's connection ends too.
    let Ok(mut server) = connected else { return };
    // Without Nagle's algorithm, so that every delay is intended.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // The first branch to finish ends the connection. The others lose only what was in flight.
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
        // The state may have changed during the read.
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

    /// Far longer than loopback needs.
    const SOON: Duration = Duration::from_secs(10);

    /// Long enough to conclude that nothing comes.
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
        // A byte counts once it is written. It may be read a moment earlier.
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
        // The other direction flows again.
        let mut byte = [0];
        tokio::time::timeout(SOON, client.read_exact(&mut byte)).await.unwrap().unwrap();
        assert!(comes(&mut server, &mut client, SOON).await);
        assert!(!comes(&mut client, &mut server, A_WHILE).await);
    }

    #[tokio::test]
    async fn a_connection_to_a_server_that_does_not_listen_ends_at_once() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let proxy = Proxy::start(gone.to_string()).await;
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        let ended = tokio::time::timeout(SOON, client.read(&mut [0])).await.expect("it ends");
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
}
