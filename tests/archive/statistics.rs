//! Statistics: every number is that of a recount, and what stands out is what ought to.

use chat::{Body, Event, MessagePosted, Role};
use serde_json::{Value, json};

use super::reading::{Reader, archive, archive_many, evening, said, time};
use super::recording::{Rooms, Said};
use super::{PATIENCE, World, deletion, presenter, user};
use crate::support::eventually;

mod generated;
mod many_words;
mod recount;

pub(super) use recount::statistics_are_right;

const ROOM: &str = "/v1/rooms/42/statistics";

/// SplitMix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Prefers low numbers.
    fn one_of_few(&mut self, bound: usize) -> usize {
        let (one, other) = (self.below(bound), self.below(bound));
        one * other / bound
    }
}

/// A period as query parameters.
fn span(from: i64, to: i64) -> [(&'static str, String); 2] {
    [("from", time(from)), ("to", time(to))]
}

async fn ask(reader: &Reader<'_>, path: &str, from: i64, to: i64, more: &[(&str, &str)]) -> Value {
    let span = span(from, to);
    let mut query: Vec<(&str, &str)> = span.iter().map(|(name, value)| (*name, value.as_str())).collect();
    query.extend_from_slice(more);
    reader.get(path, &query).await
}

#[tokio::test]
async fn a_bucket_is_half_open_and_deleted_messages_are_not_counted() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let events = [
        said(42, 1, -3_600_000, "known"),
        said(42, 2, 249, "known, only just"),
        said(42, 1, 250, "the first"),
        said(42, 3, 1_249, "the last of the first bucket"),
        said(42, 3, 1_250, "the first of the second"),
        said(42, 4, 4_499, "the last"),
        said(42, 5, 4_500, "too late"),
        said(42, 6, -500, "deleted, so that 6 comes with what follows"),
        said(42, 6, 600, "deleted too"),
        said(42, 6, 1_600, "new"),
        said(43, 2, -9_000, "elsewhere"),
        said(43, 7, 300, "elsewhere"),
        said(43, 4, 300, "elsewhere"),
    ];
    archive(&world, &events).await;
    archive(&world, &[deletion(42, events[7].id), deletion(42, events[8].id)]).await;
    let reader = Reader::analyst(&archiver);
    let counts = ask(&reader, ROOM, 250, 4_500, &[("bucketSeconds", "1")]).await;
    let bucket = |at, messages, chatters, new| json!({ "at": time(at), "messages": messages, "chatters": chatters, "newChatters": new });
    let buckets = [
        bucket(250, 2, 2, 1),
        bucket(1_250, 2, 2, 1),
        bucket(2_250, 0, 0, 0),
        bucket(3_250, 0, 0, 0),
        bucket(4_250, 1, 1, 1),
    ];
    let expected = json!({
        "from": time(250), "to": time(4_500), "messages": 5, "chatters": 4, "newChatters": 3, "buckets": buckets,
    });
    assert_eq!(counts, expected);

    // A minute, if nothing is specified.
    let minutes = ask(&reader, ROOM, 0, 90_000, &[]).await;
    assert_eq!(minutes["buckets"].as_array().unwrap().len(), 2);
    assert_eq!(minutes["buckets"][1]["at"], time(60_000));

    for (path, list) in [("", "buckets"), ("/chatters", "chatters"), ("/words", "words"), ("/highlights", "highlights")]
    {
        let nothing = ask(&reader, &format!("{ROOM}{path}"), 10_000, 11_000, &[]).await;
        let buckets = if path.is_empty() { json!([bucket(10_000, 0, 0, 0)]) } else { json!([]) };
        assert_eq!(nothing[list], buckets, "{path}");
        let nobody = ask(&reader, &format!("/v1/rooms/99/statistics{path}"), 0, 1_000, &[]).await;
        assert_eq!(nobody[list].as_array().unwrap().len(), usize::from(path.is_empty()), "{path}");
    }
}

#[tokio::test]
async fn new_chatters_are_counted_right_despite_deletions_erasures_and_copies() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let day = 86_400_000;
    let mut events = Vec::new();
    for by in 1..=40_i64 {
        // Some wrote the day before, some only in another room, and most several times.
        let before = if by % 4 == 0 { -day } else { 0 };
        events.push(said(if by % 4 == 1 { 43 } else { 42 }, by, before + by * 100, "first"));
        events.extend((0..by % 3).map(|time| said(42, by, 60_000 + time * 60_000 + by, "again")));
    }
    archive(&world, &events).await;
    let gone = |events: &[Event], number: usize| deletion(42, events[number].id);
    let firsts: Vec<usize> = (0..events.len()).filter(|number| text_of(&events[*number]) == "first").collect();
    let deletions: Vec<Event> = firsts.iter().step_by(7).map(|number| gone(&events, *number)).collect();
    let mut lines: Vec<Said> = events.iter().map(line_of).collect();
    for number in firsts.into_iter().step_by(7).filter(|number| in_room(&events[*number], 42)) {
        lines[number].deleted = true;
    }
    archive(&world, &deletions).await;
    let mut rooms = Rooms::new();
    for (event, line) in events.iter().zip(&lines) {
        rooms.entry(event.presenter.unwrap().get()).or_default().push(line.clone());
    }
    let reader = Reader::analyst(&archiver);
    statistics_are_right(&reader, &rooms).await;

    // The whole log again, without the index of first messages, as an earlier version left it.
    assert_eq!(archiver.terminate().await, 0);
    world.collection("chatting_log").drop_index("room_chatters").await.unwrap();
    for event in &events {
        world.log.append(event).await.unwrap();
    }
    let archiver = world.archiver().await;
    super::reading::archived(&world).await;
    let reader = Reader::analyst(&archiver);
    statistics_are_right(&reader, &rooms).await;

    // A removed user was never there. An anonymised one counts under the pseudonym.
    for (user, mode) in [(3, "remove"), (6, "anonymise")] {
        let token = crate::ingest::tokens::token_with(json!({ "user_idx": 9, "scope": "chat:erase" }));
        let url = format!("{}/v1/users/{user}?mode={mode}", archiver.url());
        let answer = super::reading::client().delete(url).bearer_auth(token).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
    rooms.values_mut().for_each(|lines| lines.retain(|line| line.user != 3));
    let shown: Vec<&Said> = rooms[&42].iter().filter(|line| !line.deleted).collect();
    let chatters: std::collections::BTreeSet<i64> = shown.iter().map(|line| line.user).collect();
    eventually("what is left is counted", PATIENCE, async || {
        let counts = ask(&reader, ROOM, -2 * day, day, &[("bucketSeconds", "86400")]).await;
        let told = ["messages", "chatters", "newChatters"].map(|member| counts[member].as_u64().unwrap() as usize);
        (told == [shown.len(), chatters.len(), chatters.len()]).then_some(())
    })
    .await;
}

fn text_of(event: &Event) -> &str {
    let Body::MessagePosted(posted) = &event.body else { panic!("it is a message") };
    &posted.text
}

fn in_room(event: &Event, room: i64) -> bool {
    event.presenter.is_some_and(|presenter| presenter.get() == room)
}

fn line_of(event: &Event) -> Said {
    let Body::MessagePosted(posted) = &event.body else { panic!("it is a message") };
    let ms = event.at.as_millisecond() - evening(0).as_millisecond();
    Said { id: event.id, user: posted.user.idx.get(), ms, text: posted.text.clone(), deleted: false }
}

#[tokio::test]
async fn chatters_are_ranked_by_messages_then_number_and_named_as_they_were_last() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let named = |by: i64, ms: i64, nickname: &str, role: Role| {
        let posted = MessagePosted::new(user(by), "text");
        let user = chat::User { nickname: nickname.to_owned(), role, ..user(by) };
        let body = Body::MessagePosted(MessagePosted { user, ..posted });
        Event::now(presenter(42), body).recorded_at(evening(ms))
    };
    let events = [
        named(9, 0, "아홉", Role::Viewer),
        named(9, 30, "nine", Role::Viewer),
        named(9, 10, "Neun", Role::Viewer),
        named(5, 5, "five", Role::Viewer),
        named(5, 20, "다섯", Role::Moderator),
        named(5, 40, "deleted", Role::Viewer),
        named(7, 7, "of one millisecond", Role::Viewer),
        named(7, 7, "the later in the log", Role::Presenter),
        named(3, 1, "three", Role::Viewer),
        named(3, 99, "after", Role::Viewer),
    ];
    archive(&world, &events).await;
    archive(&world, &[deletion(42, events[5].id)]).await;
    let reader = Reader::analyst(&archiver);
    let chatters = ask(&reader, &format!("{ROOM}/chatters"), 0, 50, &[]).await;
    let chatter = |idx, nickname, role, messages, first, last| {
        let user = json!({ "idx": idx, "nickname": nickname, "role": role });
        json!({ "user": user, "messages": messages, "firstAt": time(first), "lastAt": time(last) })
    };
    let expected = [
        chatter(9, "nine", "viewer", 3, 0, 30),
        chatter(5, "다섯", "moderator", 2, 5, 20),
        chatter(7, "the later in the log", "presenter", 2, 7, 7),
        chatter(3, "three", "viewer", 1, 1, 1),
    ];
    assert_eq!(chatters["chatters"], json!(expected));
    let two = ask(&reader, &format!("{ROOM}/chatters"), 0, 50, &[("first", "2")]).await;
    assert_eq!(two["chatters"], json!(expected[..2]));
}

#[tokio::test]
async fn words_are_runs_of_letters_marks_and_numbers_in_any_script() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let lines = [
        "방송을 보는 방송이",       // A particle makes another word.
        "HELLO hello, Hello!",      // One word, three uses, one message.
        "hello\u{200b}wörld WÖRLD", // Only ASCII is folded.
        "\u{1112}\u{1161}\u{11ab}", // 한, taken apart: a word of three code points, and another one than 한.
        "한 a 1 🎉 👍🏽",             // One code point is no word.
        "e\u{301}a 42번 x_y don't",
        "1\u{fe0f}\u{20e3} #\u{fe0f}\u{20e3} ❤\u{fe0f}\u{20e3} e\u{301} \u{301}\u{302}", // Marks are on letters, and are none.
        "방송을\u{fe0f} x\u{fe0f}\u{20e3} \u{3164}\u{3164} \u{115f}\u{1160}",
        "zz aa",
        "aa zz",
    ];
    let events: Vec<Event> = lines.iter().map(|line| said(42, 7, 0, line)).collect();
    archive(&world, &events).await;
    let reader = Reader::analyst(&archiver);
    let words = ask(&reader, &format!("{ROOM}/words"), 0, 1, &[]).await;
    let word = |word, messages, uses| json!({ "word": word, "messages": messages, "uses": uses });
    let expected = json!([
        word("aa", 2, 2),
        word("hello", 2, 4),
        word("zz", 2, 2),
        word("방송을", 2, 2),
        word("42번", 1, 1),
        word("don", 1, 1),
        word("e\u{301}a", 1, 1),
        word("wÖrld", 1, 1),
        word("wörld", 1, 1),
        word("\u{1112}\u{1161}\u{11ab}", 1, 1),
        word("방송이", 1, 1),
        word("보는", 1, 1),
    ]);
    assert_eq!(words["words"], expected);
    let three = ask(&reader, &format!("{ROOM}/words"), 0, 1, &[("first", "3")]).await;
    assert_eq!(three["words"].as_array().unwrap(), &expected.as_array().unwrap()[..3]);
}

#[tokio::test]
async fn only_a_rush_of_many_users_is_a_highlight() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let minutes = |minutes: i64| minutes * 60_000;
    let mut random = Random(7);
    let mut events = Vec::new();
    // A message every 15 s, a small rush in the 20th minute, and a large one in the 35th.
    for number in 0..160 {
        events.push(said(42, 1 + number % 12, number * 15_000, "아무 말"));
    }
    for by in 0..8 {
        events.push(said(42, 200 + by, minutes(20) + by * 1_000, "오"));
    }
    for by in 0..40 {
        let text = ["골!!", "골!!", "골!!", "대박", "GG", "gg"][by as usize % 6];
        events.push(said(42, 300 + by, minutes(35) + by * 450, text));
    }
    // A user who floods in the large one counts as one chatter.
    events.extend((0..30).map(|number| said(42, 399, minutes(35) + number * 300, "광고")));
    // Always thirty users in ten seconds.
    for _ in 0..180 * 40 {
        let ms = random.below(minutes(40) as usize) as i64;
        events.push(said(43, 1 + random.below(2_000) as i64, ms, "busy"));
    }
    // Few messages, and one user who floods for ten seconds.
    events.extend((0..120).map(|number| said(44, 1 + number % 9, number * 20_000, "talk")));
    events.extend((0..300).map(|number| said(44, 999, minutes(30) + number * 33, "spam")));
    // Greetings by everyone, and then silence.
    events.extend((0..80).map(|by| said(45, 100 + by, minutes(5) + by * 500, "안녕하세요")));
    events.extend((0..40).map(|number| said(45, 1 + number % 9, minutes(6) + number * 30_000, "talk")));
    archive_many(&world, events).await;
    let reader = Reader::analyst(&archiver);
    for room in [43, 44, 45] {
        for seconds in ["5", "10", "30"] {
            let path = format!("/v1/rooms/{room}/statistics/highlights");
            let none = ask(&reader, &path, 0, minutes(40), &[("bucketSeconds", seconds)]).await;
            assert_eq!(none["highlights"], json!([]), "room {room}, buckets of {seconds} s");
        }
    }
    let path = format!("{ROOM}/highlights");
    let found = ask(&reader, &path, 0, minutes(40), &[]).await["highlights"].clone();
    assert_eq!(found.as_array().unwrap().len(), 2, "{found:#}");
    let (large, small) = (&found[0], &found[1]);
    assert_eq!(large["at"], time(minutes(35)));
    assert_eq!(large["until"], time(minutes(35) + 20_000));
    assert_eq!(large["peakAt"], time(minutes(35)));
    // 23 of the 40, the user who floods, and the one who posts every 15 s.
    assert_eq!((&large["chatters"], &large["messages"]), (&json!(25), &json!(40 + 30 + 2)));
    let samples = large["samples"].as_array().unwrap();
    let mut samples: Vec<String> =
        samples.iter().map(|sample| sample["text"].as_str().unwrap().to_lowercase()).collect();
    // The most common texts in any case. The last two occur once each.
    samples[3..].sort();
    assert_eq!(samples, ["골!!", "gg", "대박", "광고", "아무 말"]);
    assert_eq!(small["at"], time(minutes(20)));
    let score = |highlight: &Value| highlight["score"].as_f64().unwrap();
    assert!(score(large) > score(small) && score(small) >= 5.0, "{found:#}");
    let one = ask(&reader, &path, 0, minutes(40), &[("first", "1")]).await;
    assert_eq!(one["highlights"], json!([large]));
    // Messages before the period count as its past.
    let short = ask(&reader, &path, minutes(35), minutes(36), &[]).await;
    assert_eq!(short["highlights"], json!([large]));
}

#[tokio::test]
async fn statistics_are_for_those_who_may_read_the_room_and_of_a_bounded_time() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    archive(&world, &[said(42, 7, 0, "seen")]).await;
    let day = 86_400_000;
    let paths = ["", "/chatters", "/words", "/highlights"].map(|part| format!("{ROOM}{part}"));
    let short = span(0, 1_000);
    let short: Vec<(&str, &str)> = short.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for path in &paths {
        for (who, claims, may) in [
            ("the presenter", json!({ "user_idx": 42 }), true),
            ("an analyst", json!({ "user_idx": 1, "scope": "chat:read" }), true),
            ("a moderator", json!({ "user_idx": 1, "scope": "chat:moderate" }), true),
            ("a viewer", json!({ "user_idx": 7 }), false),
        ] {
            let status = Reader::with(&archiver, claims).ask(path, &short).await.status();
            assert_eq!(status, if may { 200 } else { 403 }, "{who} {path}");
        }
        assert_eq!(Reader::nobody(&archiver).refused(path, &short).await.1, "token_missing");
    }

    let reader = Reader::analyst(&archiver);
    let refused = async |path: &str, from: i64, to: i64, more: &[(&str, &str)], named: &str| {
        let span = span(from, to);
        let mut query: Vec<(&str, &str)> = span.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.extend_from_slice(more);
        let (status, code, detail) = reader.refused(path, &query).await;
        assert_eq!((status.as_u16(), code.as_str()), (400, "query_invalid"), "{path} {more:?}");
        assert!(detail.contains(named), "{path} {more:?}: {detail}");
    };
    for path in &paths {
        // An empty period has no messages.
        for to in [0, -day, -400 * day] {
            let nothing = ask(&reader, path, 0, to, &[]).await;
            let list = nothing.as_object().unwrap().values().find_map(Value::as_array).unwrap();
            assert!(list.is_empty(), "{path}: {nothing:#}");
        }
        refused(path, 0, 31 * day + 1, &[("bucketSeconds", "60")], "31 days").await;
        for (missing, given) in [("from", ("to", short[1].1)), ("to", ("from", short[0].1))] {
            let (status, code, detail) = reader.refused(path, &[given]).await;
            assert_eq!((status.as_u16(), code.as_str()), (400, "query_invalid"), "{path} without {missing}");
            assert!(detail.contains(missing), "{path} without {missing}: {detail}");
        }
    }
    let [counts, chatters, words, highlights] = &paths;
    for (path, name, most) in [
        (counts, "bucketSeconds", 86_400),
        (chatters, "first", 1_000),
        (words, "first", 1_000),
        (highlights, "first", 100),
        (highlights, "bucketSeconds", 60),
    ] {
        for wrong in ["0", "-1", "1.5", "", "many", &(most + 1).to_string()] {
            refused(path, 0, 1_000, &[(name, wrong)], name).await;
        }
        for right in ["1", &most.to_string()] {
            ask(&reader, path, 0, 1_000, &[(name, right)]).await;
        }
    }
    for path in [counts, highlights] {
        ask(&reader, path, 0, 10_000_000, &[("bucketSeconds", "1")]).await;
        refused(path, 0, 10_000_001, &[("bucketSeconds", "1")], "bucketSeconds").await;
    }
    let month = ask(&reader, counts, -30 * day, day, &[("bucketSeconds", "86400")]).await;
    assert_eq!((&month["messages"], month["buckets"].as_array().unwrap().len()), (&json!(1), 31));
}
