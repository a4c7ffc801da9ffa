//! Every process stays within the memory that it is given, whatever breaks around it.

use super::Findings;
use super::view::View;

/// What a part of that kind may have, in MiB, and why. A run offers some 60 posts a second, so that each bound is a few
/// times what its part needs then: what grows with time, or with each outage, comes to it within a run.
const BOUNDS_MIB: [(&str, u64); 5] = [
    // Keys and limits of ten minutes, a queue of 8,192 events, and what is in hand.
    ("ingest", 128),
    // The window's events of ten minutes, and buffers of some sockets; the window alone may have 256 MiB.
    ("delivery", 128),
    // Three batches of 4 MiB in hand, 3 MiB read ahead, as BSON and as JSON, and what readers ask for.
    ("archiver", 160),
    // Blocks of 8 MiB in its caches, of the log and six buckets, and a garbage collector that doubles it.
    ("nats", 256),
    // Its cache is at most 256 MiB, and its connections and the journal's buffers come on top.
    ("mongod", 600),
];

pub(super) fn memory_stays_within_its_bound(view: &View, findings: &mut Findings) {
    for (part, samples) in &view.memory {
        let bound = BOUNDS_MIB.iter().find(|(kind, _)| part.starts_with(kind)).map(|(_, mib)| *mib);
        let Some(bound) = bound else { continue };
        samples.iter().for_each(|_| findings.look());
        let Some((line, kib)) = samples.iter().max_by_key(|(_, kib)| *kib) else { continue };
        if *kib > bound * 1_024 {
            let sentence = format!("{part} had {} MiB of memory, and {bound} are its bound", kib / 1_024);
            findings.broken(sentence, [*line]);
        }
    }
}
