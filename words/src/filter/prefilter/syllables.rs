//! Adjacent composed syllables at the beginning of a text.

/// Their indices.
#[derive(Debug, Clone)]
pub(super) struct Syllables<'t>(&'t [u8]);

impl<'t> Syllables<'t> {
    /// In UTF-8.
    pub(super) const BYTES: usize = 3;

    /// Of a text in UTF-8 that begins with these bytes.
    #[inline]
    pub(super) fn new(text: &'t [u8]) -> Syllables<'t> {
        Syllables(text)
    }
}

impl Iterator for Syllables<'_> {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        const FIRST: u32 = '가' as u32;
        const LAST: u32 = '힣' as u32;
        let ([lead, second, third], rest) = self.0.split_first_chunk::<{ Syllables::BYTES }>()?;
        // Every character that begins with such a byte has three.
        if !matches!(lead, 0xEA..=0xED) {
            return None;
        }
        let code = u32::from(lead & 0xF) << 12 | u32::from(second & 0x3F) << 6 | u32::from(third & 0x3F);
        let index = code.wrapping_sub(FIRST);
        if index > LAST - FIRST {
            return None;
        }
        self.0 = rest;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<char> {
        Syllables::new(text.as_bytes()).filter_map(|index| char::from_u32(index + '가' as u32)).collect()
    }

    #[test]
    fn syllables_end_with_the_first_other_character() {
        let all: String = ('가'..='힣').collect();
        assert_eq!(of(&all).into_iter().collect::<String>(), all);
        for other in ['\0', 'a', '\u{7F}', 'é', 'ㅋ', '\u{ABFF}', '\u{D7A4}', '\u{D7FF}', '\u{E000}', '漢', '👍'] {
            assert_eq!(of(&format!("가{other}힣")), ['가'], "{}", other.escape_unicode());
            assert_eq!(of(&format!("{other}힣")), [], "{}", other.escape_unicode());
        }
        assert_eq!(of(""), []);
    }
}
