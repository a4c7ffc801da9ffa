//! stub
use crate::*;
/// The log. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub struct Log {}
impl Log {
    /// Connects as `name` (shown in the server's monitoring), creates what is missing and brings the rest up to date.
    pub async fn connect(_config: &Config, _name: &str) -> Result<Log, Error> {
        todo!()
    }
    /// Appends one event and waits until it is fsynced, the configured deadline at most.
    pub async fn append(&self, _event: &Event) -> Result<Position, AppendError> {
        todo!()
    }
    /// Everything in the log from `start` on, in order, each event once.
    pub fn tail(&self, _start: Start) -> Tail {
        todo!()
    }
    /// The shared, durable reader of that name: every batch goes to one of its consumers, again until acknowledged.
    pub fn consume(&self, _name: &str) -> Consumer {
        todo!()
    }
    /// Who is connected where, kept up to date until the log is closed. Waits until the present state is known.
    pub async fn presence(&self) -> Result<Presence, Error> {
        todo!()
    }
    /// The saved cursors, kept up to date until the log is closed. Waits until the present state is known.
    pub async fn cursors(&self) -> Result<Cursors, Error> {
        todo!()
    }
    /// Announces this delivery node and keeps its lease until [`Lease::end`].
    pub async fn lease(&self, _node: NodeId) -> Result<Lease, Error> {
        todo!()
    }
    /// Asks whoever can (signalling servers listen on `control.reconnect.<presenterIdx>`) to make the presenter
    /// reconnect. Not stored, best effort.
    pub async fn request_reconnect(&self, _presenter: PresenterIdx) {
        todo!()
    }
    /// Whether the connection to a server stands.
    pub fn is_connected(&self) -> bool {
        todo!()
    }
    /// Ends what this log started, sends what is still buffered and disconnects.
    pub async fn close(&self) {
        todo!()
    }
}
