//! Moderation: decisions, the bans, moderators and room settings that follow from them, and reports of messages.

pub(crate) mod decide;
pub(crate) mod decide_hold;
pub(crate) mod first_seen;
pub(crate) mod holds;
pub(crate) mod notes;
pub(crate) mod preview;
pub(crate) mod report;
pub(crate) mod restored;
pub(crate) mod rights;
pub(crate) mod rules;
pub(crate) mod settings;
pub(crate) mod sweep_order;
pub(crate) mod sweeps;
pub(crate) mod term;
pub(crate) mod warnings;
