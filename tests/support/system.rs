//! The whole system for one test: both servers, a room server and the three roles.

use std::time::Duration;

use chatting_server::play::{self, Line, Options, Report, Target};

use super::{Mongod, NatsServer, Role, RoomServer, SECRET, Settings};

/// The running system.
#[derive(Debug)]
pub struct System {
    pub ingest: Role,
    pub delivery: Role,
    pub archiver: Role,
    pub rooms: RoomServer,
    pub nats: NatsServer,
    pub mongod: Mongod,
    settings: Settings,
}

impl System {
    pub async fn start() -> System {
        System::start_with(|settings| settings).await
    }

    /// With further settings.
    pub async fn start_with(change: impl FnOnce(Settings) -> Settings) -> System {
        let (nats, mongod, rooms) = tokio::join!(NatsServer::start(), Mongod::start(), RoomServer::start());
        let settings = change(Settings::new().nats(&nats).rooms(&rooms).mongo(&mongod));
        let (ingest, delivery, archiver) = tokio::join!(
            Role::start("ingest", &settings),
            Role::start("delivery", &settings),
            Role::start("archiver", &settings)
        );
        System { ingest, delivery, archiver, rooms, nats, mongod, settings }
    }

    /// The system as a play sees it.
    pub async fn target(&self) -> Target {
        Target {
            ingest: self.ingest.url(),
            delivery: self.delivery.ws_url(""),
            secret: SECRET.to_owned().into(),
            archive: self.archive().await,
        }
    }

    /// The settings of its roles.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub async fn archive(&self) -> archiver::Archive {
        archiver::Archive::connect(&self.settings.config().archiver).await.unwrap()
    }

    /// Plays into room 1, and calls `progress` after each line.
    pub async fn play(
        &self,
        lines: Vec<Line>,
        speed: Option<f64>,
        progress: impl Fn() + Send + Sync + 'static,
    ) -> Report {
        let room = chat::PresenterIdx::try_from(1).unwrap();
        let options = Options { speed, room, in_flight: 256, patience: Duration::from_secs(60) };
        play::play(lines, &self.target().await, &options, move |_| progress()).await.unwrap()
    }
}

/// The sample of the tree.
pub fn sample() -> Vec<Line> {
    play::read(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/evening.ndjson").as_ref()).unwrap()
}
