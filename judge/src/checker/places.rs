//! Messages in their places: accepted ones are in the log and in the archive, refused ones are nowhere, and every
//! message was posted.

use std::collections::HashMap;

use chat::{EventId, Position};

use super::Findings;
use super::view::{Outcome, Place, Source, View};

pub(super) fn accepted_is_in_the_log(view: &View, findings: &mut Findings) {
    for (post, line, id, position) in view.accepted_posts() {
        findings.look();
        match view.logged.get(&id) {
            Some((room, place)) if *room == post.room && place.text == Some(post.text) => {}
            Some((_, place)) => {
                findings
                    .broken(format!("{id} is not in the log as it was sent"), [post.request.invoked, line, place.line]);
            }
            // If it has left the log since, the archive has to have it.
            None if view.has_left_the_log(position) || view.lost.contains_key(&id) => {}
            None => findings.broken(format!("{id} was accepted and is not in the log"), [post.request.invoked, line]),
        }
    }
}

pub(super) fn accepted_is_in_the_archive(view: &View, findings: &mut Findings) {
    let archived: HashMap<EventId, (i64, &Place)> = view
        .rooms
        .iter()
        .flat_map(|(room, places)| places.archive.iter().map(|place| (place.id, (*room, place))))
        .collect();
    for (post, line, id, _) in view.accepted_posts() {
        findings.look();
        match archived.get(&id) {
            Some((room, place))
                if *room == post.room
                    && place.text == Some(post.text)
                    && (place.user == Some(post.user) || is_pseudonym(place) && view.may_be_erased(post)) => {}
            Some((_, place)) => {
                findings
                    .broken(format!("{id} is not archived as it was sent"), [post.request.invoked, line, place.line]);
            }
            None if view.lost.contains_key(&id) || view.may_be_erased(post) => {}
            None => {
                findings.broken(format!("{id} was accepted and is not in the archive"), [post.request.invoked, line])
            }
        }
    }
}

/// Whether the author is a pseudonym.
fn is_pseudonym(place: &Place) -> bool {
    place.user.is_some_and(|user| user < 0)
}

/// Every message that was seen, with its place in words and its room.
fn everywhere<'a>(view: &'a View<'a>) -> impl Iterator<Item = (&'static str, i64, &'a Place<'a>)> {
    let log = view.logged.values().map(|(room, place)| ("in the log", *room, place));
    let stored = view.rooms.iter().flat_map(|(room, places)| {
        let archive = places.archive.iter().map(|place| ("in the archive", *room, place));
        archive.chain(places.replays().map(|(at, place)| (at, *room, place)))
    });
    let shown = view
        .sessions
        .iter()
        .flat_map(|session| session.frames.iter().map(|place| ("on a presenter's socket", session.room, place)));
    let sessions = view.readers.iter().map(|reader| &reader.session);
    let read =
        sessions.flat_map(|session| session.frames.iter().map(|place| ("given to a reader", session.room, place)));
    log.chain(stored).chain(shown).chain(read).filter(|(_, _, place)| place.is_message)
}

pub(super) fn nothing_is_invented(view: &View, findings: &mut Findings) {
    let ids: HashMap<EventId, u64> =
        view.posts.iter().flat_map(|(number, post)| post.request.oks.iter().map(|(_, id, _)| (*id, *number))).collect();
    let archived: HashMap<EventId, &Place> =
        view.rooms.values().flat_map(|room| &room.archive).map(|place| (place.id, place)).collect();
    for (at, room, place) in everywhere(view) {
        findings.look();
        // A deleted message has no text. The log has it, or the archive if it has left the log.
        let logged = view.logged.get(&place.id).map(|(_, logged)| logged);
        let known = logged.or_else(|| archived.get(&place.id).copied());
        let text = place.text.or_else(|| known.and_then(|known| known.text));
        let post = text.and_then(|text| view.texts.get(text)).map(|number| (*number, &view.posts[number]));
        let id = place.id;
        match post {
            // A deleted message that a disk lost before it was archived: its text is gone.
            None if place.text.is_none() && view.is_lost(id) => {}
            None => findings.broken(format!("{id} is {at}, and nobody posted it"), [place.line]),
            Some((_, post)) if post.room != room => {
                findings.broken(format!("{id} is {at}, in another room"), [post.request.invoked, place.line]);
            }
            Some((number, post)) => {
                let another = ids.get(&id).is_some_and(|owner| *owner != number);
                if another || (!post.request.oks.is_empty() && !post.request.oks.iter().any(|(_, ok, _)| *ok == id)) {
                    findings.broken(
                        format!("{id} is {at}, with the text of another message"),
                        [post.request.invoked, place.line],
                    );
                }
            }
        }
    }
}

pub(super) fn refused_never_appears(view: &View, findings: &mut Findings) {
    view.posts
        .values()
        .filter(|post| matches!(post.request.outcome(), Outcome::Failed(_)))
        .for_each(|_| findings.look());
    for (at, _, place) in everywhere(view) {
        let Some(post) = place.text.and_then(|text| view.texts.get(text)).map(|number| &view.posts[number]) else {
            continue;
        };
        if let Outcome::Failed(refused) = post.request.outcome() {
            let sentence = format!("{} was refused and is {at}", place.id);
            findings.broken(sentence, [post.request.invoked, refused, place.line]);
        }
    }
}

pub(super) fn one_id_one_place(view: &View, findings: &mut Findings) {
    // An event of every room has a position in each partition.
    let mut places: HashMap<(EventId, Option<u64>), (Position, usize)> = HashMap::new();
    let mut ids: HashMap<Position, (EventId, usize)> = HashMap::new();
    let mut check = |id: EventId, position: Position, line: usize| {
        findings.look();
        let partition = view.is_of_every_room(id).then_some(position.epoch);
        let (stands, first) = *places.entry((id, partition)).or_insert((position, line));
        // A lost event may have been posted again.
        if !view.is_same_place(stands, position) && !view.is_lost(id) {
            findings.broken(format!("{id} is at {stands} and at {position}"), [first, line]);
        }
        let (owner, first) = *ids.entry(position).or_insert((id, line));
        if owner != id {
            findings.broken(format!("{owner} and {id} are both at {position}"), [first, line]);
        }
    };
    // The log comes first: its positions are the reference for all others.
    for place in view.logged.values().map(|(_, place)| place).chain(view.everywhere.values()) {
        check(place.id, place.position, place.line);
    }
    // The position of a lost event that a client was told of must never be reused.
    for (line, id, position) in &view.told_and_lost {
        check(*id, *position, *line);
    }
    for (line, id, position) in view.requests().flat_map(|request| &request.oks) {
        check(*id, *position, *line);
    }
    // The log also has copies, which readers ignore.
    for ruling in view.rulings.iter().filter(|ruling| ruling.source != Source::Log) {
        if let Some(position) = ruling.position {
            check(ruling.id, position, ruling.line);
        }
    }
    let stored = view.rooms.values().flat_map(|room| {
        let replayed = room.replays().map(|(_, place)| place);
        room.archive.iter().chain(replayed)
    });
    for place in stored.chain(view.all_sessions().flat_map(|session| &session.frames)) {
        check(place.id, place.position, place.line);
    }
}

pub(super) fn archived_once(view: &View, findings: &mut Findings) {
    for (room, places) in &view.rooms {
        // A message belongs to one broadcast at most.
        let beside: Vec<Place> = places.broadcasts.values().flat_map(|broadcast| &broadcast.replay).copied().collect();
        let readings = [("archive", &places.archive), ("replay", &places.replay), ("replay beside the video", &beside)];
        for (name, read) in readings {
            let mut seen = HashMap::new();
            for place in read {
                findings.look();
                if let Some(first) = seen.insert(place.id, place.line) {
                    let sentence = format!("room {room}: the {name} has {} twice", place.id);
                    findings.broken(sentence, [first, place.line]);
                }
            }
        }
    }
}
