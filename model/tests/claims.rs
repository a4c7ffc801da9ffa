//! The claim protocol, in every order of events within the bounds.

use model::claims::{Claims, Protocol};
use stateright::{Checker, HasDiscoveries, Model};

/// Two nodes. A newcomer claims the room on the second one.
fn two_nodes(protocol: Protocol) -> Claims {
    Claims { protocol, sessions: vec![0, 1], ticks: 7, faults: 2 }
}

/// Asserts that every property holds in every order.
fn holds(model: Claims) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    eprintln!("{unique} states, at most {depth} steps");
    checker.assert_properties();
}

/// Asserts that some order breaks the property.
fn is_broken(protocol: Protocol, property: &'static str) {
    let wanted = HasDiscoveries::AllOf([property].into());
    let checker = two_nodes(protocol).checker().finish_when(wanted).spawn_bfs().join();
    let path = checker.discovery(property).unwrap_or_else(|| panic!("{protocol:?} holds: {property}"));
    eprintln!("{property}: {:?}", path.into_actions());
}

#[test]
fn the_protocol_holds_on_two_nodes() {
    holds(two_nodes(Protocol::NOW));
}

#[test]
fn the_protocol_holds_when_a_second_newcomer_claims_the_room_on_the_first_node() {
    holds(Claims { protocol: Protocol::NOW, sessions: vec![0, 1, 0], ticks: 4, faults: 1 });
}

#[test]
fn the_protocol_holds_on_three_nodes() {
    holds(Claims { protocol: Protocol::NOW, sessions: vec![0, 1, 2], ticks: 4, faults: 1 });
}

#[test]
fn without_an_expiry_a_late_claim_takes_the_room_from_a_healthy_session() {
    is_broken(Protocol::BEFORE, "a refused claim never takes the room");
}

#[test]
fn without_reconciliation_a_lost_withdrawal_leaves_the_room_taken() {
    is_broken(Protocol::BEFORE, "a listed session is connected");
}

#[test]
fn each_part_of_the_protocol_is_needed() {
    is_broken(Protocol { expires: false, ..Protocol::NOW }, "a refused claim never takes the room");
    is_broken(Protocol { names_what_it_replaces: false, ..Protocol::NOW }, "only a newer session replaces the holder");
    is_broken(Protocol { resolves: false, ..Protocol::NOW }, "a refused claim never takes the room");
    is_broken(Protocol { reconciles: false, ..Protocol::NOW }, "a listed session is connected");
    is_broken(Protocol { fences: false, ..Protocol::NOW }, "only one session writes");
}
