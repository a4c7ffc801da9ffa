//! Delivery over HTTP: the routes, the WebSocket handshake, and the JavaScript modules for pages. Sessions know no
//! HTTP.

mod handshake;
mod modules;
pub(crate) mod router;
