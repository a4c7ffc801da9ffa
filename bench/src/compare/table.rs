//! The figures of all rounds, as tables and as JSON.

use std::fmt;

use serde_json::{Map, Value, json};

use super::median;
use crate::load::{Cost, Outcome, Pace};

/// The target that ratios are relative to.
const PEER: &str = "nchan";

/// Every outcome, in the order of the rounds.
#[derive(Default)]
pub(super) struct Results {
    rows: Vec<Row>,
}

/// A target under a load.
struct Row {
    pace: String,
    target: &'static str,
    rounds: Vec<Outcome>,
}

impl Results {
    pub(super) fn add(&mut self, pace: Pace, target: &'static str, outcome: Outcome) {
        let pace = pace.to_string();
        match self.rows.iter_mut().find(|row| row.pace == pace && row.target == target) {
            Some(row) => row.rounds.push(outcome),
            None => self.rows.push(Row { pace, target, rounds: vec![outcome] }),
        }
    }

    /// Messages of ours that did not arrive once and in order.
    pub(super) fn wrong_of_ours(&self) -> u64 {
        self.rows.iter().filter(|row| row.target.starts_with("ours")).map(Row::wrong).sum()
    }

    pub(super) fn json(&self) -> String {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let rounds: Vec<Value> = row
                    .rounds
                    .iter()
                    .map(|outcome| {
                        json!({
                            "messagesPerSecond": outcome.rate,
                            "answerMicrosP50": outcome.answered.0,
                            "answerMicrosP99": outcome.answered.1,
                            "socketMicrosP50": outcome.arrived.map(|(p50, _)| p50),
                            "socketMicrosP99": outcome.arrived.map(|(_, p99)| p99),
                            "wrong": outcome.wrong,
                            "processorMicrosPerMessage": by_process(outcome, |cost| cost.user + cost.kernel),
                            "kernelMicrosPerMessage": by_process(outcome, |cost| cost.kernel),
                            "switchesPerMessage": by_process(outcome, |cost| cost.switches),
                            "memoryBytes": outcome.memory,
                        })
                    })
                    .collect();
                json!({ "load": row.pace, "target": row.target, "rounds": rounds })
            })
            .collect();
        format!("{:#}\n", Value::Array(rows))
    }

    fn peer(&self, pace: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.pace == pace && row.target == PEER)
    }
}

impl Row {
    fn wrong(&self) -> u64 {
        self.rounds.iter().map(|outcome| outcome.wrong).sum()
    }

    fn median(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }

    /// The median of the ratios to another target, each within its round.
    fn ratio(&self, to: &Row, of: impl Fn(&Outcome) -> f64) -> f64 {
        median(self.rounds.iter().zip(&to.rounds).map(|(own, other)| of(own) / of(other)).collect())
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |micros: f64| format!("{:.2}", micros / 1_000.0);
        writeln!(
            f,
            "| load | target | messages/s | of nchan | post → answer p50 / p99 ms | post → socket p50 / p99 ms | of nchan's p50 / p99 | CPU µs a message: user + kernel (context switches) | MiB | lost, doubled, reordered |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|---|---:|---:|")?;
        for row in &self.rows {
            let peer = self.peer(&row.pace).filter(|peer| !std::ptr::eq(*peer, row));
            let answered = [row.median(|o| o.answered.0 as f64), row.median(|o| o.answered.1 as f64)].map(ms);
            let has_sockets = row.rounds.iter().all(|outcome| outcome.arrived.is_some());
            let p50 = |o: &Outcome| o.arrived.map_or(f64::NAN, |(p50, _)| p50 as f64);
            let p99 = |o: &Outcome| o.arrived.map_or(f64::NAN, |(_, p99)| p99 as f64);
            let arrived = match has_sockets {
                true => [row.median(p50), row.median(p99)].map(ms).join(" / "),
                false => String::new(),
            };
            let rate = peer.map(|peer| format!("{:.2}", row.ratio(peer, |o| o.rate))).unwrap_or_default();
            let latency = peer
                .filter(|_| has_sockets)
                .map(|peer| format!("{:.1} / {:.1}", row.ratio(peer, p50), row.ratio(peer, p99)))
                .unwrap_or_default();
            let costs = (0..row.rounds.first().map_or(0, |first| first.costs.len())).map(|at| {
                let median = |of: fn(&Cost) -> f64| row.median(|outcome| of(&outcome.costs[at]));
                let (user, kernel) = (median(|cost| cost.user), median(|cost| cost.kernel));
                let (name, switches) = (row.rounds[0].costs[at].name, median(|cost| cost.switches));
                format!("{name} {user:.0} + {kernel:.0} ({switches:.2})")
            });
            let costs: Vec<String> = costs.collect();
            let memory = row.median(|o| o.memory as f64) / 1_048_576.0;
            writeln!(
                f,
                "| {} | {} | {:.0} | {rate} | {} | {arrived} | {latency} | {} | {} | {} |",
                row.pace,
                row.target,
                row.median(|o| o.rate),
                answered.join(" / "),
                costs.join(", "),
                if memory > 0.0 { format!("{memory:.0}") } else { String::new() },
                row.wrong(),
            )?;
        }
        Ok(())
    }
}

fn by_process(outcome: &Outcome, of: impl Fn(&Cost) -> f64) -> Map<String, Value> {
    outcome.costs.iter().map(|cost| (cost.name.to_owned(), json!(of(cost)))).collect()
}
