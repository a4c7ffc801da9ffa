//! The claims' protocol, in every order of what can happen within the bounds.

use model::claims::{Claims, Protocol};
use stateright::{Checker, HasDiscoveries, Model};

/// Two nodes, on the second of which a newcomer claims the room.
fn two_nodes(protocol: Protocol) -> Claims {
    Claims { protocol, sessions: vec![0, 1], ticks: 7, faults: 2 }
}

/// No order breaks a property.
fn holds(model: Claims) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    eprintln!("{unique} states, at most {depth} steps");
    checker.assert_properties();
}

/// Some order breaks the property.
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
fn the_protocol_holds_where_the_newcomer_is_followed_by_another_one_on_the_first_node() {
    holds(Claims { protocol: Protocol::NOW, sessions: vec![0, 1, 0], ticks: 4, faults: 1 });
}

#[test]
fn the_protocol_holds_on_three_nodes() {
    holds(Claims { protocol: Protocol::NOW, sessions: vec![0, 1, 2], ticks: 4, faults: 1 });
}

#[test]
fn before_there_was_an_expiry_a_late_claim_took_the_room_from_a_healthy_session() {
    is_broken(Protocol::BEFORE, "who was refused takes no room");
}

#[test]
fn before_nodes_compared_a_lost_withdrawal_left_the_room_taken() {
    is_broken(Protocol::BEFORE, "who is shown is there");
}

#[test]
fn each_part_of_the_protocol_is_needed() {
    is_broken(Protocol { expires: false, ..Protocol::NOW }, "who was refused takes no room");
    is_broken(Protocol { names_what_it_replaces: false, ..Protocol::NOW }, "who holds the room keeps it");
    is_broken(Protocol { resolves: false, ..Protocol::NOW }, "who was refused takes no room");
    is_broken(Protocol { reconciles: false, ..Protocol::NOW }, "who is shown is there");
    is_broken(Protocol { fences: false, ..Protocol::NOW }, "one writer");
}
