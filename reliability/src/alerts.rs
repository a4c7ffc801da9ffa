//! Causes each outage that an alert is for, in a system of its own, and asks a running Prometheus which alerts fire and
//! whether they clear. The rules are the shipped ones with all times divided by one factor.

mod outages;
mod people;
mod prometheus;
mod rules;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;

use outages::Outage;
use prometheus::{Alerts, Prometheus};
use stage::Stage;

/// What to run, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// `chatting-server`.
    pub binary: PathBuf,
    /// Prometheus.
    pub prometheus: PathBuf,
    /// By how much all times of the rules are divided.
    pub factor: u32,
    /// Words of the wanted outages' names, or of their alerts. Empty: all.
    pub only: Vec<String>,
    /// Where each outage gets a folder.
    pub folder: PathBuf,
}

/// The time until every alert of an outage fires, and then until none does: longer than the longest, half an hour by the
/// shipped rules, and what the roles themselves take.
const FIRES: Duration = Duration::from_secs(150);
const CLEARS: Duration = Duration::from_secs(150);

/// 5 minutes by the shipped rules: how long an outage lasts on after its alerts, so that others that it should not raise
/// have their time.
const LASTS_ON: Duration = Duration::from_secs(300);

/// The pause between two looks at the alerts.
const LOOK: Duration = Duration::from_millis(100);

/// What one outage raised.
#[derive(Debug)]
struct Outcome {
    outage: Outage,
    /// When each alert fired, after the beginning of the outage.
    fired: BTreeMap<String, Duration>,
    /// When the last one cleared, after the mend. None: not in time.
    cleared: Option<Duration>,
}

/// Causes the outages, one after the other, and prints what fired. The exit code is 0 if each raised its own alerts and
/// no other, and all cleared; else 2.
#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub async fn all(options: &Options) -> anyhow::Result<ExitCode> {
    ensure!(options.factor > 0, "--factor must be at least 1");
    let is_wanted = |outage: &Outage| {
        let has =
            |word: &String| outage.name().contains(word) || outage.raises().iter().any(|name| name.contains(word));
        options.only.is_empty() || options.only.iter().any(has)
    };
    let wanted: Vec<Outage> = Outage::ALL.into_iter().filter(is_wanted).collect();
    ensure!(!wanted.is_empty(), "--only has no word of an outage or an alert; without it, all are caused");
    let mut outcomes = Vec::new();
    for outage in wanted {
        println!("{}", outage.name());
        let outcome = one(outage, options).await.with_context(|| format!("while {}", outage.name()))?;
        print!("{}", outcome.told(options.factor));
        outcomes.push(outcome);
    }
    println!("\n| outage | alerts that fired, after | cleared after |\n|---|---|---|");
    for outcome in &outcomes {
        println!("{}", outcome.row(options.factor));
    }
    let right = outcomes.iter().filter(|outcome| outcome.is_right()).count();
    println!("\n{right} of {} raised their alerts and no other, and cleared", outcomes.len());
    if right == outcomes.len() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("the logs of every process are in {}", options.folder.display());
    Ok(ExitCode::from(2))
}

/// One outage, from a sound system to a mended one.
async fn one(outage: Outage, options: &Options) -> anyhow::Result<Outcome> {
    let stage = Stage::start(outage, options).await?;
    let watch = Watch { began: Instant::now(), seen: Mutex::default() };
    let mended = async {
        let broken = async {
            outage.cause(&stage).await?;
            watch.until(FIRES, |seen| outage.raises().iter().all(|name| seen.fired.contains_key(*name))).await;
            tokio::time::sleep(stage.short(LASTS_ON)).await;
            anyhow::Ok(())
        };
        // What lasts ends with the outage, and holds nothing that the mend needs.
        tokio::select! {
            broken = broken => broken?,
            failed = outage.lasts(&stage) => match failed? {},
        }
        outage.mend(&stage).await?;
        let mended = Instant::now();
        let is_clear = watch.until(CLEARS, |seen| seen.now.is_empty()).await;
        anyhow::Ok(is_clear.then(|| mended.elapsed()))
    };
    // The watch only reads.
    let cleared = tokio::select! {
        cleared = mended => cleared?,
        failed = watch.follow(&stage.prometheus) => match failed? {},
    };
    let fired = watch.seen.into_inner().fired;
    Ok(Outcome { outage, fired, cleared })
}

/// Follows the alerts.
#[derive(Debug)]
struct Watch {
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    fired: BTreeMap<String, Duration>,
    now: Alerts,
}

impl Watch {
    async fn follow(&self, prometheus: &Prometheus) -> anyhow::Result<std::convert::Infallible> {
        loop {
            let now = prometheus.alerts().await?;
            let after = self.began.elapsed();
            {
                let mut seen = self.seen.lock();
                for (name, _) in now.iter().filter(|(_, fires)| **fires) {
                    seen.fired.entry(name.clone()).or_insert(after);
                }
                seen.now = now;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for something to be seen. False: it was not, in that time.
    async fn until(&self, time: Duration, is_seen: impl Fn(&Seen) -> bool) -> bool {
        let began = Instant::now();
        while !is_seen(&self.seen.lock()) {
            if began.elapsed() > time {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}

impl Outcome {
    fn missing(&self) -> Vec<&str> {
        self.outage.raises().iter().copied().filter(|name| !self.fired.contains_key(*name)).collect()
    }

    fn others(&self) -> Vec<&str> {
        let raises: BTreeSet<&str> = self.outage.raises().iter().copied().collect();
        self.fired.keys().map(String::as_str).filter(|name| !raises.contains(name)).collect()
    }

    fn is_right(&self) -> bool {
        self.missing().is_empty() && self.others().is_empty() && self.cleared.is_some()
    }

    /// The alerts in the order in which they fired.
    fn in_order(&self) -> Vec<(&str, Duration)> {
        let mut fired: Vec<(&str, Duration)> = self.fired.iter().map(|(name, after)| (name.as_str(), *after)).collect();
        fired.sort_by_key(|(_, after)| *after);
        fired
    }

    /// For the one who waits.
    fn told(&self, factor: u32) -> String {
        let mut told = String::new();
        for (name, after) in self.in_order() {
            let _ =
                writeln!(told, "  {name} after {:.1} s, {} as shipped", after.as_secs_f64(), minutes(after * factor));
        }
        match self.cleared {
            Some(after) => {
                let _ = writeln!(told, "  clear {:.1} s after the mend", after.as_secs_f64());
            }
            None => told += "  NOT CLEARED in time\n",
        }
        for name in self.missing() {
            let _ = writeln!(told, "  MISSING {name}");
        }
        for name in self.others() {
            let _ = writeln!(told, "  UNEXPECTED {name}");
        }
        told
    }

    /// For the documentation.
    fn row(&self, factor: u32) -> String {
        let fired = self.in_order().into_iter().map(|(name, after)| format!("`{name}` {}", minutes(after * factor)));
        let fired: Vec<String> = fired.collect();
        let cleared = self.cleared.map_or_else(|| "not in time".to_owned(), |after| minutes(after * factor));
        format!("| {} | {} | {cleared} |", self.outage.name(), fired.join(", "))
    }
}

/// To the tenth of a minute: scrapes are 15 s apart.
fn minutes(time: Duration) -> String {
    format!("{:.1} min", time.as_secs_f64() / 60.0)
}
