//! Decides whether a candidate, which has the letters of a word, is that word: by what is between its letters and
//! around them. `다시 발견` has the letters of 시발, and is innocent.

mod may_be;

use crate::border::{is_border, is_particles};
use crate::filter::Entry;
use crate::pattern::{Language, Options, Pattern};
use crate::reading::Reading;
use crate::sign::jamo;
use crate::stream::{Gap, MASKED, Place, Source, Stream};

/// The stream in which a word is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    Hangul,
    Latin,
    Leet,
    Mixed,
}

/// A word as an automaton's pattern.
#[derive(Debug)]
pub(crate) struct Word {
    alphabet: Alphabet,
    free_left: bool,
    free_right: bool,
    /// A letter must precede it directly.
    inside: bool,
    options: Options,
    steps: Vec<Step>,
    /// Consonants only: `ㅅㅂ`.
    is_initials: bool,
    /// Letters of Russian or Greek only, all of which look Latin: `рот`.
    is_foreign: bool,
    /// The list has some of its letters blotted out: `f???`.
    is_blotted: bool,
    /// Some of its letters are Hangul.
    has_hangul: bool,
    pub(crate) entry: Entry,
}

/// Adjacent symbols of a word.
pub(crate) struct Part<'s> {
    pub(crate) symbols: &'s [u8],
    /// A word must begin with the first of them.
    pub(crate) begins: bool,
    /// The last of them is written at least twice.
    pub(crate) is_doubled: bool,
}

/// One symbol of a word.
#[derive(Debug)]
struct Step {
    /// The text must have it at least so often.
    times: u32,
    /// The word has a space before it, so the text may.
    has_gap: bool,
    /// A jamo on its own. One in a syllable does not match: `시ㅂ` is abuse cut short, `십` is ten.
    is_lone: bool,
}

/// A word of at most so many different letters becomes another word when one of them is doubled.
const SHORT: usize = 3;

/// Syllables that precede abuse without a space: `야이시1발`. After any other, as in `다시1발`, it is no abuse.
const CALLS: [&str; 10] = ["아", "야", "이", "와", "어", "오", "에", "하", "개", "존"];
/// Syllables that follow a word split by spaces: `시 발아`.
const ENDINGS: [&str; 10] = ["놈", "년", "새", "들", "아", "야", "롬", "럼", "련", "같"];

/// Syllables that also follow a word split after another word: `거지새.끼가`, but not `냄새,끼니`.
const SUBJECTS: [&str; 4] = ["가", "는", "네", "임"];

/// The consonants that particles or laughter add to an open word.
pub(crate) const CLOSES: [u8; 8] =
    [jamo('ㄴ'), jamo('ㄹ'), jamo('ㅁ'), jamo('ㅂ'), jamo('ㅅ'), jamo('ㅆ'), jamo('ㅋ'), jamo('ㅎ')];

impl Word {
    pub(crate) fn new(pattern: &Pattern, stream: &Stream, alphabet: Alphabet, entry: Entry) -> Word {
        let is_hangul = alphabet == Alphabet::Hangul;
        let step = |place: &Place| Step {
            times: place.times,
            has_gap: place.gap != Gap::None,
            is_lone: is_hangul && !place.in_syllable,
        };
        let steps: Vec<Step> = stream.places.iter().map(step).collect();
        Word {
            alphabet,
            free_left: pattern.free_left,
            free_right: pattern.free_right,
            inside: pattern.inside,
            options: pattern.options,
            is_initials: steps.iter().all(|step| step.is_lone),
            is_foreign: stream.places.iter().all(|place| place.source == Source::Foreign),
            is_blotted: pattern.word.contains('?'),
            has_hangul: stream.places.iter().any(|place| place.in_syllable),
            steps,
            entry,
        }
    }

    /// The first and last grapheme of the candidate that ends before the symbol at `end`, if it is the word.
    pub(crate) fn judge(&self, reading: &Reading<'_>, stream: &Stream, end: usize) -> Option<(u32, u32)> {
        let start = end - self.steps.len();
        let places = &stream.places[start..end];
        if self.inside && (start == 0 || stream.begins(start)) {
            return None;
        }
        let fits = |(place, step): (&Place, &Step)| place.times >= step.times && !(step.is_lone && place.in_syllable);
        if !places.iter().zip(&self.steps).all(fits) {
            return None;
        }
        // `jap` is not `jaap`, and `asss` is `ass`.
        let is_double = |(place, step): (&Place, &Step)| place.times == step.times + 1;
        if self.steps.len() <= SHORT && self.is_bounded() && places.iter().zip(&self.steps).any(is_double) {
            return None;
        }
        let gaps = places.iter().zip(&self.steps).skip(1);
        let gap = gaps.map(|(place, step)| if step.has_gap && place.gap < Gap::Wall { Gap::None } else { place.gap });
        let gap = gap.max().unwrap_or(Gap::None);
        let is_word = match self.alphabet {
            Alphabet::Hangul => self.is_hangul(reading, stream, start, end, gap),
            Alphabet::Latin => self.is_latin(stream, start, end, gap),
            Alphabet::Leet => {
                self.is_latin(stream, start, end, gap)
                    && (self.is_blotted || is_leet(&stream.symbols[start..end], places))
            }
            Alphabet::Mixed => self.is_mixed(reading, stream, start, end, gap),
        };
        is_word.then(|| (places[0].first, places[places.len() - 1].last))
    }

    /// The language of the texts in which this context applies. None: all texts.
    pub(crate) fn language(&self) -> Option<Language> {
        self.options.language
    }

    /// The number of its first symbols that are part of syllables.
    pub(crate) fn in_syllables(&self) -> usize {
        self.steps.iter().take_while(|step| !step.is_lone).count()
    }

    /// The parts of its symbols that the list does not divide. A text may divide one part from the next by a space.
    pub(crate) fn parts<'s>(&self, symbols: &'s [u8]) -> Vec<Part<'s>> {
        let mut ends: Vec<usize> = (1..symbols.len()).filter(|at| self.steps[*at].has_gap).collect();
        ends.push(symbols.len());
        let mut start = 0;
        let part = |end| {
            let part = std::mem::replace(&mut start, end)..end;
            Part {
                begins: part.start == 0 && !self.free_left,
                is_doubled: self.steps[part.end - 1].times > 1,
                symbols: &symbols[part],
            }
        };
        ends.into_iter().map(part).collect()
    }

    /// Whether its last syllable may end in another consonant.
    pub(crate) fn is_open(&self) -> bool {
        self.options.open
    }

    fn is_bounded(&self) -> bool {
        !self.free_left && !self.free_right
    }

    fn is_hangul(&self, reading: &Reading<'_>, stream: &Stream, start: usize, end: usize, gap: Gap) -> bool {
        let (first, last) = (stream.places[start], stream.places[end - 1]);
        if !first.opens || !(last.closes || self.options.open && is_closed_by_one(stream, end)) {
            return false;
        }
        let begins = stream.begins(start) && !first.after_digit;
        let ends = stream.ends(end - 1);
        if self.entry == Entry::Context {
            return gap == Gap::None && self.is_context(reading, stream, start, end);
        }
        // Initials and syllables side by side are two words.
        let changes = |at: usize| stream.places[at - 1].in_syllable != stream.places[at].in_syllable;
        let left = self.free_left || begins || start > 0 && changes(start);
        let right = self.free_right || ends || changes(end);
        if !left || !right {
            return false;
        }
        // A typing error in laughter: `ㅋㅋㅅㅂㅋㅋ`.
        let is_laughter = |unit: u32| ["ㅋ", "ㅎ"].contains(&reading.grapheme(unit));
        if self.is_initials && first.first > 0 && is_laughter(first.first - 1) && is_laughter(last.last + 1) {
            return false;
        }
        let is_one_of = |unit: u32, syllables: &[&str]| syllables.contains(&reading.grapheme(unit));
        let called = || start > 0 && is_one_of(stream.places[start - 1].last, &CALLS);
        let ends_word = |place: &Place| !place.in_syllable || is_one_of(place.first, &ENDINGS);
        let ended = || stream.places.get(end).is_some_and(ends_word);
        let goes_on = || stream.places.get(end).is_some_and(|place| is_one_of(place.first, &SUBJECTS));
        match gap {
            Gap::None => true,
            Gap::Wall => false,
            // `10 시 발` is a train that leaves at ten.
            _ if self.options.joined || first.is_counted => false,
            Gap::Space => begins && (ends || ended()),
            Gap::Digits if self.is_initials => begins && is_apart(stream, start) && is_apart(stream, end),
            Gap::Intruders if self.is_initials => false,
            Gap::Spelled | Gap::Marks | Gap::Digits | Gap::Intruders => {
                begins || called() || self.options.split && (ends || ended() || goes_on())
            }
        }
    }

    /// Unless its stars say otherwise, a context begins where a word begins, and ends where a word ends or particles
    /// follow.
    fn is_context(&self, reading: &Reading<'_>, stream: &Stream, start: usize, end: usize) -> bool {
        let changes = |at: usize| stream.places[at - 1].in_syllable != stream.places[at].in_syllable;
        let begins = || stream.begins(start) || changes(start);
        let ends = || stream.ends(end - 1) || changes(end);
        let has_particles = || !self.options.whole && is_particles(reading, stream, end);
        (self.free_left || begins()) && (self.free_right || ends() || has_particles())
    }

    fn is_latin(&self, stream: &Stream, start: usize, end: usize, gap: Gap) -> bool {
        let (begins, ends) = (stream.begins(start), stream.ends(end - 1));
        let is_spelled = gap == Gap::Spelled;
        let left = self.free_left || begins || is_spelled && stream.follows_words_of_one_letter(start);
        let right = self.free_right || ends || is_spelled && stream.precedes_words_of_one_letter(end - 1);
        // The plural of a context is a context.
        let is_plural = || {
            self.entry == Entry::Context
                && !self.options.whole
                && stream.symbols.get(end) == Some(&b's')
                && !stream.begins(end)
                && stream.ends(end)
        };
        if !left || !right && !is_plural() {
            return false;
        }
        if !self.is_foreign && stream.places[start..end].iter().all(|place| place.source == Source::Foreign) {
            return false;
        }
        match gap {
            Gap::None => true,
            Gap::Spelled => !self.options.joined,
            Gap::Marks => !self.options.joined && self.entry != Entry::Context && self.free_right && begins,
            Gap::Digits | Gap::Intruders | Gap::Space | Gap::Wall => false,
        }
    }

    fn is_mixed(&self, reading: &Reading<'_>, stream: &Stream, start: usize, end: usize, gap: Gap) -> bool {
        let (first, last) = (stream.places[start], stream.places[end - 1]);
        let (begins, ends) = (stream.begins(start), stream.ends(end - 1));
        let left = || self.free_left || begins || is_border(reading, stream, start, self.has_hangul);
        let has_particles =
            || self.entry == Entry::Context && !self.options.whole && is_particles(reading, stream, end);
        let right = || self.free_right || ends || is_border(reading, stream, end, self.has_hangul) || has_particles();
        let is_whole = first.opens && last.closes && left() && right();
        let may_be_split = !self.options.joined && self.entry != Entry::Context;
        match gap {
            Gap::None => is_whole,
            Gap::Wall => false,
            Gap::Space => is_whole && may_be_split && begins && ends,
            _ => is_whole && may_be_split && begins,
        }
    }
}

/// Whether no digit leads from here to another consonant: `ㅅ1ㅂ2ㅈ3` is a code.
fn is_apart(stream: &Stream, at: usize) -> bool {
    at == 0 || stream.places.get(at).is_none_or(|place| place.gap > Gap::Digits)
}

/// Whether one more consonant closes the last syllable: `새낀`, `새낄`, `새낔`.
fn is_closed_by_one(stream: &Stream, end: usize) -> bool {
    let is_closing = |symbol: &u8| CLOSES.contains(symbol);
    stream.symbols.get(end).is_some_and(is_closing) && stream.places[end].closes && !stream.places[end].opens
}

/// Whether at least half of it is letters. Otherwise it is a number or a model's name: `455`, `A55`. Symbols alone form
/// a word only without digits and blots: `@$$`, but not `@#$#`.
fn is_leet(symbols: &[u8], places: &[Place]) -> bool {
    let (mut letters, mut digits, mut masked) = (0, 0, 0);
    for (symbol, place) in symbols.iter().zip(places) {
        match place.source {
            Source::Letter | Source::Foreign => letters += 1,
            Source::Digit => digits += place.times,
            Source::Symbol if *symbol == MASKED => masked += 1,
            Source::Symbol => {}
        }
    }
    let is_joined = || places.iter().skip(1).all(|place| place.gap == Gap::None);
    let is_spelled = letters > 0 || digits == 0 && masked == 0 && is_joined();
    is_spelled && digits <= letters && masked <= letters
}
