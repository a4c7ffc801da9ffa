//! A Bloom filter of numbers: a small set that may take a number for one of its own.

/// The set. Empty: it has no words.
#[derive(Debug, Default)]
pub(super) struct Bloom {
    /// The bits of a number are in one word, so that a look reads memory once.
    words: Box<[u64]>,
    /// One less than the number of words, which is a power of two.
    mask: usize,
}

/// Three of them are set for each number, in a word of a number on average: 1 in 2,000 other numbers passes.
const BITS_PER_NUMBER: usize = 64;

impl Bloom {
    pub(super) fn new(mut numbers: Vec<u64>) -> Bloom {
        if numbers.is_empty() {
            return Bloom::default();
        }
        numbers.sort_unstable();
        numbers.dedup();
        let count = (numbers.len() * BITS_PER_NUMBER / u64::BITS as usize).next_power_of_two();
        let mut bloom = Bloom { words: vec![0; count].into(), mask: count - 1 };
        for number in numbers {
            let (word, bits) = bloom.place(number);
            bloom.words[word] |= bits;
        }
        bloom
    }

    /// False: the number is not in the set.
    #[inline(always)]
    pub(super) fn may_have(&self, number: u64) -> bool {
        let (word, bits) = self.place(number);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }

    /// The word of a number, and its bits there, by Fibonacci hashing.
    #[inline(always)]
    fn place(&self, number: u64) -> (usize, u64) {
        let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // The lowest six bits of a shift count.
        let bit = |shift: u32| 1_u64.wrapping_shl((hash >> shift) as u32);
        ((hash >> 32) as usize & self.mask, bit(58) | bit(52) | bit(46))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_its_numbers_and_few_others() {
        let numbers: Vec<u64> = (0..5_000).map(|number| number * 28_657).collect();
        let bloom = Bloom::new(numbers.clone());
        assert!(numbers.iter().all(|number| bloom.may_have(*number)));
        let others = (0..100_000).filter(|number| number % 28_657 != 0 && bloom.may_have(*number)).count();
        assert!(others < 500, "{others} of 100,000 other numbers pass");
        assert!(!Bloom::new(Vec::new()).may_have(0));
    }
}
