//! Erasures, and the messages that they may cover.

use std::collections::HashSet;

use chat::EventId;

use super::{Place, Post, View};

/// The erasure of a user.
#[derive(Debug)]
pub(crate) struct Erasure {
    pub(crate) user: i64,
    /// Whether the messages stay, under a pseudonym.
    pub(crate) anonymises: bool,
    /// The line of the request.
    pub(crate) asked: usize,
    /// The line of the answer that accepted it.
    pub(crate) accepted: Option<usize>,
    /// The line of the answer that it is complete. None: it may also cover later messages.
    pub(crate) done: Option<usize>,
}

impl View<'_> {
    /// Whether an erasure may cover the post: it was sent before the erasure was complete.
    pub(crate) fn may_be_erased(&self, post: &Post) -> bool {
        let mut erasures = self.erasures.values().filter(|erasure| erasure.user == post.user);
        erasures.any(|erasure| erasure.done.is_none_or(|done| post.request.invoked < done))
    }

    /// The same for a message, wherever it was found.
    pub(crate) fn may_be_an_erased_one(&self, place: &Place) -> bool {
        let post = place.text.and_then(|text| self.texts.get(text)).and_then(|post| self.posts.get(post));
        post.is_some_and(|post| self.may_be_erased(post))
    }

    /// The accepted messages that an erasure may cover.
    pub(crate) fn perhaps_erased(&self) -> HashSet<EventId> {
        let erased = self.posts.values().filter(|post| self.may_be_erased(post)).map(|post| &post.request);
        erased.flat_map(|request| request.oks.iter().chain(&request.held)).map(|(_, id, _)| *id).collect()
    }
}
