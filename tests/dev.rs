//! dev

use crate::support::{Mongod, NatsServer, RoomServer};

#[tokio::test]
async fn servers_start_and_survive_a_kill() {
    let nats = NatsServer::start().await;
    let mongod = Mongod::start().await;
    let rooms = RoomServer::start().await;
    nats.kill();
    mongod.kill();
    nats.start_again().await;
    mongod.start_again().await;
    rooms.stop().await;
    rooms.start_again().await;
}
