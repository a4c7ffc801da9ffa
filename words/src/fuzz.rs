//! What holds for any list and any text. A check panics where it does not. The fuzz targets in `fuzz/` call the checks,
//! and the test below replays their corpus. Compiled for both alone.

use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation;

use crate::filter::slow;
use crate::{Filter, List, is_forbidden, mask, nickname};

static BUILT_IN: LazyLock<Filter> = LazyLock::new(|| Filter::new(&List::built_in()));

/// A text or a nickname: the shortcuts of the filter change no match of the built-in list.
pub fn text(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    find(&BUILT_IN, text);
    let name = nickname(text);
    assert_eq!(nickname(&name), name, "a nickname is sanitized once");
    assert!(!name.chars().any(is_forbidden));
    assert!(name.graphemes(true).count() <= 64 && name.len() <= 512);
}

/// A list, a NUL, and a text. The lines of the list are also a room's own words.
pub fn word_list(input: &[u8]) {
    let Ok(input) = str::from_utf8(input) else { return };
    let (list, text) = input.split_once('\0').unwrap_or((input, ""));
    match List::parse(list) {
        Ok(parsed) => {
            let mut twice = List::parse(list).expect("it was parsed before");
            twice.extend(parsed.clone());
            let labels = parsed.labels();
            assert!(twice.labels().is_subset(&labels), "a list adds no label to itself");
            assert!(labels.iter().all(|label| (1..=32).contains(&label.len()) && label.is_ascii()));
            find(&Filter::new(&parsed), text);
        }
        Err(error) => assert!((1..=list.lines().count()).contains(&error.line) && !error.what.is_empty()),
    }
    let words: Vec<String> = list.lines().map(str::to_owned).collect();
    let filter = Filter::with_words(&words);
    find(&filter, text);
    assert!(!filter.is_empty() || filter.find(text).is_empty());
}

/// Matches are whole graphemes in order, those that a search without shortcuts finds, and masking changes nothing else.
fn find(filter: &Filter, text: &str) {
    let found = filter.find(text);
    assert_eq!(found, slow::find(filter, text));
    assert!(filter.may_match(text) || !slow::has_word(filter, text));
    let masked = mask(text, &found);
    let (mut rest, mut end) = (masked.as_str(), 0);
    for found in &found {
        assert!(found.range.start >= end && !found.range.is_empty());
        rest = rest.strip_prefix(&text[end..found.range.start]).expect("nothing else is changed");
        let stars = "*".repeat(text[found.range.clone()].graphemes(true).count());
        rest = rest.strip_prefix(&stars).expect("each grapheme is a star");
        end = found.range.end;
    }
    assert_eq!(rest, &text[end..]);
    let boundaries: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
    let is_boundary = |at: &usize| boundaries.binary_search(at).is_ok();
    assert!(found.iter().all(|found| is_boundary(&found.range.start) && is_boundary(&found.range.end)));
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
        replay("text", text);
        replay("word_list", word_list);
    }
}
