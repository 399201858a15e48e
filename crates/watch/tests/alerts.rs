//! What somebody is told of, and when.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use plimsoll_model::{Confidence, Finding, FindingId, Remedy, Severity, Untrusted, Verdict};
use plimsoll_watch::Status;
use plimsoll_watch::alerts::{Alerts, Notice};

fn finding(id: FindingId, severity: Severity) -> Finding {
    Finding {
        id,
        severity,
        confidence: Confidence::Certain,
        namespace: Some(Untrusted::from("host")),
        holds: None,
        whose: Vec::new(),
        title: format!("it is {severity}"),
        evidence: Vec::new(),
        meaning: "it matters".to_string(),
        remedies: vec![Remedy { action: "do this".to_string(), command: Some("plimsoll relieve".to_string()) }],
    }
}

fn status(findings: Vec<Finding>) -> Status {
    Status {
        taken_at_unix_secs: 0,
        host: None,
        kernel: None,
        verdict: Verdict::of(&findings),
        namespaces: Vec::new(),
        left_out: 0,
        buckets: None,
        slab: None,
        findings,
        drifted: 0,
        unseen: Vec::new(),
    }
}

/// Plays readings, `c` critical, `w` a warning, `i` for information, `-` nothing; tells which notices came: `C`, `W`, or `R` for resolved.
fn played(readings: &str) -> String {
    played_to(&mut Alerts::new(), readings)
}

/// As [`played`], to alerts that know of earlier readings.
fn played_to(alerts: &mut Alerts, readings: &str) -> String {
    let mut told = String::new();
    for (step, reading) in readings.chars().enumerate() {
        let of = |severity| vec![finding(FindingId::TableFull, severity)];
        let findings = match reading {
            'c' => of(Severity::Critical),
            'w' => of(Severity::Warning),
            'i' => of(Severity::Info),
            _ => Vec::new(),
        };
        let notices = alerts.take(&status(findings), step as f64);
        assert!(notices.len() <= 1);
        told.push(match notices.first() {
            None => '.',
            Some(Notice::Raised(alert)) if alert.severity == Severity::Critical => 'C',
            Some(Notice::Raised(_)) => 'W',
            Some(Notice::Resolved { .. }) => 'R',
        });
    }
    told
}

#[test]
fn what_is_critical_is_told_at_once_and_a_warning_when_it_stays() {
    assert_eq!(played("-c--"), ".C..");
    assert_eq!(played("ww-ww-www"), "........W");
    assert_eq!(played("iiiiii"), "......");
}

#[test]
fn what_comes_and_goes_is_told_once_and_resolved_when_it_stays_away() {
    assert_eq!(played("c--c-----c------"), "C..............R");
    assert_eq!(played("------"), "......");
    assert_eq!(played("ww------"), "........", "nobody was told, so nobody is told that it is gone");
}

#[test]
fn what_becomes_worse_is_told_again_and_what_becomes_better_is_not() {
    assert_eq!(played("wwwwcwwwc"), "..W.C....");
    assert_eq!(played("cwwwwww"), "C......");
}

#[test]
fn what_stays_milder_is_told_as_milder_and_again_when_it_becomes_worse() {
    let severity = |readings| {
        let mut alerts = Alerts::new();
        played_to(&mut alerts, readings);
        alerts.raised().next().unwrap().severity
    };
    assert_eq!(severity("cwwwww"), Severity::Critical, "it may come back at any moment");
    assert_eq!(severity("cwwwwwcw"), Severity::Critical);
    assert_eq!(severity("cwwwwww"), Severity::Warning);
    assert_eq!(played("cwwwwwc"), "C......");
    assert_eq!(played("cwwwwwwc"), "C......C");
    // Until then the end is told of what was told.
    let mut alerts = Alerts::new();
    played_to(&mut alerts, "cw-----");
    let notices = alerts.take(&status(Vec::new()), 7.0);
    assert!(matches!(&notices[..], [Notice::Resolved { alert, .. }] if alert.severity == Severity::Critical));
}

#[test]
fn what_an_earlier_run_told_is_not_told_again_and_its_end_is() {
    let told = |readings| {
        let mut before = Alerts::new();
        played_to(&mut before, readings);
        before.told().cloned().collect::<Vec<_>>()
    };
    let after = |before, readings| played_to(&mut Alerts::kept(told(before)), readings);
    assert_eq!(after("ww", "wwww"), "..W.", "nobody was told of two warnings");
    assert_eq!(after("www", "wwww"), "....");
    assert_eq!(after("www", "c"), "C");
    assert_eq!(after("c", "-----c------"), "...........R");
    assert_eq!(after("c------", "------"), "......");
}

#[test]
fn the_beginning_moves_with_the_clock_where_this_run_saw_it() {
    let mut before = Alerts::new();
    before.take(&status(vec![finding(FindingId::TableFull, Severity::Critical)]), 5.0);
    let mut alerts = Alerts::kept(before.told().cloned());
    alerts.take(&status(vec![finding(FindingId::SynFlood, Severity::Critical)]), 7.0);
    alerts.shift(100.0);
    let began: Vec<f64> = alerts.raised().map(|alert| alert.began_at).collect();
    let told: Vec<f64> = alerts.told().map(|alert| alert.began_at).collect();
    assert_eq!((began.clone(), began), (told, vec![5.0, 107.0]));
}

#[test]
fn the_first_step_is_told_and_troubles_are_told_apart() {
    let mut alerts = Alerts::new();
    let both = vec![
        finding(FindingId::TableFull, Severity::Critical),
        Finding { namespace: None, ..finding(FindingId::TableFull, Severity::Critical) },
        finding(FindingId::SynFlood, Severity::Critical),
    ];
    assert_eq!(alerts.take(&status(both), 5.0).len(), 3);
    let raised: Vec<_> = alerts.raised().collect();
    assert_eq!(raised.len(), 3);
    let step = raised[0].first_step.as_ref().unwrap();
    assert_eq!((step.action.as_str(), step.command.as_deref()), ("do this", Some("plimsoll relieve")));
    assert!((raised[0].began_at - 5.0).abs() < 1e-9);
}
