//! Models of two protocols, for a model checker that tries every order of events: claims on a room ([`claims`]), and
//! resuming from a position ([`resume`]). Each model has an earlier protocol, whose faults the checker finds, and the
//! current one. The models do not run the server's code: `docs/lab/model.md` maps one to the other.

pub mod claims;
pub mod resume;
