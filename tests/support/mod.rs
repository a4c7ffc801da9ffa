//! What the tests start: real servers, real roles.
