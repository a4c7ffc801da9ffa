//! The clocks of NATS, MongoDB and this machine, against each other. A clock is known up to half of the time that its
//! answer took; a difference counts only beyond that error.

use nats::ClockReading;

use super::finding::{Finding, Level};

const PART: &str = "clocks";

/// A second between any two machines: tokens, time-outs and settings expire by their clocks.
const BOUND_MS: i64 = 1_000;

/// Between servers of NATS: the leader's clock decides whether an append came in time.
const NATS_BOUND_MS: i64 = 200;

/// The clock of a server, compared with this machine's.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    name: String,
    is_nats: bool,
    /// How far it is ahead of this machine's.
    ahead_ms: i64,
    /// `ahead_ms` is wrong by this much at most.
    error_ms: i64,
}

impl Clock {
    pub(super) fn of_nats(reading: ClockReading) -> Clock {
        // To the millisecond.
        Clock::of("NATS", true, reading, 1)
    }

    pub(super) fn of_mongodb(reading: ClockReading) -> Clock {
        // MongoDB shows whole milliseconds.
        Clock::of("MongoDB", false, reading, 2)
    }

    fn of(service: &str, is_nats: bool, reading: ClockReading, rounding_ms: i64) -> Clock {
        let ClockReading { server, time, asked, answered } = reading;
        let (asked, answered) = (asked.as_millisecond(), answered.as_millisecond());
        Clock {
            name: format!("{service} ({server})"),
            is_nats,
            ahead_ms: time.as_millisecond() - asked.midpoint(answered),
            error_ms: (answered - asked).abs() / 2 + rounding_ms,
        }
    }
}

/// A finding for each clock against this machine's, and for each two of them that differ too much.
pub(super) fn findings(clocks: &[Clock]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = clocks
        .iter()
        .map(|clock| {
            let what = told(&clock.name, "this machine", clock.ahead_ms, clock.error_ms);
            finding(judge(clock.ahead_ms, clock.error_ms, BOUND_MS), what)
        })
        .collect();
    for (index, one) in clocks.iter().enumerate() {
        for other in &clocks[index + 1..] {
            let bound = if one.is_nats && other.is_nats { NATS_BOUND_MS } else { BOUND_MS };
            let (ahead, error) = (one.ahead_ms - other.ahead_ms, one.error_ms + other.error_ms);
            if judge(ahead, error, bound) == Level::Problem {
                findings.push(finding(Level::Problem, told(&one.name, &other.name, ahead, error)));
            }
        }
    }
    findings
}

/// The finding about a clock that could not be read.
pub(super) fn unread(service: &str, reason: &str) -> Finding {
    Finding::warning(PART, format!("a clock of {service} was not read: {reason}"), "check again")
}

/// A problem is certain, a warning is possible within the error.
fn judge(ahead_ms: i64, error_ms: i64, bound_ms: i64) -> Level {
    match ahead_ms.abs() {
        ahead if ahead - error_ms > bound_ms => Level::Problem,
        ahead if ahead + error_ms > bound_ms => Level::Warning,
        _ => Level::Ok,
    }
}

fn told(one: &str, other: &str, ahead_ms: i64, error_ms: i64) -> String {
    let which = if ahead_ms < 0 { "behind" } else { "ahead of" };
    format!("{one}: {} ms {which} {other}, ± {error_ms} ms", ahead_ms.abs())
}

fn finding(level: Level, what: String) -> Finding {
    match level {
        Level::Ok => Finding::ok(PART, what),
        Level::Warning => Finding::warning(PART, what, "check again: the answer took too long to compare the clocks"),
        Level::Problem => Finding::problem(PART, what, "set both clocks by NTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(is_nats: bool, ahead_ms: i64, took_ms: i64) -> Clock {
        let at = |ms: i64| jiff::Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap();
        let (asked, answered) = (at(0), at(took_ms));
        let reading = ClockReading { server: "one".to_owned(), time: at(took_ms / 2 + ahead_ms), asked, answered };
        if is_nats { Clock::of_nats(reading) } else { Clock::of_mongodb(reading) }
    }

    fn levels(clocks: &[Clock]) -> Vec<Level> {
        findings(clocks).into_iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_clock_is_judged_by_what_is_certain_about_it() {
        for (ahead_ms, took_ms, level) in [
            (3, 2, Level::Ok),
            (-990, 2, Level::Ok),
            (1_010, 2, Level::Problem),
            (-3_600_000, 2, Level::Problem),
            (1_010, 400, Level::Warning),
            (0, 4_000, Level::Warning),
        ] {
            assert_eq!(levels(&[clock(true, ahead_ms, took_ms)]), [level], "{ahead_ms} {took_ms}");
        }
        let told = &findings(&[clock(false, -7, 10)])[0].what;
        assert_eq!(told, "MongoDB (one): 7 ms behind this machine, ± 7 ms");
    }

    #[test]
    fn servers_of_nats_are_held_closer_together_than_others() {
        use Level::{Ok, Problem};
        assert_eq!(levels(&[clock(true, 150, 2), clock(true, -150, 2)]), [Ok, Ok, Problem]);
        assert_eq!(levels(&[clock(true, 150, 2), clock(false, -150, 2)]), [Ok, Ok]);
        assert_eq!(levels(&[clock(true, 600, 2), clock(false, -600, 2)]), [Ok, Ok, Problem]);
    }
}
