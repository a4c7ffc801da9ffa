//! What a sweep may ask for, parsed from its request.

use chat::{Forward, ForwardAction, LONGEST_FORWARD, Similarity, SweepRule, UserIdx};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::posting::text::Text;

/// 1 hour, as far as a ban purges.
pub(crate) const LONGEST_SECONDS_BACK: u32 = 60 * 60;

/// 1 hour, as far as a sweep reaches back.
pub(crate) const LONGEST_FIRST_SEEN_SECONDS: u32 = LONGEST_SECONDS_BACK;

/// 10 minutes: a raid has gone elsewhere by then, and a moderator can sweep again.
pub(crate) const LONGEST_SECONDS_FORWARD: u32 = LONGEST_FORWARD.as_secs() as u32;

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
    /// Only of users whose first message in the room is at most so old. They are resolved when the sweep is made.
    first_seen_seconds: Option<u32>,
    seconds_back: u32,
    forward: Option<Span>,
}

/// What happens to later posts that match, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    action: ForwardAction,
    seconds: u32,
}

/// Why a rule is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRule {
    #[error(
        "the member \"rule\" must be an object with one or more of \"texts\", \"users\", \"firstSeenSeconds\" and \
         \"label\", perhaps \"similarity\" beside \"texts\", and no others"
    )]
    Members,
    #[error("the member \"rule.texts\" must be a list of 1 to {MOST_TEXTS} texts, each as a message has it")]
    Texts,
    #[error("the member \"rule.similarity\" must be a number from 0.5 to 1 beside \"texts\"")]
    Similarity,
    #[error("the member \"rule.users\" must be a list of 1 to {MOST_USERS} users' numbers")]
    Users,
    #[error("the member \"rule.firstSeenSeconds\" must be an integer from 1 to {LONGEST_FIRST_SEEN_SECONDS}")]
    FirstSeenSeconds,
    #[error(
        "the member \"rule.label\" must be a flag of messages, of 1 to {LONGEST_LABEL_BYTES} visible ASCII characters"
    )]
    Label,
}

/// Why the span forward is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidForward {
    #[error("the member \"secondsForward\" must be an integer from 1 to {LONGEST_SECONDS_FORWARD}")]
    Seconds,
    #[error("the member \"forward\" must be \"refuse\" or \"hold\", beside \"secondsForward\"")]
    Action,
}

impl SweepOrder {
    /// Parses the rule and how far back it reaches. None: `seconds_back` is out of bounds.
    pub(crate) fn parse(rule: &Value, seconds_back: &Value) -> Result<Option<SweepOrder>, InvalidRule> {
        let (rule, first_seen_seconds) = self::rule(rule)?;
        let seconds_back = seconds(seconds_back, LONGEST_SECONDS_BACK);
        Ok(seconds_back.map(|seconds_back| SweepOrder { rule, first_seen_seconds, seconds_back, forward: None }))
    }

    /// The same order with a span forward, if the members ask for one.
    pub(crate) fn with_forward(self, seconds_forward: &Value, action: &Value) -> Result<SweepOrder, InvalidForward> {
        let action = match action.as_str() {
            None if action.is_null() => None,
            Some("refuse") => Some(ForwardAction::Refuse),
            Some("hold") => Some(ForwardAction::Hold),
            _ => return Err(InvalidForward::Action),
        };
        if seconds_forward.is_null() {
            return if action.is_none() { Ok(self) } else { Err(InvalidForward::Action) };
        }
        let seconds = seconds(seconds_forward, LONGEST_SECONDS_FORWARD).ok_or(InvalidForward::Seconds)?;
        let action = action.unwrap_or(ForwardAction::Refuse);
        Ok(SweepOrder { forward: Some(Span { action, seconds }), ..self })
    }

    pub(crate) fn seconds_back(&self) -> u32 {
        self.seconds_back
    }

    pub(crate) fn first_seen_seconds(&self) -> Option<u32> {
        self.first_seen_seconds
    }

    /// The rule, with the users who were first seen a short while ago: of the rule's users, or of all, only those.
    pub(crate) fn rule(&self, first_seen: Option<&[UserIdx]>) -> SweepRule {
        let Some(first_seen) = first_seen else { return self.rule.clone() };
        let named = self.rule.users.as_ref();
        let is_named = |user: &&UserIdx| named.is_none_or(|named| named.contains(user));
        SweepRule { users: Some(first_seen.iter().filter(is_named).copied().collect()), ..self.rule.clone() }
    }

    /// The span forward of a sweep that is made now, by the log's clock.
    pub(crate) fn forward(&self, now: Timestamp) -> Option<Forward> {
        let Span { action, seconds } = self.forward?;
        // Events have whole milliseconds.
        let until = now.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX);
        let until =
            Timestamp::from_millisecond(until.as_millisecond()).expect("a time of whole milliseconds is a time");
        Some(Forward { action, until })
    }

    /// The order as it was given, with the condition and not the users that it means: a retry of it is the same request,
    /// although there may be more new users by then.
    pub(crate) fn as_request(&self) -> Value {
        let SweepOrder { rule, first_seen_seconds, seconds_back, forward } = self;
        let forward = forward.map(|Span { action, seconds }| json!([action, seconds]));
        match (first_seen_seconds, forward) {
            (None, None) => json!(["sweep", rule, seconds_back]),
            (first_seen_seconds, forward) => json!(["sweep", rule, seconds_back, first_seen_seconds, forward]),
        }
    }
}

fn seconds(seconds: &Value, most: u32) -> Option<u32> {
    let seconds = u32::try_from(seconds.as_u64()?).ok()?;
    (1..=most).contains(&seconds).then_some(seconds)
}

/// The members of a rule.
const MEMBERS: [&str; 5] = ["texts", "similarity", "users", "firstSeenSeconds", "label"];

/// Parses a rule, and apart from it the condition that is resolved into users. An unknown member is refused: a
/// condition that is ignored would let the sweep delete more.
fn rule(rule: &Value) -> Result<(SweepRule, Option<u32>), InvalidRule> {
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
    let first_seen = match members.get("firstSeenSeconds") {
        None => None,
        Some(value) => Some(seconds(value, LONGEST_FIRST_SEEN_SECONDS).ok_or(InvalidRule::FirstSeenSeconds)?),
    };
    match rule {
        SweepRule { texts: None, similarity: Some(_), .. } => Err(InvalidRule::Similarity),
        rule if rule.is_empty() && first_seen.is_none() => Err(InvalidRule::Members),
        rule => Ok((rule, first_seen)),
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

#[cfg(test)]
mod tests {
    use super::*;

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
            json!({ "firstSeenSeconds": 1 }),
            json!({ "firstSeenSeconds": LONGEST_FIRST_SEEN_SECONDS, "users": [7] }),
            json!({ "texts": ["raid"], "users": [7], "label": "x".repeat(LONGEST_LABEL_BYTES) }),
        ] {
            assert!(rule(&sound).is_ok(), "{sound}");
        }
        assert_eq!(rule(&json!({ "texts": [" raid "] })).unwrap().0.texts, Some(vec!["raid".to_owned()]));
        for (similarity, percent) in [(0.5, 50), (0.849, 85), (0.851, 85), (0.29 + 0.57, 86), (1.0, 100)] {
            let (rule, _) = rule(&json!({ "texts": ["raid"], "similarity": similarity })).unwrap();
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
            (json!({ "firstSeenSeconds": 0 }), InvalidRule::FirstSeenSeconds),
            (
                json!({ "users": [7], "firstSeenSeconds": LONGEST_FIRST_SEEN_SECONDS + 1 }),
                InvalidRule::FirstSeenSeconds,
            ),
            (json!({ "users": [7], "firstSeenSeconds": null }), InvalidRule::FirstSeenSeconds),
            (json!({ "firstSeenSeconds": "60" }), InvalidRule::FirstSeenSeconds),
        ] {
            assert_eq!(rule(&unsound), Err(reason), "{unsound}");
        }
    }

    fn order(rule: &Value) -> SweepOrder {
        SweepOrder::parse(rule, &json!(60)).unwrap().unwrap()
    }

    #[test]
    fn a_sweep_reaches_back_a_second_to_an_hour_and_forward_up_to_ten_minutes() {
        let rule = json!({ "users": [7] });
        for (seconds, is_sound) in [(0, false), (1, true), (3_600, true), (3_601, false), (u64::MAX, false)] {
            assert_eq!(SweepOrder::parse(&rule, &json!(seconds)).unwrap().is_some(), is_sound, "{seconds}");
        }
        let (refuse, hold) = (ForwardAction::Refuse, ForwardAction::Hold);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for (seconds, action, expected) in [
            (json!(null), json!(null), Ok(None)),
            (json!(1), json!(null), Ok(Some((refuse, 1)))),
            (json!(600), json!("hold"), Ok(Some((hold, 600)))),
            (json!(60), json!("refuse"), Ok(Some((refuse, 60)))),
            (json!(0), json!("hold"), Err(InvalidForward::Seconds)),
            (json!(601), json!(null), Err(InvalidForward::Seconds)),
            (json!("60"), json!(null), Err(InvalidForward::Seconds)),
            (json!(null), json!("hold"), Err(InvalidForward::Action)),
            (json!(60), json!("slow"), Err(InvalidForward::Action)),
            (json!(60), json!(true), Err(InvalidForward::Action)),
        ] {
            let order = order(&rule).with_forward(&seconds, &action);
            let expected = expected.map(|span| {
                span.map(|(action, seconds)| Forward { action, until: now + SignedDuration::from_secs(seconds) })
            });
            assert_eq!(order.map(|order| order.forward(now)), expected, "{seconds} {action}");
        }
    }

    #[test]
    fn users_who_were_first_seen_narrow_a_rule_and_do_not_change_the_request() {
        let user = |idx: i64| UserIdx::try_from(idx).unwrap();
        for (asked, expected) in [
            (json!({ "firstSeenSeconds": 60 }), vec![8, 7]),
            (json!({ "firstSeenSeconds": 60, "users": [7, 9] }), vec![7]),
            (json!({ "firstSeenSeconds": 60, "users": [9] }), vec![]),
        ] {
            let order = order(&asked);
            assert_eq!(order.first_seen_seconds(), Some(60));
            let users: Vec<UserIdx> = expected.into_iter().map(user).collect();
            assert_eq!(order.rule(Some(&[user(8), user(7)])).users, Some(users));
        }
        let asked = json!({ "users": [7, 9] });
        assert_eq!(order(&asked).rule(None).users, Some(vec![user(7), user(9)]));
    }
}
