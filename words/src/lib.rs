//! The word filter. It finds the words of a list however they are disguised, and leaves alone words that only look like
//! them. It knows nothing of rooms, messages or policies.
//!
//! ```
//! use words::{Filter, List, mask};
//!
//! let mut list = List::built_in();
//! list.extend(List::parse("label: spoiler\n*butler*\nallow: butlership")?);
//! let filter = Filter::new(&list);
//!
//! let text = "the b u t l e r did it, sh1t";
//! let matches = filter.find(text);
//! let labels: Vec<&str> = matches.iter().map(|found| found.label.as_ref()).collect();
//! assert_eq!(labels, ["spoiler", "en.abuse"]);
//! assert_eq!(mask(text, &matches), "the *********** did it, ****");
//! assert!(filter.find("a classic butlership").is_empty());
//! # Ok::<(), words::ParseError>(())
//! ```
//!
//! [`List`] is the text format, [`Filter`] a compiled list. [`nickname`], [`is_invisible`] and [`is_forbidden`] are the
//! rules for names and characters that ingest and the archiver share.
//!
//! # How it works
//!
//! `sign` and `reading` fold a text into signs: Latin letters, jamo, digits, symbols. `stream` reads the signs as the
//! symbols of one alphabet, and records what was skipped between them. An Aho-Corasick automaton finds candidates in
//! each stream, and `judge` decides by what is inside and around a candidate whether it is the word. `filter` then
//! leaves out the words that a context permits. The cost is linear in the length of the text.
//!
//! Most texts have no word. `filter::prefilter` finds that out in one pass, without signs and streams: a text can only
//! have a word if it has two certain syllables, four certain letters, or two certain symbols of a word that no single
//! alphabet spells, next to each other.

mod border;
mod filter;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod grapheme;
mod invisible;
mod judge;
mod list;
mod nickname;
mod pattern;
mod reading;
mod sign;
mod stream;

pub use filter::{Filter, Match, mask};
pub use invisible::is_invisible;
pub use list::{List, ParseError};
pub use nickname::{is_forbidden, nickname};
