//! Presence, leases and the fence.

use std::time::Duration;

use chat::{NodeId, SessionId};
use conf::Span;
use futures_util::FutureExt as _;
use nats::{Claim, Config, Presence};
use serde_json::json;

use super::{PATIENCE, config, log, presenter};
use crate::support::{Direction, NatsServer, Proxy, connect, eventually};

async fn holds(presence: &Presence, session: &Claim) {
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
    let (lease, other_lease) = (lease.with_presence(&here), other_lease.with_presence(&there));
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

    // The loser withdraws only its own claim.
    lease.release(&old).await.unwrap();
    assert!(other_lease.holds(&new).await.unwrap());
    other_lease.release(&new).await.unwrap();
    nobody(&here, 1).await;
    nobody(&there, 1).await;

    // The next claim replaces the withdrawal.
    let next = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    assert!(next.revision > new.revision);
    holds(&there, &next).await;
}

#[tokio::test]
async fn the_sessions_of_a_dead_node_end_with_its_lease() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let presence = other.presence().await.unwrap();
    let lease = one.lease(NodeId::new()).await.unwrap();
    let session = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    holds(&presence, &session).await;

    // As after a kill: the lease is neither renewed nor withdrawn.
    one.close().await;
    nobody(&presence, 1).await;
    eventually("the lease has run out", PATIENCE, async || (!lease.is_held()).then_some(())).await;
    nobody(&other.presence().await.unwrap(), 1).await;
}

#[tokio::test]
async fn a_claim_repeated_during_an_outage_is_not_taken_for_a_lost_bucket() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.url().replace("nats://", "")).await;
    let watcher = connect(&config(&way.url()), "watcher").await;
    let presence = watcher.presence().await.unwrap();
    let other = log(&server).await;
    let lease = other.lease(NodeId::new()).await.unwrap();
    let old = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    holds(&presence, &old).await;
    way.refuse();
    // The bucket drops the watcher's last entry.
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

#[tokio::test(flavor = "multi_thread")]
async fn over_a_slow_link_a_lease_counts_from_when_its_renewal_was_sent() {
    let server = NatsServer::start().await;
    let network = Proxy::start(server.url().trim_start_matches("nats://").to_owned()).await;
    let connect = async |url: String| connect(&Config { lease: Span::from_secs(6), ..config(&url) }, "test").await;
    let (near, far) = (connect(server.url()).await, connect(network.url()).await);
    let presence = near.presence().await.unwrap();
    let lease = far.lease(NodeId::new()).await.unwrap();
    holds(&presence, &lease.claim(presenter(1), SessionId::new()).await.unwrap()).await;

    let client = async_nats::connect(server.url()).await.unwrap();
    let nodes = async_nats::jetstream::new(client).get_stream("KV_nodes").await.unwrap();
    let renewals = async || nodes.get_info().await.unwrap().state.last_sequence;
    network.slow_down(Duration::from_millis(500));
    let before = renewals().await;
    eventually("renewals come over the slow link", PATIENCE, async || (renewals().await >= before + 2).then_some(()))
        .await;
    let carried = network.carried(Direction::ToClient);
    eventually("the answer to the last renewal comes", PATIENCE, async || {
        (network.carried(Direction::ToClient) > carried).then_some(())
    })
    .await;
    network.hold_up();
    // Other nodes count from the time they heard of it. The node must not trust its lease for longer.
    nobody(&presence, 1).await;
    assert!(!lease.is_held());
}

#[tokio::test]
async fn a_deleted_bucket_fails_the_log_instead_of_looking_like_no_sessions() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let _presence = log.presence().await.unwrap();

    let client = async_nats::connect(server.url()).await.unwrap();
    async_nats::jetstream::new(client).delete_key_value("sessions").await.unwrap();

    let failed = tokio::time::timeout(PATIENCE, log.failed()).await.unwrap();
    assert_eq!(failed.to_string(), "the stream KV_sessions was replaced: it is gone");
}

#[tokio::test]
async fn concurrent_claims_take_turns_and_the_last_one_holds() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let presence = one.presence().await.unwrap();
    // One claims from its cached state, which is stale at once. The other asks before each claim.
    let knowing = one.lease(NodeId::new()).await.unwrap().with_presence(&presence);
    let leases = [knowing, other.lease(NodeId::new()).await.unwrap()];

    let claims = (0..10).map(|n| leases[n % 2].claim(presenter(1), SessionId::new()));
    let mut claims: Vec<Claim> = futures_util::future::join_all(claims).await.into_iter().map(Result::unwrap).collect();

    claims.sort_by_key(|claim| claim.revision);
    assert!(claims.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    holds(&presence, &claims[9]).await;
    for claim in &claims[..9] {
        assert!(!leases[0].holds(claim).await.unwrap());
    }
}

/// Values of the bucket as of another version, or of a claim that was in flight for long.
async fn bucket(server: &NatsServer) -> async_nats::jetstream::kv::Store {
    let client = async_nats::connect(server.url()).await.unwrap();
    async_nats::jetstream::new(client).get_key_value("sessions").await.unwrap()
}

#[tokio::test]
async fn a_claim_stored_late_leaves_the_room_to_the_session_it_would_have_replaced() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let presence = log.presence().await.unwrap();
    let lease = log.lease(NodeId::new()).await.unwrap().with_presence(&presence);
    let session = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    let (late, since) = (SessionId::new().to_string(), "2026-11-22T12:34:56Z");
    let replaces = json!({
        "node": lease.node().to_string(), "session": session.id.to_string(), "since": session.since.to_string(),
        "revision": session.revision,
    });
    let claim = json!({
        "node": lease.node().to_string(), "session": late, "since": since, "expires": since, "replaces": replaces,
    });
    let bucket = bucket(&server).await;
    let revision = bucket.update("1", claim.to_string().into(), session.revision).await.unwrap();

    // A node that heard of both claims, a node that starts to read, and the server.
    let mut claims = presence.claims();
    let other = log.presence().await.unwrap();
    assert_eq!(
        (presence.session(presenter(1)), other.session(presenter(1))),
        (Some(session.clone()), Some(session.clone()))
    );
    assert!(lease.holds(&session).await.unwrap());
    // A newer claim replaces the one in force, and names it.
    let newer = lease.claim(presenter(1), SessionId::new()).await.unwrap();
    assert!(newer.revision > revision);
    holds(&presence, &newer).await;
    assert_eq!(claims.recv().await.unwrap(), newer, "nobody hears of the late one");
    assert!(!lease.holds(&session).await.unwrap());
    let newest = bucket.entry("1").await.unwrap().unwrap();
    let newest: serde_json::Value = serde_json::from_slice(&newest.value).unwrap();
    assert_eq!(newest["replaces"], replaces);
}

#[tokio::test]
async fn a_node_that_missed_a_claim_learns_of_it_from_the_late_claim_that_replaced_it() {
    let server = NatsServer::start().await;
    let (log, bucket) = (log(&server).await, bucket(&server).await);
    let lease = log.lease(NodeId::new()).await.unwrap();
    let claim = |session: &SessionId, more: serde_json::Value| {
        let mut claim = json!({
            "node": lease.node().to_string(), "session": session.to_string(), "since": "2026-11-22T12:34:56Z",
        });
        claim.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claim
    };
    let (held, late) = (SessionId::new(), SessionId::new());
    let replaces = claim(&held, json!({ "revision": 7 }));
    let expired = claim(&late, json!({ "expires": "2026-11-22T12:35:01Z", "replaces": replaces }));
    bucket.put("1", expired.to_string().into()).await.unwrap();
    // A claim of an older version has no expiry, and holds.
    bucket.put("2", claim(&held, json!({})).to_string().into()).await.unwrap();
    bucket.put("3", claim(&late, json!({ "expires": "2026-11-22T12:35:01Z" })).to_string().into()).await.unwrap();
    let presence = log.presence().await.unwrap();
    let held_by = |room| presence.session(presenter(room)).map(|session| session.id);
    assert_eq!([held_by(1), held_by(2), held_by(3)], [Some(held), Some(held), None]);
    assert_eq!(presence.session(presenter(1)).unwrap().revision, 7);
}
