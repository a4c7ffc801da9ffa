//! `deploy/`'s alerts: each leads to its section of the runbook and uses only existing metrics.

use super::*;

const RULES: &str = "deploy/prometheus/chatting.rules.yml";
const TESTS: &str = "deploy/prometheus/chatting.rules.test.yml";
const BOARD: &str = "deploy/grafana/chatting.json";

/// The queries of the board, and of its annotations.
pub(super) fn queries() -> Vec<String> {
    fn collect(value: &serde_json::Value, queries: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                queries.extend(members.get("expr").and_then(|query| query.as_str()).map(str::to_owned));
                members.values().for_each(|member| collect(member, queries));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, queries)),
            _ => {}
        }
    }
    let mut queries = Vec::new();
    collect(&serde_json::from_str(&read(BOARD)).unwrap(), &mut queries);
    assert!(!queries.is_empty());
    queries
}

/// The name of each alert, with its rule.
fn alerts() -> Vec<(String, String)> {
    let rules = read(RULES);
    let alerts = rules.split("- alert: ").skip(1).filter_map(|rule| rule.split_once('\n'));
    alerts.map(|(name, rule)| (name.to_owned(), rule.to_owned())).collect()
}

#[test]
fn every_alert_leads_to_its_section_of_the_runbook() {
    let alerts = alerts();
    assert!(!alerts.is_empty());
    for (name, rule) in alerts {
        let runbook = rule.lines().find_map(|line| line.trim().strip_prefix("runbook: ")).expect(&name);
        let (page, anchor) = runbook.split_once('#').expect(&name);
        let anchors = crate::tidy::anchors(&Path::new(env!("CARGO_MANIFEST_DIR")).join(page));
        assert!(anchors.contains(anchor), "{name}: {page} has no section #{anchor}");
        assert!(read(page).contains(&name), "{name}: {page} does not name it");
    }
}

#[test]
fn every_alert_is_shown_to_fire() {
    let tests = read(TESTS);
    for (name, _) in alerts() {
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        assert!(tests.contains(&fires), "{TESTS} does not show that {name} fires");
        assert!(tests.contains(&format!("alertname: {name}, exp_alerts: []")), "{TESTS}: {name} is never quiet");
    }
}

#[test]
fn alerts_and_board_ask_only_for_metrics_that_there_are() {
    let described: BTreeSet<String> = described().into_values().flat_map(BTreeMap::into_keys).collect();
    let of_rules = alerts().into_iter().map(|(_, rule)| rule.split("annotations:").next().unwrap().to_owned());
    for text in of_rules.chain(queries()) {
        let unknown: Vec<String> = names_in(&text).difference(&described).cloned().collect();
        assert!(unknown.is_empty(), "{unknown:?} in {text}");
    }
}
