//! stub
use crate::*;
/// How far each presenter has come, as last saved by any node: a local map, kept up to date. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cursors {}
impl Cursors {
    /// The last event that reached the presenter.
    pub fn get(&self, _presenter: PresenterIdx) -> Option<Position> {
        todo!()
    }
    /// Saves many at once (one fsync), and returns once they are durable. Each element: the room, the position of the
    /// last event that reached the presenter. Visible at once through [`Cursors::get`] of this node, soon on others.
    pub async fn save(&self, _cursors: &[(PresenterIdx, Position)]) -> Result<(), Error> {
        todo!()
    }
}
