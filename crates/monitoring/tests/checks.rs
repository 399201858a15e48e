//! What Nagios, Icinga and Zabbix read, as far as it can be judged without them; and the document's table of files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;

use plimsoll_diagnose::thresholds::{CLASHES_PER_SEC, FILLING, FULL};
use plimsoll_monitoring::Kind;
use serde_json::Value;
use support::{all_of, known_metrics, objects, promql, rows, text, yaml};

#[test]
fn the_document_has_every_file() {
    let told: Vec<_> =
        rows().filter(|(_, cells)| cells.last().is_some_and(|cell| cell.starts_with("`packaging/"))).collect();
    let told: Vec<_> =
        told.iter().map(|(name, cells)| (name.as_str(), cells.last().unwrap().trim_matches('`').to_string())).collect();
    let there: Vec<_> = Kind::ALL.iter().map(|kind| (kind.as_str(), format!("packaging/{}", kind.path()))).collect();
    assert_eq!(told, there);
}

#[test]
fn nrpe_offers_the_command_that_nagios_asks_for() {
    let offered: Vec<_> =
        Kind::Nrpe.text().lines().filter_map(|line| line.strip_prefix("command[")?.split_once("]=")).collect();
    assert_eq!(offered, [("check_conntrack", "/usr/bin/plimsoll check --quiet --timeout 10")]);
    assert!(Kind::Nagios.text().contains(" -c check_conntrack\n"));
}

#[test]
fn nagios_objects_are_whole() {
    let lines = || Kind::Nagios.text().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(lines().filter(|line| line.starts_with("define ") && line.ends_with('{')).count(), 2);
    assert_eq!(lines().filter(|line| *line == "}").count(), 2);
    let value = |name: &str| lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    assert_eq!(value("check_command"), value("command_name"));
}

#[test]
fn icinga_runs_the_check_in_one_line() {
    let text = Kind::Icinga.text();
    for part in [
        "object CheckCommand \"plimsoll\"",
        "check_command = \"plimsoll\"",
        "object CheckCommand \"plimsoll-sudo\"",
        "check_command = \"plimsoll-sudo\"",
        "\"--quiet\"",
        "\"--timeout\"",
        "\"--netns\"",
    ] {
        assert!(text.contains(part), "{part}");
    }
    for (open, close) in [('{', '}'), ('[', ']'), ('(', ')')] {
        assert_eq!(text.matches(open).count(), text.matches(close).count(), "{open}");
    }
}

fn template() -> Value {
    let document = yaml(Kind::Zabbix.text());
    document.pointer("/zabbix_export/templates/0").unwrap().clone()
}

/// Items and item prototypes.
fn items(template: &Value) -> Vec<&Value> {
    let prototypes = objects(template, "discovery_rules").iter().flat_map(|rule| objects(rule, "item_prototypes"));
    objects(template, "items").iter().chain(prototypes).collect()
}

fn triggers(template: &Value) -> Vec<&Value> {
    items(template)
        .into_iter()
        .flat_map(|item| objects(item, "triggers").iter().chain(objects(item, "trigger_prototypes")))
        .collect()
}

#[test]
fn uuids_are_of_version_4_and_differ() {
    let document = yaml(Kind::Zabbix.text());
    let uuids = all_of(&document, "uuid");
    assert!(uuids.len() > 30, "only {} were found", uuids.len());
    for uuid in &uuids {
        assert!(uuid.len() == 32 && uuid.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{uuid}");
        let digit = |at: usize| uuid.as_bytes().get(at).copied();
        assert!(digit(12) == Some(b'4') && matches!(digit(16), Some(b'8' | b'9' | b'a' | b'b')), "{uuid}");
    }
    assert_eq!(uuids.iter().collect::<BTreeSet<_>>().len(), uuids.len());
}

#[test]
fn triggers_ask_for_items_and_depend_on_triggers_that_there_are() {
    let template = template();
    let name = text(&template, "template");
    let keys: BTreeSet<_> = items(&template).iter().map(|item| text(item, "key")).collect();
    let triggers = triggers(&template);
    assert_eq!(triggers.len(), 14);
    for trigger in &triggers {
        let expression = text(trigger, "expression");
        let asked = expression.split_once(&format!("(/{name}/")).unwrap_or_else(|| panic!("{expression}")).1;
        let is_there = keys.iter().any(|key| asked.strip_prefix(key).is_some_and(|rest| rest.starts_with([')', ','])));
        assert!(is_there, "no item for {expression}");
        assert!(text(trigger, "description").contains("Run first plimsoll "), "{trigger}");
        for other in objects(trigger, "dependencies") {
            let is_the = |of: &&&Value| ["name", "expression"].iter().all(|key| text(of, key) == text(other, key));
            assert_eq!(triggers.iter().filter(is_the).count(), 1, "{other}");
        }
    }
}

#[test]
fn items_depend_on_an_item_that_there_is_and_ask_for_known_metrics() {
    let template = template();
    let master = text(items(&template)[0], "key");
    let known = known_metrics();
    let mut asked = 0;
    for item in items(&template).into_iter().skip(1).chain(objects(&template, "discovery_rules")) {
        if let Some(on) = item.pointer("/master_item/key") {
            assert_eq!(on, master, "{item}");
        } else {
            assert_eq!(text(item, "type"), "CALCULATED");
        }
        for step in objects(item, "preprocessing").iter().filter(|step| text(step, "type").starts_with("PROMETHEUS")) {
            let pattern = step.pointer("/parameters/0").and_then(Value::as_str).unwrap();
            assert!(promql::metrics(pattern).iter().all(|metric| known.contains(*metric)), "{pattern}");
            asked += 1;
        }
    }
    assert!(asked > 15, "only {asked} patterns were found");
}

#[test]
fn macros_are_there_and_have_the_figures_by_which_findings_are_judged() {
    let template = template();
    let macros = objects(&template, "macros");
    let value = |name: &str| macros.iter().find(|it| text(it, "macro") == name).map(|it| text(it, "value"));
    assert_eq!(value("{$PLIMSOLL.UTILIZATION.WARN}"), Some((100.0 * FILLING).to_string().as_str()));
    assert_eq!(value("{$PLIMSOLL.UTILIZATION.HIGH}"), Some((100.0 * FULL).to_string().as_str()));
    assert_eq!(value("{$PLIMSOLL.CLASHES.WARN}"), Some(CLASHES_PER_SEC.to_string().as_str()));
    for used in Kind::Zabbix.text().split("{$").skip(1).filter_map(|rest| rest.split('}').next()) {
        assert!(value(&format!("{{${used}}}")).is_some(), "{used}");
    }
}
