//! The figures of all readers, as tables and as JSON.

use std::fmt;

use super::{Audience, Loaded, Place};

/// Every audience, in the order of measuring.
#[derive(Default)]
pub(super) struct Results {
    audiences: Vec<Audience>,
}

impl Results {
    pub(super) fn add(&mut self, audience: Audience) {
        self.audiences.push(audience);
    }

    /// Deliveries of ours that were not once and in order.
    pub(super) fn wrong_of_ours(&self) -> u64 {
        let ours = self.audiences.iter().filter(|audience| audience.target.starts_with("ours"));
        ours.flat_map(|audience| &audience.loads).map(|load| load.wrong).sum()
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(&self.audiences)? + "\n")
    }
}

impl Audience {
    fn title(&self) -> String {
        match self.place {
            Place::OneRoom => format!("{} of one room", self.readers),
            Place::RoomEach => format!("1 each of {} rooms", self.readers),
        }
    }

    /// KiB that a reader takes, idle.
    fn kib_a_reader(&self) -> f64 {
        self.memory_connected.saturating_sub(self.memory_before) as f64 / 1_024.0 / self.readers as f64
    }
}

impl Loaded {
    fn cells(&self) -> String {
        let presenter = [self.presenter_micros, self.presenter_alone_micros].map(|of| of.map(ms).unwrap_or_default());
        let costs = self.processor_micros_per_delivery.iter().map(|(name, micros)| format!("{name} {micros:.1}"));
        format!(
            "{} | {:.0} | {} | {} | {} | {} | {}",
            self.load,
            self.deliveries_per_second,
            ms(self.each_micros),
            ms(self.last_micros),
            presenter.join(" | "),
            costs.collect::<Vec<_>>().join(", "),
            self.wrong,
        )
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        writeln!(
            f,
            "| readers | target | connected in s | server's MiB before, connected, after the loads | KiB a reader |"
        )?;
        writeln!(f, "|---|---|---:|---|---:|")?;
        for audience in &self.audiences {
            writeln!(
                f,
                "| {} | {} | {:.1} | {:.0}, {:.0}, {:.0} | {:.1} |",
                audience.title(),
                audience.target,
                audience.connect_seconds,
                mib(audience.memory_before),
                mib(audience.memory_connected),
                mib(audience.memory_after),
                audience.kib_a_reader(),
            )?;
        }
        writeln!(f, "\nLatencies are p50 / p99 in ms, from the time at which a post was due.\n")?;
        writeln!(
            f,
            "| readers | target | load | deliveries/s | to each reader | to the last reader | to the presenter | to the presenter without readers | CPU µs a delivery | lost, doubled, reordered |"
        )?;
        writeln!(f, "|---|---|---|---:|---|---|---|---|---|---:|")?;
        for audience in &self.audiences {
            for load in &audience.loads {
                writeln!(f, "| {} | {} | {} |", audience.title(), audience.target, load.cells())?;
            }
        }
        Ok(())
    }
}

fn ms((p50, p99): (u64, u64)) -> String {
    format!("{:.2} / {:.2}", p50 as f64 / 1_000.0, p99 as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audience(target: &'static str, wrong: u64) -> Audience {
        let load = Loaded {
            load: "5 messages/s".to_owned(),
            messages: 50,
            deliveries_per_second: 1_000.0,
            each_micros: (1_000, 2_000),
            last_micros: (3_000, 4_500),
            presenter_micros: Some((900, 1_100)),
            presenter_alone_micros: None,
            processor_micros_per_delivery: vec![("delivery", 3.25), ("generator", 2.0)],
            wrong,
        };
        Audience {
            place: Place::OneRoom,
            target,
            readers: 200,
            connect_seconds: 0.5,
            memory_before: 30 << 20,
            memory_connected: 32 << 20,
            memory_after: 33 << 20,
            loads: vec![load],
        }
    }

    #[test]
    fn a_reader_takes_its_part_of_the_memory_that_all_of_them_added() {
        let mut results = Results::default();
        results.add(audience("ours, chat.v1", 2));
        results.add(audience("nchan, WebSocket", 40));
        assert_eq!(results.wrong_of_ours(), 2);
        let table = results.to_string();
        assert!(table.contains("| 200 of one room | ours, chat.v1 | 0.5 | 30, 32, 33 | 10.2 |"), "{table}");
        let load =
            "| 5 messages/s | 1000 | 1.00 / 2.00 | 3.00 / 4.50 | 0.90 / 1.10 |  | delivery 3.2, generator 2.0 | 2 |";
        assert!(table.contains(load), "{table}");
    }
}
