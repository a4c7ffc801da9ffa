//! Tests of the check: every wrong outcome is reported as a problem.

use archiver::Author;
use chat::{Position, Role};
use jiff::Timestamp;

use super::super::presenter::Shown;
use super::*;

/// Three messages of two users in room 1. Users from 100 on take part.
const TEXTS: [(i64, &str); 3] = [(100, "one"), (101, "two"), (100, " three ")];

fn id(number: u128) -> EventId {
    uuid::Uuid::from_u128(number).to_string().parse().unwrap()
}

fn posted() -> Vec<Posted> {
    let room = PresenterIdx::try_from(1).unwrap();
    let line = |(number, (user, text)): (usize, (i64, &str))| {
        let position = Position { epoch: 1, sequence: number as u64 + 1, index: 0 };
        let outcome = Outcome::Accepted { id: id(number as u128), position };
        Posted { room, user, line: 1, text: text.to_owned(), outcome }
    };
    TEXTS.into_iter().enumerate().map(line).collect()
}

fn archived(number: u128, sequence: u64, user: i64, message: &str) -> ArchivedMessage {
    ArchivedMessage {
        id: id(number),
        position: Position { epoch: 1, sequence, index: 0 },
        presenter: 1.try_into().unwrap(),
        user: Author { idx: user, nickname: String::new(), role: Role::Viewer },
        message: message.to_owned(),
        sent_at: Timestamp::UNIX_EPOCH,
        flags: Vec::new(),
        deleted: None,
    }
}

fn archive() -> Vec<ArchivedMessage> {
    let message =
        |(number, (user, text)): (usize, (i64, &str))| archived(number as u128, number as u64 + 1, user, text.trim());
    TEXTS.into_iter().enumerate().map(message).collect()
}

fn shown(number: u128, message: &str) -> Shown {
    Shown { message_id: id(number), message: message.to_owned() }
}

fn screen() -> Vec<Shown> {
    TEXTS.into_iter().enumerate().map(|(number, (_, text))| shown(number as u128, text.trim())).collect()
}

fn judge(archive: &[ArchivedMessage], screen: Vec<Shown>) -> Report {
    let posted = posted();
    let mut report = Report { accepted: posted.len(), ..Report::default() };
    let mut room = Room::default();
    for line in &posted {
        let Outcome::Accepted { id, .. } = line.outcome else { unreachable!() };
        room.accepted.insert(id, line);
    }
    let mut seen = Seen::default();
    for message in screen {
        seen.show(message);
    }
    let idx = PresenterIdx::try_from(1).unwrap();
    room.check_screen(idx, &seen, archive, &mut report);
    room.check_archive(idx, archive, &(100..102), &mut report);
    let (first, second): (Vec<Posted>, Vec<Posted>) = posted.into_iter().partition(|line| line.user == 100);
    report.check_order_of_user(&first);
    report.check_order_of_user(&second);
    report
}

#[test]
fn a_correct_outcome_passes() {
    let report = judge(&archive(), screen());
    assert!(report.is_sound(), "{report}");
    // A resumed socket may repeat messages, and the room may have earlier ones.
    let mut screen = screen();
    screen.push(shown(0, "one"));
    screen.push(shown(77, "from an earlier play"));
    let mut archive = archive();
    archive.insert(0, archived(77, 0, 5_000, "from an earlier play"));
    let report = judge(&archive, screen);
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.repeated, 1);
}

#[test]
fn every_wrong_outcome_is_a_problem() {
    type Change = fn(&mut Vec<ArchivedMessage>, &mut Vec<Shown>);
    let check = |change: Change, expected: &str| {
        let (mut archive, mut screen) = (archive(), screen());
        change(&mut archive, &mut screen);
        let report = judge(&archive, screen);
        assert!(!report.is_sound(), "{expected}");
        assert!(report.problems.iter().any(|problem| problem.contains(expected)), "{expected}: {report}");
    };
    check(|archive, _| drop(archive.remove(1)), "is not in the archive");
    check(|archive, _| archive.push(archive[1].clone()), "is in the archive twice");
    check(|archive, _| archive.push(archived(9, 9, 100, "one")), "was never accepted");
    check(|archive, _| archive[0].message.push('!'), "is not archived as it was sent");
    check(|archive, _| archive[0].user.idx = 101, "is not archived as it was sent");
    check(|_, screen| drop(screen.remove(1)), "did not reach the presenter");
    check(|_, screen| screen[2].message = " three ".to_owned(), "did not reach the presenter as it was sent");
    check(|_, screen| screen.swap(1, 2), "order differs from the archive's");
    check(
        |archive, screen| {
            archive.swap(0, 2);
            (archive[0].position, archive[2].position) = (archive[2].position, archive[0].position);
            screen.swap(0, 2);
        },
        "overtook an earlier message of the same user",
    );
}
