//! The people of a recording: which numbers its users and rooms have in a play.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chat::PresenterIdx;

use super::line::Line;

/// The users of a recording, each with the lines in order.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(super) rooms: BTreeSet<PresenterIdx>,
    pub(super) parts: Vec<CastMember>,
    /// The number of the first user. The others follow.
    base: i64,
}

/// A user, and what they write.
#[derive(Debug)]
pub(super) struct CastMember {
    pub(super) user: i64,
    pub(super) nickname: String,
    pub(super) is_presenter: bool,
    pub(super) lines: Vec<(PresenterIdx, Line)>,
}

impl Cast {
    /// Gives every room and every user of the recording a number. `first` is the room of lines without a room.
    pub(crate) fn of(lines: Vec<Line>, first: PresenterIdx) -> anyhow::Result<Cast> {
        // Numbers that no earlier play into the same archive has used, within JavaScript's safe integers.
        let base = ((uuid::Uuid::new_v4().as_u128() % (1 << 30)) as i64 + 1) * 1_000_000;
        let mut names: BTreeMap<String, PresenterIdx> = BTreeMap::new();
        let mut places: BTreeMap<(String, Option<PresenterIdx>), usize> = BTreeMap::new();
        let mut cast = Cast { rooms: BTreeSet::new(), parts: Vec::new(), base };
        for line in lines {
            let room = match &line.room {
                None => first,
                Some(name) => match names.get(name) {
                    Some(room) => *room,
                    None => {
                        let room = PresenterIdx::try_from(first.get() + 1 + names.len() as i64)?;
                        names.insert(name.clone(), room);
                        room
                    }
                },
            };
            cast.rooms.insert(room);
            let is_presenter = line.role.as_deref() == Some("presenter");
            // A presenter is a different user in each room; a viewer is the same user everywhere.
            let place = *places.entry((line.user.clone(), is_presenter.then_some(room))).or_insert_with(|| {
                let user = if is_presenter { room.get() } else { base + cast.parts.len() as i64 };
                cast.parts.push(CastMember { user, nickname: line.user.clone(), is_presenter, lines: Vec::new() });
                cast.parts.len() - 1
            });
            cast.parts[place].lines.push((room, line));
        }
        Ok(cast)
    }

    /// The user numbers of this play, presenters left out.
    pub(super) fn users(&self) -> Range<i64> {
        self.base..self.base + self.parts.len() as i64
    }
}
