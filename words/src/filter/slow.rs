//! The filter without its shortcuts, for tests: UAX 29 alone splits graphemes, no memory is reused, and every stream of
//! every text is read.

use unicode_segmentation::UnicodeSegmentation;

use super::*;
use crate::stream::{hangul, latin, leet, mixed};

pub(crate) fn find(filter: &Filter, text: &str) -> Vec<Match> {
    let reading = Reading::of_graphemes(text, text.grapheme_indices(true));
    let streams = streams(&reading);
    let candidates = candidates(filter, &reading, &streams);
    let spans = filter.spans(&reading, streams.iter().map(|(alphabet, stream)| (*alphabet, stream)), candidates);
    filter.matches(&reading, spans)
}

/// Whether the text has a word of the list, in a context or not.
pub(crate) fn has_word(filter: &Filter, text: &str) -> bool {
    let reading = Reading::of_graphemes(text, text.grapheme_indices(true));
    !candidates(filter, &reading, &streams(&reading)).is_empty()
}

fn streams(reading: &Reading<'_>) -> Vec<(Alphabet, Stream)> {
    let mut streams = Vec::new();
    let mut add = |alphabet, read: &dyn Fn(&mut Stream)| {
        let mut stream = Stream::default();
        read(&mut stream);
        streams.push((alphabet, stream));
    };
    for shorten in [true, false] {
        add(Alphabet::Hangul, &|stream| {
            hangul(reading, shorten, stream);
        });
    }
    add(Alphabet::Latin, &|stream| latin(reading, stream));
    add(Alphabet::Leet, &|stream| leet(reading, b'i', stream));
    if reading.text().contains(['1', '!', '|', 'I', '１']) {
        add(Alphabet::Leet, &|stream| leet(reading, b'l', stream));
    }
    add(Alphabet::Mixed, &|stream| mixed(reading, stream));
    streams
}

fn candidates(filter: &Filter, reading: &Reading<'_>, streams: &[(Alphabet, Stream)]) -> Vec<Span> {
    let mut candidates = Vec::new();
    for (alphabet, stream) in streams {
        filter.words[*alphabet as usize].search(reading, stream, |word, first, last| {
            if let Entry::Word(label) = word.entry {
                candidates.push(Span { first, last, label });
            }
        });
    }
    candidates
}
