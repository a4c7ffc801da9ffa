//! Keys of earlier versions, whose unit is in the key and whose value is a number: `append_deadline_ms = 5000` is
//! `append_deadline = "5s"` today. They still work, and one warning has the new spelling of all of them.

use toml::Table;

use conf::{Size, Span};

/// How an old key ends, how the key of today ends in its place, and the unit of its number.
const ENDINGS: [(&str, &str, &str); 7] = [
    // `append_queue` is the number of events.
    ("append_queue_ms", "append_queue_wait", "ms"),
    ("_ms", "", "ms"),
    ("_seconds", "", "s"),
    ("_minutes", "", "m"),
    ("_hours", "", "h"),
    ("_days", "", "d"),
    ("_bytes", "_size", "B"),
];

/// An old key that was set, and its setting of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OldKey {
    /// `nats.append_deadline_ms (node.toml, line 3)`.
    set: String,
    /// `nats.append_deadline = "5s"`.
    today: String,
}

/// The key of today and the unit of the number. None: the key is not an old one.
pub(super) fn today(key: &str, section: &Table) -> Option<(String, &'static str)> {
    if section.contains_key(key) {
        return None;
    }
    ENDINGS.iter().find_map(|(old, new, unit)| {
        let today = format!("{}{new}", key.strip_suffix(old)?);
        section.get(&today).is_some_and(toml::Value::is_str).then_some((today, *unit))
    })
}

/// The value of today, as people write it where it is one.
pub(super) fn value(number: i64, unit: &str) -> String {
    let value = format!("{number}{unit}");
    let size = || value.parse::<Size>().map(|size| size.to_string());
    let shown = value.parse::<Span>().map(|span| span.to_string()).ok().or_else(|| size().ok());
    shown.unwrap_or(value)
}

impl OldKey {
    /// A key of a file.
    pub(super) fn in_file(old: &str, place: &str, today: &str, value: &str) -> OldKey {
        OldKey { set: format!("{old} ({place})"), today: format!("{today} = \"{value}\"") }
    }

    /// A variable of the environment.
    pub(super) fn in_environment(old: &str, today: &str, value: &str) -> OldKey {
        OldKey { set: format!("{old} in the environment"), today: format!("{today}={value}") }
    }
}

/// The new spelling of all of them. None: there are none.
pub(super) fn warning(old: &[OldKey]) -> Option<String> {
    let listed: Vec<String> = old.iter().map(|OldKey { set, today }| format!("{set}: write {today}")).collect();
    let listed = (!listed.is_empty()).then(|| listed.join("; "))?;
    Some(format!("{} old configuration keys are set, and still work: {listed}", old.len()))
}
