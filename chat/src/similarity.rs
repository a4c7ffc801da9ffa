//! How similar two texts are: the Dice coefficient of their bigrams. A raid varies its text by a number, a letter or a
//! few words. Integers alone decide, so that all readers of a sweep decide alike.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::text_folding::folded;

/// How similar a text has to be, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Similarity(u8);

/// A percentage is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a similarity has {} to 100 percent", Similarity::LEAST.0)]
pub struct InvalidSimilarity;

impl Similarity {
    /// 50 %: below, texts of one language are similar by chance.
    pub const LEAST: Similarity = Similarity(50);

    /// As a percentage: 50 to 100.
    pub fn percent(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Similarity {
    type Error = InvalidSimilarity;

    fn try_from(percent: u8) -> Result<Similarity, InvalidSimilarity> {
        if (Similarity::LEAST.0..=100).contains(&percent) { Ok(Similarity(percent)) } else { Err(InvalidSimilarity) }
    }
}

impl From<Similarity> for u8 {
    fn from(Similarity(percent): Similarity) -> u8 {
        percent
    }
}

/// Texts to compare with many others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextMatcher {
    /// Folded.
    texts: HashSet<String>,
    similar: Option<(Vec<Bigrams>, Similarity)>,
}

impl TextMatcher {
    /// A matcher for folded texts. Without a similarity only equal texts match.
    pub fn of_folded(texts: Vec<String>, similarity: Option<Similarity>) -> TextMatcher {
        let similar = similarity.map(|least| (texts.iter().map(|text| Bigrams::of(text)).collect(), least));
        TextMatcher { texts: texts.into_iter().collect(), similar }
    }

    /// Whether the text is one of these, or similar to one, in its folded form.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_folded(&folded(text))
    }

    /// The same for a text that is folded already.
    pub fn matches_folded(&self, text: &str) -> bool {
        let is_similar = |(texts, least): &(Vec<Bigrams>, Similarity)| {
            let bigrams = Bigrams::of(text);
            texts.iter().any(|other| other.is_similar(&bigrams, *least))
        };
        self.texts.contains(text) || self.similar.as_ref().is_some_and(is_similar)
    }
}

/// Every two consecutive characters of a text, each pair as often as it occurs, sorted. Empty for a text of one
/// character.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bigrams(Vec<(char, char)>);

impl Bigrams {
    fn of(folded: &str) -> Bigrams {
        let mut bigrams: Vec<(char, char)> = folded.chars().zip(folded.chars().skip(1)).collect();
        bigrams.sort_unstable();
        Bigrams(bigrams)
    }

    /// Whether twice the number of common bigrams is at least that part of all of them.
    fn is_similar(&self, Bigrams(other): &Bigrams, least: Similarity) -> bool {
        let Bigrams(own) = self;
        let all = own.len() + other.len();
        let is_enough = |common: usize| all > 0 && 200 * common >= usize::from(least.0) * all;
        // No more can be common. Most texts of a chat are shorter or longer than that.
        if !is_enough(own.len().min(other.len())) {
            return false;
        }
        let (mut common, mut own, mut other) = (0, own.iter().peekable(), other.iter().peekable());
        while let (Some(one), Some(another)) = (own.peek(), other.peek()) {
            match one.cmp(another) {
                std::cmp::Ordering::Less => _ = own.next(),
                std::cmp::Ordering::Greater => _ = other.next(),
                std::cmp::Ordering::Equal => {
                    common += 1;
                    own.next();
                    other.next();
                }
            }
        }
        is_enough(common)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_similar(one: &str, other: &str, percent: u8) -> bool {
        let least = Similarity::try_from(percent).unwrap();
        TextMatcher::of_folded(vec![folded(one)], Some(least)).matches(other)
    }

    /// The largest percentage at which the texts are similar. 0: none.
    fn similarity(one: &str, other: &str) -> u8 {
        (50..=100).rev().find(|percent| is_similar(one, other, *percent)).unwrap_or(0)
    }

    #[test]
    fn texts_are_as_similar_as_the_bigrams_that_they_share() {
        for (one, other, percent) in [
            ("night", "nacht", 0),
            ("come to my room", "come to my room", 100),
            ("come to my room", "Ｃｏｍｅ  to MY room", 96),
            ("come to my room", "come to my room 17", 90),
            ("come to my room", "come 2 my room!!", 75),
            ("come to my room", "what a goal", 0),
            ("내 방으로 오세요", "내 방으로 오세요 12", 84),
            ("ㅋㅋㅋㅋ", "ㅋㅋㅋㅋㅋㅋㅋㅋ", 60),
            ("abab", "baba", 66),
            ("a", "a", 100),
            ("a", "b", 0),
            ("a", "ab", 0),
        ] {
            assert_eq!(similarity(one, other), percent, "{one} and {other}");
        }
    }

    #[test]
    fn without_a_similarity_only_equal_texts_match() {
        let matcher = TextMatcher::of_folded(vec!["raid".to_owned()], None);
        assert!(matcher.matches("RAID") && !matcher.matches("raid!"));
        let nothing = TextMatcher::of_folded(Vec::new(), Some(Similarity::LEAST));
        assert!(!nothing.matches("") && !nothing.matches("raid"));
    }

    #[test]
    fn a_similarity_has_50_to_100_percent() {
        for (percent, is_valid) in [(0, false), (49, false), (50, true), (100, true), (101, false)] {
            assert_eq!(Similarity::try_from(percent).is_ok(), is_valid, "{percent}");
            let read = serde_json::from_str::<Similarity>(&percent.to_string());
            assert_eq!(read.ok().map(Similarity::percent), is_valid.then_some(percent));
        }
    }

    /// The definition, with a pair of characters taken out of the other text's list for each common one.
    fn dice(one: &str, other: &str) -> (usize, usize) {
        let bigrams = |text: &str| -> Vec<String> {
            let chars: Vec<char> = folded(text).chars().collect();
            chars.windows(2).map(|pair| pair.iter().collect()).collect()
        };
        let (own, mut others) = (bigrams(one), bigrams(other));
        let all = own.len() + others.len();
        let mut common = 0;
        for bigram in own {
            if let Some(place) = others.iter().position(|other| *other == bigram) {
                others.swap_remove(place);
                common += 1;
            }
        }
        (2 * common, all)
    }

    proptest! {
        #[test]
        fn the_similarity_is_that_of_the_definition_and_the_same_in_both_directions(
            one in "[abAB 가나]{0,12}", other in "[abAB 가나]{0,12}", percent in 50..=100_u8,
        ) {
            let (twice_common, all) = dice(&one, &other);
            let expected = folded(&one) == folded(&other)
                || all > 0 && twice_common * 100 >= usize::from(percent) * all;
            prop_assert_eq!(is_similar(&one, &other, percent), expected);
            prop_assert_eq!(is_similar(&other, &one, percent), expected);
        }

        #[test]
        fn a_text_is_similar_to_itself_and_a_higher_bound_lets_less_through(
            one in "\\PC{0,40}", other in "\\PC{0,40}",
        ) {
            prop_assert!(is_similar(&one, &one, 100));
            let all: Vec<bool> = (50..=100).map(|percent| is_similar(&one, &other, percent)).collect();
            prop_assert!(all.windows(2).all(|pair| pair[0] || !pair[1]), "{:?}", all);
        }
    }
}
