//! Resuming from a position, in every order of events within the bounds.

use model::resume::{Protocol, Resume};
use stateright::{Checker, HasDiscoveries, Model};

/// Two nodes, and a log that loses its end once.
fn a_loss(protocol: Protocol) -> Resume {
    Resume { protocol, nodes: 2, events: 3, losses: 1, restarts: 1, connections: 2 }
}

/// Asserts that every property holds in every order.
fn holds(model: Resume) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    eprintln!("{unique} states, at most {depth} steps");
    checker.assert_properties();
}

/// Asserts that some order breaks the property.
fn is_broken(model: Resume, property: &'static str) {
    let protocol = model.protocol;
    let wanted = HasDiscoveries::AllOf([property].into());
    let checker = model.checker().finish_when(wanted).spawn_bfs().join();
    let path = checker.discovery(property).unwrap_or_else(|| panic!("{protocol:?} holds: {property}"));
    eprintln!("{property}: {:?}", path.into_actions());
}

#[test]
fn no_event_is_skipped_on_two_nodes_when_the_log_loses_its_end() {
    holds(a_loss(Protocol::NOW));
}

#[test]
fn no_event_is_skipped_when_the_log_loses_its_end_twice() {
    holds(Resume { nodes: 1, losses: 2, restarts: 0, connections: 3, ..a_loss(Protocol::NOW) });
}

#[test]
fn without_timelines_events_are_skipped_when_the_log_loses_its_end() {
    is_broken(a_loss(Protocol::BEFORE), "no event is skipped without a reported gap");
    is_broken(a_loss(Protocol::BEFORE), "no two events have the same position");
}

#[test]
fn without_a_position_in_the_welcome_an_empty_room_skips_evicted_events() {
    let no_loss = Resume { losses: 0, ..a_loss(Protocol { welcomes: false, ..Protocol::NOW }) };
    is_broken(no_loss, "no event is skipped without a reported gap");
}

#[test]
fn each_part_of_the_protocol_is_needed() {
    is_broken(a_loss(Protocol { forks: false, ..Protocol::NOW }), "no event is skipped without a reported gap");
    is_broken(a_loss(Protocol { places: false, ..Protocol::NOW }), "no event is skipped without a reported gap");
}
