//! Messages are found by their text: anywhere in it, in any script, case and width, and in bounded time.

use super::*;

#[tokio::test]
async fn text_is_found_anywhere_in_korean_in_any_case_and_literally() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let lines = [
        "안녕하세요 여러분",
        "정말 안녕하신가요",
        "\u{110b}\u{1161}\u{11ab}\u{1102}\u{1167}\u{11bc}", // 안녕, taken apart
        "Hello World",
        "HELLO (again) a.b",
        "axb",
        "ÉCLAIR",
    ];
    let events: Vec<Event> = lines.iter().map(|line| said(42, 7, 0, line)).collect();
    archive(&world, &events).await;
    let reader = Reader::analyst(&archiver);
    for (text, expected) in [
        ("안녕", vec![0, 1, 2]),
        ("녕하세", vec![0]),
        ("hello", vec![3, 4]),
        ("a.b", vec![4]),
        ("(again)", vec![4]),
        (".*", vec![]),
        ("éclair", vec![6]),
        ("none of it", vec![]),
    ] {
        let found = reader.all("/v1/rooms/42/messages", &[("text", text)], "messages", 2).await;
        let expected: Vec<&str> = expected.into_iter().map(|line: usize| lines[line]).collect();
        assert_eq!(texts(&found, "text"), expected, "{text}");
        let of_user = reader.all("/v1/users/7/messages", &[("text", text)], "messages", 2).await;
        assert_eq!(of_user.len(), expected.len(), "{text} of a user");
    }
}

/// A message, and searches that find it.
type Written = (&'static str, &'static [&'static str]);

/// Texts that read the same, or differ only in case or width, find each other in both directions.
const SAME: [Written; 16] = [
    ("\u{f9e1}씨네", &["\u{f9e1}씨네", "李씨네", "씨네"]),
    ("파일이름하고 영상", &["이름하고 영상", "파일"]),
    ("TÜRKİYE", &["türkiye", "TÜRKİYE", "Türki", "rkİye"]),
    ("ışık IŞIK", &["ışık", "IŞIK", "işik"]),
    ("Straße", &["STRASSE", "straße", "STRAẞE"]),
    ("ΟΔΥΣΣΕΥΣ ὀδυσσεύς", &["οδυσσευς", "ὈΔΥΣΣΕΎΣ", "σεύσ"]),
    ("ＨＥＬＬＯ　ｗｏｒｌｄ", &["hello world", "ＨＥＬＬＯ"]),
    ("ﾊﾟﾁﾝｺ", &["パチンコ", "ﾊﾟﾁ"]),
    ("①등 ﬁne", &["1등", "FINE"]),
    ("buy\u{200b} n\u{ad}ow\u{e0000}", &["buy now", "BUY\u{2060} NOW"]),
    ("❤\u{fe0f} 좋아", &["❤ 좋아", "❤\u{fe0f}"]),
    ("ㅋㅋㅋㅏ ㅇㅠㅠ", &["ㅋㅋㅋ", "ㅠㅠ", "ㅋㅏ"]),
    ("cafe\u{301} Å", &["CAFÉ", "\u{212b}", "a\u{30a}"]),
    ("\u{1e9b}\u{323}", &["\u{1e69}", "ṩ"]),
    ("the end of their day", &["the end", "THE ", " of "]),
    ("100% (sure) a.b*c[d]\\E", &["100% (", "a.b*c[d]\\e", "%"]),
];

#[tokio::test]
async fn a_message_is_found_by_its_own_text_and_by_what_reads_the_same_in_any_case_and_width() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let lines: Vec<String> = SAME.iter().flat_map(|(text, _)| [text.to_string(), text.nfd().collect()]).collect();
    let mixed = "파일이름".nfd().chain("하고 영상".chars()).collect::<String>();
    let lines: Vec<String> = lines.into_iter().chain([mixed.clone()]).collect();
    let events: Vec<Event> = lines.iter().map(|line| said(42, 7, 0, line)).collect();
    archive(&world, &events).await;
    // As written by an earlier version. The first search is before any document is completed.
    let reader = Reader::analyst(&archiver);
    for old in [false, true] {
        if old {
            world.collection("chatting_log").update_many(doc! {}, doc! { "$unset": { "folded": "" } }).await.unwrap();
        }
        for path in ["/v1/rooms/42/messages", "/v1/users/7/messages"] {
            for (number, (text, searches)) in SAME.iter().enumerate() {
                let forms = |search: &str| [search.to_owned(), search.nfd().collect(), search.nfc().collect()];
                for search in searches.iter().chain([text]).flat_map(|search| forms(search)) {
                    let found = reader.all(path, &[("text", &search)], "messages", 3).await;
                    let found = texts(&found, "text");
                    for line in &lines[2 * number..2 * number + 2] {
                        assert!(found.contains(&line.as_str()), "{search:?} does not find {line:?} in {path}, {old}");
                    }
                }
            }
            for search in ["이름하고 영상", &mixed] {
                let found = reader.all(path, &[("text", search)], "messages", 1).await;
                assert_eq!(found.len(), 3, "{search} in {path}, {old}");
            }
        }
    }
}

#[tokio::test]
async fn blanks_that_are_looked_for_are_looked_for_and_characters_are_those_that_people_count() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let long: String = "한".repeat(60).nfd().collect();
    archive(&world, &[said(42, 7, 0, "their"), said(42, 7, 1, "the end"), said(42, 7, 2, &long)]).await;
    let reader = Reader::analyst(&archiver);
    let family = "👨\u{200d}👩\u{200d}👧".repeat(100);
    for (text, expected) in [
        ("the", vec!["their", "the end"]),
        ("the ", vec!["the end"]),
        (" the", vec![]),
        ("e e", vec!["the end"]),
        (" ", vec!["the end"]),
        ("\u{3000}", vec!["the end"]),
        (&long, vec![long.as_str()]),
        (&family, vec![]),
    ] {
        let found = reader.all("/v1/rooms/42/messages", &[("text", text)], "messages", 10).await;
        assert_eq!(texts(&found, "text"), expected, "{text:?}");
    }
    let longer: String = "한".repeat(101).nfd().collect();
    for text in ["", "\u{200b}", "\u{fe0f}\u{e0001}", "a\tb", &longer, &"e\u{301}".repeat(4_000)] {
        let (status, code, detail) = reader.refused("/v1/rooms/42/messages", &[("text", text)]).await;
        assert_eq!((status.as_u16(), code.as_str()), (400, "query_invalid"), "{text:?}");
        assert!(detail.contains("text"), "{detail}");
    }
}

#[tokio::test]
async fn documents_of_an_earlier_version_are_found_at_once_and_completed_in_the_background() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let mut events: Vec<Event> = (0..3_000).map(|number| said(42, 7, number, "Heu")).collect();
    events[2_990] = said(42, 7, 2_990, "TÜRKİYE");
    events[10] = said(42, 7, 10, "the text is gone");
    archive_many(&world, events).await;
    assert_eq!(archiver.terminate().await, 0);
    let messages = world.collection("chatting_log");
    messages.update_many(doc! {}, doc! { "$unset": { "folded": "" } }).await.unwrap();
    messages.update_many(doc! { "message": "the text is gone" }, doc! { "$unset": { "message": "" } }).await.unwrap();
    // This archiver completes no document.
    let settings = world.settings.clone().set("archiver.retention.sweep_seconds", "3600");
    let archiver = Role::start("archiver", &settings).await;
    messages.update_many(doc! {}, doc! { "$unset": { "folded": "" } }).await.unwrap();
    let reader = Reader::analyst(&archiver);
    for order in ["asc", "desc"] {
        let found = reader.all("/v1/rooms/42/messages", &[("text", "türk"), ("order", order)], "messages", 10).await;
        assert_eq!(texts(&found, "text"), ["TÜRKİYE"]);
    }
    assert_eq!(reader.all("/v1/rooms/42/messages", &[("text", "h")], "messages", 1_000).await.len(), 2_998);
    let settings = world.settings.clone().set("archiver.retention.sweep_seconds", "1");
    let _other = Role::start("archiver", &settings).await;
    eventually("all texts are filled in", PATIENCE, async || {
        let left = doc! { "message": { "$exists": true }, "folded": { "$exists": false } };
        (messages.count_documents(left).await.unwrap() == 0).then_some(())
    })
    .await;
    assert_eq!(messages.count_documents(doc! { "folded": "heu" }).await.unwrap(), 2_998);
    assert_eq!(reader.all("/v1/rooms/42/messages", &[("text", "TÜRKIYE")], "messages", 10).await.len(), 1);
}

#[tokio::test]
async fn the_one_message_that_matches_in_a_large_room_is_found_and_no_request_reads_without_end() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let mut events: Vec<Event> = (0..50_000).map(|number| said(42, 7, number, "nothing")).collect();
    events[49_990] = said(42, 7, 49_990, "바늘 in the hay");
    archive_many(&world, events).await;
    let reader = Reader::analyst(&archiver);
    for order in ["asc", "desc"] {
        let found = reader.all("/v1/rooms/42/messages", &[("text", "바늘"), ("order", order)], "messages", 10).await;
        assert_eq!(texts(&found, "text"), ["바늘 in the hay"]);
    }
    // A cleared room has no results.
    let cleared = RoomCleared { by: user(42), reason: None };
    world.log.append(&Event::now(presenter(42), Body::RoomCleared(cleared))).await.unwrap();
    archived(&world).await;
    assert!(reader.all("/v1/rooms/42/messages", &[], "messages", 100).await.is_empty());
}

#[tokio::test]
async fn no_search_exceeds_its_time_and_paging_reaches_the_end() {
    let mut world = World::start().await;
    // So that a single query over all of them exceeds its time.
    world.settings = world.settings.clone().set("archiver.reads.timeout_ms", "4000");
    let archiver = world.archiver().await;
    // A pattern that is tried at each of 500 characters, with 99 steps each.
    let long = "가".repeat(500);
    let mut events: Vec<Event> = (0..6_000).map(|ms| said(42, 7, ms, &long)).collect();
    events.push(said(42, 7, 3_000, &format!("{long}나 in the middle")));
    archive_many(&world, events).await;
    archive(&world, &[said(42, 7, 6_000, &format!("{}나 at the end", "가".repeat(99)))]).await;
    let reader = Reader::with(&archiver, json!({ "user_idx": 7 }));
    let text = format!("{}나", "가".repeat(99));
    for (path, reader) in [("/v1/users/7/messages", &reader), ("/v1/rooms/42/messages", &Reader::analyst(&archiver))] {
        let found = reader.all(path, &[("text", &text)], "messages", 100).await;
        let mut found = texts(&found, "text");
        found.sort_unstable_by_key(|text| text.len());
        assert_eq!(found.len(), 2, "{path}");
        assert!(found[0].ends_with("at the end") && found[1].ends_with("in the middle"), "{path}: {found:?}");
        let nothing = reader.all(path, &[("text", &format!("{}나다", "가".repeat(98)))], "messages", 100).await;
        assert!(nothing.is_empty(), "{path}");
    }
}
