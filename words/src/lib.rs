//! The word filter: finds what a list calls abuse, however it is written, and leaves alone what only looks like it. It
//! knows neither rooms nor messages nor what is done with what it finds. Beside it stand the notions that it shares with
//! whoever shows texts and names: which characters cannot be seen, and which disturb what is beside them.
//!
//! A text is read once as signs (`sign`, `reading`), which each alphabet sees as a stream of its own symbols (`stream`).
//! An Aho-Corasick automaton finds every candidate in a stream, and `judge` looks at what was skipped inside and around
//! it. What lies in an allowed context is let go (`filter`). All of it is linear in the length of the text.

mod border;
mod filter;
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
