//! TLS: to a real NATS and a real MongoDB, and of the roles' own listeners.

mod listeners;
mod mongodb;
mod nats;
