//! The systems under load: how each takes a post, and where its messages arrive.

use std::path::Path;

use anyhow::Context as _;
use testkit::{Program, Ready, Server, port};

use super::wire::{Tag, handshake, text_frame};
use super::{Request, Socket};
use crate::process;
use crate::process::Spent;
use crate::system::System;

/// A system that takes messages over HTTP and delivers them over WebSockets.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    kind: Kind,
    port: u16,
    /// The processes that handle a message, by name.
    processes: Vec<(&'static str, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Original,
    V1,
    Nchan,
    Echo,
}

impl Target {
    /// Over the original's surface, which its gateway and presenters use.
    pub(crate) fn original(system: &System) -> anyhow::Result<Target> {
        Target::ours("ours, the original's surface", Kind::Original, system)
    }

    /// Over `/v1` and `chat.v1`.
    pub(crate) fn v1(system: &System) -> anyhow::Result<Target> {
        Target::ours("ours, /v1 and chat.v1", Kind::V1, system)
    }

    fn ours(name: &'static str, kind: Kind, system: &System) -> anyhow::Result<Target> {
        let mut processes = vec![("ingest", system.id("ingest")?), ("delivery", system.id("delivery")?)];
        processes.extend(system.nats_ids().into_iter().map(|id| ("nats-server", id)));
        let archive: &[_] = if system.mongo.is_some() { &["archiver", "mongod"] } else { &[] };
        for process in archive {
            processes.push((*process, system.id(process)?));
        }
        Ok(Target { name, kind, port: system.ingest, processes })
    }

    /// nginx with nchan, which keeps messages in memory and checks nothing.
    pub(crate) fn nchan(nginx: &Nginx) -> anyhow::Result<Target> {
        let master = nginx.server.id().context("nginx does not run")?;
        let workers = process::children(master)?.into_iter().map(|id| ("nginx", id)).collect();
        Ok(Target { name: "nchan", kind: Kind::Nchan, port: nginx.port, processes: workers })
    }

    /// An HTTP server that only answers.
    pub(crate) fn echo(echo: &Server, port: u16) -> anyhow::Result<Target> {
        let id = echo.id().context("the bare HTTP server does not run")?;
        Ok(Target { name: "bare HTTP", kind: Kind::Echo, port, processes: vec![("echo", id)] })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A post whose text begins with a tag, and the offset of the tag.
    pub(crate) fn request(&self, token: &str, room: usize, text: &str) -> anyhow::Result<Request> {
        let text = serde_json::to_string(&format!("{} {text}", Tag::default().text()))?;
        let (path, headers, body) = match self.kind {
            Kind::Original => (
                "/send/message".to_owned(),
                format!("token: {token}\r\n"),
                format!(r#"{{"presenterIdx":{room},"userType":"viewer","textMessage":{text}}}"#),
            ),
            Kind::V1 => (
                format!("/v1/rooms/{room}/messages"),
                format!("authorization: Bearer {token}\r\n"),
                format!(r#"{{"text":{text}}}"#),
            ),
            // They get the same bytes and do not parse them.
            Kind::Nchan | Kind::Echo => (
                format!("/pub?id={room}"),
                format!("token: {token}\r\n"),
                format!(r#"{{"presenterIdx":{room},"userType":"viewer","textMessage":{text}}}"#),
            ),
        };
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        let at = memchr::memchr(b'~', &request).context("the request has no tag")?;
        Ok((request, at))
    }

    /// Whether this status accepts a post.
    pub(crate) fn has_taken(&self, status: u16) -> bool {
        matches!(status, 200..=202)
    }

    /// The socket of a room: its port, the handshake, and the frame to send after it. None: the target has no sockets.
    pub(crate) fn socket(&self, system: &System, room: usize) -> Option<Socket> {
        let delivery = system.nodes[0].port;
        let token = system.token(room as i64);
        match self.kind {
            Kind::Original => {
                let start = text_frame(&format!(r#"{{"id":"start","token":"{token}"}}"#));
                Some((delivery, handshake("/chatting", None), Some(start)))
            }
            Kind::V1 => {
                let start = text_frame(&format!(r#"{{"type":"start","token":"{token}"}}"#));
                Some((delivery, handshake("/v1/presenter", Some("chat.v1")), Some(start)))
            }
            Kind::Nchan => Some((self.port, handshake(&format!("/sub?id={room}"), None), None)),
            Kind::Echo => None,
        }
    }

    /// Whether a first frame confirms that the socket is connected to its room.
    pub(crate) fn welcomes(&self) -> bool {
        self.kind == Kind::V1
    }

    /// What has been spent so far, by the name of the process.
    pub(crate) fn spent(&self) -> anyhow::Result<Vec<(&'static str, Spent)>> {
        let mut all: Vec<(&'static str, Spent)> = Vec::new();
        for (name, id) in &self.processes {
            let spent = process::spent(*id)?;
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => {
                    sum.user += spent.user;
                    sum.kernel += spent.kernel;
                    sum.switches += spent.switches;
                }
                None => all.push((name, spent)),
            }
        }
        Ok(all)
    }

    /// Resident memory of all its processes, in bytes. What they share counts once.
    pub(crate) fn own_memory(&self) -> anyhow::Result<u64> {
        self.processes.iter().map(|(_, id)| process::own_memory(*id)).sum()
    }

    /// Resident memory of all its processes, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        self.processes.iter().map(|(_, id)| process::memory(*id)).sum()
    }
}

/// An nginx with nchan.
pub(crate) struct Nginx {
    server: Server,
    port: u16,
}

/// Where Debian's package libnginx-mod-nchan puts the module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

impl Nginx {
    /// With workers that take this many connections each. None: it is not installed.
    pub(crate) async fn start(folder: &Path, connections: usize) -> anyhow::Result<Option<Nginx>> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().map(Path::new).find(|path| path.exists());
        let Some(program) = program.filter(|_| Path::new(MODULE).exists()) else { return Ok(None) };
        std::fs::create_dir_all(folder)?;
        let (port, configuration) = (port::own()?, folder.join("nginx.conf"));
        let here = folder.display();
        std::fs::write(
            &configuration,
            format!(
                "load_module {MODULE};\ndaemon off;\nworker_processes auto;\npid {here}/pid;\nerror_log {here}/error.log;\n\
                 events {{ worker_connections {connections}; }}\n\
                 http {{\n access_log off; keepalive_requests 100000000; client_body_temp_path {here}/body;\n \
                 proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi;\n \
                 scgi_temp_path {here}/scgi; nchan_shared_memory_size 256M;\n \
                 server {{ listen 127.0.0.1:{port} backlog=4096;\n \
                 location = /pub {{ nchan_publisher; nchan_channel_id $arg_id; nchan_message_buffer_length 1000; }}\n \
                 location = /sub {{ nchan_subscriber websocket eventsource; nchan_channel_id $arg_id; \
                 nchan_subscriber_first_message newest; }}\n \
                 location = /ready {{ return 200; }} }} }}\n"
            ),
        )?;
        let program = Program {
            name: "nginx".to_owned(),
            path: program.to_owned(),
            arguments: vec!["-c".into(), configuration.into(), "-e".into(), folder.join("error.log").into()],
            environment: Vec::new(),
            output: folder.join("nginx.log"),
            detached: false,
        };
        let mut server = Server::new(program, Ready::Http(format!("http://127.0.0.1:{port}/ready")));
        server.start().await?;
        Ok(Some(Nginx { server, port }))
    }

    /// Stops the master, which stops its workers. A kill would leave them.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.server.terminate(std::time::Duration::from_secs(10)).await?;
        Ok(())
    }
}
