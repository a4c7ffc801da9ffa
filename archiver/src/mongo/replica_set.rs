//! Makes mongods a replica set, because majority writes and their journalling belong to sets, and asks and tells one of
//! its primary. Only development and tests need it; production's sets are made by whoever runs them.

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

/// The one server at `address` (host:port).
fn connect(address: &str) -> Result<Client, Error> {
    let options = ClientOptions::builder()
        .hosts(vec![ServerAddress::parse(address)?])
        .direct_connection(true)
        .server_selection_timeout(Duration::from_secs(30))
        .build();
    Client::with_options(options)
}

/// Initiates the set `rs0` of these members (host:port), asking the first, where it is new; gives a set of one its
/// address back where that has changed; and waits until the first takes writes or, of several members, knows who does.
pub async fn initiate_replica_set(members: &[String]) -> Result<(), Error> {
    let [address, ..] = members else { return Err(Error::custom("a replica set has members")) };
    let client = connect(address)?;
    let started = Instant::now();
    loop {
        let is_late = started.elapsed() > DEADLINE;
        match look(&client, members).await {
            Ok(None) => break,
            Ok(Some(hello)) if is_late => {
                return Err(Error::custom(format!("the replica set at {address} elected no primary: {hello}")));
            }
            Err(error) if is_late || !passes(&error) => return Err(error),
            Ok(Some(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    client.shutdown().await;
    Ok(())
}

/// Does what is left to do. None: the set is led, else what the first member says of it.
async fn look(client: &Client, members: &[String]) -> Result<Option<Document>, Error> {
    let admin = client.database("admin");
    let numbered = (0_i32..).zip(members).map(|(number, host)| doc! { "_id": number, "host": host });
    let documents: Vec<Document> = numbered.collect();
    match admin.run_command(doc! { "replSetGetStatus": 1 }).await {
        Ok(_) => {}
        // New, or it has yet to read what it knows of the set.
        Err(error) if code(&error) == Some(NOT_YET_INITIALIZED) => {
            let initiate = doc! { "replSetInitiate": { "_id": "rs0", "members": documents } };
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

/// Whether it is worth asking again: a member closes its connections when it finds that it is not of the set.
fn passes(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. })
}

/// Who takes writes, as the server at `address` knows it; none where it knows nobody.
pub async fn primary_of(address: &str) -> Result<Option<String>, Error> {
    let client = connect(address)?;
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await?;
    client.shutdown().await;
    Ok(hello.get_str("primary").ok().map(str::to_owned))
}

/// Has the primary at `address` give way, and not come back for 10 s.
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
