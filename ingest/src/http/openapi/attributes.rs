//! The JSON schema of a message's attributes. A derive cannot express it: the names are free, and values nest.

use chat::{LARGEST_ATTRIBUTES_BYTES, LARGEST_IDX, LONGEST_ATTRIBUTE_NAME, MOST_ATTRIBUTES};
use serde_json::{Value, json};

/// Attributes as a post may give them.
pub(super) fn schema() -> Value {
    let mut attributes = object(&nested(&nested(&single())));
    attributes["type"] = json!("object");
    attributes["description"] = json!(format!(
        "What the platform says about the message or its author, such as badges, a colour or an amount. At most \
         {LARGEST_ATTRIBUTES_BYTES} bytes as JSON without blanks."
    ));
    attributes["examples"] = json!([{ "color": "#00C853", "badges": [{ "id": "subscriber", "version": 12 }] }]);
    attributes
}

/// The keywords of an object with such values.
fn object(value: &Value) -> Value {
    let name = format!("^[A-Za-z][A-Za-z0-9_]{{0,{}}}$", LONGEST_ATTRIBUTE_NAME - 1);
    json!({
        "propertyNames": { "pattern": name, "maxLength": LONGEST_ATTRIBUTE_NAME },
        "maxProperties": MOST_ATTRIBUTES,
        "additionalProperties": value,
    })
}

/// A single value, or a list or an object of such values.
fn nested(value: &Value) -> Value {
    let mut nested = single();
    nested["type"] = json!(["string", "integer", "boolean", "array", "object"]);
    nested["items"] = value.clone();
    nested["maxItems"] = MOST_ATTRIBUTES.into();
    for (keyword, limit) in object(value).as_object().into_iter().flatten() {
        nested[keyword] = limit.clone();
    }
    nested
}

/// A text without control characters, an integer, true or false.
fn single() -> Value {
    json!({
        "type": ["string", "integer", "boolean"],
        "format": "chat-attribute",
        "minimum": -LARGEST_IDX,
        "maximum": LARGEST_IDX,
    })
}
