//! Every process stays within its memory bound, under all faults.

use super::Findings;
use super::view::View;

/// The bound for each kind of part in MiB, and its reason. A run offers about 60 posts a second. Each bound is a few
/// times the need at that rate, so that growth over time or with each outage reaches it within a run.
const BOUNDS_MIB: [(&str, u64); 5] = [
    // Ten minutes of keys and limits, a queue of 8,192 events, and requests in progress.
    ("ingest", 128),
    // A window of ten minutes, and the buffers of some sockets. The window alone may use 256 MiB.
    ("delivery", 128),
    // Three batches of 4 MiB in progress, 3 MiB read ahead, as BSON and as JSON, and the requests of readers.
    ("archiver", 160),
    // Caches of 8 MiB blocks for the log and six buckets, doubled by the garbage collector.
    ("nats", 256),
    // A cache of at most 256 MiB, connections, and journal buffers.
    ("mongod", 600),
];

pub(super) fn memory_stays_within_its_bound(view: &View, findings: &mut Findings) {
    for (part, samples) in &view.memory {
        let bound = BOUNDS_MIB.iter().find(|(kind, _)| part.starts_with(kind)).map(|(_, mib)| *mib);
        let Some(bound) = bound else { continue };
        samples.iter().for_each(|_| findings.look());
        let Some((line, kib)) = samples.iter().max_by_key(|(_, kib)| *kib) else { continue };
        if *kib > bound * 1_024 {
            let sentence = format!("{part} used {} MiB of memory, over its bound of {bound} MiB", kib / 1_024);
            findings.broken(sentence, [*line]);
        }
    }
}
