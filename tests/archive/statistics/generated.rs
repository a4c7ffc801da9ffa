//! Rooms that are generated, with everything that can happen in one, and each statistic of theirs against a recount.

use super::*;

/// Three hours of chat in a room, with rushes, and some of its people on the day before: the messages, what deletes
/// some of them, and the same as a recording.
fn generated(room: i64, seed: u64) -> (Vec<Event>, Vec<Event>, Vec<Said>) {
    const TEXTS: [&str; 16] = [
        "안녕하세요 여러분",
        "안녕하세요! 안녕하세요!!",
        "방송을 보고 방송이 좋아요",
        "\u{110b}\u{1161}\u{11ab}\u{1102}\u{1167}\u{11bc} 안녕",
        "ㅋㅋㅋㅋㅋ",
        "👍🏽 대박 ❤️ 1️⃣ 👨‍👩‍👧",
        "Hello WORLD hello",
        "É ÉCLAIR éclair",
        "a b c ab",
        "日本語テスト、テスト",
        "x\u{301}y नमस्ते 123 4",
        "🎉🎉🎉",
        "gg",
        "GG wp",
        "don't_stop",
        "와 진짜 와",
    ];
    let mut random = Random(seed);
    let mut said_so_far: Vec<(i64, i64, String)> = Vec::new();
    for number in 0..400 {
        let by = 1 + random.one_of_few(300) as i64;
        said_so_far.push((by, -86_400_000 + number * 9_000, (*random.pick(&TEXTS)).to_owned()));
    }
    let mut ms = 137;
    while ms < 3 * 3_600_000 {
        let rush = ms % 1_500_000 < 25_000 && ms > 600_000;
        ms += if rush { random.below(400) } else { random.below(5_000) } as i64;
        let by = 1 + if rush { random.below(400) } else { random.one_of_few(400) } as i64;
        let text = match random.below(3) {
            0 => format!("{} {}", random.pick(&TEXTS), random.pick(&TEXTS)),
            1 => format!("word{} {}", random.one_of_few(500), random.pick(&TEXTS)),
            _ => (*random.pick(&TEXTS)).to_owned(),
        };
        // The clocks of several nodes.
        said_so_far.push((by, ms - random.below(1_500) as i64, text));
    }
    let (mut events, mut deletions, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for (by, ms, text) in said_so_far {
        let event = said(room, by, ms, &text);
        let deleted = random.below(25) == 0;
        if deleted {
            deletions.push(deletion(room, event.id));
        }
        lines.push(Said { id: event.id, user: by, ms, text, deleted });
        events.push(event);
    }
    (events, deletions, lines)
}

#[tokio::test]
async fn every_statistic_of_generated_rooms_is_that_of_a_recount() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let mut rooms = Rooms::new();
    let (mut all, mut gone) = (Vec::new(), Vec::new());
    for room in [42, 43] {
        let (events, deletions, lines) = generated(room, room as u64);
        assert!(lines.len() > 4_000 && deletions.len() > 100, "{} and {}", lines.len(), deletions.len());
        all.extend(events);
        gone.extend(deletions);
        rooms.insert(room, lines);
    }
    archive_many(&world, all).await;
    archive_many(&world, gone).await;
    let reader = Reader::analyst(&archiver);
    statistics_are_right(&reader, &rooms).await;
    let highlights = ask(&reader, &format!("{ROOM}/highlights"), 0, 3 * 3_600_000, &[]).await;
    assert!(highlights["highlights"].as_array().unwrap().len() > 3, "the rushes are seen: {highlights:#}");
}
