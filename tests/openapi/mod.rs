//! The OpenAPI documents: the tree has what the roles serve, and live roles behave accordingly.

#[cfg(feature = "schemathesis")]
mod live;

use std::path::Path;

use chatting_server::cli::Documented;
use clap::ValueEnum as _;

use crate::support::{NatsServer, Role, RoomServer, Settings};

#[test]
fn the_documents_in_the_tree_are_those_of_the_code() {
    for role in Documented::value_variants() {
        let name = role.to_possible_value().unwrap().get_name().to_owned();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/reference/openapi/{name}.json"));
        let is_same = std::fs::read_to_string(&path).is_ok_and(|text| text == role.document());
        assert!(is_same, "out of date; run: cargo run -- openapi {name} > docs/reference/openapi/{name}.json");
    }
}

#[tokio::test]
async fn ingest_serves_its_document_to_anybody() {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let ingest = Role::start("ingest", &Settings::new().nats(&nats).rooms(&rooms)).await;
    let response = reqwest::get(format!("{}/v1/openapi.json", ingest.url())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.text().await.unwrap(), Documented::Ingest.document());
}
