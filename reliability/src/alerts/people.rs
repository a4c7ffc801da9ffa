//! Who uses the system while it is broken: a gateway that posts to both ingest nodes and avoids one that has just failed,
//! and presenters who reconnect with their position.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::ask::{self, Answer};
use crate::presenters::CONNECT;
use crate::system::{System, token};

/// Ten posts a second.
const POST_EVERY: Duration = Duration::from_millis(100);

/// Posts in progress, at most. A node that answers late gets no more than that.
const IN_FLIGHT: usize = 64;

/// A gateway tries a node again this long after a failure: with few posts a second, sooner would be one post in twenty.
const AVOIDED: Duration = Duration::from_secs(15);

/// Refusals for which the node is not the reason.
const COMMON: [&str; 3] = ["room_server_unavailable", "log_full", "overloaded"];

/// The rooms with posts. The last fifth of them have no presenter.
const ROOMS: i64 = 20;

/// Presenters at each of the two nodes.
pub(super) const PRESENTERS: usize = 8;

/// The pause before a presenter connects again.
const AGAIN: Duration = Duration::from_millis(300);

/// The users of the system. Dropping them ends what they do.
#[derive(Debug)]
pub(super) struct People {
    /// Whether presenters are connected, or away.
    present: watch::Sender<bool>,
    accepted: Arc<AtomicUsize>,
    tasks: parking_lot::Mutex<JoinSet<()>>,
    delivery: Vec<String>,
}

impl People {
    /// Posts and presenters, from now on.
    pub(super) fn arrive(system: &System) -> anyhow::Result<People> {
        let people = People {
            present: watch::Sender::new(true),
            accepted: Arc::default(),
            tasks: parking_lot::Mutex::default(),
            delivery: system.delivery.clone(),
        };
        let gateway = Gateway {
            client: ask::client()?,
            nodes: system.ingest.clone(),
            failed: system.ingest.iter().map(|_| parking_lot::Mutex::new(None)).collect(),
            accepted: people.accepted.clone(),
        };
        people.tasks.lock().spawn(Arc::new(gateway).post());
        for room in 1..=2 * PRESENTERS {
            let nodes = people.delivery.iter().cycle().skip(room % 2).take(2).cloned().collect();
            people.invite(i64::try_from(room).expect("a few rooms"), nodes);
        }
        Ok(people)
    }

    /// A presenter, who connects to these nodes in turn.
    fn invite(&self, room: i64, nodes: Vec<String>) {
        self.tasks.lock().spawn(present(room, nodes, self.present.subscribe()));
    }

    /// More presenters, of rooms without posts, who know the first node alone.
    pub(super) fn crowd(&self, count: usize) {
        for number in 0..count {
            self.invite(1_000 + i64::try_from(number).expect("a few rooms"), vec![self.delivery[0].clone()]);
        }
    }

    /// Presenters leave, or come back.
    pub(super) fn are_present(&self, present: bool) {
        self.present.send_replace(present);
    }

    /// The number of accepted posts.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// A gateway before both ingest nodes.
struct Gateway {
    client: reqwest::Client,
    nodes: Vec<String>,
    /// When each node failed last.
    failed: Vec<parking_lot::Mutex<Option<Instant>>>,
    accepted: Arc<AtomicUsize>,
}

impl Gateway {
    async fn post(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(POST_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut posts = JoinSet::new();
        for number in 0.. {
            ticks.tick().await;
            while posts.try_join_next().is_some() {}
            if posts.len() < IN_FLIGHT {
                posts.spawn(Arc::clone(&self).one(number));
            }
        }
    }

    async fn one(self: Arc<Self>, number: usize) {
        let is_avoided = |node: usize| self.failed[node].lock().is_some_and(|at| at.elapsed() < AVOIDED);
        let count = self.nodes.len();
        let node = (number..number + count).map(|node| node % count).find(|node| !is_avoided(*node));
        let node = node.unwrap_or(number % count);
        let number = i64::try_from(number).expect("a run is short");
        let url = format!("{}/v1/rooms/{}/messages", self.nodes[node], number % ROOMS + 1);
        let (token, body) = (token(10_000 + number % 100, false), json!({ "text": format!("hello {number}") }));
        match ask::ask(&self.client, Method::POST, url, &token, None, Some(&body)).await {
            Answer::Accepted { .. } => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
            }
            // The other node would answer the same.
            Answer::Refused { code, .. } if COMMON.contains(&code.as_str()) => {}
            Answer::Refused { .. } | Answer::Unknown(_) => *self.failed[node].lock() = Some(Instant::now()),
        }
    }
}

/// Connects again and again, to one node after the other, with the last position.
async fn present(room: i64, nodes: Vec<String>, mut is_present: watch::Receiver<bool>) {
    let mut position = Value::Null;
    for node in nodes.iter().cycle() {
        if is_present.wait_for(|present| *present).await.is_err() {
            return;
        }
        let is_away = async {
            let _ = is_present.wait_for(|present| !*present).await;
        };
        // The dropped session's socket closes, which is what leaving is.
        tokio::select! {
            _ended = session(node, room, &mut position) => {}
            () = is_away => continue,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// One session, until its socket ends.
async fn session(node: &str, room: i64, position: &mut Value) -> anyhow::Result<()> {
    let mut request = format!("{node}/v1/presenter").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("chat.v1"));
    let (mut socket, _) = tokio::time::timeout(CONNECT, connect_async(request)).await??;
    let mut start = json!({ "type": "start", "token": token(room, false) });
    if !position.is_null() {
        start["position"] = position.clone();
    }
    socket.send(Message::text(start.to_string())).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        let last = frame["events"].as_array().and_then(|events| Some(events.last()?["position"].clone()));
        let reached = last.unwrap_or_else(|| frame["position"].clone());
        if !reached.is_null() {
            *position = reached;
        }
    }
    Ok(())
}
