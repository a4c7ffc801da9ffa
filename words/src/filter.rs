//! A list made fast: an automaton for each alphabet, and what is done with the candidates that they find.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use unicode_segmentation::UnicodeSegmentation;

use crate::judge::{Alphabet, Word};
use crate::list::List;
use crate::pattern::{Language, Pattern};
use crate::reading::Reading;
use crate::sign::Sign;
use crate::stream::{MASKED, Stream, hangul, latin, leet, mixed};

#[cfg(test)]
mod tests;

/// Finds the words of a list. Immutable; share it.
#[derive(Debug)]
pub struct Filter {
    hangul: Automaton,
    latin: Automaton,
    leet: Automaton,
    mixed: Automaton,
    labels: Vec<Arc<str>>,
    /// Words by which a text shows its language, for each language that a context asks for.
    languages: Vec<(Language, BTreeSet<String>)>,
}

/// A place in a text that is one of the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Bytes of the text, whole graphemes.
    pub range: Range<usize>,
    /// The word's label in the list.
    pub label: Arc<str>,
}

/// The label of a room's own words.
const ROOM: &str = "room";
/// In place of a label: what is found of it counts as found, also in a context.
const EXCEPTION: u16 = u16::MAX;

/// What is looked for in one kind of stream.
#[derive(Debug)]
struct Automaton {
    /// None: nothing.
    search: Option<AhoCorasick>,
    words: Vec<Word>,
}

/// What an automaton is built from.
#[derive(Default)]
struct Builder {
    symbols: Vec<Vec<u8>>,
    words: Vec<Word>,
}

/// What was found in all streams, by graphemes.
struct Found<'t> {
    text: &'t str,
    /// For each language, whether the text is in it, once that was asked.
    speaks: Vec<Option<bool>>,
    /// For each grapheme, the end of the longest allowed context that begins there.
    allowed: Vec<u32>,
    /// First and last grapheme of what is found also in a context.
    excepted: Vec<(u32, u32)>,
    /// First and last grapheme, and the label.
    candidates: Vec<(u32, u32, u16)>,
    /// How many candidates were looked at.
    steps: usize,
}

impl Filter {
    /// Finds the words of this list.
    #[must_use]
    pub fn new(list: &List) -> Filter {
        let mut labels: Vec<Arc<str>> = Vec::new();
        let words = list.looked_for().map(|(pattern, label)| {
            let at = labels.iter().position(|known| known == label).unwrap_or_else(|| {
                labels.push(Arc::clone(label));
                labels.len() - 1
            });
            (pattern, Some(at as u16))
        });
        let contexts = list.allowed.iter().map(|pattern| (pattern, None));
        let exceptions = list.excepted.iter().map(|pattern| (pattern, Some(EXCEPTION)));
        let words: Vec<_> = words.chain(contexts).chain(exceptions).collect();
        let languages = list.languages.clone().into_iter().collect();
        Filter::build(&words, labels, languages)
    }

    /// Finds a room's own words. A Korean word is found inside others, as particles follow it; any other is found whole.
    /// What has no letters is left out.
    #[must_use]
    pub fn with_words(words: &[String]) -> Filter {
        let patterns: Vec<Pattern> = words.iter().map(|word| Pattern::room(word)).collect();
        let words: Vec<_> = patterns.iter().map(|pattern| (pattern, Some(0))).collect();
        Filter::build(&words, vec![ROOM.into()], Vec::new())
    }

    /// Whether there is nothing that it could find: a room's words were only punctuation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [&self.hangul, &self.latin, &self.leet, &self.mixed].iter().all(|automaton| automaton.search.is_none())
    }

    /// What of the text is one of the words: in order, never overlapping.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Match> {
        let reading = Reading::new(text);
        let found = self.candidates(&reading);
        let spans = found.spans(reading.units());
        let matches = spans.into_iter().map(|(first, last, label)| Match {
            range: reading.bytes(first, last),
            label: Arc::clone(&self.labels[usize::from(label)]),
        });
        matches.collect()
    }

    fn build(
        words: &[(&Pattern, Option<u16>)],
        labels: Vec<Arc<str>>,
        languages: Vec<(Language, BTreeSet<String>)>,
    ) -> Filter {
        let mut builders: [Builder; 4] = Default::default();
        let [in_hangul, in_latin, in_leet, in_mixed] = &mut builders;
        for (pattern, label) in words {
            let reading = Reading::new(&pattern.word);
            let has = |kind: fn(&Sign) -> bool| reading.glyphs.iter().any(|glyph| kind(&glyph.sign));
            let (has_hangul, has_latin) =
                (has(|sign| matches!(sign, Sign::Jamo(_))), has(|sign| matches!(sign, Sign::Latin { .. })));
            let has_others = has(|sign| matches!(sign, Sign::Digit(_) | Sign::Other(_)));
            match (has_hangul, has_latin, has_others) {
                (true, false, false) => in_hangul.add(pattern, hangul(&reading, false).0, Alphabet::Hangul, *label),
                (false, true, false) => {
                    let blotted = leet(&Reading::new(&pattern.word.replace('?', "*")), b'i');
                    if pattern.word.contains('?') {
                        in_leet.add(pattern, blotted, Alphabet::Leet, *label);
                        continue;
                    }
                    in_latin.add(pattern, latin(&reading), Alphabet::Latin, *label);
                    if !pattern.options.plain {
                        in_leet.add_blotted(pattern, &blotted, *label);
                        in_leet.add(pattern, blotted, Alphabet::Leet, *label);
                    }
                }
                _ => in_mixed.add(pattern, mixed(&reading), Alphabet::Mixed, *label),
            }
        }
        let [hangul, latin, leet, mixed] = builders.map(Builder::build);
        Filter { hangul, latin, leet, mixed, labels, languages }
    }

    fn candidates<'t>(&self, reading: &Reading<'t>) -> Found<'t> {
        let mut found = Found {
            text: reading.text(),
            speaks: vec![None; self.languages.len()],
            allowed: vec![0; reading.units()],
            excepted: Vec::new(),
            candidates: Vec::new(),
            steps: 0,
        };
        let has = |kind: fn(&Sign) -> bool| reading.glyphs.iter().any(|glyph| kind(&glyph.sign));
        let (has_jamo, has_latin) =
            (has(|sign| matches!(sign, Sign::Jamo(_))), has(|sign| matches!(sign, Sign::Latin { .. })));
        let has_others = has(|sign| matches!(sign, Sign::Digit(_) | Sign::Other(_)));
        if has_jamo {
            let (together, any) = hangul(reading, true);
            self.hangul.search(reading, &self.languages, &together, &mut found);
            if any {
                self.hangul.search(reading, &self.languages, &hangul(reading, false).0, &mut found);
            }
        }
        if has_latin {
            self.latin.search(reading, &self.languages, &latin(reading), &mut found);
            // Where nothing could stand for a letter, it is the same stream once more.
            if has_others || has(|sign| matches!(sign, Sign::Mark(_))) {
                self.leet.search(reading, &self.languages, &leet(reading, b'i'), &mut found);
            }
            if reading.text().contains(['1', '!', '|', 'I', '１']) {
                self.leet.search(reading, &self.languages, &leet(reading, b'l'), &mut found);
            }
        }
        // Its words are of two alphabets, or have what is of neither.
        if self.mixed.search.is_some() && (has_others || has_jamo && has_latin) {
            self.mixed.search(reading, &self.languages, &mixed(reading), &mut found);
        }
        found
    }
}

impl Builder {
    fn add(&mut self, pattern: &Pattern, stream: Stream, alphabet: Alphabet, label: Option<u16>) {
        if !stream.symbols.is_empty() {
            self.words.push(Word::new(pattern, &stream, alphabet, label));
            self.symbols.push(stream.symbols);
        }
    }

    /// The word with each of its vowels blotted out in turn, and with all of them.
    fn add_blotted(&mut self, pattern: &Pattern, stream: &Stream, label: Option<u16>) {
        let vowels: Vec<usize> = (1..stream.symbols.len())
            .filter(|at| matches!(stream.symbols[*at], b'a' | b'e' | b'i' | b'o' | b'u'))
            .collect();
        if label.is_none() || stream.symbols.len() < 3 {
            return;
        }
        let mut add = |blotted: &[usize]| {
            let mut symbols = stream.symbols.clone();
            blotted.iter().for_each(|at| symbols[*at] = MASKED);
            let places = stream.places.clone();
            self.add(pattern, Stream { symbols, places }, Alphabet::Leet, label);
        };
        vowels.iter().for_each(|at| add(&[*at]));
        if vowels.len() > 1 {
            add(&vowels);
        }
    }

    fn build(self) -> Automaton {
        let search = (!self.words.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(&self.symbols)
                .expect("a list has fewer than 2^31 patterns and symbols")
        });
        Automaton { search, words: self.words }
    }
}

impl Automaton {
    fn search(
        &self,
        reading: &Reading<'_>,
        languages: &[(Language, BTreeSet<String>)],
        stream: &Stream,
        found: &mut Found<'_>,
    ) {
        let Some(search) = &self.search else { return };
        for candidate in search.find_overlapping_iter(&stream.symbols) {
            found.steps += 1;
            let word = &self.words[candidate.pattern().as_usize()];
            let Some((first, last)) = word.judge(reading, stream, candidate.end()) else { continue };
            match word.label {
                Some(EXCEPTION) => found.excepted.push((first, last)),
                Some(label) => found.candidates.push((first, last, label)),
                None if word.language().is_some_and(|language| !found.speaks(languages, language)) => {}
                None => found.allowed[first as usize] = found.allowed[first as usize].max(last + 1),
            }
        }
    }
}

impl Found<'_> {
    /// Whether a word of the text is one by which a text shows that it is in this language.
    fn speaks(&mut self, languages: &[(Language, BTreeSet<String>)], language: Language) -> bool {
        let Some(at) = languages.iter().position(|(known, _)| *known == language) else { return false };
        let text = self.text;
        *self.speaks[at].get_or_insert_with(|| {
            let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.any(|word| languages[at].1.contains(&word.to_lowercase()))
        })
    }

    /// What is not inside an allowed context; what overlaps, together, under the label of what begins first.
    fn spans(mut self, units: usize) -> Vec<(u32, u32, u16)> {
        for unit in 1..units {
            self.allowed[unit] = self.allowed[unit].max(self.allowed[unit - 1]);
        }
        // Only a context that is longer than an exception counts in it. Of each exception, the end by its first grapheme,
        // as of the contexts.
        let mut kept = if self.excepted.is_empty() { Vec::new() } else { vec![0; units] };
        for (first, last) in self.excepted {
            if self.allowed[first as usize] <= last {
                kept[first as usize] = kept[first as usize].max(last + 1);
            }
        }
        for unit in 1..kept.len() {
            kept[unit] = kept[unit].max(kept[unit - 1]);
        }
        let mut longest: Vec<Option<(u32, u16)>> = vec![None; units];
        for (first, last, label) in self.candidates {
            let is_kept = kept.get(first as usize).is_some_and(|end| *end > last);
            let is_allowed = self.allowed[first as usize] > last && !is_kept;
            let known = &mut longest[first as usize];
            if !is_allowed && known.is_none_or(|(known, _)| known < last) {
                *known = Some((last, label));
            }
        }
        let mut spans: Vec<(u32, u32, u16)> = Vec::new();
        for (first, longest) in longest.into_iter().enumerate() {
            let (Some((last, label)), first) = (longest, first as u32) else { continue };
            match spans.last_mut() {
                Some(span) if first <= span.1 => span.1 = span.1.max(last),
                _ => spans.push((first, last, label)),
            }
        }
        spans
    }
}

/// The text with every grapheme of a match as `*`, and the rest as it was.
#[must_use]
pub fn mask(text: &str, matches: &[Match]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for found in matches {
        masked.push_str(&text[end..found.range.start]);
        masked.extend(text[found.range.clone()].graphemes(true).map(|_| '*'));
        end = found.range.end;
    }
    masked.push_str(&text[end..]);
    masked
}
