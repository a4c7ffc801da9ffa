//! What a newcomer can try: people with their tokens, and commands. `dev --verbose` prints it; the page of the demo
//! shows it.

use std::path::Path;
use std::time::Duration;

use conf::Secret;
use serde::Serialize;
use web::auth::Identity;

use super::Addresses;

/// A working day, and more.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A user of the development system.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Person {
    pub(super) user: i64,
    pub(super) nickname: String,
    pub(super) token: String,
}

/// The people of room 1.
#[derive(Debug, Clone, Serialize)]
pub(super) struct People {
    pub(super) presenter: Person,
    pub(super) viewers: Vec<Person>,
    /// Has the scope `chat:moderate`.
    pub(super) moderator: Person,
}

/// A command, and what it does in English and Korean.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Example {
    pub(super) en: &'static str,
    pub(super) ko: &'static str,
    pub(super) command: String,
}

/// The people, with tokens that are valid for a day from now.
pub(super) fn people(secret: &Secret) -> People {
    let person = |user, nickname: &str, scopes: &[&str]| {
        let identity = Identity {
            user_idx: user,
            nickname: nickname.to_owned(),
            email: format!("user{user}@example.com"),
            scopes: scopes.iter().copied().map(str::to_owned).collect(),
            attributes: None,
            emotes: None,
        };
        Person { user, nickname: nickname.to_owned(), token: web::auth::mint(secret, &identity, TOKEN_LIFETIME) }
    };
    People {
        presenter: person(1, "presenter1", &[]),
        viewers: [42, 43, 44].map(|user| person(user, &format!("viewer{user}"), &[])).into(),
        moderator: person(99, "moderator99", &["chat:moderate"]),
    }
}

/// Commands for a shell. `data`: the folder as it was given to `dev`.
pub(super) fn examples(addresses: &Addresses, people: &People, data: &Path) -> Vec<Example> {
    let (viewer, moderator) = (&people.viewers[0].token, &people.moderator.token);
    let (ingest, archiver, rooms) = (addresses.ingest.http, addresses.archiver.http, addresses.rooms);
    // The program as it was called, and the folder if it is not the default.
    let program = std::env::args().next().unwrap_or_else(|| "chatting-server".to_owned());
    let program = shell_words::quote(&program);
    let place = match data == Path::new(crate::cli::DATA) {
        true => String::new(),
        false => format!(" --data {}", shell_words::quote(&data.display().to_string())),
    };
    let json = "-H 'content-type: application/json'";
    let example = |en, ko, command| Example { en, ko, command };
    vec![
        example(
            "Watch room 1 in another terminal. This does not take the presenter's place.",
            "다른 터미널에서 1번 방을 봅니다. 스트리머의 자리를 빼앗지 않습니다.",
            format!("{program} dev watch --room 1{place}"),
        ),
        example(
            "Post as the gateway of the original system does.",
            "원래 시스템의 게이트웨이처럼 메시지를 보냅니다.",
            format!(
                "curl -i http://127.0.0.1:{ingest}/send/message {json} -H 'token: {viewer}' \
                 -d '{{\"presenterIdx\":1,\"userType\":\"viewer\",\"textMessage\":\"안녕하세요\"}}'"
            ),
        ),
        example(
            "Post with the API for new clients.",
            "새 클라이언트용 API로 메시지를 보냅니다.",
            format!(
                "curl -i http://127.0.0.1:{ingest}/v1/rooms/1/messages {json} -H 'authorization: Bearer {viewer}' \
                 -d '{{\"text\":\"hello\"}}'"
            ),
        ),
        example(
            "Ban user 42 from room 1 for a minute, as the moderator. docs/reference/moderation.md has the other actions.",
            "매니저로서 42번 사용자를 1번 방에서 1분간 차단합니다. 다른 조치는 docs/reference/moderation.md에 있습니다.",
            format!(
                "curl -i -X PUT http://127.0.0.1:{ingest}/v1/rooms/1/bans/42 {json} \
                 -H 'authorization: Bearer {moderator}' -d '{{\"seconds\":60,\"reason\":\"spam\"}}'"
            ),
        ),
        example(
            "Search room 1, as the moderator. docs/reference/archive-api.md has exports, replay and statistics.",
            "매니저로서 1번 방을 검색합니다. 내보내기, 다시 보기, 통계는 docs/reference/archive-api.md에 있습니다.",
            format!(
                "curl -G http://127.0.0.1:{archiver}/v1/rooms/1/messages -H 'authorization: Bearer {moderator}' \
                 --data-urlencode 'text=안녕'"
            ),
        ),
        example(
            "End the broadcast of room 7 in the stand-in room server. Every other room is live.",
            "방 서버 대역에서 7번 방의 방송을 끝냅니다. 다른 방은 모두 방송 중입니다.",
            format!("curl -X PUT http://127.0.0.1:{rooms}/rooms/7/live -d false"),
        ),
        example(
            "Print a token of another user. --nickname 별명 gives a name, --scope chat:moderate a moderator's rights.",
            "다른 사용자의 토큰을 출력합니다. --nickname 별명은 이름을, --scope chat:moderate는 매니저 권한을 줍니다.",
            format!("{program} token --user 7{place}"),
        ),
        example(
            "Play a recorded evening into room 1 at ten times its speed, and check that every message arrives. \
             Meanwhile this takes the presenter's place.",
            "녹화된 저녁을 1번 방에 10배속으로 재생하고, 모든 메시지가 도착하는지 확인합니다. 그동안 스트리머의 자리를 빼앗습니다.",
            format!("{program} dev play samples/evening.ndjson --speed 10{place}"),
        ),
    ]
}
