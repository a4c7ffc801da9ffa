//! The name of the node that sent a batch: a header of the batch, so that readers of other versions see the same lines.
//! It is for people who look for what happened. Nothing is decided by it, and two nodes may have the same.

use std::fmt;
use std::sync::Arc;

use async_nats::HeaderMap;

/// The most characters of a name, as of a label in DNS.
const LONGEST: usize = 63;

const NODE: &str = "Chatting-Node";

/// 1 to 63 ASCII letters, digits, dots, hyphens and underscores, the first a letter or a digit. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// None: it has another form.
    pub fn parse(name: &str) -> Option<NodeName> {
        let is_name = (1..=LONGEST).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(is_allowed);
        is_name.then(|| NodeName(name.into()))
    }

    /// A name made of that of a machine: cut, and with hyphens for what a name cannot have. None: nothing is left.
    pub fn of_machine(name: &str) -> Option<NodeName> {
        let name: String = name
            .trim_start_matches(|first: char| !first.is_ascii_alphanumeric())
            .chars()
            .take(LONGEST)
            .map(|c| if is_allowed(c) { c } else { '-' })
            .collect();
        NodeName::parse(&name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Sets the header, if the node has a name.
pub(crate) fn set(headers: &mut HeaderMap, node: Option<&NodeName>) {
    if let Some(NodeName(name)) = node {
        headers.insert(NODE, &**name);
    }
}

/// The node that sent a batch. None: it had no name, or ran an earlier version.
pub(crate) fn of(headers: Option<&HeaderMap>) -> Option<NodeName> {
    headers.and_then(|headers| headers.get(NODE)).and_then(|name| NodeName::parse(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bounded_and_plain() {
        for name in ["a", "ingest-0", "ip-10-0-0-1.eu.internal", "7_B", &"x".repeat(LONGEST)] {
            assert_eq!(NodeName::parse(name).unwrap().as_str(), name);
        }
        for wrong in ["", "-a", ".a", "a b", "a\n", "노드", "a/b", &"x".repeat(LONGEST + 1)] {
            assert_eq!(NodeName::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_name_of_a_machine_makes_one() {
        let made = |name: &str| NodeName::of_machine(name).map(|name| name.to_string());
        assert_eq!(made("ingest-0").as_deref(), Some("ingest-0"));
        assert_eq!(made("_내 컴퓨터 1\n").as_deref(), Some("1-"));
        assert_eq!(made(&"x".repeat(100)).map(|name| name.len()), Some(LONGEST));
        assert_eq!((made(""), made("노드")), (None, None));
    }

    #[test]
    fn a_batch_names_its_node_and_what_is_no_name_is_ignored() {
        let mut headers = HeaderMap::new();
        set(&mut headers, None);
        assert_eq!(of(Some(&headers)), None);
        let name = NodeName::parse("ingest-0");
        set(&mut headers, name.as_ref());
        assert_eq!((of(Some(&headers)), of(None)), (name, None));
        headers.insert(NODE, "a b");
        assert_eq!(of(Some(&headers)), None);
    }
}
