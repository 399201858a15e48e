//! The dashboard for Grafana: what Grafana needs of it, and its queries as promtool takes them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;
use std::fs;

use plimsoll_monitoring::Kind;
use serde_json::{Value, json};
use support::{NODE_EXPORTER, folder, known_metrics, objects, promql, rows, succeeds, text};

fn dashboard() -> Value {
    serde_json::from_str(Kind::Grafana.text()).unwrap()
}

/// Each panel's title and query, with what Grafana puts in for variables.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = objects(dashboard, "panels").iter();
    let queries = panels.flat_map(|panel| objects(panel, "targets").iter().map(move |target| (panel, target)));
    queries
        .map(|(panel, target)| {
            let query = text(target, "expr")
                .replace("${instance:regex}", r"web-1\.example")
                .replace("$netns", r"(host|net:\\[4026532001\\])")
                .replace("$__rate_interval", "5m");
            assert!(!query.contains('$'), "a variable that is not known: {query}");
            (text(panel, "title").to_string(), query)
        })
        .collect()
}

#[test]
fn every_panel_has_what_a_panel_needs() {
    let dashboard = dashboard();
    let panels = objects(&dashboard, "panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = text(panel, "title");
        assert!(!title.is_empty() && !text(panel, "description").is_empty(), "{panel}");
        assert!(ids.insert(panel.get("id").and_then(Value::as_u64)), "{title}: its id is another's");
        let unit = panel.pointer("/fieldConfig/defaults/unit").and_then(Value::as_str);
        assert!(unit.is_some_and(|unit| !unit.is_empty()), "{title} has no unit");
        assert_eq!(text(panel.get("datasource").unwrap(), "uid"), "${datasource}", "{title}");
        assert!(!objects(panel, "targets").is_empty(), "{title} asks for nothing");
        let references: BTreeSet<_> = objects(panel, "targets").iter().map(|target| text(target, "refId")).collect();
        assert_eq!(references.len(), objects(panel, "targets").len(), "{title}");
    }
}

#[test]
fn panels_lie_beside_each_other() {
    let dashboard = dashboard();
    let mut taken = BTreeSet::new();
    for panel in objects(&dashboard, "panels") {
        let side = |name: &str| panel.pointer(&format!("/gridPos/{name}")).and_then(Value::as_u64).unwrap();
        let (x, y, w, h) = (side("x"), side("y"), side("w"), side("h"));
        assert!(w > 0 && h > 0 && x + w <= 24, "{}", text(panel, "title"));
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{} lies over another panel", text(panel, "title"));
        }
    }
}

#[test]
fn variables_are_there() {
    let dashboard = dashboard();
    let variables = objects(dashboard.get("templating").unwrap(), "list");
    let names: Vec<_> = variables.iter().map(|variable| text(variable, "name")).collect();
    assert_eq!(names, ["datasource", "instance", "netns"]);
    assert!(dashboard.get("schemaVersion").and_then(Value::as_u64) >= Some(38));
}

#[test]
fn promtool_takes_every_query() {
    let queries = queries(&dashboard());
    let rules: Vec<_> = queries
        .iter()
        .enumerate()
        .map(|(index, (title, query))| json!({ "record": format!("panel:{index}"), "expr": query, "labels": { "title": title } }))
        .collect();
    assert!(rules.len() > 20, "only {} queries were found", rules.len());
    let folder = folder("dashboard");
    let file = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(folder.join("rules.yml"), file.to_string()).unwrap();
    succeeds("promtool", &["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"], &folder);
}

#[test]
fn only_known_metrics_are_asked_for() {
    let known = known_metrics();
    for (title, query) in queries(&dashboard()) {
        for metric in promql::metrics(&query) {
            assert!(known.contains(metric), "{title}: {metric} is in no table of docs/monitoring.md");
        }
    }
}

/// The panels that `node_exporter` can fill too.
const FILLED_BY_EITHER: [&str; 11] = [
    "Utilization",
    "Probability that the table will be full",
    "Lost packets",
    "New entries",
    "Memory of the entries",
    "Entries, limit, and where it leads",
    "Churn",
    "Losses by reason",
    "Evictions",
    "Network namespaces",
    "Memory",
];

#[test]
fn every_panel_is_filled_by_plimsolls_metrics() {
    let dashboard = dashboard();
    let panels: BTreeSet<_> = objects(&dashboard, "panels").iter().map(|panel| text(panel, "title")).collect();
    are_filled(&panels, &plimsolls_series(), "by-plimsoll");
}

#[test]
fn panels_are_filled_by_node_exporters_metrics_where_plimsolls_are_missing() {
    let series =
        NODE_EXPORTER.map(|metric| sample(&format!("{metric}{{job=\"node\", instance=\"web-1.example:9100\"}}")));
    are_filled(&FILLED_BY_EITHER.into(), &series, "by-node-exporter");
}

/// Each metric of the document's table, with a value for each of its labels.
fn plimsolls_series() -> Vec<Value> {
    let metrics = rows()
        .filter(|(name, cells)| cells.len() == 5 && (name.starts_with("plimsoll_") || name.starts_with("process_")));
    let series = metrics.map(|(name, cells)| {
        let labels = cells[2].split(", ").filter(|label| !label.is_empty()).map(|label| {
            let value = match label {
                "netns" => "host",
                "within" => "1h",
                "reason" => "table_full",
                _ => "1",
            };
            format!(", {label}=\"{value}\"")
        });
        sample(&format!("{name}{{job=\"plimsoll\", instance=\"web-1.example:9000\"{}}}", labels.collect::<String>()))
    });
    series.collect()
}

fn sample(series: &str) -> Value {
    json!({ "series": series, "values": "100+60x40" })
}

/// Asks promtool whether some query of each of these panels has an answer.
#[track_caller]
fn are_filled(panels: &BTreeSet<&str>, series: &[Value], place: &str) {
    let queries = queries(&dashboard());
    let is_empty = |panel: &&str| {
        let of_panel: Vec<_> =
            queries.iter().filter(|(of, _)| of == panel).map(|(_, query)| format!("absent({query})")).collect();
        assert!(!of_panel.is_empty(), "there is no panel {panel}");
        json!({ "expr": of_panel.join(" and on () "), "eval_time": "40m", "exp_samples": [] })
    };
    let asked: Vec<_> = panels.iter().map(is_empty).collect();
    let folder = folder(place);
    let test = json!({ "tests": [{ "interval": "1m", "input_series": series, "promql_expr_test": asked }] });
    fs::write(folder.join("test.yml"), test.to_string()).unwrap();
    succeeds("promtool", &["test", "rules", "test.yml"], &folder);
}
