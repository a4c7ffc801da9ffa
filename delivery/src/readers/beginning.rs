//! Where a reader begins.

use chat::{Position, PresenterIdx};

use crate::node::Node;
use crate::session::begin::ask;
use crate::session::close_codes::CloseReason;
use crate::window::Ask;
use crate::window::feed::RoomReader;

/// The events after the position follow. `recovered`: every event after the requested start is among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) position: Position,
    pub(crate) recovered: bool,
}

/// Finds the beginning: `now` (the default), `window`, or a position as a client sent it. Err: the log cannot be asked.
pub(crate) async fn begin(
    node: &Node,
    room: &RoomReader,
    presenter: PresenterIdx,
    from: Option<&str>,
) -> Result<Beginning, CloseReason> {
    let (position, recovered) = match from {
        None | Some("now") => (room.end(), true),
        Some("window") => (room.begin(Ask::Anything).cursor, true),
        Some(position) => {
            let asked = match position.parse::<Position>() {
                Ok(position) => ask(node, room, presenter, position).await?,
                Err(_) => Ask::Unknown,
            };
            let beginning = room.begin(asked);
            (beginning.cursor, beginning.whole)
        }
    };
    let position = position.unwrap_or_else(|| node.log.timelines().beginning(presenter));
    node.metrics.reader_began(recovered);
    Ok(Beginning { position, recovered })
}
