//! Presence, leases and the fence.

use futures_util::FutureExt as _;
use nats::{Log, NodeId, Presence, Session, SessionId};

use super::{PATIENCE, config, log, presenter};
use crate::support::{NatsServer, Proxy, eventually};

async fn holds(presence: &Presence, session: &Session) {
    eventually("the session holds the room", PATIENCE, async || {
        (presence.session(session.presenter).as_ref() == Some(session)).then_some(())
    })
    .await;
}

async fn nobody(presence: &Presence, room: i64) {
    eventually("nobody holds the room", PATIENCE, async || presence.session(presenter(room)).is_none().then_some(()))
        .await;
}

#[tokio::test]
async fn the_newest_claim_holds_the_room_on_every_node() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let (here, there) = (one.presence().await.unwrap(), other.presence().await.unwrap());
    let (lease, other_lease) = (one.lease(NodeId::new()).await.unwrap(), other.lease(NodeId::new()).await.unwrap());
    let mut claims = here.claims();

    let old = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    holds(&there, &old).await;
    let new = other_lease.claim(presenter(1), SessionId::new()).await.unwrap();

    assert!(new.revision > old.revision);
    holds(&here, &new).await;
    holds(&there, &new).await;
    assert_eq!((claims.recv().await.unwrap(), claims.recv().await.unwrap()), (old.clone(), new.clone()));
    assert!(!lease.holds(&old).await.unwrap());
    assert!(other_lease.holds(&new).await.unwrap());

    // The loser withdraws nothing that is not its own.
    lease.release(&old).await.unwrap();
    assert!(other_lease.holds(&new).await.unwrap());
    other_lease.release(&new).await.unwrap();
    nobody(&here, 1).await;
    nobody(&there, 1).await;
}

#[tokio::test]
async fn a_dead_nodes_sessions_vanish_with_its_lease() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let presence = other.presence().await.unwrap();
    let lease = one.lease(NodeId::new()).await.unwrap();
    let session = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    holds(&presence, &session).await;

    // As a killed process does: the lease is neither renewed nor withdrawn.
    one.close().await;
    nobody(&presence, 1).await;
    eventually("the lease has run out", PATIENCE, async || (!lease.is_held()).then_some(())).await;
    nobody(&other.presence().await.unwrap(), 1).await;
}

#[tokio::test]
async fn a_claim_that_is_made_anew_during_an_outage_is_no_loss_of_the_bucket() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.url().replace("nats://", "")).await;
    let watcher = Log::connect(&config(&way.url()), "watcher").await.unwrap();
    let presence = watcher.presence().await.unwrap();
    let other = log(&server).await;
    let lease = other.lease(NodeId::new()).await.unwrap();
    let old = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    holds(&presence, &old).await;
    way.refuse();
    // The bucket drops what the watcher saw last.
    let new = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    way.release();
    holds(&presence, &new).await;
    assert!(watcher.failed().now_or_never().is_none(), "the log has failed");
}

#[tokio::test]
async fn a_lease_that_ends_takes_its_sessions_along_at_once() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let presence = other.presence().await.unwrap();
    let lease = one.lease(NodeId::new()).await.unwrap();
    let session = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    holds(&presence, &session).await;
    lease.end().await;
    nobody(&presence, 1).await;
}

#[tokio::test]
async fn presence_is_known_to_later_nodes_and_outlives_the_server() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let lease = one.lease(NodeId::new()).await.unwrap();
    let mut session = lease.claim(presenter(1), SessionId::new()).await.unwrap();

    let presence = other.presence().await.unwrap();
    assert_eq!(presence.session(presenter(1)), Some(session.clone()));
    for _ in 0..3 {
        server.kill();
        server.start_again().await;
        eventually("the lease is held again", PATIENCE, async || lease.is_held().then_some(())).await;
        eventually("presence is current", PATIENCE, async || presence.is_current().then_some(())).await;
        holds(&presence, &session).await;
        session = lease.claim(presenter(1), SessionId::new()).await.unwrap();
        holds(&presence, &session).await;
    }
}

#[tokio::test]
async fn a_node_that_cannot_reach_the_server_knows_that_its_lease_has_lapsed() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let lease = log.lease(NodeId::new()).await.unwrap();
    assert!(lease.is_held());
    server.pause();
    eventually("the lease has lapsed", PATIENCE, async || (!lease.is_held()).then_some(())).await;
    server.resume();
    eventually("the lease is held again", PATIENCE, async || lease.is_held().then_some(())).await;
}

#[tokio::test]
async fn a_bucket_that_is_deleted_fails_the_log_in_place_of_looking_like_an_empty_house() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let _presence = log.presence().await.unwrap();

    let client = async_nats::connect(server.url()).await.unwrap();
    async_nats::jetstream::new(client).delete_key_value("sessions").await.unwrap();

    let failed = tokio::time::timeout(PATIENCE, log.failed()).await.unwrap();
    assert_eq!(failed.to_string(), "the stream KV_sessions was replaced: it is gone");
}

#[tokio::test]
async fn of_many_claims_at_once_each_gets_its_turn_and_the_last_one_holds() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let presence = one.presence().await.unwrap();
    let leases = [one.lease(NodeId::new()).await.unwrap(), other.lease(NodeId::new()).await.unwrap()];

    let claims = (0..10).map(|n| leases[n % 2].claim(presenter(1), SessionId::new()));
    let mut claims: Vec<Session> =
        futures_util::future::join_all(claims).await.into_iter().map(Result::unwrap).collect();

    claims.sort_by_key(|claim| claim.revision);
    assert!(claims.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    holds(&presence, &claims[9]).await;
    for claim in &claims[..9] {
        assert!(!leases[0].holds(claim).await.unwrap());
    }
}
