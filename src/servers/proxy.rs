//! A network that fails on demand: a TCP proxy whose connections can be cut, refused, slowed down, and held up, which is
//! what a half-open connection is.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of traffic at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Flows,
    /// Connections stand, new ones too, and carry nothing.
    HeldUp,
    /// The same, of what the server says.
    AnswersHeldUp,
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
    accept: JoinHandle<()>,
}

impl Proxy {
    /// A whole network to the address, such as `127.0.0.1:4222`.
    pub async fn start(server: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback interface has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (network, state) = watch::channel(Network { traffic: Traffic::Flows, cuts: 0 });
        let accept = tokio::spawn(async move {
            // A failed accept is a connection that was given up before it was made.
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                // Refused: dropped at once.
                if state.borrow().traffic != Traffic::Refused {
                    tokio::spawn(carry(client, server.clone(), state.clone()));
                }
            }
        });
        Proxy { address, network, accept }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same for a client of NATS.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Cuts every connection; new ones fare as [`Proxy::hold_up`] and the others last said.
    pub fn cut(&self) {
        self.network.send_modify(|network| network.cuts += 1);
    }

    /// Carries nothing until [`Proxy::release`], and nobody is told.
    pub fn hold_up(&self) {
        self.set(Traffic::HeldUp);
    }

    /// Carries what clients say, and nothing of what the server says, until [`Proxy::release`].
    pub fn hold_up_answers(&self) {
        self.set(Traffic::AnswersHeldUp);
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

async fn carry(mut client: TcpStream, server: String, mut network: watch::Receiver<Network>) {
    let born = network.borrow().cuts;
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // Small pieces are not to wait for each other: the delays are ours.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // The connection is over with whichever ends first; what is lost with the others was on its way.
    tokio::select! {
        () = copy(from_client, to_server, network.clone(), Traffic::HeldUp) => {}
        () = copy(from_server, to_client, network.clone(), Traffic::AnswersHeldUp) => {}
        _ = network.wait_for(|network| network.cuts != born) => {}
    }
}

/// Copies one direction, which stands still in that state too, until either end closes.
async fn copy(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut network: watch::Receiver<Network>, held_up: Traffic) {
    let mut buffer = vec![0; PIECE];
    loop {
        let flows = |network: &Network| ![Traffic::HeldUp, held_up].contains(&network.traffic);
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
    }
}
