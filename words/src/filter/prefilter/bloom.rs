//! A Bloom filter of numbers: a small set that may take a number for one of its own.

/// The set. Empty: it has no bits.
#[derive(Debug, Default)]
pub(super) struct Bloom {
    bits: Box<[u64]>,
    /// One less than the number of bits, which is a power of two.
    mask: usize,
}

/// Two bits of each number are set. So 1 in 32 bits is set at most, and 1 in 1,000 other numbers passes.
const BITS_PER_NUMBER: usize = 64;

impl Bloom {
    pub(super) fn new(mut numbers: Vec<u64>) -> Bloom {
        if numbers.is_empty() {
            return Bloom::default();
        }
        numbers.sort_unstable();
        numbers.dedup();
        let count = (numbers.len() * BITS_PER_NUMBER).next_power_of_two();
        let mut bloom = Bloom { bits: vec![0; count / 64].into(), mask: count - 1 };
        for number in numbers {
            bloom.bits_of(number).iter().for_each(|bit| bloom.bits[bit / 64] |= 1 << (bit % 64));
        }
        bloom
    }

    /// False: the number is not in the set.
    #[inline]
    pub(super) fn may_have(&self, number: u64) -> bool {
        let is_set = |bit: usize| self.bits.get(bit / 64).is_some_and(|bits| bits >> (bit % 64) & 1 == 1);
        let [one, other] = self.bits_of(number);
        is_set(one) && is_set(other)
    }

    /// The two bits of a number, by Fibonacci hashing.
    #[inline]
    fn bits_of(&self, number: u64) -> [usize; 2] {
        let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        [(hash >> 40) as usize & self.mask, (hash >> 16) as usize & self.mask]
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
