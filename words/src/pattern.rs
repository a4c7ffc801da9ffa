//! One word as a list writes it: `*` where more letters may follow or go before, `{a,b}` and `[ab]` for alternatives,
//! `_` for a space that may be left out, `?` for a Latin letter that was blotted out, `+` where a letter must go
//! before.

/// One spelling of a word, and what may surround it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) word: String,
    /// Letters may precede it, and follow it.
    pub(crate) free_left: bool,
    pub(crate) free_right: bool,
    /// A letter must precede it directly.
    pub(crate) inside: bool,
    pub(crate) options: Options,
}

/// The options in parentheses after words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `(joined)`: nothing may separate its letters.
    pub(crate) joined: bool,
    /// `(open)`: its last syllable may end in another consonant: `새끼`, `새낀`.
    pub(crate) open: bool,
    /// `(plain)`: digits and symbols do not stand for its letters.
    pub(crate) plain: bool,
    /// `(split)`: digits and punctuation may separate its letters also after another word.
    pub(crate) split: bool,
    /// `(whole)`, of a context: no particle follows it.
    pub(crate) whole: bool,
    /// `(in fr)`, of a context: it applies only in a text with a word of this language.
    pub(crate) language: Option<Language>,
}

/// A language by its two letters.
pub(crate) type Language = [u8; 2];

/// The most spellings that one word with alternatives may expand to.
const SPELLINGS: usize = 512;

impl Options {
    /// Sets the option of that name.
    pub(crate) fn set(&mut self, name: &str) -> Result<(), String> {
        match name {
            "joined" => self.joined = true,
            "open" => self.open = true,
            "plain" => self.plain = true,
            "split" => self.split = true,
            "whole" => self.whole = true,
            _ => match name.strip_prefix("in ") {
                Some(language) => self.language = Some(language_of(language)?),
                None => {
                    let known = "joined, open, plain, split, whole and `in` with a language";
                    return Err(format!("no option is called `{name}`: there are {known}"));
                }
            },
        }
        Ok(())
    }
}

/// `fr`.
pub(crate) fn language_of(name: &str) -> Result<Language, String> {
    match name.trim().as_bytes() {
        [a @ b'a'..=b'z', b @ b'a'..=b'z'] => Ok([*a, *b]),
        _ => Err(format!("`{name}` is no language: two letters, as in fr")),
    }
}

impl Pattern {
    /// Expands a word of a list into its spellings.
    pub(crate) fn parse(written: &str, options: Options) -> Result<Vec<Pattern>, String> {
        let inside = written.starts_with('+');
        let free_left = inside || written.starts_with('*');
        let free_right = written.len() > 1 && written.ends_with('*');
        let word = written.strip_prefix('+').unwrap_or(written).trim_matches('*');
        if word.contains('*') {
            return Err(format!("`{written}` has a `*` inside: it stands only before or after a word"));
        }
        let spellings = spellings(word).map_err(|what| format!("`{written}` {what}"))?;
        let patterns = spellings.into_iter().map(|word| Pattern { word, free_left, free_right, inside, options });
        patterns
            .map(
                |pattern| {
                    if pattern.is_empty() { Err(format!("`{written}` has nothing to look for")) } else { Ok(pattern) }
                },
            )
            .collect()
    }

    /// A room's own word, taken literally. A Korean word is found inside others, because particles follow it.
    pub(crate) fn room(word: &str) -> Pattern {
        let is_korean = word.chars().any(|c| matches!(c, '가'..='힣'));
        let word = word.trim().replace(['?', '*'], "");
        Pattern { word, free_left: is_korean, free_right: is_korean, inside: false, options: Options::default() }
    }

    fn is_empty(&self) -> bool {
        !self.word.chars().any(|c| c.is_alphanumeric() || !c.is_ascii())
    }
}

/// `{a,b}c` as `ac`, `bc`.
fn spellings(word: &str) -> Result<Vec<String>, String> {
    let mut spellings = vec![String::new()];
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let close = match c {
            '{' => '}',
            '[' => ']',
            '}' | ']' => return Err(format!("has a `{c}` that nothing opens")),
            _ => {
                let c = if c == '_' { ' ' } else { c };
                spellings.iter_mut().for_each(|spelling| spelling.push(c));
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        let (inside, after) = rest[1..].split_once(close).ok_or(format!("has a `{c}` that nothing closes"))?;
        if inside.contains(['{', '[']) {
            return Err("has alternatives inside alternatives".to_owned());
        }
        let alternatives: Vec<String> = match c {
            '{' => inside.split(',').map(|alternative| alternative.replace('_', " ")).collect(),
            _ => inside.chars().map(String::from).collect(),
        };
        spellings = spellings
            .iter()
            .flat_map(|spelling| alternatives.iter().map(move |alternative| format!("{spelling}{alternative}")))
            .collect();
        if spellings.len() > SPELLINGS {
            return Err(format!("stands for more than {SPELLINGS} spellings"));
        }
        rest = after;
    }
    Ok(spellings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(written: &str) -> Vec<String> {
        Pattern::parse(written, Options::default()).unwrap().into_iter().map(|pattern| pattern.word).collect()
    }

    #[test]
    fn alternatives_multiply() {
        assert_eq!(words("[ab]c{d,ef}"), ["acd", "acef", "bcd", "bcef"]);
        assert_eq!(words("a{_,}b"), ["a b", "ab"]);
    }

    #[test]
    fn stars_permit_letters_before_and_after() {
        let pattern = Pattern::parse("*시발", Options::default()).unwrap().remove(0);
        assert_eq!((pattern.word.as_str(), pattern.free_left, pattern.free_right), ("시발", true, false));
    }

    #[test]
    fn an_error_names_the_word_and_the_problem() {
        for (written, what) in [
            ("a*b", "has a `*` inside"),
            ("a]", "has a `]` that nothing opens"),
            ("{a,b", "has a `{` that nothing closes"),
            ("{a,[b]}", "alternatives inside alternatives"),
            ("*", "has nothing to look for"),
            ("[abcdefgh][abcdefgh][abcdefgh][abcdefgh]", "more than 512 spellings"),
        ] {
            let error = Pattern::parse(written, Options::default()).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
