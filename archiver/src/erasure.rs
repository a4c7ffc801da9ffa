//! Erasing a user: [`eraser`] takes it on and sees it through, [`erasures`] is what is recorded of it, [`erase`] takes
//! out of the archive what stands before it, [`tombstones`] and [`erased_ids`] keep out what would come in later, and
//! [`reasons`] is about what others said of what is erased.

pub(crate) mod erase;
pub(crate) mod erased_ids;
pub(crate) mod eraser;
pub(crate) mod erasures;
pub(crate) mod reasons;
pub(crate) mod tombstones;
