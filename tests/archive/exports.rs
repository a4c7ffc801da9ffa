//! Exports: complete, safe to open in a spreadsheet, bounded in memory, and visibly incomplete if they break off.

use std::time::Duration;

use chat::{Body, Event};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::reading::{Reader, archive, archive_many, said, time};
use super::{PATIENCE, World, deletion};
use crate::support::eventually;

const ROOM: &str = "/v1/rooms/42/export";

async fn lines(reader: &Reader<'_>, path: &str, query: &[(&str, &str)]) -> Vec<Value> {
    let answer = reader.ask(path, query).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    answer.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_export_has_what_a_search_finds() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let mut events: Vec<Event> =
        (0..2_500).map(|number| said(42, number % 7 + 1, number, &format!("message {number} 안녕"))).collect();
    if let Body::MessagePosted(posted) = &mut events[100].body {
        posted.flags.push("ko.abuse".to_owned());
    }
    events.push(said(43, 3, 0, "elsewhere"));
    let deleted = deletion(42, events[200].id);
    archive_many(&world, events).await;
    archive(&world, &[deleted]).await;
    let reader = Reader::moderator(&archiver);
    let (from, to) = (time(500), time(1_500));
    let queries: [&[(&str, &str)]; 7] = [
        &[],
        &[("from", &from), ("to", &to)],
        &[("text", "99")],
        &[("flag", "ko.abuse")],
        &[("user", "3")],
        &[("deleted", "include"), ("order", "desc")],
        &[("from", "2001-01-01T00:00:00Z"), ("to", "2001-01-02T00:00:00Z")],
    ];
    for query in queries {
        let found = reader.all("/v1/rooms/42/messages", query, "messages", 1_000).await;
        assert_eq!(lines(&reader, ROOM, query).await, found, "{query:?}");
    }
    let of_user = reader.all("/v1/users/3/messages", &[], "messages", 1_000).await;
    assert_eq!(of_user.len(), 358);
    assert_eq!(lines(&reader, "/v1/users/3/export", &[]).await, of_user);
    let (_, code, _) = Reader::analyst(&archiver).refused(ROOM, &[("deleted", "only")]).await;
    assert_eq!(code, "forbidden");
    let (_, code, detail) = reader.refused(ROOM, &[("format", "xlsx")]).await;
    assert_eq!(code, "query_invalid", "{detail}");
}

#[tokio::test]
async fn a_spreadsheet_gets_every_character_and_no_formula() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let texts = [
        "=1+1",
        "-2",
        "+3",
        "@x",
        "＝4",
        "a,b",
        "say \"hi\"",
        "안녕 👋",
        "plain",
        "'=quoted already",
        "x;=cmd|' /C calc'!A0;y",
    ];
    let mut events: Vec<Event> = texts.iter().map(|text| said(42, 7, 0, text)).collect();
    if let Body::MessagePosted(posted) = &mut events[0].body {
        posted.user.nickname = "=cmd|' /C calc'!A0".to_owned();
    }
    archive(&world, &events).await;
    archive(&world, &[deletion(42, events[8].id)]).await;
    let reader = Reader::moderator(&archiver);
    for (separator, byte) in [("comma", b','), ("semicolon", b';')] {
        let query = [("format", "csv"), ("deleted", "include"), ("bom", "true"), ("separator", separator)];
        let answer = reader.ask(ROOM, &query).await;
        assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
        assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"room-42.csv\"");
        let bytes = answer.bytes().await.unwrap();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").expect("it begins with a byte order mark");
        let mut parsed = csv::ReaderBuilder::new().delimiter(byte).from_reader(bytes);
        let columns = parsed.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = parsed.records().map(Result::unwrap).collect();
        let column = |name: &str| columns.iter().position(|column| column == name).unwrap();
        let expected = [
            "'=1+1",
            "'-2",
            "'+3",
            "'@x",
            "'＝4",
            "a,b",
            "say \"hi\"",
            "안녕 👋",
            "plain",
            "'=quoted already",
            "x;'=cmd|' /C calc'!A0;y",
        ];
        assert_eq!(rows.iter().map(|row| &row[column("text")]).collect::<Vec<_>>(), expected);
        assert_eq!(&rows[0][column("nickname")], "'=cmd|' /C calc'!A0");
        assert_eq!(&rows[0][column("role")], "viewer");
        assert_eq!((&rows[8][column("deletedBy")], &rows[8][column("deletedReason")]), ("42", "$spam"));
        assert_eq!(&rows[9][column("deletedAt")], "");
    }
    let without = reader.ask(ROOM, &[("format", "csv")]).await.text().await.unwrap();
    assert!(without.starts_with("id,position,presenterIdx,"), "{without}");
    let (_, code, detail) = reader.refused(ROOM, &[("format", "csv"), ("separator", "tab")]).await;
    assert_eq!(code, "query_invalid", "{detail}");
}

/// Begins an export on its own socket and reads only the first bytes.
async fn begin(archiver: &crate::support::Role, token: &str) -> TcpStream {
    let address = archiver.url().replace("http://", "");
    let mut socket = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET {ROOM} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    socket.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    socket
}

#[tokio::test]
async fn a_large_export_takes_little_memory_and_a_stalled_one_is_cut_off_visibly() {
    let mut world = World::start().await;
    world.settings =
        world.settings.clone().set("archiver.reads.max_streams", "1").set("archiver.reads.stall_timeout_ms", "1000");
    let archiver = world.archiver().await;
    let text = "가".repeat(500);
    archive_many(&world, (0..30_000).map(|number| said(42, 7, number, &text)).collect()).await;
    let reader = Reader::analyst(&archiver);
    let before = peak_kb(archiver.id().unwrap());
    let mut stalled = begin(&archiver, reader.token()).await;
    let (status, code, _) = reader.refused(ROOM, &[]).await;
    assert_eq!((status.as_u16(), code.as_str()), (503, "overloaded"));
    let exported = eventually("there is room for an export again", PATIENCE, async || {
        let answer = reader.ask(ROOM, &[]).await;
        (answer.status() == 200).then_some(answer)
    })
    .await;
    assert_eq!(exported.text().await.unwrap().lines().count(), 30_000);
    let grown = peak_kb(archiver.id().unwrap()) - before;
    assert!(grown < 30_000, "50 MB of text took {grown} KB of memory");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), stalled.read_to_end(&mut rest)).await.unwrap();
    assert!(ended.is_err() || !rest.ends_with(b"\r\n0\r\n\r\n"), "what was cut looks whole");
}

#[tokio::test]
async fn exports_of_one_user_do_not_block_those_of_others() {
    let mut world = World::start().await;
    world.settings = world.settings.clone().set("archiver.reads.max_streams_of_user", "1");
    let archiver = world.archiver().await;
    let text = "가".repeat(500);
    archive_many(&world, (0..30_000).map(|number| said(42, 7, number, &text)).collect()).await;
    let reader = Reader::analyst(&archiver);
    let _stalled = begin(&archiver, reader.token()).await;
    let (status, code, _) = reader.refused(ROOM, &[]).await;
    assert_eq!((status.as_u16(), code.as_str()), (503, "overloaded"));
    // The room's presenter counts as another user.
    let _other = begin(&archiver, &crate::support::token(42, "presenter")).await;
}

#[tokio::test]
async fn an_export_that_loses_its_database_breaks_off() {
    let mut world = World::start().await;
    world.settings = world
        .settings
        .clone()
        .set("archiver.reads.timeout_ms", "2000")
        .set("archiver.server_selection_timeout_ms", "1000");
    let archiver = world.archiver().await;
    let text = "가".repeat(500);
    archive_many(&world, (0..30_000).map(|number| said(42, 7, number, &text)).collect()).await;
    let reader = Reader::analyst(&archiver);
    let mut answer = reader.ask(ROOM, &[]).await;
    assert!(answer.chunk().await.unwrap().is_some());
    world.mongod.kill();
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the reader takes a part for the whole");
    let (status, code, _) = reader.refused("/v1/rooms/42/messages", &[]).await;
    assert_eq!((status.as_u16(), code.as_str()), (503, "archive_unavailable"));
}

/// The peak resident memory of the process, in KB.
fn peak_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
