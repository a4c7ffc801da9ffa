//! What holds for any batch of the log. A check panics where it does not. The fuzz targets in `fuzz/` call the checks,
//! and the test below replays their corpus. Compiled for both alone.

use async_nats::HeaderMap;
use bytes::Bytes;
use jiff::Timestamp;

use crate::read::entry::{MOST_AHEAD, entries};
use crate::traces;

/// A line with the header of traces, and the lines of a batch. Each line that is not blank has a place, in order,
/// whether it is an event or not, and no event is later than the clock of the log's servers allows.
pub fn batch(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let mut headers = HeaderMap::new();
    if let Ok(header) = str::from_utf8(&input[..end])
        && !header.contains('\r')
    {
        traces::set(&mut headers, Some(header));
    }
    let traces = traces::of(Some(&headers));
    assert!(traces.windows(2).all(|pair| pair[0].0 <= pair[1].0));

    let batch = Bytes::copy_from_slice(input.get(end + 1..).unwrap_or_default());
    let stored = Timestamp::from_second(1_800_000_000).expect("it is a time");
    let lines = batch.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut read = entries(7, 31, stored, Some(&headers), &batch);
    for (index, line) in lines.enumerate() {
        let (position, kept) = match read.next().expect("each line is read") {
            Ok(entry) => {
                assert!(entry.stored == stored && entry.at <= stored + MOST_AHEAD);
                let of_line = |(line, trace): &(u32, _)| *line as usize == index && Some(*trace) == entry.trace;
                assert!(entry.trace.is_none() || traces.iter().any(of_line));
                // A kind that is known and is malformed is refused with a reason, by each reader in the same way.
                assert_eq!(entry.event().map(|event| event.body).ok(), entry.body().ok());
                (entry.position, entry.line)
            }
            Err(malformed) => {
                assert!(!malformed.reason.to_string().is_empty());
                (malformed.position, malformed.line)
            }
        };
        assert_eq!((position.epoch, position.sequence, position.index as usize), (7, 31, index));
        assert_eq!(kept, line);
    }
    assert!(read.next().is_none());
}

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_corpus_of_the_fuzz_targets_holds() {
        replay("batch", batch);
    }
}
