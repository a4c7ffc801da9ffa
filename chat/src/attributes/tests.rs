//! The form of attributes, their bounds, and what is said of those that exceed them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(value: Value) -> Result<String, InvalidAttributes> {
    Attributes::parse(&value).map(|attributes| attributes.as_json().to_owned())
}

#[test]
fn attributes_are_written_in_one_form() {
    let written =
        parsed(json!({ "color": "#00C853", "badges": [{ "id": "subscriber", "version": 12 }], "amount": 5.0 }));
    assert_eq!(
        written.as_deref(),
        Ok(r##"{"amount":5,"badges":[{"id":"subscriber","version":12}],"color":"#00C853"}"##)
    );
    assert_eq!(parsed(json!({})).as_deref(), Ok("{}"));
    assert!(Attributes::parse(&json!({})).unwrap().is_empty());
    let whole = json!({ "a": -9_007_199_254_740_991_i64, "b": false, "c": "", "d": {}, "e": [] });
    assert_eq!(parsed(whole).as_deref(), Ok(r#"{"a":-9007199254740991,"b":false,"c":"","d":{},"e":[]}"#));
}

#[test]
fn what_is_out_of_bounds_is_named() {
    let many: Map<String, Value> = (0..=MOST_ATTRIBUTES).map(|at| (format!("a{at}"), at.into())).collect();
    let cases = [
        json!([]),
        json!("text"),
        json!({ "": 1 }),
        json!({ "1a": 1 }),
        json!({ "a.b": 1 }),
        json!({ "$a": 1 }),
        json!({ "한": 1 }),
        json!({ "a": { "b-c": 1 } }),
        json!({ "a".repeat(LONGEST_ATTRIBUTE_NAME + 1): 1 }),
        json!({ "a": null }),
        json!({ "a": [{ "b": null }] }),
        json!({ "a": 4.99 }),
        json!({ "a": 9_007_199_254_740_992_i64 }),
        json!({ "a": u64::MAX }),
        json!({ "a": -1e300 }),
        json!({ "a": "two\nlines" }),
        json!({ "a": vec![0; MOST_ATTRIBUTES + 1] }),
        json!({ "a": [[[]]] }),
        json!({ "a": { "b": { "c": {} } } }),
        Value::Object(many),
        json!({ "a": "x".repeat(LARGEST_ATTRIBUTES_BYTES) }),
    ];
    let refused: Vec<String> = cases.map(|case| parsed(case).unwrap_err().to_string()).into();
    insta::assert_debug_snapshot!(refused);
}

#[test]
fn the_bounds_themselves_are_allowed() {
    let most: Map<String, Value> = (0..MOST_ATTRIBUTES).map(|at| (format!("a{at}"), at.into())).collect();
    let wrapped = "{\"a\":\"\"}".len();
    for allowed in [
        Value::Object(most),
        json!({ "a".repeat(LONGEST_ATTRIBUTE_NAME): 1 }),
        json!({ "a": "x".repeat(LARGEST_ATTRIBUTES_BYTES - wrapped) }),
        json!({ "a": vec![0; MOST_ATTRIBUTES] }),
        json!({ "a": [{ "b": 1 }] }),
        json!({ "a": [[1]] }),
    ] {
        assert!(parsed(allowed.clone()).is_ok(), "{allowed}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[^\\p{Cc}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z][a-zA-Z0-9_]{0,4}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_attributes(
        members in prop::collection::btree_map("[a-zA-Z][a-zA-Z0-9_]{0,8}", value(), 0..6),
    ) {
        let members: Map<String, Value> = members.into_iter().collect();
        if let Ok(attributes) = Attributes::parse(&Value::Object(members.clone())) {
            prop_assert_eq!(attributes.members(), members);
            prop_assert_eq!(serde_json::to_string(&attributes).unwrap(), attributes.as_json());
            prop_assert_eq!(serde_json::from_str::<Attributes>(attributes.as_json()).unwrap(), attributes);
        }
    }
}
