//! The JSON documents of `lab`.

use plimsoll_lab::Played;
use plimsoll_model::Untrusted;
use plimsoll_scenario::{Scenario, Size};
use serde::Serialize;
use serde_json::Value;

use super::expected::Comparison;

/// Rises when a key changes its meaning or goes away; new keys do not raise it.
const SCHEMA: &str = "plimsoll.lab/1";

/// What `lab run --json` says.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    scenario: &'a str,
    seed: u64,
    size: f64,
    namespace: &'a str,
    packets: u64,
    packets_per_sec: u64,
    latest_secs: f64,
    flows: u64,
    refused_flows: u64,
    played_secs: f64,
    check: Option<Value>,
    expected: Option<&'a Comparison>,
}

/// A run that was played, and what a check made of it.
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) seed: u64,
    pub(crate) size: Size,
    pub(crate) namespace: &'a str,
    pub(crate) played: Played,
    pub(crate) checked: Option<(Value, &'a Comparison)>,
}

pub(crate) fn run(run: Run<'_>) -> anyhow::Result<String> {
    let (check, expected) = run.checked.unzip();
    let document = Document {
        schema: SCHEMA,
        scenario: run.scenario.name.as_str(),
        seed: run.seed,
        size: run.size.factor(),
        namespace: run.namespace,
        packets: run.played.packets,
        packets_per_sec: run.played.packets_per_sec(),
        latest_secs: run.played.latest.as_secs_f64(),
        flows: run.played.flows,
        refused_flows: run.played.refused,
        played_secs: run.played.took.as_secs_f64(),
        check,
        expected,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

pub(crate) fn list(scenarios: &[Scenario]) -> anyhow::Result<String> {
    let scenarios: Vec<Value> = scenarios
        .iter()
        .map(|scenario| {
            let expect = scenario.expect.as_ref();
            serde_json::json!({
                "name": scenario.name,
                "title": scenario.title,
                "about": scenario.about.iter().map(Untrusted::as_str).collect::<Vec<_>>().join("\n"),
                "secs": scenario.play.lasts.as_secs_f64(),
                "check_at_secs": scenario.play.check_at.as_secs_f64(),
                "must": expect.map(|expect| &expect.must),
                "may": expect.map(|expect| &expect.may),
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&serde_json::json!({ "schema": SCHEMA, "scenarios": scenarios }))? + "\n")
}
