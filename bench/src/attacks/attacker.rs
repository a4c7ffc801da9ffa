//! The attacker: its own threads and address, thousands of connections, and a count of its actions.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::process;

/// Connections are opened over this time, so that the roles are measured and not the kernel's accept queue.
const RAMP: Duration = Duration::from_secs(5);

/// The minimum time between two openings of one connection.
const OPEN_AGAIN: Duration = Duration::from_millis(500);

/// The deadline of a connection attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// The attacker's socket buffers, for unread answers and for requests that are not read. The kernel's default is some
/// megabytes per connection, which would fill the machine's memory.
const RECEIVE_BUFFER: u32 = 4_096;
const SEND_BUFFER: u32 = 65_536;

/// The name of the attacker's threads.
const THREADS: &str = "attacker";

/// The attacker's threads. Dropping it ends the attack.
pub(super) struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    pub(super) fn start() -> anyhow::Result<Threads> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(THREADS).enable_all().build()?;
        Ok(Threads { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// CPU seconds so far, including the kernel's.
    pub(super) fn processor(&self) -> anyhow::Result<f64> {
        process::own_threads(THREADS)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Attacker {
    tasks: Handle,
    from: Ipv4Addr,
    until: Instant,
    did: Arc<Did>,
}

#[derive(Default)]
struct Did {
    opened: AtomicU64,
    /// The amount sent, in the unit of the attack.
    sent: AtomicU64,
    answers: Mutex<BTreeMap<u16, u64>>,
}

impl Attacker {
    pub(super) fn new(threads: &Threads, from: Ipv4Addr, until: Instant) -> Attacker {
        Attacker { tasks: threads.handle.clone(), from, until, did: Arc::default() }
    }

    /// Runs this many tasks, each in a loop until the end. A task gets its number.
    pub(super) fn repeat<F, R>(&self, at_once: usize, one: F)
    where
        F: Fn(Attacker, usize) -> R + Clone + Send + 'static,
        R: Future<Output = anyhow::Result<()>> + Send,
    {
        for number in 0..at_once {
            let (attacker, one) = (self.clone(), one.clone());
            self.tasks.spawn(async move {
                tokio::time::sleep(RAMP.mul_f64(number as f64 / at_once as f64)).await;
                while Instant::now() < attacker.until {
                    let again = Instant::now() + OPEN_AGAIN;
                    // Being closed or refused is expected, not an error.
                    let _ = tokio::time::timeout_at(attacker.until.into(), one(attacker.clone(), number)).await;
                    tokio::time::sleep_until(again.into()).await;
                }
            });
        }
    }

    /// A connection with small buffers.
    pub(super) async fn connect(&self, port: u16) -> anyhow::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(SocketAddr::from((self.from, 0)))?;
        let stream = tokio::time::timeout(PATIENCE, socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        let stream = stream.await??;
        stream.set_nodelay(true)?;
        self.did.opened.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }

    /// A connection for whole requests.
    pub(super) async fn connect_http(&self, port: u16) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TokioIo::new(self.connect(port).await?);
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Sends a request and reads the answer.
    pub(super) async fn ask(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
        request: hyper::Request<Full<Bytes>>,
    ) -> anyhow::Result<(u16, Bytes)> {
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status().as_u16();
        self.was_answered(status);
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    pub(super) fn has_sent(&self, count: u64) {
        self.did.sent.fetch_add(count, Ordering::Relaxed);
    }

    /// An HTTP status or a WebSocket close code.
    pub(super) fn was_answered(&self, code: u16) {
        let mut answers = self.did.answers.lock();
        *answers.entry(code).or_default() += 1;
    }

    /// A summary of its actions.
    pub(super) fn report(&self) -> String {
        let (opened, sent) = (self.did.opened.load(Ordering::Relaxed), self.did.sent.load(Ordering::Relaxed));
        let answers = self.did.answers.lock();
        let mut report = format!("{opened} connections");
        if sent > 0 {
            report.push_str(&format!(", sent {sent}"));
        }
        for (code, count) in &*answers {
            report.push_str(&format!(", {count} × {code}"));
        }
        report
    }
}
