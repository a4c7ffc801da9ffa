//! The bounds of settings.

/// In characters as people count them: extended grapheme clusters. The setting `maxLength` can only shorten it.
pub const LONGEST_TEXT: usize = 500;

/// An hour: a longer pause is no chat.
pub(super) const MOST_SLOW_MODE_SECONDS: u32 = 3_600;

/// 200: the filter looks for each in every message of the room, and one event contains all of them.
pub(super) const MOST_WORDS: usize = 200;

/// Characters of a word.
pub const LONGEST_WORD: usize = 50;

/// 8 KB: every event about the room's settings contains the words, and every node keeps them in memory.
pub const MOST_WORDS_BYTES: usize = 8 * 1024;

/// 100,000: enough for a load test with a single user.
pub(super) const MOST_MESSAGES: u32 = 100_000;

pub(super) const MOST_RATE_SECONDS: u32 = 3_600;
