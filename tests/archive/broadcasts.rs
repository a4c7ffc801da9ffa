//! A presenter's session is one document, in whichever order its start and its end are archived, and however often.

use chat::{Body, Event, Position, PresenterConnected, PresenterDisconnected, SessionId};
use mongodb::bson::DateTime;
use nats::Entry;

use super::{World, presenter};

#[tokio::test]
async fn a_session_is_one_document_in_whichever_order_its_ends_come() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let session = SessionId::new();
    let connected = Event::now(presenter(1), Body::PresenterConnected(PresenterConnected { session }));
    let reason = "$closed".to_owned();
    let disconnected = Event::now(presenter(1), Body::PresenterDisconnected(PresenterDisconnected { session, reason }));
    let ends = [at(5, &connected), at(6, &disconnected), at(7, &connected), at(8, &disconnected)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 0]] {
        world.collection("broadcasts").delete_many(mongodb::bson::doc! {}).await.unwrap();
        for index in order.into_iter().chain([1]) {
            world.archive.write(vec![Ok(ends[index].clone())]).await.unwrap();
        }
        let broadcasts = world.documents("broadcasts", 1).await;
        assert_eq!(broadcasts.len(), 1);
        let broadcast = &broadcasts[&session.to_string()];
        assert_eq!(broadcast.get_i64("presenterIdx").unwrap(), 1);
        assert_eq!(broadcast.get_str("reason").unwrap(), "$closed");
        let at = |event: &Event| DateTime::from_millis(event.at.as_millisecond());
        assert_eq!(broadcast.get_datetime("connectedAt").unwrap(), &at(&connected));
        assert_eq!(broadcast.get_datetime("disconnectedAt").unwrap(), &at(&disconnected));
        let sequence = |end: &str| broadcast.get_document(end).unwrap().get_i64("sequence").unwrap();
        assert_eq!([sequence("connectedPosition"), sequence("disconnectedPosition")], [5, 6], "{order:?}");
    }
}

/// The event as an entry of the log.
pub(super) fn at(sequence: u64, event: &Event) -> Entry {
    Entry::read(Position { epoch: 1, sequence, index: 0 }, event.to_line()).unwrap()
}
