//! The log on a cluster of three: a returning member is asked before it has caught up.

use std::time::Duration;

use chat::{NodeId, SessionId};
use conf::Span;
use nats::{Config, Start};

use super::{config, message, presenter, take, text};
use crate::support::{NatsCluster, Proxy, connect};

/// Long enough for elections on a slow machine.
const DEADLINE: Span = Span::from_secs(20);

fn replicated(cluster: &NatsCluster, members: &[usize]) -> Config {
    let urls = members.iter().map(|member| cluster.url(*member).into()).collect();
    Config { urls, replicas: 3, append_deadline: DEADLINE, ..config("") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_reads_on_from_a_member_that_lags_misses_nothing() {
    let cluster = NatsCluster::start().await;
    let writer = connect(&replicated(&cluster, &[1, 2]), "writer").await;
    let mut written: usize = 0;
    // The cluster chooses the member that answers a reader. Of many readers some get the lagging one.
    let mut tails = Vec::new();
    for _ in 0..6 {
        let reader = connect(&replicated(&cluster, &[0]), "reader").await;
        tails.push(reader.tail(Start::Oldest));
    }
    for _ in 0..2 {
        cluster.kill(0);
        for _ in 0..30 {
            written += 1;
            writer.append(&message(1, written.to_string())).await.unwrap();
        }
        // The readers return with the first accepted connection.
        cluster.spawn(0);
        for _ in 0..30 {
            written += 1;
            writer.append(&message(1, written.to_string())).await.unwrap();
        }
        cluster.ready(0).await;
    }
    for tail in &mut tails {
        let taken = take(tail, written).await;
        let numbers: Vec<usize> = taken.iter().map(|entry| text(entry).parse().unwrap()).collect();
        assert_eq!(numbers, (1..=written).collect::<Vec<_>>());
    }
}

/// A leader that is cut off continues for seconds, and reports an end of the stream behind that of the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_cut_off_does_not_make_a_reader_believe_that_the_log_went_back() {
    let cluster = NatsCluster::start().await;
    let setup = connect(&replicated(&cluster, &[0, 1, 2]), "setup").await;
    setup.append(&message(1, "0")).await.unwrap();
    let leader = leader(&cluster).await;
    let others: Vec<usize> = (0..3).filter(|member| *member != leader).collect();
    let way = async |member: usize| Proxy::start(cluster.url(member).replace("nats://", "")).await;
    let (to_leader, to_other) = (way(leader).await, way(others[0]).await);
    to_leader.refuse();
    let config = Config { urls: vec![to_leader.url().into(), to_other.url().into()], ..replicated(&cluster, &[]) };
    let reader = connect(&config, "reader").await;
    let mut tail = reader.tail(Start::Oldest);
    take(&mut tail, 1).await;

    let writer = connect(&replicated(&cluster, &others), "writer").await;
    cluster.cut_off(leader);
    for number in 1..10 {
        writer.append(&message(1, number.to_string())).await.unwrap();
    }
    take(&mut tail, 9).await;
    // The reader reaches the stale leader while that still believes that it leads.
    to_leader.release();
    to_other.refuse();
    let failed = tokio::time::timeout(Duration::from_secs(12), reader.failed()).await;
    assert!(failed.is_err(), "{failed:?}");

    cluster.join();
    writer.append(&message(1, "10")).await.unwrap();
    let taken = take(&mut tail, 1).await;
    assert_eq!(text(&taken[0]), "10");
}

/// The leader of the first partition.
async fn leader(cluster: &NatsCluster) -> usize {
    let client = async_nats::connect(cluster.url(0)).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("CHAT_0").await.unwrap();
    let leader = stream.cached_info().cluster.clone().unwrap().leader.unwrap();
    leader.strip_prefix("nats-").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_one_room_at_the_same_moment_are_all_made() {
    let cluster = NatsCluster::start().await;
    let mut leases = Vec::new();
    for member in 0..3 {
        let log = connect(&replicated(&cluster, &[member]), "node").await;
        leases.push(log.lease(NodeId::new()).await.unwrap());
    }
    for _ in 0..20 {
        let claims = leases.iter().map(|lease| lease.claim(presenter(42), SessionId::new()));
        for claim in futures_util::future::join_all(claims).await {
            claim.unwrap();
        }
    }
    tokio::time::timeout(Duration::from_secs(5), leases[0].end()).await.unwrap();
}
