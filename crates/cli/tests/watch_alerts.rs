//! Real Prometheus, Alertmanager and `node_exporter` around `plimsoll watch`: a storm in a namespace raises an alert, and it is over
//! after the storm. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;

use plimsoll_lab::LabNamespace;
use serde_json::Value;
use support::watching::{Daemon, Running, await_that, curl, forget};
use support::{Playing, ScenarioFile, plimsoll};

const PROMETHEUS: &str = "127.0.0.1:9090";
const ALERTMANAGER: &str = "127.0.0.1:9093";
const NODE_EXPORTER: &str = "127.0.0.1:9100";

/// The table is nearly full, and thousands of half-open connections a second come.
const STORM: &str = r#"
name = "storm"
title = "A storm on a table that is nearly full"
about = "For a test."

[play]
secs = 20
check_at_secs = 15

[[standing]]
name = "live connections"
of_capacity = 0.97
state = "established"
idle_from_secs = 0
idle_until_secs = 200
clients = { in = "10.1.0.0/16", hosts = 20000 }
servers = { in = "192.0.2.0/26", hosts = 30, ports = 443 }

[[traffic]]
name = "new connections"
per_sec = 1500
clients = { in = "172.16.0.0/16", hosts = 2000 }
servers = { in = "192.0.2.0/26", hosts = 30, ports = 443 }
script = "request"

[scripts.request]
rtt_ms = 20
packets = """
> syn
< syn-ack
> ack
> data 400
"""

[expect]
must = []
may = []
verdicts = ["critical"]
"#;

/// The rules as they are shipped, but for the times that they wait.
fn rules() -> String {
    let rules = plimsoll(&["rules"]).stdout;
    let quick = rules.replace("[5m]", "[10s]").replace("for: 1m", "for: 1s").replace("for: 5m", "for: 2s");
    assert_ne!(rules, quick);
    quick
}

/// Alerts that Alertmanager has, by name, of a network namespace.
fn alerts(lab: &LabNamespace, netns: &str) -> Vec<String> {
    let answer = curl(lab, &[&format!("http://{ALERTMANAGER}/api/v2/alerts?active=true")]).unwrap_or_default();
    let alerts: Value = serde_json::from_str(&answer).unwrap_or_default();
    let of_namespace = |alert: &&Value| alert["labels"]["netns"] == netns;
    let name = |alert: &Value| {
        let finding = alert["labels"]["finding"].as_str();
        finding.unwrap_or_else(|| alert["labels"]["alertname"].as_str().unwrap()).to_string()
    };
    alerts.as_array().into_iter().flatten().filter(of_namespace).map(name).collect()
}

#[test]
fn a_storm_raises_an_alert_that_is_over_after_it() {
    let lab = LabNamespace::create().unwrap();
    let folder = std::env::temp_dir().join(format!("plimsoll-watch-{}", lab.name()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("rules.yml"), rules()).unwrap();
    fs::write(folder.join("alertmanager.yml"), "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").unwrap();
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
         rule_files: [rules.yml]\n\
         alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['{ALERTMANAGER}'] }}] }}] }}\n\
         scrape_configs:\n\
         - {{ job_name: plimsoll, static_configs: [{{ targets: ['127.0.0.1:9754'] }}] }}\n\
         - {{ job_name: node, static_configs: [{{ targets: ['{NODE_EXPORTER}'] }}] }}\n"
    );
    fs::write(folder.join("prometheus.yml"), config).unwrap();
    let of = |name: &str| folder.join(name).display().to_string();

    let alertmanager = format!("http://{ALERTMANAGER}");
    let _alertmanager = Running::begin(
        &lab,
        &[
            "prometheus-alertmanager",
            "--config.file",
            &of("alertmanager.yml"),
            "--storage.path",
            &of("alerts"),
            "--web.listen-address",
            ALERTMANAGER,
            "--cluster.listen-address=",
        ],
    );
    let _node_exporter = Running::begin(
        &lab,
        &[
            "prometheus-node-exporter",
            "--collector.disable-defaults",
            "--collector.conntrack",
            "--web.listen-address",
            NODE_EXPORTER,
        ],
    );
    await_that("Alertmanager", || curl(&lab, &[&format!("{alertmanager}/-/ready")]).is_some());
    let daemon = Daemon::begin(&lab, &["--alertmanager", &alertmanager]);
    let prometheus = Running::begin(
        &lab,
        &[
            "prometheus",
            "--config.file",
            &of("prometheus.yml"),
            "--storage.tsdb.path",
            &of("tsdb"),
            "--web.listen-address",
            PROMETHEUS,
        ],
    );
    await_that("Prometheus", || {
        let up = curl(&lab, &[&format!("http://{PROMETHEUS}/api/v1/query?query=sum(up)")]).unwrap_or_default();
        up.contains("\"2\"")
    });

    let storm = ScenarioFile::new(STORM);
    let playing = Playing::begin(storm.path());
    let netns = playing.namespace.clone();
    let said = || format!("{:#?} {:#?}", daemon.running.said(), prometheus.said());
    await_that(&format!("both alerts: {}", said()), || {
        let alerts = alerts(&lab, &netns);
        let has = |name: &str| alerts.iter().any(|alert| alert == name);
        has("ConntrackDropping") && has("namespace-full")
    });
    drop(playing);
    await_that(&format!("the end of both: {}", said()), || alerts(&lab, &netns).is_empty());
    daemon.running.await_line("resolved namespace-full", 1);
    forget(&lab);
}
