//! The shipped rules and the shipped configuration of Prometheus, with all their times divided by one factor: an alert
//! that takes ten minutes fires within half a minute. Everything else stays as it is shipped.

use std::time::Duration;

use anyhow::{Context as _, ensure};

const RULES: &str = include_str!("../../../deploy/prometheus/chatting.rules.yml");
const CONFIGURATION: &str = include_str!("../../../deploy/prometheus/prometheus.yml");

/// What stands before a time: the range of a query, a point in the past, the time for which an alert is pending, and the
/// intervals of scrapes and evaluations.
const BEFORE: [&str; 4] = ["[", "offset ", "for: ", "_interval: "];

/// The one time that is a threshold: how long events may wait for the archive.
const THRESHOLD: &str = "chatting_archiver_behind_seconds) > 1800";
const THRESHOLD_SECONDS: u32 = 1_800;

/// The names of the shipped alerts.
#[cfg(test)]
pub(super) fn shipped() -> Vec<(&'static str, &'static str)> {
    let alerts = RULES.split("- alert: ").skip(1);
    let named = alerts.filter_map(|rule| {
        let (name, rest) = rule.split_once('\n')?;
        let (_, severity) = rest.split_once("severity: ")?;
        Some((name, severity.split_once('}')?.0))
    });
    named.collect()
}

/// The rules with their times divided.
pub(super) fn rules(factor: u32) -> anyhow::Result<String> {
    ensure!(RULES.contains(THRESHOLD), "the rules have no `{THRESHOLD}` any more: correct rules.rs");
    let seconds = f64::from(THRESHOLD_SECONDS) / f64::from(factor);
    divided(&RULES.replace(THRESHOLD, &format!("chatting_archiver_behind_seconds) > {seconds}")), factor)
}

/// The configuration with its intervals divided, and with these targets in place of the shipped ones of their job.
pub(super) fn configuration(factor: u32, targets: &[(&str, Vec<String>)]) -> anyhow::Result<String> {
    let mut configuration = divided(CONFIGURATION, factor)?;
    for (job, addresses) in targets {
        let begin =
            configuration.find(&format!("job_name: {job}\n")).with_context(|| format!("there is no job {job}"))?;
        let from = begin + configuration[begin..].find("targets: [").context("a job has targets")? + "targets: [".len();
        let to = from + configuration[from..].find(']').context("the list of targets ends")?;
        let quoted: Vec<String> = addresses.iter().map(|address| format!("{address:?}")).collect();
        configuration.replace_range(from..to, &quoted.join(", "));
    }
    Ok(configuration)
}

/// The text with each of its times divided.
fn divided(text: &str, factor: u32) -> anyhow::Result<String> {
    let mut divided = String::new();
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('#') {
            divided += line;
            continue;
        }
        let mut rest = line;
        while let Some((at, before)) =
            BEFORE.iter().filter_map(|before| Some((rest.find(before)?, before))).min_by_key(|(at, _)| *at)
        {
            let (done, after) = rest.split_at(at + before.len());
            divided += done;
            let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
            // A bracket may also begin a list.
            if let Some(time) = time(&after[..end]) {
                let short = time / factor;
                ensure!(short >= Duration::from_millis(1), "{} cannot be divided by {factor}", &after[..end]);
                divided += &format!("{}ms", short.as_millis());
                rest = &after[end..];
            } else {
                rest = after;
            }
        }
        divided += rest;
    }
    Ok(divided)
}

/// A time as Prometheus writes it, such as `1h30m`. None: it is none.
fn time(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        total += match &after[..letters] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(60 * number),
            "h" => Duration::from_secs(3_600 * number),
            "d" => Duration::from_secs(86_400 * number),
            _ => return None,
        };
        rest = &after[letters..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_divided_and_nothing_else_is() {
        for (text, expected) in [
            ("for: 2m\n", "for: 4000ms\n"),
            ("for: 1h30m\n", "for: 180000ms\n"),
            ("a[5m] / b[15m] offset 1d > 0.05\n", "a[10000ms] / b[30000ms] offset 2880000ms > 0.05\n"),
            ("  scrape_interval: 15s\n", "  scrape_interval: 500ms\n"),
            ("# for: 2m\n", "# for: 2m\n"),
            ("targets: [\"127.0.0.1:9080\"]\n", "targets: [\"127.0.0.1:9080\"]\n"),
            ("x - time() < 14 * 86400\n", "x - time() < 14 * 86400\n"),
        ] {
            assert_eq!(divided(text, 30).unwrap(), expected);
        }
        assert!(divided("for: 1s\n", 5_000).is_err());
    }

    #[test]
    fn the_shipped_files_have_times_and_targets_to_change() {
        let rules = rules(30).unwrap();
        assert!(rules.contains("chatting_archiver_behind_seconds) > 60\n"), "{rules}");
        assert_eq!(rules.matches("- alert: ").count(), shipped().len());
        assert!(
            shipped().contains(&("ChattingNodeDown", "ticket")) && shipped().contains(&("ChattingRoleDown", "page"))
        );
        let addresses = vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
        let configuration = configuration(30, &[("chatting-delivery", addresses)]).unwrap();
        let delivery = configuration.split("job_name: chatting-delivery").nth(1).unwrap();
        assert!(delivery.contains("targets: [\"127.0.0.1:1\", \"127.0.0.1:2\"]"), "{configuration}");
        assert!(configuration.contains("scrape_interval: 500ms\n"), "{configuration}");
    }
}
