//! `plimsoll record` as its users run it: how it ends, and what it says then. Needs root, `ip`, `nft` and `conntrack`, and fails
//! without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::process::Command;

use plimsoll_lab::ByHand;
use plimsoll_recording::{Began, ChangeKind, End, Sight};
use serde_json::{Value, json};
use support::packets::{Connection, client};
use support::recording::{Folder, Recorder, Rows, open_files, until};
use support::{Run, plimsoll};

const REFUSED: u32 = 50;
const OPEN: u32 = 20;

fn play(router: &ByHand) {
    (0..REFUSED).for_each(|number| Connection::of(number).be_refused(router));
    (REFUSED..REFUSED + OPEN).for_each(|number| Connection::of(number).open(router));
}

/// What [`play`] does is in it, and nothing else.
fn assert_whole(to: &str) {
    let rows = Rows::of(to);
    assert_eq!(open_files(to), Vec::<std::path::PathBuf>::new());
    assert_eq!(rows.lives.len(), (REFUSED + OPEN) as usize);
    for number in 0..REFUSED + OPEN {
        let [life] = rows.lives_of(client(number))[..] else { panic!("{:#?}", rows.lives_of(client(number))) };
        let end = if number < REFUSED { End::Reset } else { End::Open };
        assert_eq!((life.end, life.sight), (end, Sight::Whole), "{life:#?}");
        assert!(matches!(life.began, Began::At(_)) && (life.weight - 1.0).abs() < 1e-9);
    }
    for kind in [ChangeKind::Began, ChangeKind::Ended] {
        assert_eq!(rows.changes_of(kind).len(), 1, "{:#?}", rows.changes);
    }
}

#[test]
fn signals_end_it_with_a_whole_recording() {
    for signal in ["-INT", "-TERM"] {
        let (router, folder) = (ByHand::build().unwrap(), Folder::new());
        let to = folder.of("web.rec");
        let recorder = Recorder::listening(router.namespace(), &to, &[]);
        play(&router);
        recorder.signal(signal);
        let run = recorder.end();
        assert_eq!(run.code, 0, "{run:?}");
        let name = router.namespace().name();
        assert!(run.stderr.starts_with(&format!("Recording {name} to {to}, until Ctrl-C.\n")), "{}", run.stderr);
        assert!(
            run.stderr.contains("128 bytes more with each new entry, in every namespace: at most "),
            "{}",
            run.stderr
        );
        assert!(run.stdout.starts_with("70 flows and "), "{}", run.stdout);
        assert!(!run.stdout.contains("lost"), "{}", run.stdout);
        assert_whole(&to);
    }
}

fn keys(document: &Value) -> Vec<&str> {
    document.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn its_time_ends_it_and_the_document_tells_what_is_in_the_recording() {
    let (router, folder) = (ByHand::build().unwrap(), Folder::new());
    let to = folder.of("web.rec");
    let arguments = ["--duration", "2s", "--json", "--quiet", "--look-every", "1s"];
    let recorder = Recorder::listening(router.namespace(), &to, &arguments);
    play(&router);
    let run = recorder.end();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_whole(&to);
    let document = run.json();
    let mut expected = [
        "schema",
        "recording",
        "namespace",
        "sources",
        "addresses",
        "ended",
        "lives",
        "gaps",
        "looks",
        "undated_gaps",
        "events",
        "events_of_unknown_flows",
        "losses",
        "dropped_events",
        "written_bytes",
        "removed_segments",
    ];
    let mut found = keys(&document);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    let bytes: u64 = support::recording::files(&to).iter().map(|file| file.metadata().unwrap().len()).sum();
    for (key, value) in [
        ("schema", json!("plimsoll.record/1")),
        ("recording", json!(to)),
        ("namespace", json!(router.namespace().name())),
        ("sources", json!("events_and_looks")),
        ("addresses", json!("plain")),
        ("ended", json!("time_is_up")),
        ("lives", json!(REFUSED + OPEN)),
        ("events", json!(REFUSED * 2 + OPEN * 3)),
        ("events_of_unknown_flows", json!(0)),
        ("losses", json!(0)),
        ("dropped_events", json!(0)),
        ("written_bytes", json!(bytes)),
    ] {
        assert_eq!(document[key], value, "{key}: {document:#}");
    }
    assert!(document["looks"].as_u64().unwrap() >= 2, "{document:#}");
}

fn remove(router: &ByHand) {
    let deleted = Command::new("ip").args(["netns", "delete", router.namespace().name()]).status().unwrap();
    assert!(deleted.success());
}

/// Records a namespace that goes.
fn gone(more: &[&str]) -> (Run, Folder) {
    let (router, folder) = (ByHand::build().unwrap(), Folder::new());
    let arguments: Vec<&str> = ["--read-every", "1s"].iter().chain(more).copied().collect();
    let mut recorder = Recorder::listening(router.namespace(), &folder.of("web.rec"), &arguments);
    play(&router);
    assert!(recorder.is_running());
    remove(&router);
    until("it ends", || !recorder.is_running());
    (recorder.end(), folder)
}

#[test]
fn a_namespace_that_is_removed_ends_it() {
    let (run, folder) = gone(&[]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("It ended when the network namespace was gone.\n"), "{}", run.stdout);
    assert_whole(&folder.of("web.rec"));

    let (run, folder) = gone(&["--json"]);
    assert_eq!((run.code, &run.json()["ended"]), (0, &json!("namespace_gone")), "{run:?}");
    assert_whole(&folder.of("web.rec"));
}

#[test]
fn what_was_lost_is_in_the_report_and_in_the_document() {
    for format in [None, Some("--json")] {
        let (router, folder) = (ByHand::build().unwrap(), Folder::new());
        let to = folder.of("web.rec");
        let arguments: Vec<&str> = ["--buffer", "64K"].into_iter().chain(format).collect();
        let recorder = Recorder::listening(router.namespace(), &to, &arguments);
        (1000..1000 + OPEN).for_each(|number| Connection::of(number).open(&router));
        // Nobody takes what comes.
        recorder.stop();
        (0..1000).for_each(|number| Connection::of(number).be_refused(&router));
        recorder.signal("-CONT");
        let run = recorder.interrupt();
        assert_eq!(run.code, 0, "{run:?}");
        if format.is_none() {
            let said = "Events were lost once, 1,";
            assert!(run.stdout.contains(said) && run.stdout.contains("A larger --buffer"), "{}", run.stdout);
        } else {
            let document = run.json();
            assert_eq!(document["losses"], json!(1), "{document:#}");
            let (events, dropped) =
                (document["events"].as_u64().unwrap(), document["dropped_events"].as_u64().unwrap());
            assert_eq!(events + dropped, u64::from(2000 + OPEN * 3), "{document:#}");
        }
        let rows = Rows::of(&to);
        assert_eq!(rows.changes_of(ChangeKind::EventsLost).len(), 1);
        for number in 1000..1000 + OPEN {
            let [life] = rows.lives_of(client(number))[..] else { panic!("{number}") };
            assert_eq!((life.end, life.sight), (End::Open, Sight::Broken), "{life:#?}");
        }
        // Of what waited before the loss both the beginning and the end were seen, but for what it may have come between.
        let refused = rows.lives.iter().filter(|life| life.original.source < client(1000));
        let (ended, open): (Vec<_>, Vec<_>) = refused.partition(|life| life.end == End::Reset);
        assert!((20..=51).contains(&ended.len()) && open.len() <= 1, "{} {}", ended.len(), open.len());
        assert!(ended.iter().all(|life| life.sight == Sight::Whole), "{ended:#?}");
        assert!(open.iter().all(|life| life.sight == Sight::Broken), "{open:#?}");
    }
}

#[test]
fn help_shows_examples() {
    let run = plimsoll(&["record", "--help"]);
    assert_eq!(run.code, 0);
    for said in [
        "EXAMPLES\n",
        "plimsoll record --to web.rec --duration 1h\n",
        "plimsoll record --to gateway.rec --anonymize --max-disk 500M\n",
        "EXIT CODES\n",
        "WHAT IT CHANGES\n",
    ] {
        assert!(run.stdout.contains(said), "{said:?}: {}", run.stdout);
    }
}
