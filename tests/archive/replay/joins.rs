//! Which sessions of a presenter are one broadcast.

use super::*;

#[tokio::test]
async fn a_session_that_nobody_ended_does_not_join_two_shows() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let minutes = |minutes: i64| minutes * 60_000;
    let day = minutes(24 * 60);
    // Each: a first session without an end, later messages, a second session, and the end of the first broadcast, in
    // minutes. None: both are one broadcast.
    type Case<'a> = (&'a str, &'a [i64], i64, Option<i64>);
    let cases: [Case<'_>; 8] = [
        ("a line before the next day's show", &[0, 20, 40, 60, 24 * 60 - 10], 24 * 60, Some(60)),
        ("lines of an hour before it", &[30, 60, 23 * 60, 23 * 60 + 10, 24 * 60 - 1], 24 * 60, Some(60)),
        ("nothing was ever said but that", &[24 * 60 - 10], 24 * 60, Some(0)),
        ("a silence of four hours", &[60, 300, 305], 310, Some(60)),
        ("the room was never silent for long", &[60, 180, 300, 420, 540], 550, None),
        ("a quiet room", &[5, 170], 180, None),
        ("soon back", &[], 10, None),
        ("silent for an hour, and back", &[10], 70, Some(10)),
    ];
    let mut events = Vec::new();
    for (room, (_, lines, next, _)) in (42..).zip(&cases) {
        events.push(Session::new(0, 0).begins(room));
        events.extend(lines.iter().map(|at| said(room, 7, minutes(*at), "a line")));
        let second = Session::new(minutes(*next), minutes(*next) + day);
        events.extend([second.begins(room), second.ends(room, "closed")]);
    }
    archive(&world, &events).await;
    let reader = Reader::analyst(&archiver);
    for (room, (name, _, next, ended)) in (42..).zip(cases) {
        let path = format!("/v1/rooms/{room}/broadcasts");
        let listed = reader.all(&path, &[], "broadcasts", 1).await;
        let times: Vec<_> = listed.iter().rev().map(|one| (one["startedAt"].clone(), one["endedAt"].clone())).collect();
        let last = time(minutes(next) + day);
        let expected = match ended {
            Some(ended) => {
                vec![(json!(time(0)), json!(time(minutes(ended)))), (json!(time(minutes(next))), json!(last))]
            }
            None => vec![(json!(time(0)), json!(last))],
        };
        assert_eq!(times, expected, "{name}");
        for one in &listed {
            let id = one["id"].as_str().unwrap();
            let mut alone = reader.get(&format!("{path}/{id}"), &[]).await;
            alone.as_object_mut().unwrap().remove("chatters");
            assert_eq!(alone, *one, "{name}");
        }
    }
}

#[tokio::test]
async fn a_broadcast_that_was_cut_and_resumed_is_one_with_its_segments_and_counts() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let sessions = [
        // A connection lost for a minute, then a drained node, then a takeover.
        Session::new(0, 600_000),
        Session::new(660_000, 900_000),
        Session::new(910_000, 1_200_000),
        Session::new(1_199_000, 1_500_000),
        // A killed node, and messages until the presenter was back.
        Session::new(10_000_000, 0),
        Session::new(11_000_000, 11_500_000),
        // A killed node, and silence.
        Session::new(20_000_000, 0),
        // A broadcast in progress.
        Session::new(30_000_000, 0),
    ];
    let reasons = ["lost", "drain", "replaced", "closed", "", "closed", "", ""];
    let mut events: Vec<Event> = sessions.iter().map(|session| session.begins(42)).collect();
    let ended = sessions.iter().zip(reasons).filter(|(session, _)| session.to > 0);
    events.extend(ended.map(|(session, reason)| session.ends(42, reason)));
    // A session without a start, and one of another room.
    events.push(Session::new(0, 5_000_000).ends(42, "closed"));
    events.push(Session::new(1_000_000, 1_100_000).begins(43));
    let spoken = [
        (7, 1_000),
        (8, 2_000),
        (8, 630_000),
        (7, 1_499_999),
        (42, 1_500_000),
        (9, 1_500_001),
        (9, -1),
        (7, 10_000_500),
        (7, 10_800_000),
        (7, 20_300_000),
        (7, 30_000_000),
    ];
    events.extend(spoken.iter().map(|(by, ms)| said(42, *by, *ms, &format!("at {ms}"))));
    let gone = [events.len() - 10, events.len() - 5].map(|index| deletion(42, events[index].id));
    archive(&world, &events).await;
    archive(&world, &gone).await;
    let reader = Reader::analyst(&archiver);
    let listed = reader.all("/v1/rooms/42/broadcasts", &[], "broadcasts", 1).await;
    let segment = |from: i64, to: Option<i64>, offset: i64| json!({ "startedAt": time(from), "endedAt": to.map(time), "offsetMs": offset });
    let expected = json!([
        {
            "id": sessions[7].id.to_string(), "startedAt": time(30_000_000), "endedAt": null, "durationMs": null,
            "segments": [segment(30_000_000, None, 0)], "messages": 1,
        },
        {
            "id": sessions[6].id.to_string(), "startedAt": time(20_000_000), "endedAt": time(20_300_000),
            "durationMs": 300_000, "segments": [segment(20_000_000, Some(20_300_000), 0)], "messages": 1,
        },
        {
            "id": sessions[4].id.to_string(), "startedAt": time(10_000_000), "endedAt": time(11_500_000),
            "durationMs": 1_500_000, "segments": [segment(10_000_000, Some(11_500_000), 0)], "messages": 2,
        },
        {
            "id": sessions[0].id.to_string(), "startedAt": time(0), "endedAt": time(1_500_000), "durationMs": 1_440_000,
            "segments": [segment(0, Some(600_000), 0), segment(660_000, Some(1_500_000), 600_000)], "messages": 4,
        },
    ]);
    assert_eq!(json!(listed), expected);
    for first in [2, 3, 100] {
        assert_eq!(reader.all("/v1/rooms/42/broadcasts", &[], "broadcasts", first).await, listed);
    }

    // Any of its sessions names it. A moderator also sees the number of deleted messages.
    for session in &sessions[..4] {
        let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
        let mut expected = listed[3].clone();
        expected["chatters"] = json!(3);
        assert_eq!(reader.get(&path, &[]).await, expected);
        expected["deleted"] = json!(1);
        assert_eq!(Reader::moderator(&archiver).get(&path, &[]).await, expected);
    }

    // By time.
    for (from, to, expected) in [
        (1_500_001, 9_999_999, &[][..]),
        (1_500_000, 10_000_000, &[3]),
        (1_400_000, 10_000_001, &[2, 3]),
        (20_300_000, 20_300_001, &[1]),
        (40_000_000, 50_000_000, &[0]),
        (-5, 1_000, &[3]),
    ] {
        let (from, to) = (time(from), time(to));
        let found = reader.all("/v1/rooms/42/broadcasts", &[("from", &from), ("to", &to)], "broadcasts", 1).await;
        let expected: Vec<&str> = expected.iter().map(|index: &usize| listed[*index]["id"].as_str().unwrap()).collect();
        assert_eq!(texts(&found, "id"), expected, "{from} to {to}");
    }
}

#[tokio::test]
async fn a_session_that_is_archived_late_joins_two_broadcasts_and_the_old_id_still_finds_it() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (first, late, last) = (Session::new(0, 60_000), Session::new(100_000, 200_000), Session::new(250_000, 300_000));
    let mut events = vec![first.begins(42), first.ends(42, "lost"), last.begins(42), last.ends(42, "closed")];
    events.extend([10, 150, 260].map(|second| said(42, 7, second * 1_000, &format!("at {second}"))));
    archive(&world, &events).await;
    let reader = Reader::analyst(&archiver);
    assert_eq!(reader.all("/v1/rooms/42/broadcasts", &[], "broadcasts", 10).await.len(), 2);
    let path = format!("/v1/rooms/42/broadcasts/{}", last.id);
    let page = reader.get(&format!("{path}/replay"), &[]).await;
    assert_eq!(offsets(page["messages"].as_array().unwrap()), [(10_000, events[6].id.to_string())]);

    archive(&world, &[late.ends(42, "lost"), late.begins(42)]).await;
    let listed = reader.all("/v1/rooms/42/broadcasts", &[], "broadcasts", 10).await;
    assert_eq!(texts(&listed, "id"), [first.id.to_string()]);
    assert_eq!(reader.get(&path, &[]).await["id"], first.id.to_string());
    let page = reader.get(&format!("{path}/replay"), &[]).await;
    let expected: Vec<(i64, String)> =
        [(10_000, 4), (110_000, 5), (170_000, 6)].map(|(offset, index)| (offset, events[index].id.to_string())).into();
    assert_eq!(offsets(page["messages"].as_array().unwrap()), expected);
}

#[tokio::test]
async fn a_presenter_that_reconnects_endlessly_has_one_broadcast_without_drift() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    // 200 sessions of 100 ms with 37 ms between them.
    let sessions: Vec<Session> = (0..200).map(|number| Session::new(number * 137, number * 137 + 100)).collect();
    let mut events: Vec<Event> =
        sessions.iter().flat_map(|session| [session.begins(42), session.ends(42, "lost")]).collect();
    let messages: Vec<Event> = (0..200).map(|number| said(42, 7, number * 137 + 50, "hi")).collect();
    events.extend(messages.iter().cloned());
    for batch in events.chunks(500) {
        let lines: Vec<_> = batch.iter().map(Event::to_line).collect();
        world.append_raw(&lines.join(&b'\n')).await;
    }
    archived(&world).await;
    let reader = Reader::analyst(&archiver);
    let path = format!("/v1/rooms/42/broadcasts/{}", sessions[100].id);
    let broadcast = reader.get(&path, &[]).await;
    assert_eq!(broadcast["id"], sessions[0].id.to_string());
    assert_eq!(broadcast["durationMs"], 20_000);
    assert_eq!(broadcast["segments"].as_array().unwrap().len(), 200);
    let expected: Vec<(i64, String)> =
        messages.iter().enumerate().map(|(number, event)| (number as i64 * 100 + 50, event.id.to_string())).collect();
    assert_eq!(replay(&reader, &path, "segments", 60).await, expected);
}
