//! The report of a run, for readers who did not watch it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::checker::{INVARIANTS, Verdict, View, check};
use crate::history::{Dialect, Line, Observation};

/// The number of violations that are shown per invariant.
const SHOWN: usize = 3;

/// The effects of one kind of fault, until they have passed.
#[derive(Debug, Default, Clone, Copy)]
struct Trouble {
    times: usize,
    /// The longest time without an accepted post, in microseconds.
    silent: u64,
    /// The longest delay from acceptance to presenter, in microseconds.
    late: u64,
}

/// The report of a run.
#[derive(Debug)]
pub struct Report {
    seconds: u64,
    posts: BTreeMap<&'static str, usize>,
    /// The accepting answers of the original's surface, and those among them that ask the presenter to reconnect.
    originals: usize,
    reconnects: usize,
    refusals: BTreeMap<String, usize>,
    sessions: usize,
    frames: usize,
    /// The sessions in the original's dialect.
    chatting: usize,
    /// The sessions of readers, and the events that they received.
    readers: (usize, usize),
    tickets: usize,
    broadcasts: usize,
    beside_videos: usize,
    decisions: BTreeMap<&'static str, usize>,
    faults: BTreeMap<String, Trouble>,
    calm: Trouble,
    verdicts: Vec<(&'static str, Verdict)>,
    /// The text of each line that a violation shows.
    shown: BTreeMap<usize, String>,
    folder: PathBuf,
    /// The error of an incomplete reading.
    pub unread: Option<String>,
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every invariant held.
    Held,
    /// At least one was violated.
    Broken,
    /// None was violated, and the history is inconclusive for at least one.
    Unknown,
}

impl Report {
    /// Judges a history. `folder` has the files of the run.
    pub fn of(lines: &[Line], folder: PathBuf) -> Report {
        let verdicts = check(lines);
        let mut report = Report {
            seconds: lines.last().map_or(0, |line| line.at / 1_000_000),
            posts: BTreeMap::new(),
            originals: 0,
            reconnects: 0,
            refusals: BTreeMap::new(),
            sessions: 0,
            frames: 0,
            chatting: 0,
            readers: (0, 0),
            tickets: 0,
            broadcasts: 0,
            beside_videos: 0,
            decisions: BTreeMap::new(),
            faults: BTreeMap::new(),
            calm: Trouble::default(),
            verdicts,
            shown: BTreeMap::new(),
            folder,
            unread: None,
        };
        report.count(lines);
        report.troubles(lines);
        for (_, verdict) in &report.verdicts {
            let Verdict::Broken(violations) = verdict else { continue };
            for line in violations.iter().take(SHOWN).flat_map(|violation| &violation.lines) {
                let text = serde_json::to_string(&lines[*line]).expect("a line was read from JSON");
                report.shown.insert(*line, text);
            }
        }
        report
    }

    /// The result.
    pub fn ending(&self) -> Ending {
        let is = |wanted: fn(&Verdict) -> bool| self.verdicts.iter().any(|(_, verdict)| wanted(verdict));
        if is(|verdict| matches!(verdict, Verdict::Broken(_))) {
            Ending::Broken
        } else if self.unread.is_some() || is(|verdict| matches!(verdict, Verdict::Unknown(_))) {
            Ending::Unknown
        } else {
            Ending::Held
        }
    }

    /// The names of the violated invariants.
    pub fn broken(&self) -> Vec<&'static str> {
        let broken = self.verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Broken(_)));
        broken.map(|(name, _)| *name).collect()
    }

    /// The lines that show the violations, as NDJSON.
    pub fn smallest_history(&self) -> String {
        self.shown.values().map(|line| format!("{line}\n")).collect()
    }

    fn count(&mut self, lines: &[Line]) {
        let view = View::of(lines);
        for post in view.posts.values() {
            *self.posts.entry(post.request.outcome().word()).or_default() += 1;
        }
        for decision in view.decisions.values() {
            *self.decisions.entry(decision.request.outcome().word()).or_default() += 1;
        }
        self.originals = view.originals.len();
        let events = view.readers.iter().map(|reader| reader.session.frames.len()).sum();
        self.readers = (view.readers.len(), events);
        self.tickets = view.tickets.len();
        self.reconnects = view.originals.iter().filter(|status| **status == 202).count();
        self.chatting = view.sessions.iter().filter(|session| session.dialect == Dialect::Original).count();
        for Line { what, .. } in lines {
            match what {
                Observation::Failed { status, code, .. } => {
                    *self.refusals.entry(format!("{status} {code}")).or_default() += 1;
                }
                Observation::Unknown { why, .. } => {
                    *self.refusals.entry(format!("unknown: {why}")).or_default() += 1;
                }
                Observation::Welcome { .. } => self.sessions += 1,
                Observation::Frame { .. } => self.frames += 1,
                Observation::Broadcast { .. } => self.broadcasts += 1,
                Observation::ReplayedBesideVideo { .. } => self.beside_videos += 1,
                _ => {}
            }
        }
    }

    /// The longest time without an accepted post and the longest delay to a presenter, by kind of fault.
    fn troubles(&mut self, lines: &[Line]) {
        let view = View::of(lines);
        let mut accepted: Vec<(u64, chat::EventId)> =
            view.accepted_posts().map(|(_, line, id, _)| (lines[line].at, id)).collect();
        accepted.sort_unstable();
        let mut shown = std::collections::HashMap::new();
        for session in view.presenters() {
            for frame in &session.frames {
                let at = lines[frame.line].at;
                let first = shown.entry(frame.id).or_insert(at);
                *first = at.min(*first);
            }
        }
        let silences = accepted.windows(2).map(|pair| (pair[0].0, pair[1].0));
        let ways = accepted.iter().filter_map(|(at, id)| Some((*at, *shown.get(id)?)));
        let (silences, ways): (Vec<_>, Vec<_>) = (silences.collect(), ways.collect());
        let mut troubled = vec![];
        for fault in view.faults.values() {
            let (from, to) = (lines[fault.begins].at, fault.heals.map_or(u64::MAX, |line| lines[line].at));
            troubled.push((from, to.saturating_add(AFTER_US)));
            let trouble = self.faults.entry(fault.kind.to_owned()).or_default();
            trouble.times += 1;
            let overlaps = |(begin, end): &&(u64, u64)| *begin <= to && from <= *end;
            let longest = |times: &[(u64, u64)]| times.iter().filter(overlaps).map(|(a, b)| b.saturating_sub(*a)).max();
            trouble.silent = trouble.silent.max(longest(&silences).unwrap_or(0));
            trouble.late = trouble.late.max(longest(&ways).unwrap_or(0));
        }
        let is_calm = |(begin, end): &&(u64, u64)| !troubled.iter().any(|(from, to)| begin <= to && from <= end);
        let longest = |times: &[(u64, u64)]| times.iter().filter(is_calm).map(|(a, b)| b.saturating_sub(*a)).max();
        self.calm = Trouble { times: 0, silent: longest(&silences).unwrap_or(0), late: longest(&ways).unwrap_or(0) };
    }
}

/// 5 s: the effects of a fault have passed by then.
const AFTER_US: u64 = 5_000_000;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} s; the files are in {}", self.seconds, self.folder.display())?;
        let counts = |counts: &BTreeMap<&str, usize>| {
            let words: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
            words.join(", ")
        };
        writeln!(f, "posts       {}", counts(&self.posts))?;
        let (originals, reconnects) = (self.originals, self.reconnects);
        writeln!(
            f,
            "            {originals} accepted by the original's surface, {reconnects} of them asking to reconnect"
        )?;
        writeln!(f, "decisions   {}", counts(&self.decisions))?;
        let Report { sessions, frames, chatting, .. } = self;
        writeln!(f, "presenters  {sessions} sessions, {chatting} in the original's dialect, {frames} events")?;
        let ((sessions, events), tickets) = (self.readers, self.tickets);
        writeln!(f, "readers     {sessions} sessions, {tickets} tickets, {events} events")?;
        writeln!(f, "videos      {} broadcasts, {} messages beside them", self.broadcasts, self.beside_videos)?;
        writeln!(f, "answers other than success, by attempt:")?;
        for (refusal, count) in &self.refusals {
            writeln!(f, "  {count:6} {refusal}")?;
        }
        writeln!(f, "faults: count; longest time without an accepted post; longest delay to a presenter:")?;
        let seconds = |us: u64| us as f64 / 1e6;
        for (kind, trouble) in &self.faults {
            let (silent, late) = (seconds(trouble.silent), seconds(trouble.late));
            writeln!(f, "  {kind:32} {:3} {silent:7.2} s {late:7.2} s", trouble.times)?;
        }
        let (silent, late) = (seconds(self.calm.silent), seconds(self.calm.late));
        writeln!(f, "  {:32}     {silent:7.2} s {late:7.2} s", "(none)")?;
        writeln!(f, "invariants, and how often each could have been violated:")?;
        for (invariant, (name, verdict)) in INVARIANTS.iter().zip(&self.verdicts) {
            match verdict {
                Verdict::Held(looked_at) => writeln!(f, "  held    {looked_at:8} {name}: {}", invariant.promise)?,
                Verdict::Unknown(why) => writeln!(f, "  unknown          {name}: {why}")?,
                Verdict::Broken(violations) => {
                    writeln!(f, "  BROKEN  {:8} {name}: {}", violations.len(), invariant.promise)?;
                    for violation in violations.iter().take(SHOWN) {
                        writeln!(f, "      {}", violation.sentence)?;
                        for line in &violation.lines {
                            writeln!(f, "        line {}: {}", line + 1, self.shown[line])?;
                        }
                    }
                }
            }
        }
        if let Some(unread) = &self.unread {
            writeln!(f, "a reading at the end of the run failed: {unread}")?;
        }
        match self.ending() {
            Ending::Held => write!(f, "every invariant held"),
            Ending::Broken => write!(f, "broken: {}", self.broken().join(", ")),
            Ending::Unknown => write!(f, "no invariant was violated, but not every one was tested"),
        }
    }
}
