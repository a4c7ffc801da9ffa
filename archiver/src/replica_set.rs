//! Makes a lone mongod a replica set of one, because majority writes and their journalling belong to sets. Only
//! development and tests need it; production's sets are made by whoever runs them.

use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ServerAddress};

/// An election of one takes a second or two; a store that was cut off recovers before it.
const DEADLINE: Duration = Duration::from_secs(60);

/// MongoDB's error codes, by their names.
const ALREADY_INITIALIZED: i32 = 23;
const INVALID_REPLICA_SET_CONFIG: i32 = 93;
const NOT_YET_INITIALIZED: i32 = 94;

/// Initiates the set `rs0` at `address` (host:port) where it is new, gives it its address back where that has changed,
/// and waits until it takes writes.
pub async fn initiate_replica_set(address: &str) -> Result<(), Error> {
    let options = ClientOptions::builder()
        .hosts(vec![ServerAddress::parse(address)?])
        .direct_connection(true)
        .server_selection_timeout(Duration::from_secs(30))
        .build();
    let client = Client::with_options(options)?;
    let admin = client.database("admin");
    let member = doc! { "_id": 0, "host": address };
    match admin.run_command(doc! { "replSetGetStatus": 1 }).await {
        Ok(_) => {}
        Err(error) if code(&error) == Some(NOT_YET_INITIALIZED) => {
            let initiate = doc! { "replSetInitiate": { "_id": "rs0", "members": [member] } };
            match admin.run_command(initiate).await {
                Err(error) if code(&error) != Some(ALREADY_INITIALIZED) => return Err(error),
                _ => {}
            }
        }
        // The set knows this member by a port of the past.
        Err(error) if code(&error) == Some(INVALID_REPLICA_SET_CONFIG) => {
            let saved = client.database("local").collection::<Document>("system.replset");
            let saved = saved.find_one(doc! {}).await?.unwrap_or_default();
            let version = saved.get_i32("version").unwrap_or(1) + 1;
            let config = doc! { "_id": "rs0", "version": version, "members": [member] };
            admin.run_command(doc! { "replSetReconfig": config, "force": true }).await?;
        }
        Err(error) => return Err(error),
    }
    let started = Instant::now();
    loop {
        let hello = admin.run_command(doc! { "hello": 1 }).await?;
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            break;
        }
        if started.elapsed() > DEADLINE {
            return Err(Error::custom(format!("the replica set at {address} elected no primary: {hello}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.shutdown().await;
    Ok(())
}

fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}
