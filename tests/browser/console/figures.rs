//! How long a page takes, from its browser's own trace or counters: by the wall clock, and by the time that the main
//! thread had a processor. Only the second is the same beside other work.

use std::fmt;
use std::time::Instant;

use serde_json::{Value, json};

use crate::browser::chromium::Page;

/// A task that takes longer delays an input noticeably.
const LONG_MS: f64 = 50.0;

/// What is recorded: tasks of the threads, and measures of the page.
const CATEGORIES: [&str; 3] = ["toplevel", "blink.user_timing", "__metadata"];

/// Processor time of the main thread, as the browser counts it.
const COUNTED: [(&str, &str); 4] = [
    ("TaskDuration", "all"),
    ("ScriptDuration", "script"),
    ("RecalcStyleDuration", "style"),
    ("LayoutDuration", "layout"),
];

/// Counts tasks of the page that delay an input, by the wall clock.
const OBSERVE: &str = "window.longTasks = [];
    window.taskObserver = new PerformanceObserver((list) => longTasks.push(...list.getEntries()));
    taskObserver.observe({ type: 'longtask' });";

/// Those since the last time, with what the observer was not told yet.
const OBSERVED: &str = "new Promise((resolve) => setTimeout(resolve))
    .then(() => [...longTasks.splice(0), ...taskObserver.takeRecords()].map(({ duration }) => duration))";

/// Counts what the page costs without a trace: the browser keeps every task of a trace until its end, and takes minutes
/// to hand out one of some minutes.
pub(super) struct Meter<'a> {
    page: &'a Page,
    counted: Vec<f64>,
}

/// What a part of the work cost. Times are in milliseconds.
pub(super) struct Cost {
    counted: Vec<f64>,
    long: Vec<f64>,
}

impl<'a> Meter<'a> {
    pub(super) async fn start(page: &'a Page) -> Meter<'a> {
        page.command("Performance.enable", json!({ "timeDomain": "threadTicks" })).await;
        page.evaluate(OBSERVE).await;
        Meter { page, counted: counted(page).await }
    }

    /// What it cost since the last time.
    pub(super) async fn read(&mut self) -> Cost {
        let long = serde_json::from_value(self.page.evaluate(OBSERVED).await).expect("a list of times");
        let now = counted(self.page).await;
        let before = std::mem::replace(&mut self.counted, now);
        let counted = self.counted.iter().zip(before).map(|(after, before)| (after - before) * 1_000.0).collect();
        Cost { counted, long }
    }
}

/// Processor time by kind, and the tasks that were long.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = COUNTED.iter().zip(&self.counted).map(|((_, name), ms)| format!("{name} {ms:.0}"));
        let longest = self.long.iter().copied().fold(0.0, f64::max);
        write!(f, "{} | {} (longest {longest:.0})", parts.collect::<Vec<_>>().join(", "), self.long.len())
    }
}

/// A recording that goes on.
pub(super) struct Recording<'a> {
    page: &'a Page,
    begun: Instant,
    counted: Vec<f64>,
}

/// What was recorded.
pub(super) struct Recorded {
    tasks: Vec<Task>,
    events: Vec<Value>,
    seconds: f64,
    counted: Vec<f64>,
}

/// A task of the main thread. Times are in milliseconds.
struct Task {
    begin: f64,
    wall: f64,
    processor: f64,
}

impl<'a> Recording<'a> {
    pub(super) async fn start(page: &'a Page) -> Recording<'a> {
        page.command("Performance.enable", json!({ "timeDomain": "threadTicks" })).await;
        page.record(&CATEGORIES).await;
        Recording { page, begun: Instant::now(), counted: counted(page).await }
    }

    pub(super) async fn end(self) -> Recorded {
        let seconds = self.begun.elapsed().as_secs_f64();
        let counted =
            counted(self.page).await.into_iter().zip(self.counted).map(|(after, before)| after - before).collect();
        let events = self.page.recorded().await;
        let named = |event: &&Value| event["args"]["name"] == "CrRendererMain";
        let main: Vec<&Value> = events.iter().filter(named).map(|event| &event["tid"]).collect();
        let is_task = |event: &&Value| event["name"].as_str().is_some_and(|name| name.ends_with("::RunTask"));
        let tasks = events.iter().filter(is_task).filter(|event| main.contains(&&event["tid"]));
        let ms = |event: &Value, member: &str| event[member].as_f64().unwrap_or(0.0) / 1_000.0;
        let task = |event| Task { begin: ms(event, "ts"), wall: ms(event, "dur"), processor: ms(event, "tdur") };
        Recorded { tasks: tasks.map(task).collect(), events, seconds, counted }
    }
}

async fn counted(page: &Page) -> Vec<f64> {
    let metrics = page.command("Performance.getMetrics", json!({})).await;
    let metrics = metrics["metrics"].as_array().expect("a list").clone();
    let value = |name: &str| metrics.iter().find(|metric| metric["name"] == name)?["value"].as_f64();
    COUNTED.iter().map(|(name, _)| value(name).expect("the browser counts it")).collect()
}

impl Recorded {
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The measures of that name. Their processor time is that of all tasks which overlap them.
    pub(super) fn interactions(&self, name: &str) -> Figures {
        let times = |phase: &str| {
            let events = self.events.iter().filter(|event| event["name"] == name && event["ph"] == phase);
            let mut times: Vec<f64> = events.map(|event| event["ts"].as_f64().expect("a time") / 1_000.0).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let spans = times("b").into_iter().zip(times("e"));
        let figures = spans.map(|(begin, end)| {
            let overlaps = |task: &&Task| task.begin < end && task.begin + task.wall > begin;
            (end - begin, self.tasks.iter().filter(overlaps).map(|task| task.processor).sum())
        });
        Figures(figures.collect())
    }

    /// By each of the two, and how many were long by the wall clock.
    pub(super) fn longest_task(&self) -> String {
        let longest = |time: fn(&Task) -> f64| self.tasks.iter().map(time).fold(0.0, f64::max);
        let long = self.tasks.iter().filter(|task| task.wall > LONG_MS).count();
        let (wall, processor) = (longest(|task| task.wall), longest(|task| task.processor));
        let all = self.tasks.len();
        format!("{wall:.0} ({long} of {all} took more than {LONG_MS}) | {processor:.0}")
    }

    /// Processor time of the main thread in a second.
    pub(super) fn per_second(&self) -> String {
        let parts = COUNTED.iter().zip(&self.counted);
        let parts = parts.map(|((_, name), seconds)| format!("{name} {:.0}", seconds * 1_000.0 / self.seconds));
        format!("{} ms of the processor a second", parts.collect::<Vec<_>>().join(", "))
    }
}

/// Times by the wall clock and of the processor, in milliseconds.
pub(super) struct Figures(Vec<(f64, f64)>);

impl Figures {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            match times.as_slice() {
                [] => "none".to_owned(),
                [only] => format!("{only:.0}"),
                [.., longest] => {
                    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
                    format!("p50 {:.0}, p95 {:.0}, longest {longest:.0}", at(50), at(95))
                }
            }
        };
        let (wall, processor) = self.0.iter().copied().unzip();
        write!(f, "{} | {}", column(wall), column(processor))
    }
}
