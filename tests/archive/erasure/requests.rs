//! Who may request an erasure, and the content of its receipt.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_the_permission_cannot_erase_a_user() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    world.log.append(&secret(1, 1)).await.unwrap();
    archived(&world).await;
    let client = client();
    let scope = |scope: &str| token_with(json!({ "user_idx": GONE, "scope": scope }));
    for (path, token, status, code) in [
        ("/v1/users/77", Some(scope("chat:moderate chat:read")), 403, "forbidden"),
        ("/v1/users/77", Some(scope("")), 403, "forbidden"),
        ("/v1/users/77", None, 401, "token_missing"),
        ("/v1/users/0", Some(scope("chat:erase")), 400, "user_idx_invalid"),
        ("/v1/users/-77", Some(scope("chat:erase")), 400, "user_idx_invalid"),
        ("/v1/users/9007199254740992", Some(scope("chat:erase")), 400, "user_idx_invalid"),
        ("/v1/users/77?mode=both", Some(scope("chat:erase")), 400, "query_invalid"),
    ] {
        let mut request = client.delete(archiver.url() + path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code, "{path}");
    }
    let path = archiver.url() + "/v1/users/77/erasures";
    assert_eq!(client.get(path).bearer_auth(scope("chat:read")).send().await.unwrap().status(), 403);
    assert!(receipts(&archiver).await.is_empty());
    assert_eq!(traces(&world).await.len(), 1);
}

/// A nickname comes from a token, and can hold anything that an issuer signs.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasers_nickname_turns_no_text_round_in_the_receipt_or_the_log() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let nickname = "pri\u{202E}vacy\n\u{2066}!\u{2069}";
    let token = token_with(json!({ "user_idx": 9, "nickname": nickname, "scope": "chat:erase" }));
    let url = format!("{}/v1/users/{GONE}?mode=remove", archiver.url());
    let answer = client().delete(url).bearer_auth(token).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");

    assert_eq!(done(&archiver).await["by"]["nickname"], "privacy!");
    let entries = everything(&world.log).await;
    let erasures: Vec<UserErased> = entries
        .iter()
        .filter_map(|entry| match entry.event().unwrap().body {
            Body::UserErased(erased) => Some(erased),
            _ => None,
        })
        .collect();
    assert_eq!(erasures.len(), 1);
    assert_eq!(erasures[0].by.nickname, "privacy!");
}

/// The documents have their time of expiry, and a tombstone outlives the events in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_longer_retention_of_the_log_extends_the_life_of_tombstones() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    world.log.append(&secret(1, 1)).await.unwrap();
    let (_, receipt) = erase(&archiver, "remove").await;
    assert_eq!(archiver.terminate().await, 0);
    let settings: Settings = world.settings.clone().set("nats.max_age_hours", "72");
    let longer = Role::start("archiver", &settings).await;
    let later = receipts(&longer).await.remove(0);
    let hours = |receipt: &Value, member: &str| {
        let time = |member: &str| receipt[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        ((time(member) - time("at")).as_secs_f64() / 3_600.0).round()
    };
    assert_eq!([hours(&receipt, "logHeldUntil"), hours(&receipt, "keptUntil")], [24.0, 48.0]);
    assert_eq!([hours(&later, "logHeldUntil"), hours(&later, "keptUntil")], [72.0, 96.0]);
    let indexes = world.collection("erasures").list_index_names().await.unwrap();
    assert!(indexes.contains(&"expires_by_expiresAt".to_owned()), "{indexes:?}");
    let _: Document = world.collection("erasures").find_one(doc! {}).await.unwrap().unwrap();
    world.log.append(&message(1, "the end")).await.unwrap();
    assert_eq!(world.room(1, 1).await.len(), 1);
}
