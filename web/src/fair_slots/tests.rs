//! Who makes room for whom.

use super::*;

fn network(number: u8) -> Source {
    Source::Network(IpAddr::from([10, 0, 0, number]))
}

fn enter(slots: &Arc<FairSlots>, source: Source) -> Slot {
    slots.acquire(source).expect("there is room, or it can be made")
}

#[test]
fn the_source_with_most_slots_loses_the_one_that_has_waited_longest() {
    let slots = FairSlots::new(4, 0);
    let few = enter(&slots, network(1));
    let many: Vec<Slot> = (0..3).map(|_| enter(&slots, network(2))).collect();
    let newcomer = enter(&slots, network(3));
    assert!(many[0].is_evicted() && !many[1].is_evicted() && !many[2].is_evicted() && !few.is_evicted());
    // It had as many as the others when the next one came.
    let another = enter(&slots, network(4));
    assert!(many[1].is_evicted() && !many[2].is_evicted());
    assert!([&few, &newcomer, &another].iter().all(|slot| !slot.is_evicted()));
    assert_eq!(slots.in_use(), 4);
}

#[test]
fn a_source_that_takes_all_places_makes_room_for_itself() {
    let slots = FairSlots::new(2, 0);
    let kept: Vec<Slot> = (0..100).map(|_| enter(&slots, network(1))).collect();
    assert_eq!(kept.iter().filter(|slot| !slot.is_evicted()).count(), 2);
    assert!(!kept[99].is_evicted() && !kept[98].is_evicted());
}

#[test]
fn a_working_slot_is_not_evicted() {
    let slots = FairSlots::new(2, 0);
    let (works, patient) = (enter(&slots, network(1)), enter(&slots, network(1)));
    works.set_working();
    patient.set_stalled_after(Duration::from_secs(60));
    assert!(slots.acquire(network(2)).is_none());
    patient.set_waiting();
    let _newcomer = enter(&slots, network(2));
    assert!(patient.is_evicted() && !works.is_evicted());
}

#[test]
fn a_slot_that_continued_after_it_was_chosen_stays() {
    let slots = FairSlots::new(128, 0);
    let many: Vec<Slot> = (0..128).map(|_| enter(&slots, network(1))).collect();
    let _first = enter(&slots, network(2));
    assert!(many[0].is_evicted());
    // It was chosen together with the first, to be the next.
    many[1].set_working();
    let _second = enter(&slots, network(2));
    assert!(!many[1].is_evicted() && many[2].is_evicted());
}

#[test]
fn among_places_of_sources_with_equally_many_the_unproven_go_first() {
    let slots = FairSlots::new(3, 0);
    let (proven, unproven, last) = (enter(&slots, network(1)), enter(&slots, network(2)), enter(&slots, network(3)));
    proven.set_proven();
    last.set_proven();
    let _newcomer = enter(&slots, network(4));
    assert!(unproven.is_evicted() && !proven.is_evicted() && !last.is_evicted());
}

#[test]
fn stalled_slots_are_evicted_before_waiting_ones() {
    let slots = FairSlots::new(2, 0);
    let (idle, stalled) = (enter(&slots, network(1)), enter(&slots, network(1)));
    [&idle, &stalled].iter().for_each(|slot| slot.set_proven());
    idle.set_waiting();
    stalled.set_stalled_after(Duration::ZERO);
    let _newcomer = enter(&slots, network(2));
    assert!(stalled.is_evicted() && !idle.is_evicted());
}

#[test]
fn a_place_can_be_given_back_before_it_is_dropped() {
    let slots = FairSlots::new(1, 0);
    let upgraded = enter(&slots, network(1));
    upgraded.set_working();
    assert!(upgraded.add_bytes(0) && slots.acquire(network(2)).is_none());
    upgraded.release();
    let second = enter(&slots, network(2));
    drop(upgraded);
    assert!(!second.is_evicted() && slots.in_use() == 1);
}

#[test]
fn peers_behind_a_proxy_count_each_for_itself() {
    let proxies = ["10.1.0.0/16".parse().unwrap()];
    let behind = Source::of_peer("10.1.2.3".parse().unwrap(), &proxies);
    assert_eq!(behind, Source::Unknown);
    let slots = FairSlots::new(4, 0);
    let _behind: Vec<Slot> = (0..2).map(|_| enter(&slots, behind)).collect();
    let direct: Vec<Slot> = (0..2).map(|_| enter(&slots, network(1))).collect();
    let _newcomer = enter(&slots, behind);
    assert!(direct[0].is_evicted());
}

#[test]
fn an_ipv6_source_is_its_network_and_a_mapped_ipv4_one_its_address() {
    let of = |address: &str| Source::of_peer(address.parse().unwrap(), &[]);
    assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:10.0.0.1"), network(1));
    assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
}

#[test]
fn bytes_are_bounded_together_and_whoever_has_most_places_lets_go_of_some() {
    let slots = FairSlots::new(100, 64 * 1024);
    let light = enter(&slots, network(1));
    let other = enter(&slots, network(2));
    let greedy: Vec<Slot> = (0..3).map(|_| enter(&slots, network(3))).collect();
    assert!(light.add_bytes(100) && other.add_bytes(8_000));
    assert!(greedy.iter().all(|slot| slot.add_bytes(20_000)));
    assert!(greedy[0].is_evicted() && !greedy[1].is_evicted() && !other.is_evicted() && !light.is_evicted());
    // It makes room only while it waits for its peer.
    greedy.iter().for_each(Slot::set_working);
    other.set_working();
    assert!(!greedy[1].add_bytes(40_000));
    greedy[1].clear_bytes();
    assert!(greedy[2].add_bytes(1_000));
    drop(greedy);
    drop((light, other));
    assert_eq!(slots.bytes.load(Ordering::Relaxed), 0);
    assert_eq!(slots.in_use(), 0);
    assert!(slots.state().of_source.is_empty());
}

#[test]
fn bytes_that_another_thread_takes_while_more_are_counted_are_never_below_zero() {
    let slots = FairSlots::new(1, usize::MAX);
    let slot = enter(&slots, network(1));
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| (0..100_000).all(|_| slot.add_bytes(1)));
        while !adding.is_finished() {
            slot.clear_bytes();
            assert!(slots.bytes() <= 100_000, "{} bytes", slots.bytes());
        }
    });
    slot.clear_bytes();
    assert_eq!(slots.bytes(), 0);
}

#[tokio::test]
async fn a_newcomer_waits_for_the_next_free_slot_if_none_can_be_evicted() {
    let slots = FairSlots::new(1, 0);
    let first = enter(&slots, network(1));
    first.set_working();
    let (second, ()) = tokio::join!(slots.acquire_when_free(network(2)), async { drop(first) });
    assert!(!second.is_evicted());
}
