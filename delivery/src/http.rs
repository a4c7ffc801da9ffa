//! Delivery over HTTP: the routes, the WebSocket handshake, the stream of events for readers, and the JavaScript modules for pages. Sessions know no
//! HTTP.

mod events;
mod handshake;
mod modules;
pub(crate) mod router;
