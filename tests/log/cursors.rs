//! Saved cursors.

use chat::{Position, PresenterIdx};
use nats::Cursor;

use super::{PATIENCE, log, presenter};
use crate::support::{NatsServer, eventually};

fn position(epoch: u64, sequence: u64) -> Position {
    Position { epoch, sequence, index: 0 }
}

#[tokio::test]
async fn a_saved_cursor_is_known_on_every_node_and_outlives_the_server() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let (here, there) = (one.cursors().await.unwrap(), other.cursors().await.unwrap());

    here.save(&[(presenter(1), position(1, 5).into()), (presenter(2), position(1, 6).into())]).await.unwrap();
    assert_eq!(here.get(presenter(1)), Some(position(1, 5)));
    eventually("the other node knows", PATIENCE, async || {
        (there.get(presenter(1)) == Some(position(1, 5))).then_some(())
    })
    .await;

    server.kill();
    server.start_again().await;
    let later = log(&server).await.cursors().await.unwrap();
    assert_eq!(later.get(presenter(2)), Some(position(1, 6)));
    assert_eq!(later.get(presenter(3)), None);
}

#[tokio::test]
async fn a_cursor_only_moves_forward_and_a_new_epoch_is_forward() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let cursors = log.cursors().await.unwrap();
    for (saved, known) in [
        (position(1, 5), position(1, 5)),
        (position(1, 4), position(1, 5)),
        (position(2, 1), position(2, 1)),
        (position(1, 9), position(2, 1)),
    ] {
        cursors.save(&[(presenter(1), saved.into())]).await.unwrap();
        assert_eq!(cursors.get(presenter(1)), Some(known));
        assert_eq!(log.cursors().await.unwrap().get(presenter(1)), Some(known));
    }
}

#[tokio::test]
async fn ten_thousand_cursors_are_saved_in_a_few_messages() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let many: Vec<(PresenterIdx, Cursor)> =
        (1..=10_000).map(|room| (presenter(room), position(u64::MAX, u64::MAX).into())).collect();
    log.cursors().await.unwrap().save(&many).await.unwrap();

    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("CURSORS").await.unwrap();
    assert!(stream.cached_info().state.messages <= 4);
    assert_eq!(log.cursors().await.unwrap().get(presenter(10_000)), Some(position(u64::MAX, u64::MAX)));
}

#[tokio::test]
async fn the_acknowledged_part_of_a_cursor_and_the_time_of_its_save_are_known_on_every_node() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let before = log.extent(None).await.unwrap().at;
    // The header of 10,000 of them is larger than JetStream permits in one message.
    let cursor = |room: i64| {
        let (position, after) = (position(1, 1_000 + room as u64), position(1, room as u64));
        Cursor { position, acknowledged_after: (room % 3 > 0).then_some(after) }
    };
    let many: Vec<(PresenterIdx, Cursor)> = (1..=10_000).map(|room| (presenter(room), cursor(room))).collect();
    let here = log.cursors().await.unwrap();
    here.save(&many).await.unwrap();
    let there = log.cursors().await.unwrap();
    let after = log.extent(None).await.unwrap().at;
    for room in 1..=10_000 {
        let saved = there.find(presenter(room)).unwrap();
        assert_eq!(saved.cursor, cursor(room));
        assert!((before..=after).contains(&saved.stored.unwrap()), "{saved:?}");
    }
    // As of the original's dialect: nothing of what follows is acknowledged.
    here.save(&[(presenter(1), position(1, 2_000).into())]).await.unwrap();
    assert_eq!(log.cursors().await.unwrap().find(presenter(1)).unwrap().cursor, position(1, 2_000).into());
}
