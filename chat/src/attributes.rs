//! The attributes of a message: what the platform says about it or its author, such as badges, a colour or the amount
//! of a donation. They are a small JSON object in canonical form: members sorted by name, no blanks. The bounds are
//! checked where attributes come in. A reader of the log takes any object, because a later version may allow more.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::ids::LARGEST_IDX;

#[cfg(test)]
mod tests;

/// 1 KB: a dozen badges. The attributes of a token come with every message of its user.
pub const LARGEST_ATTRIBUTES_BYTES: usize = 1024;

/// The most characters of a name.
pub const LONGEST_ATTRIBUTE_NAME: usize = 32;

/// The most members of an object, and the most items of a list.
pub const MOST_ATTRIBUTES: usize = 16;

/// The attributes themselves, a list in them, and an object or a list in that.
const DEEPEST: usize = 3;

/// A JSON object. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes(Arc<str>);

/// Why attributes are invalid. A place is the names that lead to it, separated by dots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttributes {
    /// They are a list, or a single value.
    #[error("the attributes must be an object such as {{\"color\": \"#00C853\"}}")]
    NotAnObject,
    /// They have more than [`LARGEST_ATTRIBUTES_BYTES`].
    #[error("the attributes may have at most {LARGEST_ATTRIBUTES_BYTES} bytes of JSON without blanks")]
    TooLarge,
    /// A name has another form.
    #[error(
        "the attribute name {0:?} must be 1 to {LONGEST_ATTRIBUTE_NAME} letters, digits and underscores, and begin with a letter"
    )]
    Name(String),
    /// A text has control characters.
    #[error("the attribute {0} must not contain control characters")]
    Text(String),
    /// A number is a fraction or too large.
    #[error("the attribute {0} must be an integer of at most 2^53 - 1: send another number as text")]
    Number(String),
    /// There is a null.
    #[error("the attribute {0} is null: leave it out")]
    Null(String),
    /// There are more than [`MOST_ATTRIBUTES`].
    #[error("there may be at most {MOST_ATTRIBUTES} attributes")]
    TooManyInAll,
    /// An object or a list in an attribute is too long.
    #[error("the attribute {0} may have at most {MOST_ATTRIBUTES} members or items")]
    TooMany(String),
    /// Objects and lists are nested too deeply.
    #[error("the attribute {0} is nested too deeply: at most {DEEPEST} levels, the attributes themselves included")]
    TooDeep(String),
}

impl Attributes {
    /// Checks the bounds, and brings the object into its canonical form.
    pub fn parse(value: &Value) -> Result<Attributes, InvalidAttributes> {
        let Value::Object(members) = value else { return Err(InvalidAttributes::NotAnObject) };
        let json = Value::Object(object("", members, 1)?).to_string();
        if json.len() > LARGEST_ATTRIBUTES_BYTES {
            return Err(InvalidAttributes::TooLarge);
        }
        Ok(Attributes(json.into()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        &*self.0 == "{}"
    }

    /// The canonical JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The members.
    pub fn members(&self) -> Map<String, Value> {
        serde_json::from_str(&self.0).expect("it is written from an object")
    }
}

/// Whether it can be the name of an attribute.
pub fn is_attribute_name(name: &str) -> bool {
    name.len() <= LONGEST_ATTRIBUTE_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Checks the members of an object. `place` leads to it. The outermost object has the depth 1.
fn object(place: &str, members: &Map<String, Value>, depth: usize) -> Result<Map<String, Value>, InvalidAttributes> {
    check_size(place, members.len(), depth)?;
    let member = |(name, value): (&String, &Value)| {
        let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        if !is_attribute_name(name) {
            return Err(InvalidAttributes::Name(name.chars().take(2 * LONGEST_ATTRIBUTE_NAME).collect()));
        }
        Ok((name.clone(), checked(&place, value, depth + 1)?))
    };
    members.iter().map(member).collect()
}

fn checked(place: &str, value: &Value, depth: usize) -> Result<Value, InvalidAttributes> {
    Ok(match value {
        Value::Null => return Err(InvalidAttributes::Null(place.to_owned())),
        Value::Bool(_) => value.clone(),
        Value::Number(number) => integer(number).ok_or_else(|| InvalidAttributes::Number(place.to_owned()))?.into(),
        Value::String(text) if text.contains(char::is_control) => {
            return Err(InvalidAttributes::Text(place.to_owned()));
        }
        Value::String(_) => value.clone(),
        Value::Array(items) => {
            check_size(place, items.len(), depth)?;
            items.iter().map(|item| checked(place, item, depth + 1)).collect::<Result<_, _>>()?
        }
        Value::Object(members) => Value::Object(object(place, members, depth)?),
    })
}

fn check_size(place: &str, len: usize, depth: usize) -> Result<(), InvalidAttributes> {
    match () {
        () if depth > DEEPEST => Err(InvalidAttributes::TooDeep(place.to_owned())),
        () if len > MOST_ATTRIBUTES && place.is_empty() => Err(InvalidAttributes::TooManyInAll),
        () if len > MOST_ATTRIBUTES => Err(InvalidAttributes::TooMany(place.to_owned())),
        () => Ok(()),
    }
}

/// A fraction has no canonical form that every program reads as the same number. 5.0 is 5: some programs write every
/// number as floating point.
fn integer(number: &Number) -> Option<i64> {
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() <= LARGEST_IDX as f64).then_some(float as i64);
    let integer = number.as_i64().or_else(|| number.as_f64().and_then(whole))?;
    (-LARGEST_IDX..=LARGEST_IDX).contains(&integer).then_some(integer)
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
        let members = Map::deserialize(deserializer)?;
        Ok(Attributes(Value::Object(members).to_string().into()))
    }
}
