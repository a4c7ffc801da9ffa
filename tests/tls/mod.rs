//! TLS: to a real NATS and a real MongoDB, and of the roles' own listeners.

mod expiry;
mod listeners;
mod mongodb;
pub(crate) mod nats;
mod routes;
