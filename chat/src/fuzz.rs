//! What holds for any line of the log, any settings and any sweep. A check panics where it does not. The fuzz targets
//! in `fuzz/` call the checks, and the test below replays their corpus. Compiled for both alone.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::body::Body;
use crate::event::Event;
use crate::head::Head;
use crate::posted::PostedLine;
use crate::settings::{Links, OwnSettings, Rate, Settings, WordPolicy};
use crate::{Position, Readers, RoomSwept, SweepMatcher, folded};

/// A line of the log: the scanner reads it as serde does, and what is written of it is read as the same event.
pub fn log_line(line: &[u8]) {
    if let Some(posted) = PostedLine::scan(line) {
        let (scanned, parsed) = (Head::posted(&posted), Head::parsed(line).expect("serde reads what the scanner does"));
        assert_eq!(format!("{scanned:?}"), format!("{parsed:?}"));
        let parsed = Body::parsed(&parsed.kind, line);
        assert_eq!(Body::posted(&posted).ok(), parsed.ok());
    }
    let Ok(read) = Event::from_line(line) else { return };
    let written = read.to_line();
    assert!(!written.contains(&b'\n'), "a batch has one line for each event");
    assert_eq!(written, read.serialized(), "both writers write the same");
    // A time of another program may be finer than a millisecond: only what we write is read unchanged.
    let again = Event::from_line(&written).expect("what is written is read");
    assert_eq!((again.id, again.presenter, &again.request), (read.id, read.presenter, &read.request));
    if !matches!(&read.body, Body::Unknown { members, .. } if members.values().any(has_fraction)) {
        assert_eq!(again.to_line(), written);
    }
    if let Body::RoomSwept(swept) = &again.body {
        sweep(swept);
    }
}

/// Whether there is a number that is no integer. The parser may be off by its last bit, so it is not written as it was.
/// Nothing of ours has one; an event or a setting of a later version may.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// A sweep matches its own texts, and a rule that is given again matches the same.
fn sweep(swept: &RoomSwept) {
    let matcher = SweepMatcher::new(&swept.rule);
    if let (Some(folded_texts), Some(texts)) = (swept.rule.folded_texts(), &swept.rule.texts) {
        assert!(folded_texts.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(texts.iter().all(|text| folded_texts.contains(&folded(text))));
        let of_folded = SweepMatcher::new(&crate::SweepRule { texts: Some(folded_texts), ..swept.rule.clone() });
        assert_eq!(matcher, of_folded, "folding again changes nothing");
    }
}

/// A position as a client sends it back: what is read is written in one form, and that is read as the same.
pub fn position(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let Ok(position) = text.parse::<Position>() else { return };
    let written = position.to_string();
    assert!(written.len() <= text.len(), "no form is shorter than ours");
    assert_eq!(written.parse(), Ok(position));
}

/// Two lines: the settings of a room, and the ends of some of them.
pub fn room_settings(lines: &[u8]) {
    let mut lines = lines.splitn(2, |byte| *byte == b'\n').map(serde_json::from_slice::<Map<String, Value>>);
    let Some(Ok(settings)) = lines.next() else { return };
    let until = lines.next().and_then(Result::ok).unwrap_or_default();
    if settings.values().any(has_fraction) {
        return;
    }

    // As an event has them: any are kept, and those that this version understands are within their bounds.
    let own = OwnSettings::of_event(&settings, &until);
    let (written, ends) = own.to_event();
    assert_eq!(OwnSettings::of_event(&written, &ends).to_event(), (written.clone(), ends));
    assert!(settings.keys().eq(written.keys()), "a setting of a later version is passed on");
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(own.over(&deployment(), now).check(), Ok(()));

    // As a request has them: each is known and within its bounds, or the whole change is refused by name.
    match OwnSettings::default().patched(&settings, None, now, |text| !text.trim().is_empty()) {
        Ok(own) => {
            assert_eq!(own.ignored().count(), 0);
            assert_eq!(own.over(&deployment(), now).check(), Ok(()));
            let (written, ends) = own.to_event();
            assert_eq!(OwnSettings::of_event(&written, &ends), own, "every node reads what was decided");
            let again = OwnSettings::default().patched(&written, None, now, |_| true);
            assert_eq!(again, Ok(own));
        }
        Err(invalid) => {
            let told = invalid.to_string();
            let is_named = |name: &String| told.contains(name.as_str()) || told.contains(&format!("{name:?}"));
            assert!(settings.keys().any(is_named), "{told}");
        }
    }
}

fn deployment() -> Settings {
    Settings {
        slow_mode_seconds: 0,
        unique_chat: false,
        presenter_only: false,
        emoji_only: false,
        links: Links::Everyone,
        word_policy: WordPolicy::Flag,
        words: Vec::new(),
        max_length: 200,
        message_rate: Rate { messages: 10, seconds: 10 },
        readers: Readers::Off,
    }
}

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_corpus_of_the_fuzz_targets_holds() {
        replay("log_line", log_line);
        replay("position", position);
        replay("room_settings", room_settings);
    }
}
