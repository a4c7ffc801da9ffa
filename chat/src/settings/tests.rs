//! Settings as data: bounds, ends, and the round trip through an event.

use serde_json::json;

use super::*;

fn deployment() -> Settings {
    Settings {
        slow_mode_seconds: 0,
        unique_chat: false,
        presenter_only: false,
        emoji_only: false,
        links: Links::Everyone,
        word_policy: WordPolicy::Flag,
        words: Vec::new(),
        max_length: 500,
        message_rate: Rate { messages: 20, seconds: 30 },
        readers: Readers::Off,
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn is_text(text: &str) -> bool {
    !text.contains('\n')
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn each_setting_has_its_bounds() {
    let long = "가".repeat(50);
    let good = [
        json!({"slowModeSeconds": 0}),
        json!({"slowModeSeconds": 3600}),
        json!({"uniqueChat": true, "presenterOnly": false}),
        json!({"emojiOnly": true, "links": "trusted"}),
        json!({"wordPolicy": "reject"}),
        json!({"words": []}),
        json!({"words": vec!["가나다라마바사아자차카타파"; 200]}),
        json!({"words": [format!(" {long} ")]}),
        json!({"maxLength": 1}),
        json!({"messageRate": {"messages": 1, "seconds": 3600}}),
    ];
    for patch in good {
        assert!(OwnSettings::default().patched(&object(patch.clone()), None, at(0), is_text).is_ok(), "{patch}");
    }
    let bad = [
        json!({"slowModeSeconds": -1}),
        json!({"slowModeSeconds": 3601}),
        json!({"slowModeSeconds": 1.5}),
        json!({"slowModeSeconds": "5"}),
        json!({"uniqueChat": 1}),
        json!({"emojiOnly": 1}),
        json!({"links": "nobody"}),
        json!({"wordPolicy": "REJECT"}),
        json!({"words": "word"}),
        json!({"words": [" "]}),
        json!({"words": [format!("{long}가")]}),
        json!({"words": vec!["a"; 201]}),
        json!({"words": vec![&long; 200]}),
        json!({"words": ["a\nb"]}),
        json!({"maxLength": 0}),
        json!({"maxLength": 501}),
        json!({"messageRate": {"messages": 0, "seconds": 1}}),
        json!({"messageRate": {"messages": 1}}),
        json!({"messageRate": {"messages": 1, "seconds": 1, "hours": 1}}),
        json!({"slow_mode_seconds": 5}),
        json!({"slowModeSeconds": 5, "later": 1}),
    ];
    let errors: Vec<String> = bad
        .into_iter()
        .map(|patch| OwnSettings::default().patched(&object(patch), None, at(0), is_text).unwrap_err().to_string())
        .collect();
    insta::assert_debug_snapshot!(errors);
}

#[test]
fn a_setting_ends_by_itself_and_the_others_stay() {
    let own = OwnSettings::default()
        .patched(&object(json!({"uniqueChat": true, "maxLength": 10})), None, at(0), is_text)
        .unwrap();
    let own =
        own.patched(&object(json!({"slowModeSeconds": 5, "maxLength": 20})), Some(at(10)), at(0), is_text).unwrap();
    let during = own.over(&deployment(), at(9));
    assert_eq!((during.slow_mode_seconds, during.unique_chat, during.max_length), (5, true, 20));
    let after = own.over(&deployment(), at(10));
    assert_eq!((after.slow_mode_seconds, after.unique_chat, after.max_length), (0, true, 500));
    assert!(!own.is_empty(at(10)));
}

#[test]
fn null_gives_a_setting_back_to_the_deployment() {
    let own =
        OwnSettings::default().patched(&object(json!({"slowModeSeconds": 5})), Some(at(10)), at(0), is_text).unwrap();
    let own = own.patched(&object(json!({"slowModeSeconds": null, "words": null})), None, at(0), is_text).unwrap();
    assert_eq!(own, OwnSettings::default());
}

#[test]
fn settings_survive_the_log() {
    let patch = json!({
        "slowModeSeconds": 5, "uniqueChat": true, "presenterOnly": true, "emojiOnly": true, "links": "trusted", "wordPolicy": "mask",
        "words": ["바보"], "maxLength": 7, "messageRate": {"messages": 2, "seconds": 3},
    });
    let own = OwnSettings::default().patched(&object(patch), Some(at(10)), at(0), is_text).unwrap();
    let (settings, until) = own.to_event();
    assert_eq!(OwnSettings::of_event(&settings, &until), own);
    assert_eq!(own.over(&deployment(), at(0)).message_rate, Rate { messages: 2, seconds: 3 });
}

#[test]
fn a_setting_of_a_later_version_has_no_effect_here() {
    let settings = object(json!({"emotesOnly": true, "maxLength": "short", "slowModeSeconds": 5}));
    let own = OwnSettings::of_event(&settings, &object(json!({"slowModeSeconds": "soon"})));
    assert_eq!(own.over(&deployment(), at(1)), deployment());
}

#[test]
fn a_patch_passes_on_the_settings_of_a_later_version() {
    let settings = object(json!({"emotesOnly": true, "maxLength": "short"}));
    let until = object(json!({"emotesOnly": "2099-01-01T00:00:00.000Z"}));
    let own = OwnSettings::of_event(&settings, &until);
    let own = own.patched(&object(json!({"uniqueChat": true})), None, at(1), is_text).unwrap();
    let (settings, until) = own.to_event();
    assert_eq!(Value::from(settings), json!({"emotesOnly": true, "maxLength": "short", "uniqueChat": true}));
    assert_eq!(Value::from(until), json!({"emotesOnly": "2099-01-01T00:00:00.000Z"}));
    assert!(own.patched(&object(json!({"emotesOnly": false})), None, at(1), is_text).is_err());
}

#[test]
fn words_are_kept_without_the_blanks_around_them() {
    let patch = object(json!({"words": [" \u{3000}spoiler \n", "스포일러"]}));
    let (settings, _) = OwnSettings::default().patched(&patch, None, at(0), is_text).unwrap().to_event();
    assert_eq!(settings["words"], json!(["spoiler", "스포일러"]));
}

#[test]
fn more_words_than_a_room_may_set_now_hold_where_an_older_version_let_them_in() {
    let words = json!(vec!["가".repeat(50); 200]);
    let own = OwnSettings::of_event(&object(json!({ "words": words })), &Map::new());
    assert_eq!(own.over(&deployment(), at(0)).words.len(), 200);
}

#[test]
fn the_latest_change_of_readers_holds_until_its_end() {
    let none = Map::new();
    let mut own = OwnSettings::default();
    assert_eq!(own.readers(at(0)), None);
    let ends = object(json!({"readers": "1970-01-01T00:00:10Z"}));
    own.change(&["readers".to_owned()], OwnSettings::of_event(&object(json!({"readers": "anyone"})), &ends));
    own.change(&["uniqueChat".to_owned()], OwnSettings::of_event(&object(json!({"uniqueChat": true})), &none));
    assert_eq!(own.clone().only_readers().readers(at(9)), Some(Readers::Anyone));
    assert_eq!(own.readers(at(10)), None);
    own.change(&[], OwnSettings::of_event(&none, &none));
    assert_eq!(own.readers(at(0)), None);
}

#[test]
fn a_value_of_readers_that_a_later_version_sets_admits_nobody() {
    let own = OwnSettings::of_event(&object(json!({"readers": "followers", "maxLength": 7})), &Map::new());
    assert_eq!(own.readers(at(0)), Some(Readers::Off));
    assert_eq!(own.ignored().collect::<Vec<_>>(), ["readers"]);
}
