//! The query parameter `attribute`: an attribute and its value.

use chat::is_attribute_name;
use serde::Deserialize;

use super::schemas::LONGEST_ATTRIBUTE_FILTER;
use crate::query::messages::AttributeMatch;

/// An attribute, an object in it, and an object in that.
const MOST_NAMES: usize = 3;

/// The name of an attribute, a colon, and the value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct AttributeParameter(AttributeMatch);

impl AttributeParameter {
    pub(super) fn into_match(self) -> AttributeMatch {
        self.0
    }
}

impl TryFrom<String> for AttributeParameter {
    type Error = &'static str;

    fn try_from(text: String) -> Result<AttributeParameter, &'static str> {
        let is_path = |path: &&str| path.split('.').count() <= MOST_NAMES && path.split('.').all(is_attribute_name);
        let found = text.split_once(':').filter(|(path, _)| is_path(path));
        let found = found.filter(|_| text.chars().count() <= LONGEST_ATTRIBUTE_FILTER);
        let (path, value) = found.ok_or("`attribute` must be a name, a colon and a value, such as color:#00C853")?;
        Ok(AttributeParameter(AttributeMatch { path: path.to_owned(), value: value.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_looked_for_by_name_and_value() {
        let read = |text: &str| AttributeParameter::try_from(text.to_owned()).ok().map(AttributeParameter::into_match);
        for (text, path, value) in [
            ("color:#00C853", "color", "#00C853"),
            ("badges.id:subscriber", "badges.id", "subscriber"),
            ("a.b.c:", "a.b.c", ""),
            ("link:https://example.com", "link", "https://example.com"),
            ("amount:5", "amount", "5"),
        ] {
            let expected = AttributeMatch { path: path.to_owned(), value: value.to_owned() };
            assert_eq!(read(text), Some(expected), "{text}");
        }
        let long = format!("a:{}", "x".repeat(LONGEST_ATTRIBUTE_FILTER));
        for text in ["", "color", ":x", ".a:x", "a.:x", "a..b:x", "a.b.c.d:x", "$where:1", "a b:x", "1:x", &long] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
