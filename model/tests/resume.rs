//! Resuming, in every order of what can happen within the bounds.

use model::resume::{Protocol, Resume};
use stateright::{Checker, HasDiscoveries, Model};

/// A log that loses its end once.
fn a_loss(protocol: Protocol) -> Resume {
    Resume { protocol, nodes: 2, events: 3, losses: 1, restarts: 1, connections: 2 }
}

/// No order breaks a property.
fn holds(model: Resume) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    eprintln!("{unique} states, at most {depth} steps");
    checker.assert_properties();
}

/// Some order breaks the property.
fn is_broken(model: Resume, property: &'static str) {
    let protocol = model.protocol;
    let wanted = HasDiscoveries::AllOf([property].into());
    let checker = model.checker().finish_when(wanted).spawn_bfs().join();
    let path = checker.discovery(property).unwrap_or_else(|| panic!("{protocol:?} holds: {property}"));
    eprintln!("{property}: {:?}", path.into_actions());
}

#[test]
fn nothing_is_passed_over_on_two_nodes_of_a_log_that_loses_its_end() {
    holds(a_loss(Protocol::NOW));
}

#[test]
fn nothing_is_passed_over_where_the_log_loses_its_end_twice() {
    holds(Resume { nodes: 1, losses: 2, restarts: 0, connections: 3, ..a_loss(Protocol::NOW) });
}

#[test]
fn before_there_were_timelines_a_log_that_lost_its_end_passed_events_over() {
    is_broken(a_loss(Protocol::BEFORE), "nothing is passed over untold");
    is_broken(a_loss(Protocol::BEFORE), "a position means one event");
}

#[test]
fn before_every_welcome_had_a_position_an_empty_room_lost_what_left_the_window() {
    let no_loss = Resume { losses: 0, ..a_loss(Protocol { welcomes: false, ..Protocol::NOW }) };
    is_broken(no_loss, "nothing is passed over untold");
}

#[test]
fn each_part_is_needed() {
    is_broken(a_loss(Protocol { forks: false, ..Protocol::NOW }), "nothing is passed over untold");
    is_broken(a_loss(Protocol { places: false, ..Protocol::NOW }), "nothing is passed over untold");
}
