//! Leaves out the words that a context permits.

/// A word that was found, by its first and last grapheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u32,
    pub(super) last: u32,
    /// The index of the word's label.
    pub(super) label: u16,
}

/// The contexts and exceptions of a text.
#[derive(Debug)]
pub(super) struct Spans {
    /// For each grapheme, the end of the longest context that begins there.
    allowed: Vec<u32>,
    /// First and last grapheme of each exception.
    excepted: Vec<(u32, u32)>,
}

impl Spans {
    /// None yet, in a text of so many graphemes.
    pub(super) fn new(units: usize) -> Spans {
        Spans { allowed: vec![0; units], excepted: Vec::new() }
    }

    pub(super) fn allow(&mut self, first: u32, last: u32) {
        let end = &mut self.allowed[first as usize];
        *end = (*end).max(last + 1);
    }

    pub(super) fn except(&mut self, first: u32, last: u32) {
        self.excepted.push((first, last));
    }

    /// The candidates that are not inside a context, in order. Those that overlap become one, under the label of the
    /// one that begins first.
    pub(super) fn without_contexts(mut self, candidates: Vec<Span>) -> Vec<Span> {
        let units = self.allowed.len();
        for unit in 1..units {
            self.allowed[unit] = self.allowed[unit].max(self.allowed[unit - 1]);
        }
        // For each grapheme, the end of the longest exception that begins there or before, as for contexts. An
        // exception counts only if no context covers it.
        let mut kept = if self.excepted.is_empty() { Vec::new() } else { vec![0; units] };
        for (first, last) in self.excepted {
            if self.allowed[first as usize] <= last {
                kept[first as usize] = kept[first as usize].max(last + 1);
            }
        }
        for unit in 1..kept.len() {
            kept[unit] = kept[unit].max(kept[unit - 1]);
        }
        let mut longest: Vec<Option<Span>> = vec![None; units];
        for span in candidates {
            let first = span.first as usize;
            let is_kept = kept.get(first).is_some_and(|end| *end > span.last);
            let is_allowed = self.allowed[first] > span.last && !is_kept;
            let known = &mut longest[first];
            if !is_allowed && known.is_none_or(|known| known.last < span.last) {
                *known = Some(span);
            }
        }
        let mut spans: Vec<Span> = Vec::new();
        for span in longest.into_iter().flatten() {
            match spans.last_mut() {
                Some(before) if span.first <= before.last => before.last = before.last.max(span.last),
                _ => spans.push(span),
            }
        }
        spans
    }
}
