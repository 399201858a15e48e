//! The rules for Prometheus: as promtool takes them, whether its tests notice a change, the figures, what they say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use plimsoll_diagnose::thresholds::{CLASHES_PER_SEC, FILLING, FULL, OBJECT_BYTES};
use plimsoll_model::FindingId;
use plimsoll_monitoring::Kind;
use serde_json::Value;
use support::{DOCUMENT, all_of, file, folder, known_metrics, objects, promql, ran, rows, succeeds, text, yaml};

fn rules() -> Vec<Value> {
    let document = yaml(Kind::Prometheus.text());
    objects(&document, "groups").iter().flat_map(|group| objects(group, "rules").to_vec()).collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule.get("alert").is_some()).collect()
}

/// The expression of an alert.
#[track_caller]
fn asks(alert: &str) -> String {
    let alerts = alerts();
    let found = alerts.iter().find(|rule| text(rule, "alert") == alert).expect("the alert");
    text(found, "expr").to_string()
}

#[test]
fn promtool_takes_the_rules() {
    let rules = file(Kind::Prometheus);
    succeeds(
        "promtool",
        &["check", "rules", "--lint=all", "--lint-fatal", &rules.display().to_string()],
        &folder("rules"),
    );
}

#[test]
fn alerts_fire_and_do_not_fire_as_tested() {
    let tests = file(Kind::PrometheusTests);
    succeeds("promtool", &["test", "rules", &tests.display().to_string()], &folder("alerts"));
}

/// What is written in the rules, and what is written instead.
const CHANGES: [(&str, &str); 8] = [
    (">= 0.9\n", ">= 0.96\n"),
    (">= 0.75\n", ">= 0.8\n"),
    ("<= 3 *", "<= 3000 *"),
    ("(.+?)(?::[0-9]+)?", "(.+)"),
    ("unless on (cluster, host) conntrack:watched:seconds", ""),
    ("or on (cluster, host, netns)\n", "or\n"),
    ("\"ConntrackDropping|ConntrackFull\"", "\"\""),
    ("- clamp_min(delta(node_nf_conntrack_stat_insert_failed[5m]), 0)", ""),
];

#[test]
fn the_tests_of_alerts_notice_a_change() {
    // Four at once: a run mostly waits for its own little database.
    for (turn, changes) in CHANGES.chunks(4).enumerate() {
        thread::scope(|scope| {
            for (place, change) in changes.iter().enumerate() {
                scope.spawn(move || is_noticed(*change, &format!("changed/{turn}-{place}")));
            }
        });
    }
}

fn is_noticed((written, instead): (&str, &str), place: &str) {
    let folder = folder(place);
    let changed = Kind::Prometheus.text().replace(written, instead);
    assert_ne!(changed, Kind::Prometheus.text(), "{written:?} is not there");
    fs::write(folder.join("plimsoll.rules.yml"), changed).unwrap();
    fs::write(folder.join("plimsoll.rules.test.yml"), Kind::PrometheusTests.text()).unwrap();
    let (is_well, said) = ran("promtool", &["test", "rules", "plimsoll.rules.test.yml"], &folder);
    assert!(!is_well && said.contains("alertname"), "{written:?} as {instead:?} is not noticed: {said}");
}

#[test]
fn every_alert_is_tested_to_fire_and_so_is_what_it_says() {
    let tests = yaml(Kind::PrometheusTests.text());
    let fired = all_of(&tests, "labels").concat();
    let said: BTreeSet<_> = all_of(&tests, "alertname").into_iter().collect();
    for alert in alerts() {
        let name = text(&alert, "alert");
        assert!(fired.contains(&format!("alertname=\"{name}\"")), "{name} is not tested to fire");
        assert!(said.contains(name), "{name} is not tested for what it says");
    }
}

#[test]
fn figures_are_those_by_which_findings_are_judged() {
    assert!(asks("ConntrackFull").contains(&format!("conntrack:utilization:ratio >= {FULL}\n")));
    assert!(asks("ConntrackSilentWhileFull").contains(&format!("(conntrack:utilization:ratio[1h]) >= {FULL}\n")));
    assert!(asks("ConntrackFilling").contains(&format!("conntrack:utilization:ratio >= {FILLING}\n")));
    assert!(asks("ConntrackInsertFailing").ends_with(&format!(" >= {CLASHES_PER_SEC}")));
    assert!(asks("ConntrackMemoryAtRisk").contains(&format!(" * {}\n", OBJECT_BYTES.start())));
}

#[test]
fn every_alert_says_what_it_means_and_what_to_run_first() {
    for alert in alerts() {
        let name = text(&alert, "alert");
        let annotations = alert.get("annotations").unwrap();
        let summary = text(annotations, "summary");
        assert!(summary.contains("{{ $labels.host }}"), "{name}: {summary}");
        let description = text(annotations, "description");
        assert!(description.contains("Run first `plimsoll "), "{name}: {description}");
        // Names of namespaces come from outside: none is put into a command that somebody copies.
        let commands = description.split('`').skip(1).step_by(2);
        assert!(commands.clone().all(|command| !command.contains("netns")), "{name}: {description}");
        let runbook = text(annotations, "runbook");
        let page = runbook.strip_prefix("plimsoll explain ").unwrap_or_else(|| panic!("{name}: {runbook}"));
        assert!(page == "{{ $labels.id }}" || page.parse::<FindingId>().is_ok(), "{name}: {runbook}");
        let severity = alert.pointer("/labels/severity").and_then(Value::as_str);
        let is_the_findings = severity.is_none() && name == "ConntrackFinding";
        assert!(is_the_findings || matches!(severity, Some("critical" | "warning")), "{name}: {severity:?}");
    }
}

#[test]
fn only_known_metrics_are_asked_for() {
    let rules = rules();
    let mut known = known_metrics();
    known.extend(rules.iter().filter_map(|rule| rule.get("record")?.as_str()).map(str::to_string));
    known.insert("ALERTS".to_string());
    for rule in &rules {
        for metric in promql::metrics(text(rule, "expr")) {
            assert!(known.contains(metric), "{metric} is in no table of docs/monitoring.md: {rule}");
        }
    }
}

#[test]
fn every_finding_has_an_alert_or_a_reason_to_have_none() {
    let section =
        DOCUMENT.split("**Findings without an alert.**").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let rules = rules();
    for id in FindingId::ALL {
        let asked = rules.iter().any(|rule| is_asked(text(rule, "expr"), id.as_str()));
        let explained = section.contains(&format!("`{id}`"));
        assert!(
            asked != explained,
            "{id}: asked for by a rule: {asked}, without an alert by the document: {explained}"
        );
    }
}

/// Whether an expression selects a finding.
fn is_asked(expression: &str, id: &str) -> bool {
    expression.split(['"', '|']).any(|word| word == id) && expression.contains("conntrack:finding")
}

#[test]
fn the_document_has_every_alert_with_its_severity() {
    let told: BTreeSet<_> =
        rows().filter(|(_, cells)| cells.len() == 5).map(|(name, cells)| (name, cells[1])).collect();
    let told: BTreeSet<_> =
        told.into_iter().filter(|(name, _)| name.starts_with("Conntrack") || name.starts_with("Plimsoll")).collect();
    let alerts = alerts();
    let there: BTreeSet<_> = alerts
        .iter()
        .map(|alert| {
            let severity = alert.pointer("/labels/severity").and_then(Value::as_str).unwrap_or("the finding's");
            (text(alert, "alert").to_string(), severity)
        })
        .collect();
    assert_eq!(told, there);
}
