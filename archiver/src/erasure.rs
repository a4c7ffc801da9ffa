//! Erasing a user. [`service`] accepts an erasure and finishes it. [`receipt`] records it. [`sweep`] removes what is
//! archived. [`tombstones`] and [`replay_guard`] keep out what is archived later. [`reasons`] removes the reasons of
//! decisions about erased messages.

pub(crate) mod reasons;
pub(crate) mod receipt;
pub(crate) mod replay_guard;
pub(crate) mod service;
pub(crate) mod sweep;
pub(crate) mod tombstones;
