//! What a reliability run records, and how that is judged: a history, the invariants, and a report for readers who did
//! not watch. It starts nothing and asks nothing: the same history always gets the same verdict.

pub mod checker;
pub mod deletions;
pub mod history;
pub mod report;
