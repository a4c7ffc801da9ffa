//! The members of a line of JSON, found and taken out without reading their values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use serde_json::value::RawValue;

/// The members of a line, as they stand in it.
pub(crate) type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// The members of a line. None of a line that is no JSON object.
pub(crate) fn members(line: &str) -> Members<'_> {
    serde_json::from_str(line).unwrap_or_default()
}

/// Whether an event has this type.
pub(crate) fn is_of_type(members: &Members<'_>, name: &str) -> bool {
    let kind = members.get("type").and_then(|kind| kind.get().strip_prefix('"')?.strip_suffix('"'));
    kind == Some(name)
}

/// The JSON object of these members alone, in this order.
pub(crate) fn only<'n>(members: &Members<'_>, names: impl IntoIterator<Item = &'n str>) -> String {
    let mut object = String::new();
    for (name, value) in names.into_iter().filter_map(|name| Some((name, members.get(name)?.get()))) {
        let separator = if object.is_empty() { '{' } else { ',' };
        write!(object, r#"{separator}"{name}":{value}"#).expect("a string takes what is written");
    }
    object.push('}');
    object
}

/// The line without that member.
pub(crate) fn without<'a>(line: &'a str, name: &str) -> Cow<'a, str> {
    let quoted = format!(r#""{name}""#);
    // Within a string, a backslash would precede these quotes: few lines contain this without such a member.
    if !line.contains(&quoted) {
        return Cow::Borrowed(line);
    }
    let Ok(mut members) = serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(line) else {
        return Cow::Borrowed(line);
    };
    let Some(value) = members.remove(name) else { return Cow::Borrowed(line) };
    let value = value.get();
    let start = value.as_ptr().addr() - line.as_ptr().addr();
    let (before, after) = (&line[..start], &line[start + value.len()..]);
    let before = before.rfind(&quoted).map_or(before, |name| before[..name].trim_ascii_end());
    // One of the adjacent commas goes with it. The first member has none before it.
    let rest = match before.strip_suffix(',') {
        Some(before) => [before, after].concat(),
        None => [before, after.trim_ascii_start().trim_start_matches(',')].concat(),
    };
    Cow::Owned(rest)
}

/// The line with the members of that member, an object, in its place.
pub(crate) fn unwrapped<'a>(line: &'a str, name: &str) -> Cow<'a, str> {
    let rest = without(line, name);
    let Cow::Owned(_) = rest else { return rest };
    let members = members(line);
    let inner = members.get(name).and_then(|object| object.get().strip_prefix('{')?.strip_suffix('}'));
    match (inner, rest.trim_ascii_end().strip_suffix('}')) {
        (Some(inner), Some(rest)) => Cow::Owned(format!("{rest},{inner}}}")),
        _ => rest,
    }
}

/// The line without the members that an idempotency key leaves in a message.
pub(crate) fn without_request(line: &str) -> Cow<'_, str> {
    match without(line, "request") {
        Cow::Borrowed(line) => without(line, "requestKey"),
        Cow::Owned(line) => Cow::Owned(without(&line, "requestKey").into_owned()),
    }
}
