//! File formats for other programs. Pure functions: messages in, text out.

pub(crate) mod csv;
pub(crate) mod twitch;
pub(crate) mod webvtt;
