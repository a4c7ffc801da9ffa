//! Proves the promise, in the spirit of Jepsen: plays chat into the whole system while its parts are killed, paused and
//! cut off, notes everything that is seen from outside, and checks the notes. `docs/reliability.md` says what was found.

pub mod checker;
pub mod history;
