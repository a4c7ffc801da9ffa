//! Readers of rooms, and their tickets.

use std::collections::HashMap;

use super::{Place, Session, View};
use crate::checker::view::places::is_message;
use crate::history::{Dialect, Observation, ReaderObservation, ReaderView};

/// A session of a reader.
#[derive(Debug)]
pub(crate) struct ReaderSession<'a> {
    pub(crate) session: Session<'a>,
    /// The reader. Each of its sessions continues where the previous one ended.
    pub(crate) number: u64,
    pub(crate) view: ReaderView,
    pub(crate) ticket: Option<u64>,
    /// The further members of each frame, by name.
    pub(crate) members: Vec<&'a [String]>,
}

/// A ticket.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    /// The line of the answer that has it.
    pub(crate) made: usize,
    pub(crate) room: i64,
    pub(crate) one_use: bool,
    pub(crate) revoked: Option<usize>,
    /// The lines of the requests with it.
    pub(crate) shown: Vec<usize>,
    /// The lines and the nodes of those that were refused.
    pub(crate) refused: Vec<(usize, &'a str)>,
}

impl<'a> View<'a> {
    pub(super) fn readers(&mut self, line: usize, what: &'a Observation, places: &mut HashMap<u32, usize>) {
        let Observation::Reader(what) = what else { return };
        match what {
            ReaderObservation::Ticket { ticket, room, one_use } => {
                let (room, one_use) = (*room, *one_use);
                let made = Ticket { made: line, room, one_use, revoked: None, shown: Vec::new(), refused: Vec::new() };
                self.tickets.insert(*ticket, made);
            }
            ReaderObservation::Revoked { ticket } => {
                if let Some(ticket) = self.tickets.get_mut(ticket) {
                    ticket.revoked = Some(line);
                }
            }
            ReaderObservation::Shows { ticket, .. } => {
                if let Some(ticket) = self.tickets.get_mut(ticket) {
                    ticket.shown.push(line);
                }
            }
            ReaderObservation::Refused { ticket, node } => {
                if let Some(ticket) = self.tickets.get_mut(ticket) {
                    ticket.refused.push((line, node));
                }
            }
            ReaderObservation::Welcome { session, number, room, node, view, ticket, asked, position, recovered } => {
                places.insert(*session, self.readers.len());
                let (number, view, ticket) = (*number, *view, *ticket);
                let session = Session {
                    number: *session,
                    welcome: line,
                    room: *room,
                    node,
                    dialect: Dialect::V1,
                    asked: *asked,
                    position: Some(*position),
                    recovered: *recovered,
                    fresh: false,
                    frames: Vec::new(),
                    parts: Vec::new(),
                    keepalives: Vec::new(),
                    strange: Vec::new(),
                    ended: None,
                    is_replaced: false,
                };
                self.readers.push(ReaderSession { session, number, view, ticket, members: Vec::new() });
            }
            ReaderObservation::Event { session, id, position, kind, text, target, members } => {
                let Some(reader) = places.get(session).map(|place| &mut self.readers[*place]) else { return };
                let (id, position, text, target) = (*id, *position, text.as_deref(), *target);
                let is_message = is_message(kind);
                let place = Place { text, is_message, kind, target, ..Place::shown(line, id, position, "") };
                reader.session.frames.push(place);
                reader.members.push(members);
            }
            ReaderObservation::Keepalive { session, position } => {
                if let Some(place) = places.get(session) {
                    self.readers[*place].session.keepalives.push((line, Some(*position)));
                }
            }
            ReaderObservation::Ended { session } => {
                if let Some(place) = places.get(session) {
                    self.readers[*place].session.ended = Some(line);
                }
            }
        }
    }

    /// Every session: of presenters, and of readers.
    pub(crate) fn all_sessions(&self) -> impl Iterator<Item = &Session<'a>> {
        self.sessions.iter().chain(self.readers.iter().map(|reader| &reader.session))
    }
}
