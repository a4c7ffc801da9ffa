//! The two protocols that no test can try in every order, as models for a checker that does: who holds a room
//! ([`claims`]), and what a presenter who comes back is shown ([`resume`]). Each model has the protocol as it was before,
//! whose faults the checker finds, and as it is. The code is not run here: `docs/lab/model.md` says what stands for what.

pub mod claims;
pub mod resume;
