//! A run: start the system, post while faults are injected, end the faults, read everything, and judge the history.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chatting_server::play;
use futures_util::future::try_join_all;
use judge::history::{self, Beginning, Observation, Phase, Recorder};
use judge::report::Report;
use tokio_util::sync::CancellationToken;

use crate::drain;
use crate::erasures;
use crate::memory;
use crate::moderators::Moderators;
use crate::nemesis::{Course, Nemesis};
use crate::presence;
use crate::presenters::Presenters;
use crate::readers::Readers;
use crate::readings;
use crate::review;
use crate::system::{Part, Plan, System, start_patiently};
use crate::traces;
use crate::video;
use crate::viewers::{Latest, Viewers};

/// The options of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The duration of load and faults.
    pub load: Duration,
    /// The seed of load and faults.
    pub seed: u64,
    /// The number of rooms.
    pub rooms: i64,
    /// The number of viewers who post.
    pub viewers: i64,
    /// Posts per second in total.
    pub rate: f64,
    /// Recordings with texts to post.
    pub recordings: Vec<PathBuf>,
    /// The pause between two faults, in milliseconds.
    pub calm: std::ops::Range<u64>,
    /// Words in the names of the wanted faults, such as `kill nats`. Empty: all.
    pub faults: Vec<String>,
    /// Words in the names of the wanted activities beside the posts, such as `settings`. Empty: all of [`PLAYS`].
    pub plays: Vec<String>,
    /// Whether one fault in three lasts for up to two and a half minutes.
    pub lasting: bool,
    /// The system to test, and its folder.
    pub plan: Plan,
}

/// The activities beside the posts.
pub const PLAYS: [&str; 15] = [
    "bans from every room",
    "settings",
    "followed replays",
    "review hook",
    "erasures",
    "moderators of rooms",
    "readers",
    "holds",
    "reports",
    "pins",
    "notices",
    "traces",
    "raids",
    "warnings",
    "notes on users",
];

/// The number of rooms whose replay is followed.
const FOLLOWED: i64 = 2;

/// The texts of posts if there is no recording.
const SAID: [&str; 12] = [
    "안녕하세요",
    "hiii, am I early?",
    "ㅋㅋㅋㅋㅋ",
    "lets gooo 🔥🔥",
    "오늘 방송 언제까지 해요?",
    "what song is this",
    "와 대박",
    "👏👏👏",
    "처음 왔어요 반가워요",
    "no way that just happened",
    "こんばんは",
    "she said \"hello\" \\o/",
];

/// Leaves room for the number at the end.
const LONGEST_TEXT: usize = 300;

/// Executes a run.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let texts = texts(&options.recordings)?;
    let plays = |name: &str| options.plays.is_empty() || options.plays.iter().any(|word| name.contains(word));
    let [bans, settings, followed, reviewed, erased, appointed, read, held, others @ ..] = PLAYS.map(plays);
    let [reported, pinned, notices, traced, raided, warned, noted] = others;
    let mut plan = options.plan.clone();
    let notes = review::Notes::default();
    if reviewed {
        plan.review = Some(review::start(Arc::clone(&notes)).await?);
    }
    let system = Arc::new(System::start(&plan).await?);
    let file = options.plan.folder.join("history.ndjson");
    let recorder = Arc::new(Recorder::create(&file)?);
    notes.get_or_init(|| Arc::clone(&recorder));
    let window_ms = system.config.delivery.window.as_millis() as u64;
    recorder.note(Observation::Begins(Beginning {
        seed: options.seed,
        began: recorder.began(),
        window_ms,
        append_deadline_ms: system.config.nats.append_deadline.as_millis() as u64,
        lease_ms: system.config.nats.lease.as_millis() as u64,
    }));
    for (setting, value) in options.plan.constants.clone() {
        recorder.note(Observation::Constant { setting, value });
    }
    let latest = Arc::<Latest>::default();
    let Options { rooms, seed, .. } = *options;
    let viewers = Arc::new(Viewers {
        recorder: Arc::clone(&recorder),
        ingest: system.ingest.clone(),
        rooms,
        count: options.viewers,
        rate: options.rate,
        texts,
        seed,
        latest: Arc::clone(&latest),
        posts: AtomicU64::new(1),
        last_words: Default::default(),
        told: Default::default(),
    });
    let moderators = Moderators {
        recorder: Arc::clone(&recorder),
        ingest: system.ingest.clone(),
        rooms,
        seed,
        latest: Arc::clone(&latest),
        decisions: AtomicU64::new(1),
        deleted: Default::default(),
        restored: Default::default(),
    };
    let window = Duration::from_millis(window_ms);
    let presenters = Arc::new(Presenters::new(Arc::clone(&recorder), system.delivery.clone(), rooms, seed, window));
    let of_readers = if read { rooms } else { 0 };
    let readers = Arc::new(Readers::new(Arc::clone(&recorder), &system.delivery, of_readers, seed, window)?);
    let (calm, words, lasting) = (options.calm.clone(), options.faults.clone(), options.lasting);
    let course = Course { seed, calm, words, lasting };
    let mut nemesis = Nemesis::new(Arc::clone(&system), Arc::clone(&recorder), course)?;

    let (stop, over) = (CancellationToken::new(), CancellationToken::new());
    let watching = tokio::spawn({
        let (presenters, over) = (Arc::clone(&presenters), over.clone());
        async move { presenters.watch(&over).await }
    });
    let reading = tokio::spawn({
        let (readers, over) = (Arc::clone(&readers), over.clone());
        async move { readers.read(&over).await }
    });
    recorder.note(Observation::Phase { phase: Phase::Load });
    let erasing = stop.child_token();
    let clock = async {
        // What erased users write afterwards has to stay.
        tokio::time::sleep(options.load.mul_f64(0.8)).await;
        erasing.cancel();
        tokio::time::sleep(options.load.mul_f64(0.2)).await;
        stop.cancel();
        anyhow::Ok(())
    };
    let course = async {
        let readings = AtomicU64::new(1);
        tokio::try_join!(
            clock,
            viewers.write(&stop),
            moderators.decide(0, &stop),
            moderators.decide(1, &stop),
            when(bans, moderators.ban_everywhere(&stop)),
            when(settings, moderators.configure(&stop)),
            when(appointed, moderators.appoint(&stop)),
            when(appointed, moderators.decide_as_appointed(1, &stop)),
            when(appointed, moderators.decide_as_appointed(2, &stop)),
            when(followed, async {
                let rooms = 1..=rooms.min(FOLLOWED);
                try_join_all(rooms.map(|room| video::follow(&system, &recorder, room, &readings, &stop))).await?;
                Ok(())
            }),
            when(erased, erasures::erase(&system, &recorder, seed, &erasing)),
            when(held, moderators.decide_holds(&stop)),
            when(reported, moderators.report(&stop)),
            when(pinned, moderators.pin(&stop)),
            when(notices, viewers.post_notices(&stop)),
            when(traced, traces::trace(&system, &recorder, &latest, seed, &stop)),
            when(raided, moderators.sweep_raids(&viewers, &stop)),
            when(warned, moderators.warn(&viewers, &stop)),
            when(noted, moderators.note(&stop)),
            nemesis.rage(&stop),
        )?;
        let healed = Instant::now();
        drain::drain(&system, &recorder, &viewers, &presenters, &readers, &moderators).await?;
        presence::present(&viewers).await?;
        over.cancel();
        anyhow::Ok(healed)
    };
    let (healed, ..) =
        tokio::try_join!(course, supervise(&system, &recorder, &over), memory::sample(&system, &recorder, &over))?;
    watching.await??;
    reading.await??;
    presence::absent(&viewers, healed, system.config.nats.lease.get()).await?;
    // A failed reading makes the history inconclusive, and the report says so.
    let read = readings::read(&system, &recorder, &presenters, rooms).await;
    recorder.flush()?;
    let lines = history::read(&file)?;
    let mut report = Report::of(&lines, options.plan.folder.clone());
    report.unread = read.err().map(|error| format!("{error:#}"));
    Ok(report)
}

async fn when(plays: bool, play: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    if plays { play.await } else { Ok(()) }
}

/// The interval between checks that every process runs.
const LOOK: Duration = Duration::from_millis(300);

/// The fault numbers of processes that ended by themselves, above those of injected faults.
const FIRST_END: u64 = 1_000_000;

/// Restarts processes that ended by themselves, as a service manager does, and records each as a fault.
async fn supervise(system: &System, recorder: &Recorder, over: &CancellationToken) -> anyhow::Result<()> {
    let ends = AtomicU64::new(FIRST_END);
    // Each on its own: one that waits for the log must not delay the others.
    let parts = system.parts.iter().map(|part| supervise_one(part, &ends, recorder, over));
    try_join_all(parts).await.map(drop)
}

async fn supervise_one(
    part: &Part,
    ends: &AtomicU64,
    recorder: &Recorder,
    over: &CancellationToken,
) -> anyhow::Result<()> {
    while over.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        // A fault holds this process.
        let Ok(mut server) = part.server.try_lock() else { continue };
        let Some(status) = server.exited()? else { continue };
        let fault = ends.fetch_add(1, Ordering::Relaxed);
        let kind = format!("{} ended by itself ({status})", part.kind.word());
        recorder.note(Observation::Breaks { fault, kind, parts: vec![part.name.clone()] });
        start_patiently(part, &mut server).await?;
        recorder.note(Observation::Heals { fault });
    }
    Ok(())
}

fn texts(recordings: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for file in recordings {
        texts.extend(play::read(file)?.into_iter().map(|line| line.text));
    }
    if texts.is_empty() {
        return Ok(SAID.map(str::to_owned).to_vec());
    }
    for text in &mut texts {
        *text = text.chars().take(LONGEST_TEXT).collect();
    }
    Ok(texts)
}
