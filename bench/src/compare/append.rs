//! The floor below ours: JetStream messages of 200 bytes, one fsynced acknowledgement each.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use hdrhistogram::Histogram;
use hyper::body::Bytes;
use tokio::task::JoinSet;

use super::generator::Outcome;
use crate::load::Pace;

pub(super) const NAME: &str = "bare append";

const STREAM: &str = "BARE";
const BYTES: usize = 200;

/// Posters of an open loop.
const OPEN_POSTERS: usize = 128;

/// Appends for so long.
pub(super) async fn run(url: &str, pace: Pace, duration: Duration) -> anyhow::Result<Outcome> {
    let context = jetstream::new(async_nats::connect(url).await?);
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["bare".to_owned()],
        max_bytes: 1 << 30,
        ..stream::Config::default()
    };
    context.create_stream(config).await?;
    let (posters, gap) = match pace {
        Pace::Closed(posters) => (posters, None),
        Pace::Open(rate) => (OPEN_POSTERS, Some(Duration::from_secs(OPEN_POSTERS as u64).div_f64(rate as f64))),
    };
    let began = Instant::now();
    let until = began + duration;
    let mut running = JoinSet::new();
    for poster in 0..posters {
        let context = context.clone();
        let mut due = began + gap.map(|gap| gap.mul_f64(poster as f64 / posters as f64)).unwrap_or_default();
        running.spawn(async move {
            let (mut latency, payload) = (Histogram::<u64>::new(3)?, Bytes::from(vec![b'x'; BYTES]));
            loop {
                match gap {
                    Some(_) => tokio::time::sleep_until(due.into()).await,
                    None => due = Instant::now(),
                }
                if due >= until {
                    return anyhow::Ok(latency);
                }
                context.publish("bare", payload.clone()).await?.await?;
                latency.record(u64::try_from(due.elapsed().as_micros())?.max(1))?;
                due += gap.unwrap_or_default();
            }
        });
    }
    let mut latency = Histogram::<u64>::new(3)?;
    while let Some(poster) = running.join_next().await {
        latency.add(poster??)?;
    }
    let took = began.elapsed();
    context.delete_stream(STREAM).await?;
    Ok(Outcome {
        rate: latency.len() as f64 / took.as_secs_f64(),
        answered: (latency.value_at_quantile(0.5), latency.value_at_quantile(0.99)),
        arrived: None,
        wrong: 0,
        processor: Vec::new(),
        memory: 0,
    })
}
