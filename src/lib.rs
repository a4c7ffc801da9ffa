//! chatting-server.
