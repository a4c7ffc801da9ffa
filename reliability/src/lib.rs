//! Tests the promise in the manner of Jepsen: users post and presenters read while the system's parts are killed,
//! paused and partitioned. Everything seen from outside is recorded as a history and then judged.
//! `docs/lab/reliability.md` has the results.

#![allow(clippy::disallowed_methods, reason = "tasks are awaited by their handles, or last as long as the run")]

pub mod alerts;
mod appointed;
mod ask;
mod audit;
mod certificates;
mod chatting;
pub mod constants;
pub mod disk;
mod drain;
mod erasures;
mod memory;
mod moderators;
mod nemesis;
mod notices;
mod people;
mod pins;
pub mod planted;
mod platform;
mod presence;
mod presenters;
mod queues;
mod raids;
mod readers;
mod readings;
mod review;
pub mod run;
mod streams;
pub mod system;
mod traces;
mod video;
mod viewers;
