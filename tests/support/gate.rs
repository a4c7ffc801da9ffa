//! A proxy between a client and nats-server that stops at given words: traffic flows until the client sends them. From
//! then on the requests or the answers are held.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The traffic that is held once the words were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The words, and everything after them.
    Requests,
    /// Every later answer.
    Answers,
}

#[derive(Debug, Clone, Copy)]
struct State {
    armed: Option<(Held, &'static str)>,
    caught: bool,
    /// The number of cuts so far. A cut closes the connections that are older.
    cuts: u64,
}

#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    accept: AbortHandle,
}

impl Gate {
    /// To a URL such as `nats://127.0.0.1:4222`.
    pub async fn start(url: &str) -> Gate {
        let server = url.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(State { armed: None, caught: false, cuts: 0 }));
        let accept = tokio::spawn({
            let state = state.clone();
            async move {
                let mut carried = JoinSet::new();
                loop {
                    let Ok((client, _)) = listener.accept().await else { continue };
                    let Ok(server) = TcpStream::connect(&server).await else { continue };
                    carried.spawn(carry(client, server, state.clone()));
                }
            }
        });
        Gate { address, state, accept: accept.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Holds traffic from the time at which the client sends these words.
    pub fn hold(&self, held: Held, words: &'static str) {
        self.state.send_modify(|state| (state.armed, state.caught) = (Some((held, words)), false));
    }

    /// Waits until the client has sent the words.
    pub async fn caught(&self) {
        self.state.subscribe().wait_for(|state| state.caught).await.unwrap();
    }

    /// Lets everything flow, including held traffic.
    pub fn release(&self) {
        self.state.send_modify(|state| (state.armed, state.caught) = (None, false));
    }

    /// Breaks every connection and drops held traffic. New connections flow.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            (state.armed, state.caught) = (None, false);
            state.cuts += 1;
        });
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, state: Arc<watch::Sender<State>>) {
    let mut network = state.subscribe();
    let born = network.borrow().cuts;
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The first branch to finish ends the connection.
    tokio::select! {
        biased;
        _ = network.wait_for(|state| state.cuts != born) => {}
        () = copy(from_client, to_server, &state, Held::Requests) => {}
        () = copy(from_server, to_client, &state, Held::Answers) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &watch::Sender<State>, direction: Held) {
    let (mut buffer, mut network) = (vec![0; 64 * 1024], state.subscribe());
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        if direction == Held::Requests {
            state.send_if_modified(|state| {
                let said = |words: &str| buffer[..read].windows(words.len()).any(|said| said == words.as_bytes());
                let caught = !state.caught && state.armed.is_some_and(|(_, words)| said(words));
                state.caught |= caught;
                caught
            });
        }
        let flows = |state: &State| !state.caught || state.armed.is_none_or(|(held, _)| held != direction);
        if network.wait_for(flows).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
