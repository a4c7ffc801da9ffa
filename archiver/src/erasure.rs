//! Erasing a user: [`service`] takes it on and sees it through, [`receipt`] is what is recorded of it, [`sweep`] takes
//! out of the archive what stands before it, [`tombstones`] and [`replay_guard`] keep out what would come in later, and
//! [`reasons`] is about what others said of what is erased.

pub(crate) mod reasons;
pub(crate) mod receipt;
pub(crate) mod replay_guard;
pub(crate) mod service;
pub(crate) mod sweep;
pub(crate) mod tombstones;
