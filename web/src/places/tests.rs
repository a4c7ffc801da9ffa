//! Who makes room for whom.

use super::*;

fn network(number: u8) -> Source {
    Source::Network(IpAddr::from([10, 0, 0, number]))
}

fn enter(places: &Arc<Places>, source: Source) -> Place {
    places.enter(source).expect("there is room, or it can be made")
}

#[test]
fn whoever_has_most_places_makes_room_with_the_one_that_waits_longest() {
    let places = Places::new(4, 0);
    let few = enter(&places, network(1));
    let many: Vec<Place> = (0..3).map(|_| enter(&places, network(2))).collect();
    let newcomer = enter(&places, network(3));
    assert!(many[0].is_lost() && !many[1].is_lost() && !many[2].is_lost() && !few.is_lost());
    // It had as many as the others when the next one came.
    let another = enter(&places, network(4));
    assert!(many[1].is_lost() && !many[2].is_lost());
    assert!([&few, &newcomer, &another].iter().all(|place| !place.is_lost()));
    assert_eq!(places.taken(), 4);
}

#[test]
fn a_source_that_takes_all_places_makes_room_for_itself() {
    let places = Places::new(2, 0);
    let kept: Vec<Place> = (0..100).map(|_| enter(&places, network(1))).collect();
    assert_eq!(kept.iter().filter(|place| !place.is_lost()).count(), 2);
    assert!(!kept[99].is_lost() && !kept[98].is_lost());
}

#[test]
fn who_does_not_wait_for_its_peer_keeps_its_place() {
    let places = Places::new(2, 0);
    let (works, patient) = (enter(&places, network(1)), enter(&places, network(1)));
    works.works();
    patient.stalls_after(Duration::from_secs(60));
    assert!(places.enter(network(2)).is_none());
    patient.waits();
    let _newcomer = enter(&places, network(2));
    assert!(patient.is_lost() && !works.is_lost());
}

#[test]
fn who_went_on_since_it_was_chosen_stays() {
    let places = Places::new(128, 0);
    let many: Vec<Place> = (0..128).map(|_| enter(&places, network(1))).collect();
    let _first = enter(&places, network(2));
    assert!(many[0].is_lost());
    // It was chosen together with the first, to be the next.
    many[1].works();
    let _second = enter(&places, network(2));
    assert!(!many[1].is_lost() && many[2].is_lost());
}

#[test]
fn among_places_of_sources_with_equally_many_the_unproven_go_first() {
    let places = Places::new(3, 0);
    let (proven, unproven, last) = (enter(&places, network(1)), enter(&places, network(2)), enter(&places, network(3)));
    proven.has_proved_itself();
    last.has_proved_itself();
    let _newcomer = enter(&places, network(4));
    assert!(unproven.is_lost() && !proven.is_lost() && !last.is_lost());
}

#[test]
fn whoever_does_not_go_on_goes_before_those_who_merely_wait() {
    let places = Places::new(2, 0);
    let (idle, stalled) = (enter(&places, network(1)), enter(&places, network(1)));
    [&idle, &stalled].iter().for_each(|place| place.has_proved_itself());
    idle.waits();
    stalled.stalls_after(Duration::ZERO);
    let _newcomer = enter(&places, network(2));
    assert!(stalled.is_lost() && !idle.is_lost());
}

#[test]
fn a_place_can_be_given_back_before_it_is_dropped() {
    let places = Places::new(1, 0);
    let upgraded = enter(&places, network(1));
    upgraded.works();
    assert!(upgraded.holds(0) && places.enter(network(2)).is_none());
    upgraded.leave();
    let second = enter(&places, network(2));
    drop(upgraded);
    assert!(!second.is_lost() && places.taken() == 1);
}

#[test]
fn peers_behind_a_proxy_count_each_for_itself() {
    let proxies = ["10.1.0.0/16".parse().unwrap()];
    let behind = Source::of_peer("10.1.2.3".parse().unwrap(), &proxies);
    assert_eq!(behind, Source::Unknown);
    let places = Places::new(4, 0);
    let _behind: Vec<Place> = (0..2).map(|_| enter(&places, behind)).collect();
    let direct: Vec<Place> = (0..2).map(|_| enter(&places, network(1))).collect();
    let _newcomer = enter(&places, behind);
    assert!(direct[0].is_lost());
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
    let places = Places::new(100, 64 * 1024);
    let light = enter(&places, network(1));
    let other = enter(&places, network(2));
    let greedy: Vec<Place> = (0..3).map(|_| enter(&places, network(3))).collect();
    assert!(light.holds(100) && other.holds(8_000));
    assert!(greedy.iter().all(|place| place.holds(20_000)));
    assert!(greedy[0].is_lost() && !greedy[1].is_lost() && !other.is_lost() && !light.is_lost());
    // It makes room only while it waits for its peer.
    greedy.iter().for_each(Place::works);
    other.works();
    assert!(!greedy[1].holds(40_000));
    greedy[1].holds_nothing();
    assert!(greedy[2].holds(1_000));
    drop(greedy);
    drop((light, other));
    assert_eq!(places.bytes.load(Ordering::Relaxed), 0);
    assert_eq!(places.taken(), 0);
    assert!(places.state().of_source.is_empty());
}

#[tokio::test]
async fn who_finds_nobody_to_make_room_gets_the_next_place_that_is_free() {
    let places = Places::new(1, 0);
    let first = enter(&places, network(1));
    first.works();
    let (second, ()) = tokio::join!(places.enter_in_time(network(2)), async { drop(first) });
    assert!(!second.is_lost());
}
