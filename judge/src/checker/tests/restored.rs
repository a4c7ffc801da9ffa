//! Restorations and purges that the archive or a presenter's page does not have in the order of the log.

use super::*;

/// An archived message that a decision of that type deleted, and that nobody restored.
fn deleted_by(lines: &[Line], rng: &mut Rng, wanted: &str) -> usize {
    any(lines, rng, |what| match what {
        Observation::Archived { deleted: Some(by), .. } => lines
            .iter()
            .any(|line| matches!(&line.what, Observation::Logged { id, kind, .. } if id == by && kind == wanted)),
        _ => false,
    })
}

/// An archived message that was deleted and restored, and not deleted since.
fn restored(lines: &[Line], rng: &mut Rng) -> usize {
    let targets = |wanted: &str| -> Vec<EventId> {
        let found = lines.iter().filter_map(|line| match &line.what {
            Observation::Logged { kind, target: Some(target), .. } if kind == wanted => Some(*target),
            _ => None,
        });
        found.collect()
    };
    let (deleted, restored) = (targets("message.deleted"), targets("message.restored"));
    any(lines, rng, |what| match what {
        Observation::Archived { id, deleted: None, .. } => deleted.contains(id) && restored.contains(id),
        _ => false,
    })
}

#[test]
fn a_restored_message_that_stays_deleted_in_the_archive_is_noticed() {
    caught("deletions_have_the_logs_order", |lines, rng| {
        let place = restored(lines, rng);
        let Observation::Archived { id: message, .. } = lines[place].what else { unreachable!("it was looked for") };
        let deletion = lines.iter().find_map(|line| match line.what {
            Observation::Logged { id, target: Some(target), .. } if target == message => Some(id),
            _ => None,
        });
        if let Observation::Archived { deleted, .. } = &mut lines[place].what {
            *deleted = deletion;
        }
    });
}

#[test]
fn a_restored_message_that_is_not_replayed_is_noticed() {
    caught("nothing_is_deleted_unasked", |lines, rng| {
        let place = restored(lines, rng);
        let Observation::Archived { id: message, .. } = lines[place].what else { unreachable!("it was looked for") };
        lines.retain(|line| !matches!(line.what, Observation::Replayed { id, .. } if id == message));
    });
}

#[test]
fn a_restored_message_without_its_text_on_a_fresh_page_is_noticed() {
    caught("deletions_have_the_logs_order", |lines, rng| {
        let place = restored(lines, rng);
        let Observation::Archived { id: message, .. } = lines[place].what else { unreachable!("it was looked for") };
        for line in lines {
            if let Observation::Frame { session: 1_001.., id, text, .. } = &mut line.what
                && *id == message
            {
                *text = None;
            }
        }
    });
}

#[test]
fn a_purged_message_without_its_mark_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let place = deleted_by(lines, rng, "user.banned");
        if let Observation::Archived { deleted, .. } = &mut lines[place].what {
            *deleted = None;
        }
    });
}

#[test]
fn a_message_that_another_decision_than_the_first_has_marked_is_noticed() {
    caught("deletions_have_the_logs_order", |lines, rng| {
        let place = deleted_by(lines, rng, "message.deleted");
        let Observation::Archived { room: wanted, deleted: Some(by), .. } = lines[place].what else {
            unreachable!("it was looked for")
        };
        let other = any(lines, rng, |what| match what {
            Observation::Logged { room, id, kind, .. } => {
                *room == Some(wanted) && kind == "message.deleted" && *id != by
            }
            _ => false,
        });
        let Observation::Logged { id: another, .. } = lines[other].what else { unreachable!("it was looked for") };
        if let Observation::Archived { deleted, .. } = &mut lines[place].what {
            *deleted = Some(another);
        }
    });
}

#[test]
fn a_purge_of_more_than_was_asked_for_is_noticed() {
    caught("nothing_is_deleted_unasked", |lines, rng| {
        // A ban without a purge deletes nothing.
        let ban = any(lines, rng, |what| match what {
            Observation::Logged { room: Some(_), kind, purge_seconds: None, .. } => kind == "user.banned",
            _ => false,
        });
        let Observation::Logged { room: Some(wanted), id: ban, .. } = lines[ban].what else {
            unreachable!("it was looked for")
        };
        let of_decisions = lines.iter().filter_map(|line| match line.what {
            Observation::Logged { target, .. } => target,
            _ => None,
        });
        let targets: HashSet<EventId> = of_decisions.chain(parts(lines)).collect();
        lines.retain(|line| {
            !matches!(
                &line.what,
                Observation::Decides {
                    decided: Decided::Clear | Decided::Sweep { .. } | Decided::Ban { purge_seconds: Some(_), .. },
                    room,
                    ..
                } if *room == Some(wanted)
            )
        });
        let place = any(lines, rng, |what| match what {
            Observation::Archived { room, id, deleted: None, .. } => *room == wanted && !targets.contains(id),
            _ => false,
        });
        if let Observation::Archived { deleted, .. } = &mut lines[place].what {
            *deleted = Some(ban);
        }
    });
}

#[test]
fn a_message_that_is_shown_without_its_text_before_anybody_deletes_it_is_noticed() {
    caught("nothing_is_deleted_unasked", |lines, rng| {
        let decided = lines.iter().filter_map(|line| match line.what {
            Observation::Archived { id, deleted: Some(_), .. } => Some(id),
            Observation::Logged { target, .. } => target,
            _ => None,
        });
        let touched: HashSet<EventId> = decided.chain(parts(lines)).collect();
        lines.retain(|line| {
            !matches!(
                line.what,
                Observation::Decides {
                    decided: Decided::Clear | Decided::Sweep { .. } | Decided::Ban { purge_seconds: Some(_), .. },
                    ..
                }
            )
        });
        let place = any(lines, rng, |what| match what {
            Observation::Frame { session, id, text: Some(_), kind, .. } => {
                is_v1(*session) && kind == "message.posted" && !touched.contains(id)
            }
            _ => false,
        });
        if let Observation::Frame { text, .. } = &mut lines[place].what {
            *text = None;
        }
    });
}
