//! Real Prometheus, Alertmanager and `node_exporter` around `plimsoll watch`: a storm in a namespace raises an alert, and it is over
//! after the storm. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use plimsoll_lab::LabNamespace;
use plimsoll_model::{FindingId, Severity, Untrusted};
use plimsoll_notify::{News, Notifier, Outcome, Target};
use plimsoll_watch::Ledger;
use plimsoll_watch::alerts::{Alert, Trouble};
use serde_json::Value;
use support::watching::{Daemon, Running, await_that, curl};
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

fn begin_alertmanager(lab: &LabNamespace, folder: &Path) -> Running {
    fs::create_dir_all(folder).unwrap();
    let of = |name: &str| folder.join(name).display().to_string();
    fs::write(of("alertmanager.yml"), "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").unwrap();
    let words = [
        "prometheus-alertmanager",
        "--config.file",
        &of("alertmanager.yml"),
        "--storage.path",
        &of("alerts"),
        "--web.listen-address",
        ALERTMANAGER,
        "--cluster.listen-address=",
    ];
    let running = Running::begin(lab, &words);
    await_that("Alertmanager", || curl(lab, &[&format!("http://{ALERTMANAGER}/-/ready")]).is_some());
    running
}

#[test]
fn of_a_trouble_that_becomes_worse_or_milder_alertmanager_has_one_alert() {
    let lab = LabNamespace::create().unwrap();
    let _alertmanager = begin_alertmanager(&lab, &lab.folder().unwrap());
    let targets = vec![Target::Alertmanager(format!("http://{ALERTMANAGER}"))];
    let log = Arc::new(|outcome: Outcome<'_>| assert!(matches!(outcome, Outcome::Told(_)), "{outcome:?}"));
    let begin = || Notifier::begin(targets, Untrusted::from("web-1"), log, &Ledger::default()).unwrap();
    let notifier = lab.enter(begin).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    for severity in [Severity::Warning, Severity::Critical, Severity::Warning] {
        let alert = Alert {
            trouble: Trouble { finding: FindingId::TableFull, namespace: Some("host".to_string()) },
            severity,
            began_at: now,
            title: "the table is full".to_string(),
            meaning: "new flows are refused".to_string(),
            first_step: None,
        };
        // As it is when it falls, which is no notice.
        notifier.tell(&News { raised: vec![alert], notices: Vec::new(), at: now });
        let severities = || -> Vec<Value> {
            let answer = curl(&lab, &[&format!("http://{ALERTMANAGER}/api/v2/alerts?active=true")]).unwrap();
            let alerts: Vec<Value> = serde_json::from_str(&answer).unwrap();
            alerts.iter().map(|alert| alert["labels"]["severity"].clone()).collect()
        };
        await_that(&format!("{severity} alone, not {:?}", severities()), || severities() == [severity.to_string()]);
    }
}

#[test]
fn a_storm_raises_an_alert_that_is_over_after_it() {
    let lab = LabNamespace::create().unwrap();
    let folder = lab.folder().unwrap();
    fs::write(folder.join("rules.yml"), rules()).unwrap();
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
    let _alertmanager = begin_alertmanager(&lab, &folder);
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
    // Where the storm is slow, one may be over before the other comes.
    let mut seen = BTreeSet::new();
    await_that(&format!("both alerts: {}", said()), || {
        seen.extend(alerts(&lab, &netns));
        ["ConntrackDropping", "namespace-full"].iter().all(|name| seen.contains(*name))
    });
    drop(playing);
    await_that(&format!("the end of both: {}", said()), || alerts(&lab, &netns).is_empty());
    daemon.running.await_line("resolved namespace-full", 1);
}
