//! Files that other programs open. Pure: messages in, text out.

pub(crate) mod csv;
pub(crate) mod twitch;
pub(crate) mod webvtt;
