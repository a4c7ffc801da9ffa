//! The parts of a development system while it runs: servers and roles. Each is watched, killed when the demo asks for
//! it, and started again, whatever the others do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use parking_lot::Mutex;
use serde::Serialize;
use testkit::Server;
use tokio::sync::mpsc;

use super::folder::Folder;

/// The interval between checks of a part, and the pause before a part that failed to start is started again.
const LOOK: Duration = Duration::from_millis(500);

/// What is known of the parts, in the order of their start.
#[derive(Debug)]
pub(super) struct Parts(Vec<Part>);

#[derive(Debug)]
struct Part {
    name: String,
    /// How long it stays down. One kill at a time: a second one is refused.
    kills: mpsc::Sender<Duration>,
    life: Mutex<Life>,
}

/// How a part is doing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) state: State,
    /// None: there is no process.
    pub(super) id: Option<u32>,
    /// When it was last seen to end.
    pub(super) ended: Option<Instant>,
    /// How long its last end kept it away.
    pub(super) back_after: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It runs, and was ready after its start.
    Running,
    /// Its process has ended.
    Down,
    /// It was started and is not ready yet.
    Starting,
}

/// Why a part was not killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotKilled {
    Unknown,
    /// It is down, or a kill is in hand.
    Down,
}

/// The kills that the parts receive, in their order.
pub(super) type Kills = Vec<mpsc::Receiver<Duration>>;

impl Parts {
    /// The servers, which all run and are ready.
    pub(super) fn of(servers: &[Server]) -> (Arc<Parts>, Kills) {
        let part = |server: &Server| {
            let (kills, receiver) = mpsc::channel(1);
            let life = Life { state: State::Running, id: server.id(), ended: None, back_after: None };
            (Part { name: server.name().to_owned(), kills, life: Mutex::new(life) }, receiver)
        };
        let (parts, kills) = servers.iter().map(part).unzip();
        (Arc::new(Parts(parts)), kills)
    }

    /// Names and states.
    pub(super) fn lives(&self) -> impl Iterator<Item = (&str, Life)> {
        self.0.iter().map(|part| (part.name.as_str(), *part.life.lock()))
    }

    /// Kills the part (SIGKILL). It is started again after `down`.
    pub(super) fn kill(&self, name: &str, down: Duration) -> Result<(), NotKilled> {
        let part = self.0.iter().find(|part| part.name == name).ok_or(NotKilled::Unknown)?;
        if part.life.lock().state == State::Down {
            return Err(NotKilled::Down);
        }
        part.kills.try_send(down).map_err(|_| NotKilled::Down)
    }

    /// Restarts parts that have ended, and kills those that it is asked to. Returns only if a program cannot be started
    /// or the folder cannot be written.
    pub(super) async fn look_after(&self, servers: &mut [Server], kills: Kills, folder: &Folder) -> anyhow::Result<()> {
        let all = servers.iter_mut().zip(&self.0).zip(kills);
        try_join_all(all.map(|((server, part), kills)| self.keep(server, part, kills, folder))).await?;
        Ok(())
    }

    async fn keep(
        &self,
        server: &mut Server,
        part: &Part,
        mut kills: mpsc::Receiver<Duration>,
        folder: &Folder,
    ) -> anyhow::Result<()> {
        loop {
            // A dropped branch loses nothing: `recv` is cancel safe, and the end of a process can be seen again.
            let mut down = tokio::select! {
                Some(down) = kills.recv() => down,
                ended = until_ended(server) => {
                    eprintln!("{:#}", ended?);
                    Duration::ZERO
                }
            };
            loop {
                server.kill()?;
                part.fell();
                let name = server.name();
                match down.as_secs() {
                    0 => eprintln!("restarting {name}"),
                    seconds => eprintln!("killed {name}; starting it again in {seconds} s"),
                }
                tokio::time::sleep(down).await;
                server.spawn()?;
                part.started(server.id());
                folder.note(self.lives().filter_map(|(_, life)| life.id))?;
                match until_ready(server, &mut kills).await? {
                    None => break,
                    Some(again) => down = again,
                }
            }
            part.is_back();
            eprintln!("{} is back, pid {}", server.name(), server.id().unwrap_or_default());
        }
    }
}

/// Waits until the process has ended by itself. Ok: how.
async fn until_ended(server: &mut Server) -> anyhow::Result<anyhow::Error> {
    loop {
        tokio::time::sleep(LOOK).await;
        if server.exited()?.is_some()
            && let Err(ended) = server.check()
        {
            return Ok(ended);
        }
    }
}

/// Waits until it is ready. Some: it must be started again, after this pause.
async fn until_ready(server: &mut Server, kills: &mut mpsc::Receiver<Duration>) -> anyhow::Result<Option<Duration>> {
    loop {
        // A dropped branch loses nothing: `ready` only asks.
        let ready = tokio::select! {
            Some(down) = kills.recv() => return Ok(Some(down)),
            ready = server.ready() => ready,
        };
        let Err(error) = ready else { return Ok(None) };
        eprintln!("{error:#}");
        if server.exited()?.is_some() {
            return Ok(Some(LOOK));
        }
    }
}

impl Part {
    fn fell(&self) {
        let mut life = self.life.lock();
        // One that falls again while it starts has been away since its first fall.
        let ended = life.ended.filter(|_| life.state == State::Starting).unwrap_or_else(Instant::now);
        *life = Life { state: State::Down, id: None, ended: Some(ended), back_after: None };
    }

    fn started(&self, id: Option<u32>) {
        let mut life = self.life.lock();
        *life = Life { state: State::Starting, id, ..*life };
    }

    fn is_back(&self) {
        let mut life = self.life.lock();
        let back_after = life.ended.map(|ended| ended.elapsed());
        *life = Life { state: State::Running, back_after, ..*life };
    }
}

#[cfg(test)]
mod tests {
    use testkit::{Program, Ready};

    use super::*;

    fn server(folder: &Folder, name: &str) -> Server {
        let program = Program {
            name: name.to_owned(),
            path: "sleep".into(),
            arguments: vec!["1000".into()],
            environment: Vec::new(),
            output: folder.path().join(name),
            detached: false,
        };
        // Nothing answers there: it starts, and is never ready.
        Server::new(program, Ready::Http("http://127.0.0.1:1/".to_owned()))
    }

    #[tokio::test]
    async fn a_part_is_killed_and_started_again_while_another_is_not_ready() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path(), false).unwrap();
        let mut servers = vec![server(&folder, "one"), server(&folder, "other")];
        servers.iter_mut().for_each(|server| server.spawn().unwrap());
        let ids: Vec<_> = servers.iter().map(Server::id).collect();
        let (parts, kills) = Parts::of(&servers);
        assert_eq!(parts.kill("none", Duration::ZERO), Err(NotKilled::Unknown));
        let killing = async {
            for (index, name) in ["one", "other"].into_iter().enumerate() {
                parts.kill(name, Duration::ZERO).unwrap();
                assert_eq!(parts.kill(name, Duration::ZERO), Err(NotKilled::Down), "one is in hand");
                while !matches!(life(&parts, index), Life { state: State::Starting, id: Some(_), .. }) {
                    tokio::task::yield_now().await;
                }
                assert_ne!(life(&parts, index).id, ids[index]);
            }
        };
        tokio::select! {
            ended = parts.look_after(&mut servers, kills, &folder) => panic!("{ended:?}"),
            () = killing => {}
        }
        let noted = std::fs::read_to_string(folder.path().join("processes")).unwrap();
        let running: Vec<String> = parts.lives().filter_map(|(_, life)| Some(life.id?.to_string())).collect();
        assert_eq!(noted.lines().collect::<Vec<_>>(), running);
    }

    fn life(parts: &Parts, index: usize) -> Life {
        parts.lives().nth(index).unwrap().1
    }
}
