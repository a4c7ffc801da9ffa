//! The form of emotes, their bounds, and what becomes of their ranges.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn emote(id: &str, start: u32, end: u32) -> Emote {
    Emote { id: id.to_owned(), start, end }
}

fn parsed(value: Value, text: &str) -> Result<Vec<Emote>, InvalidEmotes> {
    Emotes::parse(&value, text).map(|emotes| emotes.to_vec())
}

#[test]
fn ranges_count_code_points_of_the_trimmed_text_in_its_order() {
    let sent =
        json!([{ "id": "wave", "start": 5.0, "end": 9, "more": true }, { "id": "tada-1", "start": 2, "end": 3 }]);
    assert_eq!(parsed(sent, "  🎉가 wave "), Ok(vec![emote("tada-1", 0, 1), emote("wave", 3, 7)]));
    // Neither is composed: both parts count.
    assert_eq!(parsed(json!([{ "id": "a", "start": 0, "end": 2 }]), "e\u{301}"), Ok(vec![emote("a", 0, 2)]));
    assert_eq!(parsed(json!([]), "hi"), Ok(vec![]));
}

#[test]
fn what_is_out_of_bounds_is_named() {
    let one = |id: Value, start: Value, end: Value| json!([{ "id": id, "start": start, "end": end }]);
    let at = |start: i64, end: i64| json!({ "id": "a", "start": start, "end": end });
    let cases = [
        json!({}),
        json!("a"),
        json!(vec![at(0, 1); MOST_EMOTES + 1]),
        json!(["a"]),
        json!([{ "start": 0, "end": 1 }]),
        one(json!(""), json!(0), json!(1)),
        one(json!("-a"), json!(0), json!(1)),
        one(json!("a/b"), json!(0), json!(1)),
        one(json!("a.b"), json!(0), json!(1)),
        one(json!("한"), json!(0), json!(1)),
        one(json!("a".repeat(LONGEST_EMOTE_ID + 1)), json!(0), json!(1)),
        one(json!("a"), json!(null), json!(1)),
        one(json!("a"), json!(-1), json!(1)),
        one(json!("a"), json!(0), json!("1")),
        one(json!("a"), json!(0), json!(0.5)),
        one(json!("a"), json!(0), json!(1e300)),
        one(json!("a"), json!(0), json!(u64::MAX)),
        one(json!("a"), json!(1), json!(1)),
        one(json!("a"), json!(2), json!(1)),
        one(json!("a"), json!(4), json!(8)),
        one(json!("a"), json!(0), json!(1)),
        one(json!("a"), json!(2), json!(5)),
        json!([at(4, 6), at(1, 3), at(2, 3)]),
    ];
    let refused: Vec<String> = cases.map(|case| parsed(case, " ab cd ").unwrap_err().to_string()).into();
    insta::assert_debug_snapshot!(refused);
}

#[test]
fn the_bounds_themselves_are_allowed() {
    let text = "a".repeat(MOST_EMOTES);
    let id = format!("7{}", "_".repeat(LONGEST_EMOTE_ID - 1));
    let most: Vec<Value> = (0..MOST_EMOTES).map(|at| json!({ "id": id, "start": at, "end": at + 1 })).collect();
    assert_eq!(parsed(most.into(), &text).map(|emotes| emotes.len()), Ok(MOST_EMOTES));
}

#[test]
fn an_edit_moves_what_is_behind_it_and_ends_what_it_touches() {
    let text = "가나 wave sh1t tada";
    let emotes: Emotes =
        [emote("a", 0, 2), emote("wave", 3, 7), emote("s", 8, 12), emote("tada", 13, 17)].into_iter().collect();
    let word = text.find("sh1t").unwrap();
    let masked = emotes.edited(text, &[Edit { range: word..word + 4, code_points: 3 }]);
    assert_eq!(masked.to_vec(), [emote("a", 0, 2), emote("wave", 3, 7), emote("tada", 12, 16)]);
    assert_eq!(emotes.replaced(text, text), emotes);
    let replaced = emotes.replaced(text, "가나 wave [removed] tada");
    assert_eq!(replaced.to_vec(), [emote("a", 0, 2), emote("wave", 3, 7), emote("tada", 18, 22)]);
    assert_eq!(emotes.replaced(text, "no").to_vec(), []);
    // A text that is put into an emote ends it, too.
    assert_eq!(emotes.replaced(text, "가나 wa-ve sh1t tada").len(), 3);
}

#[test]
fn ranges_that_do_not_fit_are_left_out_of_fragments() {
    let emotes =
        [emote("a", 1, 2), emote("over", 1, 3), emote("empty", 3, 3), emote("turned", 4, 3), emote("far", 3, 9)];
    let found = fragments("가나다라", &emotes);
    assert_eq!(found, [("가", None), ("나", Some(&emotes[0])), ("다라", None)]);
    assert_eq!(fragments("", &[emote("a", 0, 1)]), []);
    assert_eq!(fragments("a", &[emote("a", 0, 1)]).len(), 1);
}

#[test]
fn a_claim_names_emotes_or_all_of_them() {
    let some = AllowedEmotes::parse(&json!(["wave", "tada"])).unwrap();
    assert_eq!(
        (some.has("wave"), some.has("tada"), some.has("wav"), some.has("wave tada")),
        (true, true, false, false)
    );
    assert_eq!(some.to_claim(), json!(["wave", "tada"]));
    let every = AllowedEmotes::parse(&json!("*")).unwrap();
    assert_eq!((every.has("wave"), every.to_claim()), (true, json!("*")));
    let none = AllowedEmotes::parse(&json!([])).unwrap();
    assert_eq!((none.is_empty(), none.has(""), none.to_claim()), (true, false, json!([])));
    for wrong in [json!(null), json!("wave"), json!(["*"]), json!(["a b"]), json!([1]), json!({}), json!(true)] {
        assert_eq!(AllowedEmotes::parse(&wrong), None, "{wrong}");
    }
}

/// Words with blanks around them, and which of them are emotes.
fn words() -> impl Strategy<Value = Vec<(String, String, bool)>> {
    prop::collection::vec(("[ \u{3000}]{0,2}", "[a-c가-나🎉\u{301}]{1,4}", any::<bool>()), 0..8)
}

/// The text, and the emotes in it: one for each word, with the word as its text.
fn message(words: &[(String, String, bool)]) -> (String, Vec<Value>) {
    let (mut text, mut emotes) = (String::new(), Vec::new());
    for (blanks, word, is_emote) in words {
        text.push_str(blanks);
        let start = text.chars().count();
        text.push_str(word);
        if *is_emote {
            emotes.push(json!({ "id": format!("e{}", emotes.len()), "start": start, "end": text.chars().count() }));
        }
    }
    (text, emotes)
}

/// The id and the text of each emote.
fn covered(text: &str, emotes: &Emotes) -> Vec<(String, String)> {
    let found = fragments(text, emotes);
    assert_eq!(found.iter().map(|(part, _)| *part).collect::<String>(), text);
    let found: Vec<(String, String)> =
        found.into_iter().filter_map(|(part, emote)| Some((emote?.id.clone(), part.to_owned()))).collect();
    assert_eq!(found.len(), emotes.len());
    found
}

proptest! {
    #[test]
    fn emotes_cover_the_same_text_after_trimming_in_any_order(
        words in words(),
        end in "[ \u{3000}]{0,2}",
        turn: prop::sample::Index,
    ) {
        let (text, mut sent) = message(&words);
        let expected: Vec<(String, String)> = words.iter().filter(|word| word.2).enumerate()
            .map(|(at, (_, word, _))| (format!("e{at}"), word.clone())).collect();
        if !sent.is_empty() {
            let by = turn.index(sent.len());
            sent.rotate_left(by);
        }
        let emotes = Emotes::parse(&sent.into(), &format!("{text}{end}")).unwrap();
        prop_assert_eq!(covered(text.trim(), &emotes), expected);
        let line = serde_json::to_string(&emotes).unwrap();
        prop_assert_eq!(serde_json::from_str::<Emotes>(&line).unwrap(), emotes);
    }

    #[test]
    fn emotes_that_no_edit_touches_cover_the_same_text_afterwards(
        words in words(),
        edited in prop::collection::vec(prop::option::weighted(0.3, "[x★]{0,3}"), 8),
    ) {
        let (text, sent) = message(&words);
        let emotes = Emotes::parse(&sent.into(), &text).unwrap();
        let (text, mut other, mut edits, mut expected) = (text.trim(), String::new(), Vec::new(), Vec::new());
        let (mut byte, mut number) = (0, 0);
        for (at, ((blanks, word, is_emote), edit)) in words.iter().zip(&edited).enumerate() {
            let blanks = if at == 0 { "" } else { blanks };
            other.push_str(blanks);
            let range = byte + blanks.len()..byte + blanks.len() + word.len();
            byte = range.end;
            match edit {
                Some(edit) => {
                    edits.push(Edit { range, code_points: edit.chars().count() });
                    other.push_str(edit);
                }
                None => {
                    other.push_str(word);
                    expected.extend(is_emote.then(|| (format!("e{number}"), word.clone())));
                }
            }
            number += usize::from(*is_emote);
        }
        prop_assert_eq!(covered(&other, &emotes.edited(text, &edits)), expected.clone());
        // A comparison of the texts keeps no emote that the edits end.
        let replaced = covered(&other, &emotes.replaced(text, &other));
        for (id, text) in &replaced {
            let original = words.iter().filter(|word| word.2).nth(id[1..].parse().unwrap());
            prop_assert_eq!(original.map(|(_, word, _)| word), Some(text));
        }
        prop_assert!(replaced.len() <= emotes.len());
    }
}
