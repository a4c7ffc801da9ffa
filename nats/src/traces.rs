//! The sampled traces of a batch's events: a header of the batch, so that readers of other versions see the same lines.
//! A batch without a sampled event has no such header.

use std::fmt::Write as _;

use async_nats::HeaderMap;
use runtime::{TraceContext, TraceParent};

/// `0:<traceparent>,7:<traceparent>`, by the index of the line.
const TRACES: &str = "Chatting-Traces";

/// 256 of a batch's events, 15 KB: more of one batch end in the span of their append.
const MOST: usize = 256;

/// The header's value. None: no event is sampled.
pub(crate) fn header(events: impl Iterator<Item = Option<TraceContext>>) -> Option<String> {
    let mut header = String::new();
    let sampled = events.enumerate().filter_map(|(index, trace)| Some((index, trace?)));
    for (index, trace) in sampled.take(MOST) {
        let separator = if header.is_empty() { "" } else { "," };
        write!(header, "{separator}{index}:{trace}").expect("a String takes every text");
    }
    (!header.is_empty()).then_some(header)
}

/// Sets the header, if the batch has one.
pub(crate) fn set(headers: &mut HeaderMap, header: Option<&str>) {
    if let Some(header) = header {
        headers.insert(TRACES, header);
    }
}

/// The sampled traces of a batch by the index of their line, ascending. What is not in the format is ignored.
pub(crate) fn of(headers: Option<&HeaderMap>) -> Vec<(u32, TraceContext)> {
    let Some(header) = headers.and_then(|headers| headers.get(TRACES)) else { return Vec::new() };
    let sampled = header.as_str().split(',').take(MOST).filter_map(|event| {
        let (index, trace) = event.split_once(':')?;
        let trace = TraceParent::parse(trace).filter(|trace| trace.is_sampled)?;
        Some((index.parse().ok()?, trace.context))
    });
    let mut sampled: Vec<(u32, TraceContext)> = sampled.collect();
    sampled.sort_by_key(|(index, _)| *index);
    sampled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(number: u8) -> TraceContext {
        TraceContext { trace: [number; 16], span: [number; 8] }
    }

    #[test]
    fn sampled_events_are_found_again_by_their_line() {
        let header = header([None, Some(trace(1)), None, Some(trace(2))].into_iter()).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(of(Some(&headers)), []);
        set(&mut headers, Some(&header));
        assert_eq!(of(Some(&headers)), [(1, trace(1)), (3, trace(2))]);
        assert_eq!(of(None), []);
    }

    #[test]
    fn without_a_sampled_event_there_is_no_header_and_a_long_one_is_cut() {
        assert_eq!(header([None, None].into_iter()), None);
        let longest = header((0..MOST + 1).map(|_| Some(trace(255)))).unwrap();
        assert!(longest.len() < 16 * 1024, "{}", longest.len());
        let mut headers = HeaderMap::new();
        set(&mut headers, Some(&longest));
        assert_eq!(of(Some(&headers)).len(), MOST);
    }

    #[test]
    fn what_is_not_in_the_format_is_ignored() {
        let sampled = trace(1).to_string();
        for wrong in ["", ",", "1", "x:y", &format!("-1:{sampled}"), &format!("1:{}00", &sampled[..sampled.len() - 2])]
        {
            let mut headers = HeaderMap::new();
            set(&mut headers, Some(wrong));
            assert_eq!(of(Some(&headers)), [], "{wrong}");
        }
    }
}
