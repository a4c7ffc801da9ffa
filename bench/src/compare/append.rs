//! The floor below ours: JetStream messages of 200 bytes, one fsynced acknowledgement each.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use hdrhistogram::Histogram;
use hyper::body::Bytes;
use tokio::task::JoinSet;

use crate::load::Outcome;
use crate::system::System;

pub(super) const NAME: &str = "bare append";

const STREAM: &str = "BARE";
const BYTES: usize = 200;

/// This many appenders, each of which appends again once it is acknowledged.
pub(super) async fn run(system: &System, posters: usize, duration: Duration) -> anyhow::Result<Outcome> {
    let context = jetstream::new(async_nats::connect(&system.nats).await?);
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["bare".to_owned()],
        max_bytes: 1 << 30,
        num_replicas: system.replicas,
        ..stream::Config::default()
    };
    context.create_stream(config).await?;
    let began = Instant::now();
    let until = began + duration;
    let mut running = JoinSet::new();
    for _ in 0..posters {
        let context = context.clone();
        running.spawn(async move {
            let (mut latency, payload) = (Histogram::<u64>::new(3)?, Bytes::from(vec![b'x'; BYTES]));
            while Instant::now() < until {
                let sent = Instant::now();
                context.publish("bare", payload.clone()).await?.await?;
                latency.record(u64::try_from(sent.elapsed().as_micros())?.max(1))?;
            }
            anyhow::Ok(latency)
        });
    }
    let mut latency = Histogram::<u64>::new(3)?;
    while let Some(poster) = running.join_next().await {
        latency.add(poster??)?;
    }
    let took = began.elapsed();
    context.delete_stream(STREAM).await?;
    Ok(Outcome {
        messages: latency.len(),
        rate: latency.len() as f64 / took.as_secs_f64(),
        answered: (latency.value_at_quantile(0.5), latency.value_at_quantile(0.99)),
        arrived: None,
        wrong: 0,
        costs: Vec::new(),
        memory: 0,
    })
}
