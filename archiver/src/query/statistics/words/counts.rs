//! Counts words in bounded memory, exactly.
//!
//! The first [`WORDS`] different words are counted one by one, from their first use on. The messages with any other
//! word are added to one of [`CELLS`] sums, which the word's hash chooses. So no other word is in more messages than
//! the largest sum says. If that is less than the last of the top words has, the top words are certain.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::Word;

/// 100,000: the words that are counted one by one. They take about 8 MB.
const WORDS: usize = 100_000;

/// 524,288: the sums of all others. They take 2 MB.
const CELLS: usize = 1 << 19;

/// The words of all texts so far.
#[derive(Debug)]
pub(super) struct Counts {
    words: HashMap<Box<str>, Count, RandomState>,
    most_words: usize,
    /// The messages with other words, by hash.
    others: Vec<u32>,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    messages: u64,
    uses: u64,
}

impl Counts {
    pub(super) fn new() -> Counts {
        Counts::bounded(WORDS, CELLS)
    }

    fn bounded(most_words: usize, cells: usize) -> Counts {
        Counts { words: HashMap::default(), most_words, others: vec![0; cells], hasher: RandomState::default() }
    }

    /// Counts the words of a message, which are sorted.
    pub(super) fn add(&mut self, words: &[&str]) {
        for same in words.chunk_by(|one, other| one == other) {
            let (word, uses) = (same[0], same.len() as u64);
            if let Some(count) = self.words.get_mut(word) {
                count.messages += 1;
                count.uses += uses;
            } else if self.words.len() < self.most_words {
                self.words.insert(word.into(), Count { messages: 1, uses });
            } else {
                let cell = self.hasher.hash_one(word) % self.others.len() as u64;
                let sum = &mut self.others[cell as usize];
                *sum = sum.saturating_add(1);
            }
        }
    }

    /// The first words by number of messages, then in the order of Unicode. None: it is not certain which they are.
    pub(super) fn top(&self, first: usize) -> Option<Vec<Word>> {
        let mut top: Vec<(&str, Count)> = self.words.iter().map(|(word, count)| (&**word, *count)).collect();
        top.sort_unstable_by_key(|(word, count)| (Reverse(count.messages), *word));
        top.truncate(first);
        let other = self.others.iter().copied().max().unwrap_or(0).into();
        let is_certain = other == 0 || top.len() == first && top.last().is_none_or(|(_, last)| last.messages > other);
        is_certain.then(|| {
            let word = |(word, Count { messages, uses }): (&str, Count)| Word { word: word.to_owned(), messages, uses };
            top.into_iter().map(word).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::split::sorted_words;
    use super::*;

    fn counted(texts: &[String], most_words: usize, cells: usize) -> Counts {
        let mut counts = Counts::bounded(most_words, cells);
        for text in texts {
            counts.add(&sorted_words(&text.to_ascii_lowercase()));
        }
        counts
    }

    fn text() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec!["aa", "ab", "AB", "bb", "cc", "가나", "나다", "x", " ", "!", " "]);
        prop::collection::vec(parts, 0..6).prop_map(|parts| parts.concat())
    }

    #[test]
    fn a_word_that_comes_late_is_not_missed() {
        let mut texts: Vec<String> = ["early words", "early"].map(str::to_owned).into();
        assert_eq!(counted(&texts, 2, 8).top(1).unwrap()[0].word, "early");
        // It has as many messages as the first, and precedes it in the order of Unicode.
        texts.extend(["about", "about"].map(str::to_owned));
        assert_eq!(counted(&texts, 2, 8).top(1), None);
        assert_eq!(counted(&texts, 3, 8).top(1).unwrap()[0].word, "about");
        texts.push("early".to_owned());
        assert_eq!(counted(&texts, 2, 8).top(1).unwrap()[0].word, "early");
    }

    proptest! {
        #[test]
        fn certain_words_are_those_of_a_recount(
            texts in prop::collection::vec(text(), 0..30),
            most_words in 0..9_usize,
            cells in 1..9_usize,
            first in 1..9_usize,
        ) {
            let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            for text in &texts {
                let text = text.to_ascii_lowercase();
                let mut seen = Vec::new();
                for word in sorted_words(&text) {
                    let (messages, uses) = expected.entry(word.to_owned()).or_default();
                    *uses += 1;
                    *messages += u64::from(!seen.contains(&word));
                    seen.push(word);
                }
            }
            let different = expected.len();
            let mut expected: Vec<Word> =
                expected.into_iter().map(|(word, (messages, uses))| Word { word, messages, uses }).collect();
            expected.sort_by_key(|word| Reverse(word.messages));
            expected.truncate(first);
            match counted(&texts, most_words, cells).top(first) {
                Some(top) => prop_assert_eq!(top, expected),
                None => prop_assert!(different > most_words),
            }
        }
    }
}
