//! Sweeps: one decision deletes what a raid wrote, and one decision undoes that. A sweep is a rule about the messages
//! before it in the log and, for a span forward, about those after it. Every reader evaluates the rule itself, so a
//! sweep is one event however many messages it deletes. An undone sweep counts as never made: what another decision
//! deleted stays deleted.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::body::{MessagePosted, Role, User};
use crate::ids::{EventId, UserIdx};
use crate::similarity::{Similarity, TextMatcher};
use crate::text_folding::folded;

/// 10 minutes: the longest span forward. Ingest makes no longer one, so a reader need not look further back for a sweep
/// that is about a message.
pub const LONGEST_FORWARD: SignedDuration = SignedDuration::from_mins(10);

/// Earlier messages of the room that match the rule are deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SweptFormat", into = "SweptFormat")]
pub struct RoomSwept {
    /// Which messages.
    pub rule: SweepRule,
    /// Only messages that were sent at most so many seconds before the event.
    pub seconds_back: u32,
    /// What happens to later messages. None: they are none of the sweep's.
    pub forward: Option<Forward>,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    pub reason: Option<String>,
}

/// For a while, posts of viewers that match do not come into the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// What ingest does with them.
    pub action: ForwardAction,
    /// Until then, by the log's clock.
    pub until: Timestamp,
}

/// What ingest does with a post that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardAction {
    /// Refuses it. Readers delete what another node accepted before it heard of the sweep.
    Refuse,
    /// Lets it wait for a moderator. What another node accepted before it heard of the sweep stays.
    Hold,
}

/// A sweep as the event has it.
#[derive(Serialize, Deserialize)]
struct SweptFormat {
    rule: SweepRule,
    #[serde(rename = "secondsBack", default, skip_serializing_if = "Option::is_none")]
    seconds_back: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    span: Option<SpanFormat>,
    by: User,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// It stands in place of `secondsBack`. A version that knows no span forward cannot read the event, and does not delete
/// less than others do.
#[derive(Serialize, Deserialize)]
struct SpanFormat {
    #[serde(rename = "secondsBack")]
    seconds_back: u32,
    forward: ForwardAction,
    #[serde(rename = "forwardUntil", with = "crate::time::millis")]
    until: Timestamp,
}

/// The event says neither how far back the sweep reaches nor its span.
#[derive(Debug, thiserror::Error)]
#[error("a sweep has either secondsBack or span")]
struct MissingSpan;

impl TryFrom<SweptFormat> for RoomSwept {
    type Error = MissingSpan;

    fn try_from(format: SweptFormat) -> Result<RoomSwept, MissingSpan> {
        let SweptFormat { rule, seconds_back, span, by, reason } = format;
        let (seconds_back, forward) = match (seconds_back, span) {
            (Some(seconds_back), None) => (seconds_back, None),
            (None, Some(SpanFormat { seconds_back, forward: action, until })) => {
                (seconds_back, Some(Forward { action, until }))
            }
            _ => return Err(MissingSpan),
        };
        Ok(RoomSwept { rule, seconds_back, forward, by, reason })
    }
}

impl From<RoomSwept> for SweptFormat {
    fn from(RoomSwept { rule, seconds_back, forward, by, reason }: RoomSwept) -> SweptFormat {
        let (seconds_back, span) = match forward {
            None => (Some(seconds_back), None),
            Some(Forward { action, until }) => (None, Some(SpanFormat { seconds_back, forward: action, until })),
        };
        SweptFormat { rule, seconds_back, span, by, reason }
    }
}

/// A sweep of the room is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepUndone {
    /// The sweep: the id of its `room.swept`.
    pub target: EventId,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which messages a sweep deletes: those that meet each given condition. A rule without a condition matches nothing.
///
/// A rule without `users` matches messages of viewers only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RuleFormat", into = "RuleFormat")]
pub struct SweepRule {
    /// The text is one of these, or similar to one. They are compared in their folded form. Absent: any text.
    pub texts: Option<Vec<String>>,
    /// How similar the text has to be to one of them. Absent: equal.
    pub similarity: Option<Similarity>,
    /// The author is one of these. Absent: any viewer.
    pub users: Option<Vec<UserIdx>>,
    /// The message has this flag of the word filter or the review hook. Absent: with or without flags.
    pub label: Option<String>,
}

/// A rule as the event has it.
#[derive(Serialize, Deserialize)]
struct RuleFormat {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    texts: Option<TextsFormat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    users: Option<Vec<UserIdx>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

/// Similar texts have another form. A version that does not know it cannot read the event, and does not sweep by
/// another rule.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TextsFormat {
    Equal(Vec<String>),
    Similar { to: Vec<String>, percent: Similarity },
}

impl From<RuleFormat> for SweepRule {
    fn from(RuleFormat { texts, users, label }: RuleFormat) -> SweepRule {
        let (texts, similarity) = match texts {
            None => (None, None),
            Some(TextsFormat::Equal(texts)) => (Some(texts), None),
            Some(TextsFormat::Similar { to, percent }) => (Some(to), Some(percent)),
        };
        SweepRule { texts, similarity, users, label }
    }
}

impl From<SweepRule> for RuleFormat {
    fn from(SweepRule { texts, similarity, users, label }: SweepRule) -> RuleFormat {
        let texts = texts.map(|texts| match similarity {
            None => TextsFormat::Equal(texts),
            Some(percent) => TextsFormat::Similar { to: texts, percent },
        });
        RuleFormat { texts, users, label }
    }
}

impl RoomSwept {
    /// Messages that were sent earlier stay. `at`: the time of the event.
    pub fn since(&self, at: Timestamp) -> Timestamp {
        at.checked_sub(SignedDuration::from_secs(self.seconds_back.into())).unwrap_or(Timestamp::MIN)
    }

    /// Later posts of viewers that match and were sent before then are deleted too. None: no later message is.
    pub fn deletes_until(&self) -> Option<Timestamp> {
        self.forward.filter(|forward| forward.action == ForwardAction::Refuse).map(|forward| forward.until)
    }
}

impl SweepRule {
    /// Whether it has no condition, so that it matches nothing.
    pub fn is_empty(&self) -> bool {
        self.texts.is_none() && self.users.is_none() && self.label.is_none()
    }

    /// The texts in their folded form, in order and each once.
    pub fn folded_texts(&self) -> Option<Vec<String>> {
        let mut texts: Vec<String> = self.texts.as_ref()?.iter().map(|text| folded(text)).collect();
        texts.sort_unstable();
        texts.dedup();
        Some(texts)
    }
}

/// A rule, prepared for many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepMatcher {
    texts: Option<TextMatcher>,
    users: Option<HashSet<UserIdx>>,
    label: Option<String>,
}

impl SweepMatcher {
    /// A matcher for the rule.
    pub fn new(rule: &SweepRule) -> SweepMatcher {
        SweepMatcher {
            texts: rule.folded_texts().map(|texts| TextMatcher::of_folded(texts, rule.similarity)),
            users: rule.users.as_ref().map(|users| users.iter().copied().collect()),
            label: rule.label.clone(),
        }
    }

    /// Whether messages of the author can match.
    pub fn may_match(&self, author: UserIdx, role: Role) -> bool {
        match &self.users {
            Some(users) => users.contains(&author),
            None => role == Role::Viewer && (self.texts.is_some() || self.label.is_some()),
        }
    }

    /// Whether the message matches.
    pub fn matches(&self, author: &User, text: &str, flags: &[String]) -> bool {
        self.may_match(author.idx, author.role)
            && self.label.as_ref().is_none_or(|label| flags.contains(label))
            && self.texts.as_ref().is_none_or(|texts| texts.matches(text))
    }

    /// Whether the post is one that the span forward is about. It silences no presenter or moderator, whomever the rule
    /// names.
    pub fn matches_later(&self, MessagePosted { user, text, flags, .. }: &MessagePosted) -> bool {
        user.role == Role::Viewer && self.matches(user, text, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(idx: i64, role: Role) -> User {
        User { idx: UserIdx::try_from(idx).unwrap(), nickname: String::new(), role }
    }

    fn rule(texts: Option<&[&str]>, users: Option<&[i64]>, label: Option<&str>) -> SweepRule {
        SweepRule {
            texts: texts.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect()),
            similarity: None,
            users: users.map(|users| users.iter().map(|idx| UserIdx::try_from(*idx).unwrap()).collect()),
            label: label.map(str::to_owned),
        }
    }

    #[test]
    fn a_message_must_meet_every_condition_that_a_rule_has() {
        let flags = ["ko.abuse".to_owned()];
        for (rule, text, flags, matches) in [
            (rule(None, None, None), "raid", &flags[..], false),
            (rule(Some(&["Raid  now"]), None, None), "ＲＡＩＤ  NOW", &[][..], true),
            (rule(Some(&["other", "raid"]), None, None), "raid", &[][..], true),
            (rule(Some(&["raid"]), None, None), "raid!", &flags[..], false),
            (rule(Some(&[]), None, None), "raid", &flags[..], false),
            (rule(None, None, Some("ko.abuse")), "raid", &flags[..], true),
            (rule(None, None, Some("ko.abuse")), "raid", &[][..], false),
            (rule(None, Some(&[6, 7]), None), "raid", &[][..], true),
            (rule(None, Some(&[6, 8]), None), "raid", &flags[..], false),
            (rule(Some(&["raid"]), Some(&[7]), Some("ko.abuse")), "raid", &flags[..], true),
            (rule(Some(&["raid"]), Some(&[7]), Some("ko.abuse")), "said", &flags[..], false),
            (rule(Some(&["raid"]), Some(&[8]), Some("ko.abuse")), "raid", &flags[..], false),
            (rule(Some(&["raid"]), Some(&[7]), Some("ko.abuse")), "raid", &[][..], false),
        ] {
            let matcher = SweepMatcher::new(&rule);
            assert_eq!(matcher.matches(&user(7, Role::Viewer), text, flags), matches, "{rule:?} {text} {flags:?}");
            assert!(!rule.is_empty() || !matches);
        }
    }

    #[test]
    fn only_a_rule_that_names_them_matches_messages_of_the_presenter_and_of_moderators() {
        let named = SweepMatcher::new(&rule(Some(&["raid"]), Some(&[7]), None));
        let unnamed = SweepMatcher::new(&rule(Some(&["raid"]), None, None));
        for (role, is_viewer) in [(Role::Viewer, true), (Role::Moderator, false), (Role::Presenter, false)] {
            assert!(named.matches(&user(7, role), "raid", &[]));
            assert_eq!(unnamed.matches(&user(7, role), "raid", &[]), is_viewer);
            assert_eq!(unnamed.may_match(user(7, role).idx, role), is_viewer);
        }
    }

    #[test]
    fn texts_may_be_similar_to_those_of_a_rule() {
        let mut like = rule(Some(&["come to my room", "raid"]), None, None);
        like.similarity = Similarity::try_from(80).ok();
        let matcher = SweepMatcher::new(&like);
        let viewer = user(7, Role::Viewer);
        for (text, matches) in [("Come to my room 17", true), ("raid", true), ("raids", true), ("hello", false)] {
            assert_eq!(matcher.matches(&viewer, text, &[]), matches, "{text}");
        }
        assert!(!matcher.matches(&user(42, Role::Presenter), "come to my room 17", &[]));
    }

    #[test]
    fn a_version_without_similarities_cannot_read_a_rule_with_one() {
        #[derive(Debug, Deserialize)]
        struct Earlier {
            #[serde(default)]
            texts: Option<Vec<String>>,
        }
        let mut like = rule(Some(&["raid"]), None, None);
        let equal: Earlier = serde_json::from_str(&serde_json::to_string(&like).unwrap()).unwrap();
        assert_eq!(equal.texts, like.texts);
        like.similarity = Similarity::try_from(80).ok();
        let line = serde_json::to_string(&like).unwrap();
        assert_eq!(serde_json::from_str::<SweepRule>(&line).unwrap(), like);
        assert!(serde_json::from_str::<Earlier>(&line).is_err(), "{line}");
    }

    #[test]
    fn a_sweep_reaches_so_many_seconds_back() {
        let swept = |seconds_back| RoomSwept {
            rule: SweepRule::default(),
            seconds_back,
            forward: None,
            by: user(42, Role::Presenter),
            reason: None,
        };
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(swept(600).since(at), Timestamp::from_second(1_799_999_400).unwrap());
        assert_eq!(swept(u32::MAX).since(Timestamp::MIN), Timestamp::MIN);
    }

    #[test]
    fn a_span_forward_is_about_posts_of_viewers_alone() {
        let said = |role| MessagePosted::new(user(7, role), "raid");
        let named = SweepMatcher::new(&rule(Some(&["raid"]), Some(&[7]), None));
        for (role, is_viewer) in [(Role::Viewer, true), (Role::Moderator, false), (Role::Presenter, false)] {
            assert_eq!(named.matches_later(&said(role)), is_viewer);
        }
        assert!(!named.matches_later(&MessagePosted::new(user(8, Role::Viewer), "raid")));
    }

    #[test]
    fn a_version_without_a_span_forward_cannot_read_a_sweep_with_one() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is read, or it is not")]
        struct Earlier {
            #[serde(rename = "secondsBack")]
            seconds_back: u32,
        }
        let until = Timestamp::from_second(1_800_000_000).unwrap();
        let swept = |action: Option<ForwardAction>| RoomSwept {
            rule: rule(Some(&["raid"]), None, None),
            seconds_back: 60,
            forward: action.map(|action| Forward { action, until }),
            by: user(42, Role::Presenter),
            reason: None,
        };
        for (swept, deletes_until, is_read) in [
            (swept(None), None, true),
            (swept(Some(ForwardAction::Refuse)), Some(until), false),
            (swept(Some(ForwardAction::Hold)), None, false),
        ] {
            let line = serde_json::to_string(&swept).unwrap();
            assert_eq!(serde_json::from_str::<RoomSwept>(&line).unwrap(), swept, "{line}");
            assert_eq!(serde_json::from_str::<Earlier>(&line).is_ok(), is_read, "{line}");
            assert_eq!(swept.deletes_until(), deletes_until);
        }
        for line in [
            r#"{"rule":{},"by":{"idx":1,"nickname":"","role":"viewer"}}"#,
            r#"{"rule":{},"secondsBack":1,"span":{"secondsBack":1,"forward":"slow","forwardUntil":"2026-11-22T12:36:00.000Z"},"by":{"idx":1,"nickname":"","role":"viewer"}}"#,
        ] {
            assert!(serde_json::from_str::<RoomSwept>(line).is_err(), "{line}");
        }
    }
}
