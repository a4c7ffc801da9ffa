//! Grams: the characters that stand next to each other in a folded text. A part of the text index says, for each gram,
//! in which of some neighbouring messages it is. A text that contains a search text has all of its grams, so messages
//! without one of them need not be read. The opposite does not hold, so a search compares the texts that remain.
//!
//! The grams of a text are each of its characters, and each three neighbouring characters. The last two make a gram
//! too, without a third: so a search for two characters reads the grams that begin with them.
//!
//! A part is encoded as buckets. A bucket has the grams of which the first two characters have the same hash, in
//! ascending order, each with its messages. This is a format of the archive: it changes with
//! [`VERSION`](crate::mongo::documents::TEXT_INDEX_VERSION).

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::mongo::documents::PositionDocument;

/// 64: the messages of a part per bucket, on average. A bucket then has about 2 KB.
const MESSAGES_PER_BUCKET: u32 = 64;

/// 1,024: the most buckets of a part.
const MOST_BUCKETS: u32 = 1_024;

/// 1,024: the positions that are encoded, and read, together.
pub(crate) const POSITIONS_TOGETHER: usize = 1_024;

/// In place of a character that is not there. It is after every character.
const NOTHING: u64 = 0x1f_ffff;

/// 16: a search looks up no more grams of a long text.
const MOST_WANTED: usize = 16;

/// Three characters of 21 bits each, so that grams with the same beginning are neighbours.
fn gram(first: char, second: Option<char>, third: Option<char>) -> u64 {
    let bits = |c: Option<char>| c.map_or(NOTHING, u64::from);
    u64::from(first) << 42 | bits(second) << 21 | bits(third)
}

/// The bucket of a gram, by its first two characters.
fn bucket(gram: u64, buckets: u32) -> u32 {
    // The finaliser of SplitMix64: part of the format.
    let mut hash = gram >> 21;
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let hash = hash ^ (hash >> 31);
    u32::try_from(hash >> 32).expect("it has 32 bits") & (buckets - 1)
}

/// Collects the texts of a part.
#[derive(Debug, Default)]
pub(crate) struct PartBuilder {
    positions: Vec<PositionDocument>,
    messages: HashMap<u64, Vec<u32>, FixedState>,
    texts: u32,
    bytes: usize,
}

/// A part as it is stored.
#[derive(Debug)]
pub(crate) struct EncodedPart {
    pub(crate) messages: u32,
    /// The messages with a text.
    pub(crate) texts: u32,
    pub(crate) buckets: Vec<Vec<u8>>,
    /// Each has the positions of [`POSITIONS_TOGETHER`] messages, the last one of the rest.
    pub(crate) positions: Vec<Vec<u8>>,
}

impl PartBuilder {
    /// Adds the next message, with its folded text if there is one.
    pub(crate) fn add(&mut self, position: PositionDocument, text: Option<&str>) {
        let number = u32::try_from(self.positions.len()).expect("a part has few messages");
        self.positions.push(position);
        let Some(text) = text else { return };
        self.texts += 1;
        self.bytes += text.len();
        let mut add = |gram| {
            let messages = self.messages.entry(gram).or_default();
            if messages.last() != Some(&number) {
                messages.push(number);
            }
        };
        let mut rest = text.chars();
        while let Some(first) = rest.next() {
            add(gram(first, None, None));
            let mut following = rest.clone();
            if let Some(second) = following.next() {
                add(gram(first, Some(second), following.next()));
            }
        }
    }

    pub(crate) fn messages(&self) -> usize {
        self.positions.len()
    }

    /// The size of the folded texts.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn encode(self) -> EncodedPart {
        let messages = u32::try_from(self.positions.len()).expect("a part has few messages");
        let buckets = (messages / MESSAGES_PER_BUCKET).next_power_of_two().min(MOST_BUCKETS);
        let mut grams: Vec<(u64, Vec<u32>)> = self.messages.into_iter().collect();
        grams.sort_unstable_by_key(|(gram, _)| *gram);
        let mut encoded = vec![Vec::new(); buckets as usize];
        let mut last = vec![0; buckets as usize];
        for (gram, numbers) in grams {
            let bucket = bucket(gram, buckets) as usize;
            write_number(&mut encoded[bucket], gram - std::mem::replace(&mut last[bucket], gram));
            write_numbers(&mut encoded[bucket], &numbers, messages);
        }
        let positions = self.positions.chunks(POSITIONS_TOGETHER).map(encode_positions).collect();
        EncodedPart { messages, texts: self.texts, buckets: encoded, positions }
    }
}

/// Grams of which a text must have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    from: u64,
    to: u64,
}

impl Wanted {
    /// What a text that contains this folded one must have.
    pub(crate) fn of(text: &str) -> Vec<Wanted> {
        let chars: Vec<char> = text.chars().collect();
        match chars[..] {
            [] => Vec::new(),
            [one] => vec![Wanted { from: gram(one, None, None), to: gram(one, None, None) }],
            [one, two] => vec![Wanted { from: gram(one, Some(two), Some('\0')), to: gram(one, Some(two), None) }],
            _ => {
                let grams = chars.windows(3).map(|three| gram(three[0], Some(three[1]), Some(three[2])));
                let mut all: Vec<Wanted> = grams.map(|gram| Wanted { from: gram, to: gram }).collect();
                all.sort_unstable_by_key(|wanted| wanted.from);
                all.dedup();
                // Spread over the text.
                let every = all.len().div_ceil(MOST_WANTED);
                all.into_iter().step_by(every).collect()
            }
        }
    }

    /// The bucket that has all of them.
    pub(crate) fn bucket(&self, buckets: u32) -> u32 {
        bucket(self.from, buckets)
    }

    /// The messages that have one of them, of a part with this many. None: the bucket is not as it was written.
    pub(crate) fn look_up(&self, mut bucket: &[u8], messages: u32) -> Option<Numbers> {
        let mut found = Numbers::none(messages);
        let mut gram = 0_u64;
        while !bucket.is_empty() {
            gram = gram.checked_add(read_number(&mut bucket)?)?;
            if gram > self.to {
                break;
            }
            read_numbers(&mut bucket, (gram >= self.from).then_some(&mut found))?;
        }
        Some(found)
    }
}

/// Numbers of messages in a part, as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbers {
    bits: Vec<u8>,
    below: u32,
}

impl Numbers {
    fn none(below: u32) -> Numbers {
        Numbers { bits: vec![0; below.div_ceil(8) as usize], below }
    }

    /// All that are below.
    pub(crate) fn all(below: u32) -> Numbers {
        let mut all = Numbers { bits: vec![0xff; below.div_ceil(8) as usize], below };
        if let (Some(last), 1..) = (all.bits.last_mut(), below % 8) {
            *last >>= 8 - below % 8;
        }
        all
    }

    fn insert(&mut self, number: u32) -> Option<()> {
        *self.bits.get_mut(number as usize / 8)? |= 1 << (number % 8);
        (number < self.below).then_some(())
    }

    /// Keeps those that the other has too.
    pub(crate) fn retain(&mut self, other: &Numbers) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(own, other)| *own &= other);
    }

    pub(crate) fn count(&self) -> u32 {
        self.bits.iter().map(|bits| bits.count_ones()).sum()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = u32> {
        (0..self.below).filter(|number| self.bits[*number as usize / 8] & (1 << (number % 8)) != 0)
    }
}

/// Seven bits a byte, the lowest first.
fn write_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn read_number(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Twice the length, and 1 if bits follow; then the bits, or the differences, whichever is shorter.
fn write_numbers(into: &mut Vec<u8>, numbers: &[u32], below: u32) {
    let mut differences = Vec::new();
    let mut last = 0;
    for number in numbers {
        write_number(&mut differences, u64::from(number - last));
        last = *number;
    }
    let mut bits = Numbers::none(below);
    let is_shorter = bits.bits.len() < differences.len();
    if is_shorter {
        numbers.iter().for_each(|number| _ = bits.insert(*number));
        differences = bits.bits;
    }
    write_number(into, 2 * differences.len() as u64 + u64::from(is_shorter));
    into.extend_from_slice(&differences);
}

/// Adds the numbers, or skips them.
fn read_numbers(from: &mut &[u8], into: Option<&mut Numbers>) -> Option<()> {
    let head = read_number(from)?;
    let (mut numbers, rest) = from.split_at_checked(usize::try_from(head / 2).ok()?)?;
    *from = rest;
    let Some(into) = into else { return Some(()) };
    if head % 2 == 1 {
        into.bits.iter_mut().zip(numbers).for_each(|(own, bits)| *own |= bits);
        return (numbers.len() == into.bits.len()).then_some(());
    }
    let mut number = 0_u32;
    while !numbers.is_empty() {
        number = number.checked_add(u32::try_from(read_number(&mut numbers)?).ok()?)?;
        into.insert(number)?;
    }
    Some(())
}

/// Each member as its difference from the one before.
fn encode_positions(positions: &[PositionDocument]) -> Vec<u8> {
    let mut encoded = Vec::new();
    let mut last = [0_i64; 3];
    for position in positions {
        let members = [position.epoch, position.sequence, position.index];
        for (own, before) in members.into_iter().zip(last) {
            let difference = own.wrapping_sub(before);
            // Small differences are small numbers, negative ones too.
            write_number(&mut encoded, ((difference << 1) ^ (difference >> 63)) as u64);
        }
        last = members;
    }
    encoded
}

/// None: they are not as they were written.
pub(crate) fn decode_positions(mut encoded: &[u8]) -> Option<Vec<PositionDocument>> {
    let mut positions = Vec::new();
    let mut last = [0_i64; 3];
    while !encoded.is_empty() {
        for member in &mut last {
            let number = read_number(&mut encoded)?;
            *member = member.wrapping_add((number >> 1) as i64 ^ -((number & 1) as i64));
        }
        positions.push(PositionDocument { epoch: last[0], sequence: last[1], index: last[2] });
    }
    Some(positions)
}

#[cfg(test)]
mod tests;
