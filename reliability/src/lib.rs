//! Proves the promise, in the spirit of Jepsen: plays chat into the whole system while its parts are killed, paused and
//! cut off, notes everything that is seen from outside, and judges the notes. `docs/lab/reliability.md` says what was found.

mod ask;
mod audit;
mod chatting;
pub mod checker;
pub mod constants;
pub mod disk;
mod erasures;
pub mod history;
mod memory;
mod moderators;
mod nemesis;
pub mod planted;
mod platform;
mod presence;
mod presenters;
mod readings;
pub mod report;
mod review;
pub mod run;
mod streams;
pub mod system;
mod video;
mod viewers;
