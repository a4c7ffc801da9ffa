//! The section `[node]` of the configuration: what this process is called.

use conf::{Problem, Problems};
use nats::NodeName;
use serde::Deserialize;

/// Where Linux has the name of the machine, or of the container.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The section `[node]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The name. Empty: that of the machine.
    pub name: String,
}

impl NodeConfig {
    /// Every setting that cannot work.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of("node");
        let reason = "must be 1 to 63 ASCII letters, digits, dots, hyphens and underscores, and begin with a letter or \
                      a digit; or empty, for the name of the machine";
        let is_right = self.name.is_empty() || NodeName::parse(&self.name).is_some();
        problems.require(is_right, "name", reason);
        problems.found()
    }

    /// The name. None: it is empty, and the machine has none.
    pub(crate) fn name(&self) -> Option<NodeName> {
        if self.name.is_empty() {
            let machine = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
            return NodeName::of_machine(machine.trim());
        }
        NodeName::parse(&self.name)
    }
}
