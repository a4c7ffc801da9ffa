//! The binary's parts, and what development and the tests start: see [`servers`].

pub mod servers;
