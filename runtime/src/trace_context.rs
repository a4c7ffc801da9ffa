//! The place of a span in a sampled trace, as W3C Trace Context has it, and the span that a task works in. A trace that
//! is not sampled has none: nothing is carried for it.

use std::fmt;

use tokio::task::futures::TaskLocalFuture;
use tokio::task_local;

task_local! {
    // What appends to the log, and what writes a line of the log, is far below what knows the request.
    static CURRENT: Option<TraceContext>;
}

/// A span of a sampled trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The id of the trace, not all zero.
    pub trace: [u8; 16],
    /// The id of the span, not all zero.
    pub span: [u8; 8],
}

/// What a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The caller's span.
    pub context: TraceContext,
    /// Whether the caller records the trace.
    pub is_sampled: bool,
}

impl TraceContext {
    /// The span that this task works in, if its trace is sampled.
    pub fn current() -> Option<TraceContext> {
        CURRENT.try_get().ok().flatten()
    }

    /// Runs a future in this span.
    pub fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Option<TraceContext>, F> {
        CURRENT.scope(Some(self), work)
    }

    /// Calls a function in this span.
    pub fn in_scope<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(Some(self), work)
    }

    /// The id of the trace, 32 hexadecimal digits.
    pub fn trace_id(&self) -> impl fmt::Display {
        Hex(self.trace)
    }
}

/// Runs a future, in a task of its own, in the span that this task works in, if any.
pub(crate) fn for_same_span<F: Future>(work: F) -> TaskLocalFuture<Option<TraceContext>, F> {
    CURRENT.scope(TraceContext::current(), work)
}

/// As a `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", Hex(self.trace), Hex(self.span))
    }
}

struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TraceParent {
    /// Reads a `traceparent` of version 00, or of a later one as far as it is like that. None: it is not one, and a new
    /// trace begins.
    pub fn parse(text: &str) -> Option<TraceParent> {
        let mut parts = text.split('-');
        let [version] = hex::<1>(parts.next()?)?;
        let (trace, span, [flags]) = (hex(parts.next()?)?, hex(parts.next()?)?, hex::<1>(parts.next()?)?);
        let is_known = match version {
            0 => parts.next().is_none(),
            0xff => false,
            _ => true,
        };
        let is_valid = is_known && trace != [0; 16] && span != [0; 8];
        is_valid.then_some(TraceParent { context: TraceContext { trace, span }, is_sampled: flags & 1 == 1 })
    }
}

/// The bytes of lower-case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::for_same_request;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_it_is_written() {
        let parent = TraceParent::parse(EXAMPLE).unwrap();
        assert!(parent.is_sampled);
        assert_eq!(parent.context.to_string(), EXAMPLE);
        assert_eq!(parent.context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for (flags, is_sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let text = format!("{}{flags}", EXAMPLE.trim_end_matches("01"));
            assert_eq!(TraceParent::parse(&text).unwrap().is_sampled, is_sampled, "{text}");
        }
    }

    #[test]
    fn a_later_version_may_say_more_and_this_one_may_not() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        let context = TraceParent::parse(EXAMPLE).unwrap();
        assert_eq!(TraceParent::parse(&later), Some(context));
        assert_eq!(TraceParent::parse(&format!("{later}-what-else")), Some(context));
        for wrong in [
            "",
            "00",
            &EXAMPLE[..54],
            &format!("{EXAMPLE}-00"),
            &EXAMPLE.replacen("00", "ff", 1),
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &EXAMPLE.replace("00f067aa0ba902b7", "0000000000000000"),
            &EXAMPLE.replace("b7-01", "b7-0g"),
            &EXAMPLE.replace("b7-01", "b7-1"),
        ] {
            assert_eq!(TraceParent::parse(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_task_works_in_the_span_of_its_scope() {
        let context = TraceParent::parse(EXAMPLE).unwrap().context;
        assert_eq!(TraceContext::current(), None);
        let seen = context.scope(async {
            #[allow(clippy::disallowed_methods, reason = "awaited here")]
            let same = tokio::spawn(for_same_request(async { TraceContext::current() }));
            [TraceContext::current(), same.await.unwrap()]
        });
        assert_eq!(seen.await, [Some(context); 2]);
        assert_eq!((context.in_scope(TraceContext::current), TraceContext::current()), (Some(context), None));
    }
}
