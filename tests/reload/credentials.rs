//! A credentials file of NATS, with a JWT and the seed of its nkey, is renewed while a role runs: before a server in
//! operator mode, where the JWT is revoked, or expires.

use jiff::Timestamp;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::logins::{status, works};
use super::{File, SOON};
use crate::support::{NatsServer, Role, RoomServer, Settings, base64url, eventually};

/// Who signs the JWTs of a server in operator mode.
struct Operator {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

/// A user of the account, and the content of its credentials file.
struct User {
    pair: KeyPair,
    file: String,
}

impl Operator {
    fn new() -> Operator {
        let (operator, system, account) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
        Operator { operator, system, account }
    }

    /// The lines of a server whose accounts are in an included file.
    fn lines(&self) -> String {
        let jwt = signed(&self.operator, &self.operator, json!({ "type": "operator", "version": 2 }), None);
        let system = self.system.public_key();
        format!("\noperator: {jwt}\nsystem_account: {system}\nresolver: MEMORY\ninclude ./accounts.conf\n")
    }

    /// The included file: the account may use JetStream, and its revoked users may not connect.
    fn accounts(&self, revoked: &[&User]) -> String {
        let unlimited = ["subs", "data", "payload", "imports", "exports", "conn", "leaf"];
        let of_jetstream = ["mem_storage", "disk_storage", "streams", "consumer"];
        let limits = |names: &[&str]| -> Value {
            let limits = names.iter().map(|name| ((*name).to_owned(), json!(-1)));
            limits.chain([("wildcards".to_owned(), json!(true))]).collect::<serde_json::Map<_, _>>().into()
        };
        let now = Timestamp::now().as_second();
        let revocations: Value =
            revoked.iter().map(|user| (user.pair.public_key(), json!(now))).collect::<serde_json::Map<_, _>>().into();
        let system = json!({ "type": "account", "version": 2, "limits": limits(&unlimited) });
        let all = [unlimited.as_slice(), of_jetstream.as_slice()].concat();
        let account = json!({ "type": "account", "version": 2, "limits": limits(&all), "revocations": revocations });
        let line = |pair: &KeyPair, claims| {
            format!("  {}: {}\n", pair.public_key(), signed(&self.operator, pair, claims, None))
        };
        format!("resolver_preload {{\n{}{}}}\n", line(&self.system, system), line(&self.account, account))
    }

    fn user(&self, expires: Option<i64>) -> User {
        let pair = KeyPair::new_user();
        let claims =
            json!({ "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
        let (jwt, seed) = (signed(&self.account, &pair, claims, expires), pair.seed().unwrap());
        let file = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        User { pair, file }
    }
}

/// A JWT as `nsc` makes it.
fn signed(issuer: &KeyPair, subject: &KeyPair, claims: Value, expires: Option<i64>) -> String {
    let (issuer_key, subject) = (issuer.public_key(), subject.public_key());
    // A second ago: what is revoked now was issued before.
    let issued = Timestamp::now().as_second() - 1;
    let mut body = json!({ "jti": subject, "iat": issued, "iss": issuer_key, "name": "test", "sub": subject });
    body["nats"] = claims;
    if let Some(expires) = expires {
        body["exp"] = expires.into();
    }
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let signed = [header, body].map(|part| base64url(part.to_string().as_bytes())).join(".");
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url(&signature))
}

#[tokio::test]
async fn a_credentials_file_is_renewed_without_a_restart_after_its_user_is_revoked_or_expires() {
    let operator = Operator::new();
    let [first, second] = [operator.user(None), operator.user(None)];
    let accounts = operator.accounts(&[]);
    let nats = NatsServer::start_configured(&operator.lines(), &[("accounts.conf", &accounts)], &[]).await;
    let (rooms, file) = (RoomServer::start().await, File::new(""));
    file.write("role.creds", &first.file);
    let settings = Settings::new().nats(&nats).rooms(&rooms).set("nats.credentials", &file.path("role.creds"));
    let ingest = Role::start("ingest", &settings).await;
    let id = ingest.id();
    assert_eq!(status(&ingest).await, 202);

    // The server ends the connection of a revoked user, and takes no other of it.
    nats.reload("accounts.conf", &operator.accounts(&[&first]));
    eventually("the revoked user is refused", SOON, async || (status(&ingest).await == 503).then_some(())).await;
    file.write("role.creds", &second.file);
    works(&ingest).await;

    // The next one expires soon after it is in use. Then the file has a later one already.
    let expires = Timestamp::now().as_second() + 8;
    let third = operator.user(Some(expires));
    file.write("role.creds", &third.file);
    nats.reload("accounts.conf", &operator.accounts(&[&first, &second]));
    let has = async |user: &User| nats.connections().await.contains(&user.pair.public_key());
    eventually("the third user is connected", SOON, async || has(&third).await.then_some(())).await;
    let fourth = operator.user(None);
    file.write("role.creds", &fourth.file);
    eventually("the third user has expired, and the fourth one is connected", SOON, async || {
        (!has(&third).await && has(&fourth).await).then_some(())
    })
    .await;
    assert!(Timestamp::now().as_second() >= expires, "it was connected until it expired");
    works(&ingest).await;
    assert_eq!(ingest.id(), id);
    for user in [first, second, third, fourth] {
        let shown = user.file.lines().any(|line| line.len() > 50 && ingest.log().contains(line));
        assert!(!shown, "{}", ingest.log());
    }
}
