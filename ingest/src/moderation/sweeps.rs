//! Sweeps of rooms: what a sweep may ask for, and which sweeps can be undone. The replay remembers the id, the time and
//! the position of each. The rule, the author and the reason are in the bucket of decisions.

use std::collections::BTreeMap;
use std::time::Duration;

use chat::{Body, Event, EventId, Position, PresenterIdx, RoomSwept, Similarity, SweepRule, UserIdx};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::posting::text::Text;

/// 12 hours: a mistake is noticed the same day, and the archive keeps the deleted texts for longer, also if it lags.
pub(crate) const UNDOABLE_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// 50 sweeps of a room that can be undone: more than a raid every quarter of an hour.
pub(crate) const MOST_UNDOABLE: usize = 50;

/// 1 hour, as far as a ban purges.
pub(crate) const LONGEST_SECONDS_BACK: u32 = 60 * 60;

/// 16 texts: a raid has few texts with small variations.
pub(crate) const MOST_TEXTS: usize = 16;

/// 1,000 users, of at most 16 digits each.
pub(crate) const MOST_USERS: usize = 1_000;

/// 100 bytes: a label is a word such as `ko.abuse`.
pub(crate) const LONGEST_LABEL_BYTES: usize = 100;

/// What a sweep deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SweepOrder {
    rule: SweepRule,
    seconds_back: u32,
}

/// Why a rule is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRule {
    #[error(
        "the member \"rule\" must be an object with one or more of \"texts\", \"users\" and \"label\", perhaps \"similarity\" \
         beside \"texts\", and no others"
    )]
    Members,
    #[error("the member \"rule.texts\" must be a list of 1 to {MOST_TEXTS} texts, each as a message has it")]
    Texts,
    #[error("the member \"rule.similarity\" must be a number from 0.5 to 1 beside \"texts\"")]
    Similarity,
    #[error("the member \"rule.users\" must be a list of 1 to {MOST_USERS} users' numbers")]
    Users,
    #[error(
        "the member \"rule.label\" must be a flag of messages, of 1 to {LONGEST_LABEL_BYTES} visible ASCII characters"
    )]
    Label,
}

impl SweepOrder {
    /// None: `seconds_back` is out of bounds.
    pub(crate) fn new(rule: SweepRule, seconds_back: u64) -> Option<SweepOrder> {
        let seconds_back = u32::try_from(seconds_back).ok()?;
        (1..=LONGEST_SECONDS_BACK).contains(&seconds_back).then_some(SweepOrder { rule, seconds_back })
    }

    pub(crate) fn rule(&self) -> &SweepRule {
        &self.rule
    }

    pub(crate) fn seconds_back(&self) -> u32 {
        self.seconds_back
    }
}

/// The members of a rule.
const MEMBERS: [&str; 4] = ["texts", "similarity", "users", "label"];

/// Parses a rule. An unknown member is refused: a condition that is ignored would let the sweep delete more.
pub(crate) fn rule(rule: &Value) -> Result<SweepRule, InvalidRule> {
    let members = rule.as_object().ok_or(InvalidRule::Members)?;
    if members.keys().any(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(InvalidRule::Members);
    }
    let rule = SweepRule {
        texts: list(members, "texts", MOST_TEXTS, text).ok_or(InvalidRule::Texts)?,
        similarity: match members.get("similarity") {
            None => None,
            Some(similarity) => Some(self::similarity(similarity).ok_or(InvalidRule::Similarity)?),
        },
        users: list(members, "users", MOST_USERS, user).ok_or(InvalidRule::Users)?,
        label: match members.get("label") {
            None => None,
            Some(label) => Some(label.as_str().filter(|label| is_label(label)).ok_or(InvalidRule::Label)?.to_owned()),
        },
    };
    match rule {
        SweepRule { texts: None, similarity: Some(_), .. } => Err(InvalidRule::Similarity),
        rule if rule.is_empty() => Err(InvalidRule::Members),
        rule => Ok(rule),
    }
}

/// The outer `None`: the member is no such list. The inner one: it is absent.
fn list<T: PartialEq>(
    members: &Map<String, Value>,
    name: &str,
    most: usize,
    item: impl Fn(&Value) -> Option<T>,
) -> Option<Option<Vec<T>>> {
    let values = match members.get(name) {
        None => return Some(None),
        Some(values) => values.as_array()?,
    };
    let items: Vec<T> = values.iter().map(item).collect::<Option<_>>()?;
    (1..=most).contains(&items.len()).then_some(Some(items))
}

fn text(text: &Value) -> Option<String> {
    Text::parse(text.as_str()?).ok().map(Text::into_string)
}

/// Rounded to hundredths: every reader of the sweep compares integers.
fn similarity(similarity: &Value) -> Option<Similarity> {
    let similarity = similarity.as_f64().filter(|similarity| (0.5..=1.0).contains(similarity))?;
    Similarity::try_from((similarity * 100.0).round() as u8).ok()
}

fn user(user: &Value) -> Option<UserIdx> {
    UserIdx::try_from(web::idx(user)?).ok()
}

fn is_label(label: &str) -> bool {
    (1..=LONGEST_LABEL_BYTES).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The sweeps of all rooms, from the replay.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    known: BTreeMap<(PresenterIdx, EventId), LatestDecision>,
}

/// The latest decision about a sweep. Its end is remembered while older decisions may still arrive.
#[derive(Debug, Clone, Copy)]
struct LatestDecision {
    position: Position,
    /// None: it is undone.
    made: Option<Timestamp>,
}

/// A sweep that can be undone, and the position of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UndoableSweep {
    pub(crate) id: EventId,
    pub(crate) position: Position,
}

impl Sweeps {
    /// Applies a sweep of the room or its end, unless a later decision about it is known. Returns whether it is new.
    pub(crate) fn apply(&mut self, position: Position, room: PresenterIdx, event: &Event) -> bool {
        let (id, made) = match &event.body {
            Body::RoomSwept(_) => (event.id, Some(event.at)),
            Body::SweepUndone(undone) => (undone.target, None),
            _ => return false,
        };
        if self.known(room, id).is_some_and(|known| known >= position) {
            return false;
        }
        self.known.insert((room, id), LatestDecision { position, made });
        true
    }

    /// The sweeps of the room that can be undone, the latest first.
    pub(crate) fn undoable(&self, room: PresenterIdx, now: Timestamp) -> Vec<UndoableSweep> {
        let of_room = self.known.range((room, EventId::LEAST)..).take_while(|((of, _), _)| *of == room);
        let undoable = of_room.filter(|(_, latest)| latest.is_undoable(now));
        let mut undoable: Vec<UndoableSweep> =
            undoable.map(|((_, id), latest)| UndoableSweep { id: *id, position: latest.position }).collect();
        undoable.sort_by_key(|sweep| std::cmp::Reverse(sweep.position));
        undoable
    }

    /// Whether the sweep of the room can be undone.
    pub(crate) fn is_undoable(&self, room: PresenterIdx, id: EventId, now: Timestamp) -> bool {
        self.known.get(&(room, id)).is_some_and(|latest| latest.is_undoable(now))
    }

    /// The position of the latest decision about the sweep.
    pub(crate) fn known(&self, room: PresenterIdx, id: EventId) -> Option<Position> {
        self.known.get(&(room, id)).map(|latest| latest.position)
    }

    /// Forgets what can no longer be undone. Only for when no older decision can arrive any more.
    pub(crate) fn tidy(&mut self, now: Timestamp) {
        self.known.retain(|_, latest| latest.is_undoable(now));
    }
}

impl LatestDecision {
    fn is_undoable(&self, now: Timestamp) -> bool {
        self.made.is_some_and(|made| now < made + UNDOABLE_FOR)
    }
}

/// Removes an erased user, with the reason, and every text: the user may have written it. Returns whether it changed.
pub(crate) fn forget_in_rule(RoomSwept { rule, reason, .. }: &mut RoomSwept, user: UserIdx) -> bool {
    let texts = rule.texts.as_mut().filter(|texts| !texts.is_empty());
    let has_texts = texts.map(Vec::clear).is_some();
    let users = rule.users.as_mut().filter(|users| users.contains(&user));
    let is_listed = users.map(|users| users.retain(|other| *other != user)).is_some();
    if is_listed {
        *reason = None;
    }
    has_texts || is_listed
}

#[cfg(test)]
mod tests {
    use chat::{Role, RoomSwept, SweepUndone, User};
    use serde_json::json;

    use super::*;

    fn room(idx: i64) -> PresenterIdx {
        PresenterIdx::try_from(idx).unwrap()
    }

    fn by() -> User {
        User { idx: room(42).as_user(), nickname: "presenter".to_owned(), role: Role::Presenter }
    }

    fn at(sequence: u64) -> Position {
        Position { epoch: 1, sequence, index: 0 }
    }

    fn swept() -> Event {
        let rule = SweepRule { texts: Some(vec!["raid".to_owned()]), ..SweepRule::default() };
        let swept = RoomSwept { rule, seconds_back: 60, by: by(), reason: None };
        Event::now(room(42), Body::RoomSwept(Box::new(swept)))
    }

    fn undone(target: EventId) -> Event {
        Event::now(room(42), Body::SweepUndone(SweepUndone { target, by: by(), reason: None }))
    }

    #[test]
    fn a_rule_has_one_or_more_conditions_within_their_bounds() {
        let many = |count: usize| Value::from(vec![json!("raid"); count]);
        let users = |count: usize| Value::from(vec![json!(7); count]);
        for sound in [
            json!({ "texts": [" raid "] }),
            json!({ "texts": many(MOST_TEXTS) }),
            json!({ "texts": ["raid"], "similarity": 0.5 }),
            json!({ "texts": ["raid"], "similarity": 1 }),
            json!({ "users": [7, 8.0] }),
            json!({ "users": users(MOST_USERS) }),
            json!({ "label": "ko.abuse" }),
            json!({ "texts": ["raid"], "users": [7], "label": "x".repeat(LONGEST_LABEL_BYTES) }),
        ] {
            assert!(!rule(&sound).unwrap().is_empty(), "{sound}");
        }
        assert_eq!(rule(&json!({ "texts": [" raid "] })).unwrap().texts, Some(vec!["raid".to_owned()]));
        for (similarity, percent) in [(0.5, 50), (0.849, 85), (0.851, 85), (0.29 + 0.57, 86), (1.0, 100)] {
            let rule = rule(&json!({ "texts": ["raid"], "similarity": similarity })).unwrap();
            assert_eq!(rule.similarity.map(Similarity::percent), Some(percent), "{similarity}");
        }
        for (unsound, reason) in [
            (json!(null), InvalidRule::Members),
            (json!([]), InvalidRule::Members),
            (json!({}), InvalidRule::Members),
            (json!({ "texts": null }), InvalidRule::Texts),
            (json!({ "texts": ["raid"], "label": null }), InvalidRule::Label),
            (json!({ "texts": ["raid"], "similar": 0.9 }), InvalidRule::Members),
            (json!({ "similarity": 0.9 }), InvalidRule::Similarity),
            (json!({ "users": [7], "similarity": 0.9 }), InvalidRule::Similarity),
            (json!({ "texts": ["raid"], "similarity": 0.499 }), InvalidRule::Similarity),
            (json!({ "texts": ["raid"], "similarity": 1.001 }), InvalidRule::Similarity),
            (json!({ "texts": ["raid"], "similarity": 90 }), InvalidRule::Similarity),
            (json!({ "texts": ["raid"], "similarity": "0.9" }), InvalidRule::Similarity),
            (json!({ "texts": ["raid"], "similarity": null }), InvalidRule::Similarity),
            (json!({ "texts": [] }), InvalidRule::Texts),
            (json!({ "texts": "raid" }), InvalidRule::Texts),
            (json!({ "texts": ["a\nb"] }), InvalidRule::Texts),
            (json!({ "texts": [" "] }), InvalidRule::Texts),
            (json!({ "texts": [7] }), InvalidRule::Texts),
            (json!({ "texts": many(MOST_TEXTS + 1) }), InvalidRule::Texts),
            (json!({ "users": [] }), InvalidRule::Users),
            (json!({ "users": [0] }), InvalidRule::Users),
            (json!({ "users": ["7"] }), InvalidRule::Users),
            (json!({ "users": users(MOST_USERS + 1) }), InvalidRule::Users),
            (json!({ "label": "" }), InvalidRule::Label),
            (json!({ "label": "two words" }), InvalidRule::Label),
            (json!({ "label": "x".repeat(LONGEST_LABEL_BYTES + 1) }), InvalidRule::Label),
            (json!({ "label": ["ko.abuse"] }), InvalidRule::Label),
        ] {
            assert_eq!(rule(&unsound), Err(reason), "{unsound}");
        }
    }

    #[test]
    fn a_sweep_reaches_back_a_second_to_an_hour() {
        for (seconds, is_sound) in [(0, false), (1, true), (3_600, true), (3_601, false), (u64::MAX, false)] {
            assert_eq!(SweepOrder::new(SweepRule::default(), seconds).is_some(), is_sound, "{seconds}");
        }
    }

    #[test]
    fn a_sweep_can_be_undone_once_in_its_room_and_for_its_time() {
        let (mut sweeps, one, two) = (Sweeps::default(), swept(), swept());
        let now = one.at;
        let ids = |sweeps: &Sweeps, of| sweeps.undoable(of, now).into_iter().map(|it| it.id).collect::<Vec<_>>();
        assert!(sweeps.apply(at(1), room(42), &one) && sweeps.apply(at(2), room(42), &two));
        assert!(!sweeps.apply(at(1), room(42), &one), "once");
        assert_eq!((ids(&sweeps, room(42)), ids(&sweeps, room(43))), (vec![two.id, one.id], vec![]));
        assert!(sweeps.is_undoable(room(42), one.id, now) && !sweeps.is_undoable(room(43), one.id, now));
        assert!(!sweeps.is_undoable(room(42), one.id, now + UNDOABLE_FOR));
        assert!(sweeps.apply(at(3), room(42), &undone(one.id)) && !sweeps.is_undoable(room(42), one.id, now));
        assert!(!sweeps.apply(at(1), room(42), &one), "an older copy does not bring it back");
        assert_eq!((ids(&sweeps, room(42)), sweeps.known(room(42), one.id)), (vec![two.id], Some(at(3))));
        sweeps.tidy(now);
        assert_eq!((sweeps.known(room(42), one.id), sweeps.known(room(42), two.id)), (None, Some(at(2))));
    }
}
