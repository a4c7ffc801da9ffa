//! A history: every observation of a run on one clock, as NDJSON. Any tool can read it, and the checker can judge it
//! again later. The history only records; the checker judges.

mod decided;
mod message;
mod observation;
mod parts;
mod people;
mod readers;

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use decided::{Decided, Swept};
pub use message::{MessageObservation, SeenAt, extras};
pub use observation::Observation;
pub use parts::{Beginning, Dialect, LostEvent, Phase, Reading, ReviewVerdict, StreamState, Surface};
pub use people::{ListedNote, ListedWarning, PersonObservation};
pub use readers::{ReaderObservation, ReaderView};

/// The fault that removes the durable readers of the log.
pub const FORGET_READERS: &str = "forget the readers of the log";

/// The fault that flips a bit in the last file of the log. nats-server may lose what it writes behind that bit, at a
/// later start.
pub const FLIP_A_BIT: &str = "flip a bit of the log";

/// The link in posts that have one.
pub const LINK: &str = "https://example.com";

/// A line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since the start of the run. Lines are in this order.
    pub at: u64,
    /// The observation.
    #[serde(flatten)]
    pub what: Observation,
}

/// Writes a history during a run.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    file: Mutex<BufWriter<File>>,
}

impl Recorder {
    /// Creates the file, and starts the clock.
    pub fn create(file: &Path) -> anyhow::Result<Recorder> {
        let created = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Recorder { began: Instant::now(), file: Mutex::new(BufWriter::new(created)) })
    }

    /// The start of the run by the machine's clock.
    pub fn began(&self) -> Timestamp {
        Timestamp::now() - self.elapsed()
    }

    /// The time since the start of the run.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Records an observation with the current time.
    pub fn note(&self, what: Observation) {
        let mut file = self.file.lock();
        // Taken under the lock, so that lines are in order of time.
        let at = u64::try_from(self.began.elapsed().as_micros()).expect("a run takes less than 584,000 years");
        let line = serde_json::to_string(&Line { at, what }).expect("a line has no map with other keys than text");
        // A missing line would look like a loss: no history is better.
        writeln!(file, "{line}").expect("the history can be written");
    }

    /// Makes everything recorded so far readable.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.file.lock().flush().context("cannot write the history")
    }
}

/// Reads a history.
pub fn read(file: &Path) -> anyhow::Result<Vec<Line>> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = BufReader::new(opened).lines().enumerate();
    lines
        .map(|(number, line)| {
            serde_json::from_str(&line?).with_context(|| format!("{}, line {}", file.display(), number + 1))
        })
        .collect()
}
