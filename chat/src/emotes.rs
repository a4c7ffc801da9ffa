//! The emotes of a message: ranges of its text that pages show as pictures of the platform. Ranges count code points,
//! as those of Twitch do: `start` is the first code point of an emote, and `end` the first one behind it. The bounds
//! are checked where emotes come in. A reader of the log takes any list, because a later version may allow more.

use std::ops::{Deref, Range};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

mod allowed;
#[cfg(test)]
mod tests;

pub use self::allowed::AllowedEmotes;

/// The most emotes of a message. The shortest names of emotes, with blanks between them, fill a message with more.
pub const MOST_EMOTES: usize = 100;

/// The most characters of an emote's id.
pub const LONGEST_EMOTE_ID: usize = 64;

/// A range of a text, in code points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emote {
    /// The platform's id of the emote.
    pub id: String,
    /// Where it begins.
    pub start: u32,
    /// Where it ends: the range does not have the code point there.
    pub end: u32,
}

/// Emotes in the order of the text, none over another. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Emote>")]
pub struct Emotes(Arc<[Emote]>);

/// Why emotes are invalid. A number is the place in the list, from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmotes {
    /// They are no list.
    #[error("the emotes must be a list such as [{{\"id\": \"wave\", \"start\": 0, \"end\": 4}}]")]
    NotAList,
    /// There are more than [`MOST_EMOTES`].
    #[error("there may be at most {MOST_EMOTES} emotes")]
    TooMany,
    /// An emote has no id, or one of another form.
    #[error(
        "the member emotes[{0}].id must be 1 to {LONGEST_EMOTE_ID} ASCII letters, digits, hyphens and underscores, and \
         begin with a letter or a digit"
    )]
    Id(usize),
    /// A start or an end is no integer.
    #[error("the member emotes[{0}].{1} must be an integer of at least 0: a number of code points of the text")]
    Number(usize, &'static str),
    /// A range is empty, or reaches behind the text.
    #[error("the member emotes[{at}] must end after its start, and within the {code_points} code points of the text")]
    Range {
        /// The emote.
        at: usize,
        /// The length of the text.
        code_points: usize,
    },
    /// A range has white space in it.
    #[error("the member emotes[{0}] must not cover white space")]
    Blank(usize),
    /// Two ranges have a code point in common.
    #[error("the members emotes[{0}] and emotes[{1}] overlap")]
    Overlap(usize, usize),
}

/// A part of a text that becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that are replaced.
    pub range: Range<usize>,
    /// The code points that come in their place.
    pub code_points: usize,
}

impl Emotes {
    /// Checks the bounds. The ranges are of the text as it was sent; those that are returned are of the trimmed text,
    /// and in its order. White space at the ends cannot be part of an emote, so that none is cut.
    pub fn parse(value: &Value, sent: &str) -> Result<Emotes, InvalidEmotes> {
        let Value::Array(items) = value else { return Err(InvalidEmotes::NotAList) };
        if items.len() > MOST_EMOTES {
            return Err(InvalidEmotes::TooMany);
        }
        let code_points: Vec<char> = sent.chars().collect();
        let trimmed = code_points.iter().take_while(|c| c.is_whitespace()).count();
        let mut emotes = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let id = item["id"].as_str().filter(|id| is_emote_id(id)).ok_or(InvalidEmotes::Id(at))?;
            let number = |name| integer(&item[name]).ok_or(InvalidEmotes::Number(at, name));
            let (start, end) = (number("start")?, number("end")?);
            let covered = code_points.get(start..end).filter(|covered| !covered.is_empty());
            let covered = covered.ok_or(InvalidEmotes::Range { at, code_points: code_points.len() })?;
            if covered.iter().any(|c| c.is_whitespace()) {
                return Err(InvalidEmotes::Blank(at));
            }
            // It covers what is not trimmed, so it begins behind what is.
            let stored = |place: usize| u32::try_from(place - trimmed).expect("a body has less than 4 GB");
            emotes.push((at, Emote { id: id.to_owned(), start: stored(start), end: stored(end) }));
        }
        emotes.sort_by_key(|(_, emote)| emote.start);
        for pair in emotes.windows(2) {
            if let [(before, first), (at, second)] = pair
                && second.start < first.end
            {
                return Err(InvalidEmotes::Overlap(*before.min(at), *before.max(at)));
            }
        }
        Ok(emotes.into_iter().map(|(_, emote)| emote).collect())
    }

    /// The emotes of the text with these edits, which are in its order and do not overlap. What an edit touches is no
    /// emote any more, and what is behind it moves.
    pub fn edited(&self, text: &str, edits: &[Edit]) -> Emotes {
        let place = |byte: usize| text[..byte].chars().count();
        let edits: Vec<(Range<usize>, usize)> =
            edits.iter().map(|edit| (place(edit.range.start)..place(edit.range.end), edit.code_points)).collect();
        let kept = self.iter().filter_map(|emote| {
            let (start, end) = (emote.start as usize, emote.end as usize);
            let (mut removed, mut added) = (0, 0);
            for (range, code_points) in &edits {
                if range.end <= start {
                    removed += range.len();
                    added += code_points;
                } else if range.start < end {
                    return None;
                }
            }
            let moved = |place: usize| u32::try_from(place - removed + added).ok();
            Some(Emote { id: emote.id.clone(), start: moved(start)?, end: moved(end)? })
        });
        kept.collect()
    }

    /// The emotes of another text that takes the place of this one: those in what both begin with, or end with.
    pub fn replaced(&self, text: &str, other: &str) -> Emotes {
        let same = |one: (char, char)| one.0 == one.1;
        let begin: usize = text.chars().zip(other.chars()).take_while(|c| same(*c)).map(|(c, _)| c.len_utf8()).sum();
        let (rest, others) = (&text[begin..], &other[begin..]);
        let ends = rest.chars().rev().zip(others.chars().rev());
        let end: usize = ends.take_while(|c| same(*c)).map(|(c, _)| c.len_utf8()).sum();
        let code_points = others[..others.len() - end].chars().count();
        self.edited(text, &[Edit { range: begin..text.len() - end, code_points }])
    }
}

/// A text in parts: each is an emote or stands between two. A range that is not in the text, or begins before the end
/// of an earlier one, is left out.
pub fn fragments<'a>(text: &'a str, emotes: &'a [Emote]) -> Vec<(&'a str, Option<&'a Emote>)> {
    let mut fragments = Vec::with_capacity(2 * emotes.len() + 1);
    // The rest of the text, and its place.
    let (mut rest, mut at) = (text, 0);
    for emote in emotes {
        let Some(before) = (emote.start as usize).checked_sub(at) else { continue };
        let Some(length) = emote.end.checked_sub(emote.start).filter(|length| *length > 0) else { continue };
        let Some((between, behind)) = split_at_code_point(rest, before) else { break };
        let Some((covered, behind)) = split_at_code_point(behind, length as usize) else { continue };
        fragments.extend(Some((between, None)).filter(|(between, _)| !between.is_empty()));
        fragments.push((covered, Some(emote)));
        (rest, at) = (behind, emote.end as usize);
    }
    fragments.extend(Some((rest, None)).filter(|(rest, _)| !rest.is_empty()));
    fragments
}

/// None: the text has fewer code points.
fn split_at_code_point(text: &str, place: usize) -> Option<(&str, &str)> {
    let mut ends = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
    ends.nth(place).map(|byte| text.split_at(byte))
}

/// Whether it can be the id of an emote. Programs put ids into addresses and names of files, so they have nothing that
/// has a meaning there.
pub fn is_emote_id(id: &str) -> bool {
    id.len() <= LONGEST_EMOTE_ID
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// 5.0 is 5: some programs write every number as floating point.
fn integer(value: &Value) -> Option<usize> {
    let whole = |float: f64| (float.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&float)).then_some(float);
    match value.as_u64() {
        Some(integer) => usize::try_from(integer).ok(),
        None => value.as_f64().and_then(whole).map(|float| float as usize),
    }
}

impl Deref for Emotes {
    type Target = [Emote];

    fn deref(&self) -> &[Emote] {
        &self.0
    }
}

impl From<Vec<Emote>> for Emotes {
    fn from(emotes: Vec<Emote>) -> Emotes {
        Emotes(emotes.into())
    }
}

impl FromIterator<Emote> for Emotes {
    fn from_iter<I: IntoIterator<Item = Emote>>(emotes: I) -> Emotes {
        Emotes(emotes.into_iter().collect())
    }
}

impl Serialize for Emotes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
