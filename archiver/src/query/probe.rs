//! The state of MongoDB for `chatting-server check`. It writes nothing, and needs no more rights than the archiver has.

use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use nats::ClockReading;

use crate::mongo::database::Database;
use crate::{Config, Error};

/// What MongoDB's primary says of itself.
#[derive(Debug)]
pub struct MongoDb {
    /// Such as `6.0.27`.
    pub version: String,
    /// Its replica set. `None`: it is no member of one.
    pub replica_set: Option<String>,
    /// Its clock.
    pub clock: ClockReading,
    /// The space of the file system that holds the database, in bytes. Err: the login may not ask.
    pub disk: Result<Disk, Error>,
}

/// The space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// In use, by anything.
    pub used: u64,
    /// The whole.
    pub total: u64,
}

/// Finds the primary and asks it, within the deadlines of the configuration.
pub async fn probe(config: &Config) -> Result<MongoDb, Error> {
    let database = Database::connect(config).await?;
    let ask = async |doing, question: Document| {
        let answer = database.command(question).await;
        answer.map_err(|failure| Error::MongoDb { doing, source: failure.into() })
    };
    // The driver has connected by the end of this, so the question about the time takes one round trip.
    let build = ask("asking MongoDB for its version", doc! { "buildInfo": 1 }).await?;
    let asked = Timestamp::now();
    let hello = ask("asking MongoDB for its state", doc! { "hello": 1 }).await?;
    let answered = Timestamp::now();
    let time = hello.get_datetime("localTime").ok();
    let time = time.and_then(|time| Timestamp::from_millisecond(time.timestamp_millis()).ok()).unwrap_or(answered);
    let space = ask("asking MongoDB for its disk", doc! { "dbStats": 1 }).await;
    let server = hello.get_str("me").unwrap_or("the primary").to_owned();
    Ok(MongoDb {
        version: build.get_str("version").unwrap_or_default().to_owned(),
        replica_set: hello.get_str("setName").ok().map(str::to_owned),
        clock: ClockReading { server, time, asked, answered },
        disk: space.map(|space| Disk { used: bytes(&space, "fsUsedSize"), total: bytes(&space, "fsTotalSize") }),
    })
}

/// A number of bytes, which MongoDB sends as a double.
fn bytes(document: &Document, member: &str) -> u64 {
    let double = document.get_f64(member).map(|bytes| bytes as u64);
    double.or_else(|_| document.get_i64(member).map(|bytes| u64::try_from(bytes).unwrap_or(0))).unwrap_or(0)
}
