//! The built-in lists, by example: texts with a match, and texts without. All texts were written for these tests.

use std::sync::LazyLock;

use words::{Filter, List, mask};

mod contexts;
mod disguises;
mod english;
mod innocent;
mod korean;
mod labels;
mod own_words;
mod split;

static FILTER: LazyLock<Filter> = LazyLock::new(|| Filter::new(&List::built_in()));

fn masked(text: &str) -> String {
    mask(text, &FILTER.find(text))
}

/// The matches of a text, as written.
fn found<'t>(filter: &Filter, text: &'t str) -> Vec<&'t str> {
    filter.find(text).into_iter().map(|found| &text[found.range]).collect()
}

/// Each case: a text, and what [`mask`] makes of it.
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(text, expected)| (text, masked(text), expected))
        .filter(|(_, found, expected)| found != **expected)
        .collect();
    assert!(wrong.is_empty(), "text, found, expected: {wrong:#?}");
}

fn all_found(texts: &[&str]) {
    let missed: Vec<_> = texts.iter().filter(|text| FILTER.find(text).is_empty()).collect();
    assert!(missed.is_empty(), "missed: {missed:?}");
}

fn all_innocent(texts: &[&str]) {
    check(&texts.iter().map(|text| (*text, *text)).collect::<Vec<_>>());
}
