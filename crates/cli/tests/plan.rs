//! `plimsoll plan`, as its users run it. Needs root: it makes network namespaces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::TcpState;
use support::{PLIMSOLL, Run, plimsoll, plimsoll_in};

/// A table of so many connections that are open, and read at once.
fn planned(open: u32, arguments: &[&str]) -> Run {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, open)).unwrap();
    plimsoll_in(&lab, &[&["plan", "--watch-for", "0.2"], arguments].concat())
}

#[test]
fn a_host_with_room_has_nothing_to_do() {
    let planned = planned(1000, &[]);
    assert!(planned.code == 0 && planned.stdout.starts_with("Nothing to do for plimsoll-lab-"), "{planned:?}");
    assert!(planned.stdout.contains("There is room:") && !planned.stdout.contains("1. "), "{planned:?}");
}

#[test]
fn a_table_that_may_grow_a_hundredfold_needs_room_and_the_arithmetic_is_shown() {
    let planned = planned(20_000, &["--growth", "100"]);
    for told in [
        "net.netfilter.nf_conntrack_max: 262,144 -> 2,097,152",
        "times 100 for growth: 2,000,000",
        "the founding formula",
        "predicted live entries",
        "undo: sysctl -w net.netfilter.nf_conntrack_max=262144",
        "limits and buckets are one value for all namespaces",
    ] {
        let shown: Vec<_> = planned.stdout.split_whitespace().collect();
        assert!(shown.join(" ").contains(told), "{told}: {}", planned.stdout);
    }
    assert!(planned.stdout.lines().all(|line| line.chars().count() <= 120), "{}", planned.stdout);
}

#[test]
fn what_memory_does_not_bear_is_refused() {
    let planned = planned(20_000, &["--growth", "100", "--memory-share", "0.1%"]);
    let shown = planned.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let refused =
        shown.contains("a higher nf_conntrack_max: ") && shown.contains("bytes each") && shown.contains("; 0.1% of ");
    assert!(refused, "{}", planned.stdout);
    assert!(!shown.contains("nf_conntrack_max: 262,144 ->"), "{}", planned.stdout);
}

#[test]
fn another_namespace_is_planned_for_by_its_name() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, 100)).unwrap();
    let timeouts = ["plan", "--netns", lab.name(), "--watch-for", "0.1", "--timeouts", "vpn", "--json"];
    let document = plimsoll(&timeouts).json();
    assert_eq!((&document["schema"], &document["namespace"]), (&"plimsoll.plan/1".into(), &lab.name().into()));
    let edits: Vec<_> = document["changes"].as_array().unwrap().iter().map(|change| change["edit"].clone()).collect();
    let established = serde_json::json!({
        "kind": "sysctl",
        "sysctl": "net.netfilter.nf_conntrack_tcp_timeout_established",
        "from": 432_000,
        "to": 86_400,
    });
    assert_eq!(edits, [established], "TIME_WAIT is 120 s already");
}

#[test]
fn the_documents_keys_are_described() {
    let described = include_str!("../../../docs/plan.md");
    let planned = planned(20_000, &["--growth", "100", "--timeouts", "kubernetes", "--json"]).json();
    let mut keys = Vec::new();
    support::collect_keys(&planned, &mut keys);
    assert!(keys.len() > 60, "{keys:?}");
    for key in keys {
        assert!(described.contains(&format!("`{key}`")), "docs/plan.md does not describe {key}");
    }
}

#[test]
fn a_plan_is_written_for_others_and_taken_by_apply() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, 100)).unwrap();
    let plan = |arguments: &[&str]| {
        plimsoll_in(&lab, &[&["plan", "--watch-for", "0", "--timeouts", "vpn"], arguments].concat())
    };
    let diff = plan(&["--diff"]).stdout;
    let lines: Vec<_> = diff.lines().filter(|line| line.contains("tcp_timeout_established")).collect();
    let name = "net.netfilter.nf_conntrack_tcp_timeout_established";
    assert_eq!(lines, [format!("-{name} = 432000"), format!("+{name} = 86400")], "{diff}");
    for (format, told) in [("script", "86400"), ("sysctl.d", "Not in here"), ("daemonset", "Not in here")] {
        let written = plan(&["--format", format]);
        assert!(written.code == 0 && written.stdout.contains(told), "{format}: {written:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan(&["--json"]).stdout).unwrap();
    let rehearsed = plimsoll_in(&lab, &["apply", file.to_str().unwrap(), "--dry-run"]);
    assert!(rehearsed.stdout.contains(&format!("1. {name} = 86400 (was 432000)")), "{rehearsed:?}");
    let wrong = plan(&["--format", "yaml"]);
    assert!(wrong.code == 3 && wrong.stderr.contains("there are script, sysctl.d"), "{wrong:?}");
}

#[test]
fn apply_without_a_plan_makes_one() {
    let lab = LabNamespace::tracking().unwrap();
    let run = plimsoll_in(&lab, &["apply", "--dry-run"]);
    assert!(run.code == 0 && run.stdout.to_lowercase().contains("nothing"), "{run:?}");
}

#[test]
fn nothing_is_written() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::Tcp(TcpState::SynSent), 0, 5000)).unwrap();
    let shown =
        || lab.run(&["sh", "-c", "sysctl -a 2>/dev/null | grep -E 'conntrack_(tcp|udp|max|buckets|icmp)'"]).unwrap();
    let before = shown();
    plimsoll_in(&lab, &["plan", "--growth", "100", "--timeouts", "kubernetes", "--watch-for", "0"]);
    assert_eq!(before, shown());
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    for (arguments, told) in [
        (&["--growth", "0.5"][..], "must be a factor of 1 to 100"),
        (&["--timeouts", "web"], "name one of general, http-proxy"),
        (&["--memory-share", "2"], "must be"),
        (&["--netns", "no-such-namespace"], "there is no network namespace"),
        (&["--netns", "\u{1b}[31m"], "\\u{1b}"),
        (&["--conform", "/no/such/file"], "/no/such/file"),
    ] {
        let run = plimsoll(&[&["plan", "--watch-for", "0"], arguments].concat());
        assert!(run.code == 3 && run.stdout.is_empty() && run.stderr.contains(told), "{arguments:?}: {run:?}");
        assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
    }
}

#[test]
fn without_rights_it_is_told_what_is_missing() {
    let lab = LabNamespace::tracking().unwrap();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", PLIMSOLL, "plan", "--watch-for", "0"]);
    command.args(["--netns", lab.name()]);
    let run = Run::of(command);
    let shown = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!shown.contains("Nothing to do") && shown.contains("not all could be read"), "{run:?}");
    assert_eq!(run.code, 3, "{run:?}");
}

#[test]
fn a_format_without_a_change_says_so_beside_it() {
    let planned = planned(100, &["--format", "script"]);
    assert!(
        planned.code == 0 && planned.stdout.is_empty() && planned.stderr.contains("no change is proposed"),
        "{planned:?}"
    );
}
