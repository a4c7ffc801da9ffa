//! Keys of earlier versions, with the unit in the key and a number as value: `append_deadline_ms = 5000` is now
//! `append_deadline = "5s"`. They still work, and one warning lists the new spellings.

use toml::Table;

use conf::{Size, Span};

/// The ending of an old key, the ending of the current key, and the unit of the number.
const ENDINGS: [(&str, &str, &str); 7] = [
    // `append_queue` is a number of events.
    ("append_queue_ms", "append_queue_wait", "ms"),
    ("_ms", "", "ms"),
    ("_seconds", "", "s"),
    ("_minutes", "", "m"),
    ("_hours", "", "h"),
    ("_days", "", "d"),
    ("_bytes", "_size", "B"),
];

/// An old key that was set, and its current spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OldKey {
    /// Such as `nats.append_deadline_ms (node.toml, line 3)`.
    set: String,
    /// Such as `nats.append_deadline = "5s"`.
    today: String,
}

/// The current key, and the unit of the number. None: it is not an old key.
pub(super) fn today(key: &str, section: &Table) -> Option<(String, &'static str)> {
    if section.contains_key(key) {
        return None;
    }
    ENDINGS.iter().find_map(|(old, new, unit)| {
        let today = format!("{}{new}", key.strip_suffix(old)?);
        section.get(&today).is_some_and(toml::Value::is_str).then_some((today, *unit))
    })
}

/// The current value, in its usual spelling.
pub(super) fn value(number: i64, unit: &str) -> String {
    let value = format!("{number}{unit}");
    let size = || value.parse::<Size>().map(|size| size.to_string());
    let shown = value.parse::<Span>().map(|span| span.to_string()).ok().or_else(|| size().ok());
    shown.unwrap_or(value)
}

impl OldKey {
    /// An old key in a file.
    pub(super) fn in_file(old: &str, place: &str, today: &str, value: &str) -> OldKey {
        OldKey { set: format!("{old} ({place})"), today: format!("{today} = \"{value}\"") }
    }

    /// An old key in the environment.
    pub(super) fn in_environment(old: &str, today: &str, value: &str) -> OldKey {
        OldKey { set: format!("{old} in the environment"), today: format!("{today}={value}") }
    }
}

/// The warning with all new spellings. None: no old key is set.
pub(super) fn warning(old: &[OldKey]) -> Option<String> {
    let listed: Vec<String> = old.iter().map(|OldKey { set, today }| format!("{set}: write {today}")).collect();
    let listed = (!listed.is_empty()).then(|| listed.join("; "))?;
    Some(format!("{} old configuration keys are set. They still work: {listed}", old.len()))
}
