//! A table of sessions and the broadcasts that they make. Times are seconds.

use super::*;

/// A session: its start, its end, and why it ended.
type Row = (i64, Option<i64>, &'static str);

fn document(index: usize, (began, ended, reason): Row) -> SessionDocument {
    SessionDocument {
        id: format!("s{index}"),
        connected_at: DateTime::from_millis(began * 1_000),
        disconnected_at: ended.map(|end| DateTime::from_millis(end * 1_000)),
        reason: ended.map(|_| reason.to_owned()),
    }
}

/// The broadcasts of a room with messages at these times.
fn broadcasts(rows: &[Row], said: &[i64]) -> String {
    let mut runs: Vec<Vec<Session>> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let next = rows.get(index + 1).map(|next| next.0 * 1_000);
        let said = said.iter().filter(|at| next.is_none_or(|next| **at * 1_000 < next)).max().map(|at| at * 1_000);
        let session = document(index, *row).settled(next, said);
        match runs.last_mut() {
            Some(run) if run.last().unwrap().leads_to(session.began) => run.push(session),
            _ => runs.push(vec![session]),
        }
    }
    let text = runs.iter().map(|run| {
        let broadcast = Broadcast::new(run).unwrap();
        let segments = broadcast.segments.iter().map(|Segment { start, end }| {
            let end = end.map_or("…".to_owned(), |end| (end / 1_000).to_string());
            format!("{}-{end}", start / 1_000)
        });
        format!("{}: {}", broadcast.id, segments.collect::<Vec<_>>().join(" "))
    });
    text.collect::<Vec<_>>().join(", ")
}

#[test]
fn sessions_make_broadcasts() {
    let cases: [(&str, &[Row], &[i64], &str); 16] = [
        ("one", &[(0, Some(100), "closed")], &[], "s0: 0-100"),
        ("it runs", &[(0, None, "")], &[50], "s0: 0-…"),
        ("a pause cuts", &[(0, Some(100), "lost"), (130, Some(200), "closed")], &[], "s0: 0-100 130-200"),
        ("2 minutes are the same", &[(0, Some(100), "lost"), (220, Some(300), "closed")], &[], "s0: 0-100 220-300"),
        ("more are not", &[(0, Some(100), "lost"), (221, Some(300), "closed")], &[], "s0: 0-100, s1: 221-300"),
        ("whatever the reason", &[(0, Some(100), "drain"), (221, Some(300), "closed")], &[], "s0: 0-100, s1: 221-300"),
        ("a drain does not cut", &[(0, Some(100), "drain"), (130, Some(200), "closed")], &[], "s0: 0-200"),
        ("a lapse does not", &[(0, Some(100), "lapsed"), (103, Some(200), "closed")], &[], "s0: 0-200"),
        ("being cut off does not", &[(0, Some(100), "cut_off"), (103, None, "")], &[], "s0: 0-…"),
        ("a takeover does not", &[(0, Some(51), "replaced"), (50, Some(200), "closed")], &[], "s0: 0-200"),
        (
            "clocks differ",
            &[(0, Some(-1), "lost"), (10, Some(9), "lost"), (20, Some(30), "closed")],
            &[],
            "s0: 0-0 10-10 20-30",
        ),
        ("three", &[(0, Some(9), "lost"), (20, Some(29), "drain"), (40, Some(49), "lost")], &[], "s0: 0-9 20-49"),
        ("killed, and soon back", &[(0, None, ""), (60, Some(200), "closed")], &[40], "s0: 0-200"),
        (
            "killed, later back, the room spoke",
            &[(0, None, ""), (5_000, Some(5_100), "closed")],
            &[4_100],
            "s0: 0-5100",
        ),
        (
            "killed, the room fell silent",
            &[(0, None, ""), (5_000, Some(5_100), "closed")],
            &[4_000],
            "s0: 0-4000, s1: 5000-5100",
        ),
        ("killed, nothing was said", &[(0, None, ""), (5_000, None, "")], &[-50], "s0: 0-0, s1: 5000-…"),
    ];
    for (name, rows, said, expected) in cases {
        assert_eq!(broadcasts(rows, said), expected, "{name}");
    }
}
