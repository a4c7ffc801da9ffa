//! What delivery has of HTTP beside its routes: the WebSocket handshake, and the modules for pages.

pub(crate) mod handshake;
pub(crate) mod modules;
