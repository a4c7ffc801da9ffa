//! `setup` creates and updates streams and buckets.

use conf::{Size, Span};
use futures_util::future::join_all;
use nats::{Config, Error, Log};

use super::{config, everything, log, message};
use crate::support::{Folder, NatsServer, connect, port};

#[tokio::test]
async fn many_may_set_up_an_empty_server_at_once() {
    let server = NatsServer::start().await;
    let config = Config { partitions: 3, ..config(&server.url()) };
    for changes in join_all((0..8).map(|_| nats::set_up(&config, "test"))).await {
        changes.unwrap();
    }
    for log in join_all((0..8).map(|_| Log::connect(&config, "test"))).await {
        log.unwrap().append(&message(1, "hello")).await.unwrap();
    }
    assert_eq!(everything(&Log::connect(&config, "test").await.unwrap()).await.len(), 8);
    assert_eq!(nats::set_up(&config, "test").await.unwrap(), []);
}

#[tokio::test]
async fn a_log_that_is_not_set_up_is_reported_by_stream_and_not_created() {
    let server = NatsServer::start().await;
    let missed = Log::connect(&config(&server.url()), "test").await.unwrap_err();
    assert!(matches!(&missed, Error::Missing { stream } if stream == "CHAT_0"), "{missed}");
    let streams = nats::plan(&config(&server.url()), "test").await.unwrap();
    let streams: Vec<String> = streams.iter().map(ToString::to_string).collect();
    let missing = ["CHAT_0", "CURSORS", "KV_sessions", "KV_nodes", "KV_decisions", "KV_tickets", "KV_one_use_tickets"];
    assert_eq!(streams, missing.map(|stream| format!("{stream}: is missing")));
}

#[tokio::test]
async fn another_number_of_partitions_is_refused_and_both_numbers_are_named() {
    let server = NatsServer::start().await;
    connect(&Config { partitions: 3, ..config(&server.url()) }, "test").await;
    for partitions in [1, 2, 4] {
        let config = Config { partitions, ..config(&server.url()) };
        let refusals = [
            Log::connect(&config, "test").await.unwrap_err(),
            nats::plan(&config, "test").await.unwrap_err(),
            nats::set_up(&config, "test").await.unwrap_err(),
        ];
        for refused in refusals {
            assert!(matches!(refused, Error::Partitions { created: 3, configured } if configured == partitions));
            assert_eq!(
                refused.to_string(),
                format!(
                    "the log was created with 3 partitions and the configuration says {partitions}: \
                     set nats.partitions = 3"
                )
            );
        }
    }
}

#[tokio::test]
async fn a_log_is_brought_up_to_date_with_the_configuration_and_keeps_its_events() {
    let server = NatsServer::start().await;
    let position = log(&server).await.append(&message(1, "kept")).await.unwrap();
    let changed = Config {
        max_age: Span::from_hours(48),
        max_size: Size::from_mib(2 << 10),
        lease: Span::from_secs(7),
        ..config(&server.url())
    };

    let expected = [
        "CHAT_0: max_age is 86400s, the configuration says 172800s, max_bytes is 1073741824, the configuration says 2147483648",
        "CURSORS: max_age is 86400s, the configuration says 172800s",
        "KV_nodes: max_age is 2s, the configuration says 7s",
    ];
    let planned = nats::plan(&changed, "test").await.unwrap();
    assert_eq!(planned.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    assert_eq!(nats::set_up(&changed, "test").await.unwrap(), planned);
    assert_eq!(nats::plan(&changed, "test").await.unwrap(), []);

    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("CHAT_0").await.unwrap();
    let stream = &stream.cached_info().config;
    assert_eq!((stream.max_age.as_secs(), stream.max_bytes), (48 * 3_600, 2_147_483_648));
    let log = Log::connect(&changed, "test").await.unwrap();
    assert_eq!(everything(&log).await[0].position, position);
}

#[tokio::test]
async fn check_tells_the_projects_configuration_from_jetstreams_lazy_default() {
    let server = NatsServer::start().await;
    let check = |url: String| {
        std::process::Command::new(env!("CARGO_BIN_EXE_chatting-server")).args(["check", &url]).output().unwrap()
    };

    let sound = check(server.monitoring_url());
    let said = String::from_utf8(sound.stdout).unwrap();
    assert!(sound.status.success() && said.contains("an acknowledged append is fsynced"), "{said}");

    let (folder, monitoring) = (Folder::new("lazy-nats-server"), port());
    let lazy = testkit::nats_server(folder.path(), port(), monitoring, false).await.unwrap();
    std::fs::write(folder.path().join("server.conf"), "jetstream {}").unwrap();
    let mut lazy = lazy;
    lazy.start().await.unwrap();
    let lazy = check(format!("http://127.0.0.1:{monitoring}"));
    let said = String::from_utf8(lazy.stdout).unwrap();
    assert!(!lazy.status.success() && said.contains("LAZY") && said.contains("last 120 s"), "{said}");
}

#[tokio::test]
async fn an_impossible_setting_is_refused_by_name() {
    let config = config("nats://127.0.0.1:1");
    let cases = [
        ("nats.urls", Config { urls: Vec::new(), ..config.clone() }),
        ("nats.credentials", Config { credentials: "/does/not/exist".to_owned(), ..config.clone() }),
        ("cannot connect to NATS at nats://127.0.0.1:1", config.clone()),
    ];
    for (named, config) in cases {
        let refused = Log::connect(&config, "test").await.unwrap_err().to_string();
        assert!(refused.starts_with(named), "{refused}");
    }
    let server = NatsServer::start().await;
    let config = self::config(&server.url());
    let cases = [
        ("nats.partitions", Config { partitions: 0, ..config.clone() }),
        ("nats.replicas", Config { replicas: 2, ..config.clone() }),
        ("nats.max_age", Config { max_age: Span::ZERO, ..config.clone() }),
        ("nats.max_size", Config { max_size: Size::from_bytes(1_000), ..config.clone() }),
        ("nats.append_deadline", Config { append_deadline: Span::ZERO, ..config.clone() }),
        ("nats.append_queue", Config { append_queue: 0, ..config.clone() }),
        ("nats.append_queue_wait", Config { append_queue_wait: Span::ZERO, ..config.clone() }),
        ("nats.lease", Config { lease: Span::ZERO, ..config }),
    ];
    for (named, config) in cases {
        let refused = Log::connect(&config, "test").await.unwrap_err().to_string();
        assert!(refused.starts_with(named), "{refused}");
    }
}
