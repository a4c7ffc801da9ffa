//! Who was erased when, and what that may have taken.

use std::collections::HashSet;

use chat::EventId;

use super::{Place, Post, View};

/// A user is to be forgotten.
#[derive(Debug)]
pub(crate) struct Erasure {
    pub(crate) user: i64,
    /// The messages stay, under another number.
    pub(crate) anonymises: bool,
    /// Where it was asked for.
    pub(crate) asked: usize,
    /// The answer that accepted it.
    pub(crate) accepted: Option<usize>,
    /// The answer that it is done. None: it may take what is written later, until it is.
    pub(crate) done: Option<usize>,
}

impl View<'_> {
    /// Whether an erasure may be about it: the post was sent before that was done.
    pub(crate) fn may_be_erased(&self, post: &Post) -> bool {
        let mut erasures = self.erasures.values().filter(|erasure| erasure.user == post.user);
        erasures.any(|erasure| erasure.done.is_none_or(|done| post.request.invoked < done))
    }

    /// The same of a message, wherever it is found.
    pub(crate) fn may_be_an_erased_one(&self, place: &Place) -> bool {
        let post = place.text.and_then(|text| self.texts.get(text)).and_then(|post| self.posts.get(post));
        post.is_some_and(|post| self.may_be_erased(post))
    }

    /// The accepted messages of which it is so.
    pub(crate) fn perhaps_erased(&self) -> HashSet<EventId> {
        let accepted = self.accepted_posts().filter(|(post, ..)| self.may_be_erased(post));
        accepted.map(|(_, _, id, _)| id).collect()
    }
}
