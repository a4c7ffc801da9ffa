//! Replica sets for development and tests: initiate one, find its primary, make the primary step down. Majority writes
//! require a replica set. In production, operators create it.

use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ServerAddress};

/// 60 s: an election takes a second or two, after the recovery of a store that was cut off.
const DEADLINE: Duration = Duration::from_secs(60);

/// MongoDB's error codes, by their names.
const ALREADY_INITIALIZED: i32 = 23;
const INVALID_REPLICA_SET_CONFIG: i32 = 93;
const NOT_YET_INITIALIZED: i32 = 94;

/// A client of the one server at `address` (host:port).
fn connect(address: &str) -> Result<Client, Error> {
    let options = ClientOptions::builder()
        .hosts(vec![ServerAddress::parse(address)?])
        .direct_connection(true)
        .server_selection_timeout(Duration::from_secs(30))
        .build();
    Client::with_options(options)
}

/// Initiates the set `rs0` with these members (host:port) through the first one, unless it exists. A set of one member
/// whose address has changed gets the new address. Returns once the first member accepts writes or, with several
/// members, knows the primary.
pub async fn initiate_replica_set(members: &[String]) -> Result<(), Error> {
    let [address, ..] = members else { return Err(Error::custom("a replica set needs members")) };
    let client = connect(address)?;
    let started = Instant::now();
    loop {
        let is_late = started.elapsed() > DEADLINE;
        match look(&client, members).await {
            Ok(None) => break,
            Ok(Some(hello)) if is_late => {
                return Err(Error::custom(format!("the replica set at {address} has elected no primary: {hello}")));
            }
            Err(error) if is_late || !passes(&error) => return Err(error),
            Ok(Some(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    client.shutdown().await;
    Ok(())
}

/// Does the next step. None: the set has a primary. Else the state as the first member sees it.
async fn look(client: &Client, members: &[String]) -> Result<Option<Document>, Error> {
    let admin = client.database("admin");
    let numbered = (0_i32..).zip(members).map(|(number, host)| doc! { "_id": number, "host": host });
    let documents: Vec<Document> = numbered.collect();
    match admin.run_command(doc! { "replSetGetStatus": 1 }).await {
        Ok(_) => {}
        // It is new, or has not loaded its configuration yet.
        Err(error) if code(&error) == Some(NOT_YET_INITIALIZED) => {
            let initiate = doc! { "replSetInitiate": { "_id": "rs0", "members": documents } };
            match admin.run_command(initiate).await {
                Err(error) if code(&error) != Some(ALREADY_INITIALIZED) => return Err(error),
                _ => {}
            }
        }
        // The set knows this member by an earlier port.
        Err(error) if code(&error) == Some(INVALID_REPLICA_SET_CONFIG) => {
            let saved = client.database("local").collection::<Document>("system.replset");
            let saved = saved.find_one(doc! {}).await?.unwrap_or_default();
            let version = saved.get_i32("version").unwrap_or(1) + 1;
            let config = doc! { "_id": "rs0", "version": version, "members": documents };
            admin.run_command(doc! { "replSetReconfig": config, "force": true }).await?;
        }
        Err(error) => return Err(error),
    }
    let hello = admin.run_command(doc! { "hello": 1 }).await?;
    let knows_who_leads = members.len() > 1 && hello.contains_key("primary");
    let leads = hello.get_bool("isWritablePrimary").unwrap_or(false);
    Ok((!knows_who_leads && !leads).then_some(hello))
}

/// Whether a retry may succeed: a member closes its connections when it finds that it is not in the set.
fn passes(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. })
}

/// The primary, as the server at `address` knows it. None: it knows none.
pub async fn primary_of(address: &str) -> Result<Option<String>, Error> {
    let client = connect(address)?;
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await?;
    client.shutdown().await;
    Ok(hello.get_str("primary").ok().map(str::to_owned))
}

/// Makes the primary at `address` step down, for at least 10 s.
pub async fn step_down(address: &str) -> Result<(), Error> {
    let client = connect(address)?;
    client.database("admin").run_command(doc! { "replSetStepDown": 10, "force": true }).await?;
    client.shutdown().await;
    Ok(())
}

fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}
