//! The window against a model that keeps every event and recounts each time.

use proptest::prelude::*;

use super::*;

/// A step of the test.
#[derive(Debug, Clone)]
enum Step {
    Message {
        presenter: i64,
        bytes: usize,
    },
    /// Deletes the event that came this many events ago, in its room.
    Delete {
        ago: usize,
    },
    Clear {
        presenter: i64,
    },
    /// An event of every room, in one of two partitions.
    Everywhere {
        partition: usize,
        bytes: usize,
    },
    Pass {
        seconds: u64,
    },
    Read {
        presenter: i64,
        ago: usize,
        events: usize,
        bytes: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let presenter = 1..5_i64;
    prop_oneof![
        8 => (presenter.clone(), 0..60_usize).prop_map(|(presenter, bytes)| Step::Message { presenter, bytes }),
        2 => (0..30_usize).prop_map(|ago| Step::Delete { ago }),
        1 => presenter.clone().prop_map(|presenter| Step::Clear { presenter }),
        1 => (0..2_usize, 0..60_usize).prop_map(|(partition, bytes)| Step::Everywhere { partition, bytes }),
        2 => (0..20_u64).prop_map(|seconds| Step::Pass { seconds }),
        4 => (presenter, 0..40_usize, 1..10_usize, 1..200_usize)
            .prop_map(|(presenter, ago, events, bytes)| Step::Read { presenter, ago, events, bytes }),
    ]
}

/// An event and its arrival.
struct Came {
    of: Option<PresenterIdx>,
    kept: Kept,
    at: Instant,
    is_evicted: bool,
}

/// Every event, in order.
#[derive(Default)]
struct Model {
    events: Vec<Came>,
}

impl Model {
    fn held(&self) -> impl Iterator<Item = &Came> {
        self.events.iter().filter(|came| !came.is_evicted)
    }

    fn bytes(&self) -> usize {
        self.bytes_of(|_| true)
    }

    fn bytes_of(&self, counts: impl Fn(&Came) -> bool) -> usize {
        self.held().filter(|came| counts(came)).map(|came| came.kept.bytes() + INDEX_BYTES).sum()
    }

    fn evict(&mut self, bounds: Bounds, now: Instant) {
        for came in &mut self.events {
            came.is_evicted |= now - came.at > bounds.age;
        }
        while self.bytes() > bounds.bytes {
            let epoch = |came: &Came| came.kept.position.epoch;
            let in_room = |room| self.bytes_of(move |came| came.of == Some(room));
            let rooms: Vec<PresenterIdx> = self.held().filter_map(|came| came.of).collect();
            let largest = rooms.into_iter().max_by_key(|room| (in_room(*room), *room));
            let everywhere = self.bytes_of(|came| came.of.is_none());
            let index = match largest.filter(|_| everywhere <= bounds.bytes / PART_EVERYWHERE) {
                Some(room) => self.events.iter().position(|came| !came.is_evicted && came.of == Some(room)),
                None => {
                    let in_partition = |of| self.bytes_of(move |came| came.of.is_none() && epoch(came) == of);
                    let of = if in_partition(100) > in_partition(101) { 100 } else { 101 };
                    self.events.iter().position(|came| !came.is_evicted && came.of.is_none() && epoch(came) == of)
                }
            };
            self.events[index.unwrap()].is_evicted = true;
        }
    }

    fn remove(&mut self, presenter: Option<PresenterIdx>, effect: &Effect) {
        for Came { of, kept, .. } in &mut self.events {
            let removed = match effect {
                Effect::Nothing => false,
                Effect::Holds(_) | Effect::EndsHold(_) => unreachable!("no step does"),
                Effect::Deletes(target) => kept.id == *target,
                Effect::Clears => true,
                Effect::Restores(_)
                | Effect::Purges(..)
                | Effect::Sweeps(_)
                | Effect::Unsweeps(_)
                | Effect::Erases(_) => unreachable!("no step does"),
            };
            if *of == presenter && kept.kind == Kind::Message && removed {
                kept.kind = Kind::Deleted;
            }
        }
    }
}

/// The next position in one of two partitions, each with its own epoch and sequence.
fn next(sequences: &mut [u64; 2], partition: usize) -> Position {
    sequences[partition] += 1;
    let sequence = sequences[partition];
    Position { epoch: 100 + partition as u64, sequence, index: (sequence % 3) as u32 }
}

fn partition(presenter: i64) -> usize {
    usize::from(presenter % 2 == 1)
}

proptest! {
    #[test]
    fn the_window_agrees_with_a_model_that_keeps_every_event(steps in prop::collection::vec(step(), 1..200)) {
        let bounds = Bounds { age: Duration::from_secs(60), bytes: 20 * (30 + INDEX_BYTES) };
        let (mut window, mut model, mut sequences) = (Window::new(bounds), Model::default(), [0, 0]);
        let mut now = Instant::now();
        (100..=101).for_each(|epoch| window.set_whole_after(epoch as u32, Position { epoch, sequence: 0, index: u32::MAX }));
        for step in steps {
            let incoming = match step {
                Step::Message { presenter, bytes } => {
                    Some(message(presenter, next(&mut sequences, partition(presenter)), &"x".repeat(bytes)))
                }
                Step::Delete { ago } => model.events.iter().rev().nth(ago).map(|Came { of, kept, .. }| {
                    let presenter = of.map_or(1, PresenterIdx::get);
                    removal(presenter, next(&mut sequences, partition(presenter)), Effect::Deletes(kept.id))
                }),
                Step::Clear { presenter } => {
                    Some(removal(presenter, next(&mut sequences, partition(presenter)), Effect::Clears))
                }
                Step::Everywhere { partition, bytes } => {
                    Some(of_every_room(next(&mut sequences, partition), &"x".repeat(bytes)))
                }
                Step::Pass { seconds } => {
                    now += Duration::from_secs(seconds);
                    window.evict(now);
                    model.evict(bounds, now);
                    None
                }
                Step::Read { presenter, ago, events, bytes } => {
                    let (presenter, epoch) = (room(presenter), 100 + partition(presenter) as u64);
                    let of_room =
                        |came: &&Came| came.of.map_or(came.kept.position.epoch == epoch, |of| of == presenter);
                    let all: Vec<_> = model.events.iter().filter(of_room).collect();
                    let cursor = all.iter().rev().nth(ago).map(|came| came.kept.position);
                    let follows = |kept: &Kept| cursor.is_none_or(|cursor| kept.position > cursor);
                    // It may follow events that are held: an event of every room is evicted in its own time.
                    let missed = all.iter().any(|came| came.is_evicted && follows(&came.kept));
                    let (mut expected, mut size) = (Vec::new(), 0);
                    let all_seen = all.last().is_some_and(|came| Some(came.kept.position) == cursor);
                    for Came { kept, .. } in all.into_iter().filter(|came| !came.is_evicted && follows(&came.kept)) {
                        size += kept.bytes().max(1);
                        if expected.len() == events || (!expected.is_empty() && size > bytes) {
                            break;
                        }
                        expected.push(kept.clone());
                    }
                    let page = window.after(presenter, epoch as u32, cursor, Limit { events, bytes });
                    prop_assert_eq!(page.events, expected);
                    if let Some(cursor) = cursor {
                        let whole = window.begin(presenter, epoch as u32, Ask::After(cursor)).whole;
                        let last = Position { epoch, sequence: sequences[partition(presenter.get())], index: u32::MAX };
                        let reached = if all_seen { last } else { cursor };
                        prop_assert_eq!(window.reached(presenter, epoch as u32, cursor), reached);
                        prop_assert_eq!(page.gap, missed);
                        prop_assert_eq!(whole, !missed);
                    }
                    None
                }
            };
            if let Some(incoming) = incoming {
                model.remove(incoming.presenter, &incoming.effect);
                let Incoming { presenter: of, kept, .. } = &incoming;
                model.events.push(Came { of: *of, kept: kept.clone(), at: now, is_evicted: false });
                model.evict(bounds, now);
                window.push(vec![incoming], now);
            }
            prop_assert_eq!(window.bytes, model.bytes());
            prop_assert!(window.bytes <= bounds.bytes);
            prop_assert_eq!(window.len(), model.held().count());
        }
    }
}
