//! Every scenario, played on the real kernel and checked: nothing that must be found is missing, nothing else is found.
//! Over more seeds and sizes: `scripts/scenarios`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{PLIMSOLL, Playing, Run, finding, plimsoll};

/// One test a scenario.
macro_rules! scenarios {
    ($($test:ident $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                is_diagnosed($name);
            }
        )*

        const PLAYED: &[&str] = &[$($name),*];
    };
}

scenarios! {
    healthy_web "healthy-web",
    idle "idle",
    loadtest_keepalive "loadtest-keepalive",
    burst_that_ends "burst-that-ends",
    big_but_stable "big-but-stable",
    full_of_half_open "full-of-half-open",
    http_churn "http-churn",
    kubernetes "kubernetes",
    syn_flood "syn-flood",
    syn_flood_few_sources "syn-flood-few-sources",
    scan "scan",
    dns_unreplied "dns-unreplied",
    idle_established "idle-established",
    half_closed "half-closed",
    ftp_helper "ftp-helper",
    snat_ports "snat-ports",
    namespace_full "namespace-full",
    gc_pressure "gc-pressure",
    flood_and_churn "flood-and-churn",
    scan_and_idle "scan-and-idle",
    proxy_with_keepalive "proxy-with-keepalive",
    proxy_without_keepalive "proxy-without-keepalive",
}

/// Scenarios that this kernel cannot play, because they need global settings: a guest does (tests/guest).
const IN_A_GUEST: &[&str] = &["chain-cap"];

#[test]
fn every_scenario_is_played() {
    let list = plimsoll(&["lab", "list", "--json"]).json();
    let names = list["scenarios"].as_array().unwrap().iter().map(|scenario| scenario["name"].as_str().unwrap());
    let missing: Vec<_> = names.filter(|name| !PLAYED.contains(name) && !IN_A_GUEST.contains(name)).collect();
    assert!(missing.is_empty(), "no test plays {missing:?}");
}

fn is_diagnosed(scenario: &str) {
    // Whatever else this machine tracks meanwhile.
    let run = plimsoll(&["lab", "run", scenario, "--check", "--json", "--on-this-host"]);
    let judged = |run: &Run| {
        let document = run.json();
        format!("{:#}\n{:#}", document["expected"], document["check"]["findings"])
    };
    assert_eq!(run.code, 0, "{scenario}: {}\n{}", run.stderr, judged(&run));
}

/// The proxy and its backends are real: they are named. Its connections are over in a part of a millisecond, and on a busy machine one check may
/// meet none of them: so it is checked again while it plays. Nobody else is ever named.
#[test]
fn a_proxy_without_keepalive_is_named_with_its_backends() {
    let playing = Playing::begin("proxy-without-keepalive");
    let until = Instant::now() + PLAYS;
    loop {
        let check = plimsoll(&["check", "--json", "--interval", "0", "--netns", &playing.namespace]).json();
        // A busy machine may leave it no time to look at all that it should: it says so.
        let is_cut = check.to_string().contains("the time that it may take was over");
        let findings = check["findings"].as_array().unwrap_or_else(|| panic!("{check:#}"));
        let churn = findings.iter().find(|finding| finding["id"] == "reverse-proxy-churn");
        if !is_cut && churn.is_some_and(is_named) {
            break;
        }
        assert!(Instant::now() < until, "{check:#}");
    }
}

/// The scenario plays for 20 seconds: a check that begins so much before its end is over by then.
const PLAYS: Duration = Duration::from_secs(15);

/// Whether the proxy is named, and so told what to do.
fn is_named(churn: &Value) -> bool {
    let share = |side: &str, is_meant: fn(&Value) -> bool| -> f64 {
        let whose = churn["whose"].as_array().unwrap().iter().filter(|whose| whose["side"] == side);
        whose.filter(|whose| is_meant(whose)).map(|whose| whose["share"]["value"].as_f64().unwrap()).sum()
    };
    let is_nginx: fn(&Value) -> bool = |whose| whose["command"] == "nginx";
    // Who listens answers all of them.
    assert!(share("server", is_nginx) > 0.9, "{churn:#}");
    // Who opened those that are over is told of those services at whose connections it was met; of the others it is said that it was not.
    let (nginx, all) = (share("client", is_nginx), share("client", |_| true));
    assert!(nginx >= 0.9 * all, "{churn:#}");
    let evidence = churn["evidence"].as_array().unwrap();
    let unknown = evidence.iter().find(|evidence| evidence["key"] == "unknown_client_ratio");
    let unknown = unknown.map_or(0.0, |unknown| unknown["value"].as_f64().unwrap());
    assert!(all + unknown > 0.95, "{churn:#}");
    if nginx < 0.5 {
        return false;
    }
    // Both stand in what people read, with the lines of its configuration that make it so.
    let text: Vec<_> = evidence.iter().filter_map(|evidence| evidence["text"].as_str()).collect();
    for words in ["opened on this machine by: nginx (", "served on this machine by: nginx ("] {
        assert!(text.iter().any(|text| text.starts_with(words)), "{churn:#}");
    }
    let first = churn["remedies"][0]["action"].as_str().unwrap();
    assert!(first.contains("nginx.conf:") && first.contains("insert `keepalive"), "{churn:#}");
    assert!(
        !churn["remedies"].to_string().contains("which version of NGINX"),
        "it is in the program's file: {churn:#}"
    );
    true
}

/// Waits until a table holds so many entries.
fn await_entries(namespace: &str, entries: u64) {
    let check = || plimsoll(&["check", "--json", "--interval", "0", "--netns", namespace]).json();
    while check()["namespaces"][0]["occupancy"].as_u64().is_none_or(|occupancy| occupancy < entries) {
        std::thread::yield_now();
    }
}

/// What the scenarios' own check finds by the namespace's name, the ordinary one finds among all.
#[test]
fn causes_are_named_without_being_asked_for() {
    for (scenario, entries, id) in
        [("snat-ports", 2_048, "nat-ports-exhausted"), ("http-churn", 4_000, "connection-storm")]
    {
        let playing = Playing::begin(scenario);
        await_entries(&playing.namespace, entries);
        let document = plimsoll(&["check", "--json"]).json();
        let here = support::namespace(&document, &playing.namespace);
        assert!(here["census"]["read"].as_u64().is_some_and(|read| read > 1_000), "{scenario}: {here:#}");
        let mut findings = document["findings"].as_array().unwrap().iter();
        let named = findings.any(|finding| finding["id"] == id && finding["namespace"] == *playing.namespace);
        assert!(named, "{scenario}: {:#}", document["findings"]);
    }
}

/// The table fills, and a check without the right to read entries does not call that fine.
#[test]
fn a_cause_that_may_not_be_read_is_unknown() {
    let playing = Playing::begin("http-churn");
    await_entries(&playing.namespace, 5_000);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", PLIMSOLL, "check", "--json"]);
    command.args(["--netns", &playing.namespace]);
    let run = Run::of(command);
    let document = run.json();
    assert_eq!((run.code, &document["verdict"]), (3, &"unknown".into()), "{document:#}");
    let blind = finding(&document, "cannot-see");
    assert!(blind["evidence"].to_string().contains("dump the conntrack entries"), "{blind:#}");
    assert!(blind["remedies"].to_string().contains("CAP_NET_ADMIN"), "{blind:#}");
}

/// An ordinary user sees a namespace by a process in it. When that goes away in the middle, the answer is not "fine".
#[test]
fn a_namespace_that_vanishes_while_it_is_read_is_unknown() {
    let mut inside = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().unwrap();
    let seen = || plimsoll(&["check", "--json", "--interval", "0"]).json()["namespaces"].to_string();
    let pid = inside.id().to_string();
    while !seen().contains(&format!("\"pid\":{pid}")) {
        std::thread::yield_now();
    }
    let check = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", PLIMSOLL, "check", "--json", "--interval", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It is past its first reading when it sleeps (clock_nanosleep is 230 on x86-64, 115 on arm64).
    let syscall = format!("/proc/{}/syscall", check.id());
    let sleeps = |syscall: String| syscall.starts_with("230 ") || syscall.starts_with("115 ");
    while !std::fs::read_to_string(&syscall).is_ok_and(sleeps) {
        std::thread::yield_now();
    }
    inside.kill().unwrap();
    inside.wait().unwrap();
    let output = check.wait_with_output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(document["verdict"], "ok", "{document:#}");
    assert_eq!(output.status.code(), Some(3), "{document:#}");
    assert!(document["unseen"].to_string().contains(&format!("/proc/{pid}/net")), "{:#}", document["unseen"]);
}
