//! What must hold in every state, and what must be reachable.

use stateright::Property;

use super::state::{Phase, State};
use super::{Claims, LEASE};

pub(super) fn properties() -> Vec<Property<Claims>> {
    vec![
        Property::always("only one session writes", |model: &Claims, state: &State| {
            (0..model.sessions.len()).all(|session| {
                let holds = state.newest.holder.is_some_and(|holder| holder.session == session);
                let lost = state.sessions[session].lost_at.filter(|_| !holds);
                lost.is_none_or(|lost| state.now - lost <= LEASE) || !model.writes(state, session)
            })
        }),
        Property::always("a listed session is connected", |_, state: &State| {
            state.sessions.iter().all(|session| session.listed_wrongly <= LEASE + 1)
        }),
        Property::always("a connected session is listed", |_, state: &State| {
            state.sessions.iter().all(|session| session.unlisted <= LEASE + 1)
        }),
        Property::always("a refused claim never takes the room", |_, state: &State| {
            state.sessions.iter().all(|session| !session.took_after_refusal)
        }),
        Property::always("only a newer session replaces the holder", |_, state: &State| {
            state.sessions.iter().all(|session| !session.ended_wrongly)
        }),
        // Reachability: the model covers what it is meant to cover.
        Property::sometimes("a newcomer is served", |_, state: &State| {
            state.sessions[1].phase == Phase::Served && state.sessions[0].phase == Phase::Replaced
        }),
        Property::sometimes("a claim is stored too late", |model: &Claims, state: &State| {
            state.late || !model.protocol.expires
        }),
        Property::sometimes("a presenter disconnects", |_, state: &State| {
            state.newest.holder.is_none() && state.sessions[0].phase == Phase::Closed
        }),
    ]
}
