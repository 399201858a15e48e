//! `plimsoll record show`: recordings of which it is known what is in them. No rights are needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::time::Duration;

use plimsoll_model::{Counter, TcpState, Timeout};
use plimsoll_recording::{Change, ChangeKind, End, GapEnd, IdleGap, Life, Row, Sight};
use serde_json::{Value, json};
use support::recorded::{RELEASE, Recorded, changed, counted, gaps, lives, rows, setting};
use support::{Run, collect_keys, plimsoll};

const HELD: Timeout = Timeout::Tcp(TcpState::Established);

fn show(arguments: &[&str]) -> Run {
    plimsoll(&[&["record", "show"], arguments].concat())
}

/// It must succeed, and say nothing on the side.
fn shown(arguments: &[&str]) -> Run {
    let run = show(arguments);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
    run
}

/// Its words, however they are wrapped.
fn words(run: &Run) -> String {
    run.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ten connections, each silent from 100 s to 400 s; half of them end then, of one of these events were lost; and one that
/// stands for five.
fn lived() -> (Vec<Life>, Vec<IdleGap>) {
    let mut all: Vec<_> = (1..=10).map(|number| rows::connection(number, 5.0)).collect();
    for life in all.iter_mut().take(5) {
        *life = rows::ends(life.clone(), 405.0, End::Reset);
    }
    all[0].sight = Sight::Broken;
    let from_the_beginning = |life| IdleGap { seen_from: Duration::ZERO, ..rows::gap(life, HELD, 100.0, 400.0) };
    let mut silences: Vec<_> = all.iter().map(from_the_beginning).collect();
    // Written in case that the recorder is killed, and held by the row after it.
    silences.insert(0, rows::open_gap(&all[0], HELD, 100.0, GapEnd::GoesOn));
    all.push(Life { weight: 5.0, ..rows::standing(11) });
    (all, silences)
}

/// The limit, and what was counted, at the beginning and at the end.
fn readings() -> impl Iterator<Item = Row> {
    let drop = Counter::ALL.iter().position(|counter| counter.name() == "drop").unwrap();
    counted(12).zip([100, 107]).map(move |(row, dropped)| {
        let Row::Reading(mut reading) = row else { panic!("{row:?}") };
        reading.counters[drop] = Some(dropped);
        Row::Reading(reading)
    })
}

fn recorded() -> Recorded {
    let (all, silences) = lived();
    let began =
        Change { at: rows::BEGIN, kind: ChangeKind::Began, what: "recording".to_string(), from: None, to: None };
    let settings = [
        Row::Change(began),
        setting("tcp_timeout_established", 432_000),
        changed(rows::at(500.0), "tcp_timeout_established", Some(432_000), 86_400),
    ];
    Recorded::new(settings.into_iter().chain(readings()).chain(gaps(&silences)).chain(lives(&all)))
}

#[test]
fn the_text_tells_what_there_is() {
    let recorded = recorded();
    let run = shown(&[recorded.path()]);
    assert!(
        run.stdout.starts_with(&format!(
            "{}: a host, namespace host, kernel {RELEASE}; events and looks; by 0.1.0\n",
            recorded.path()
        )),
        "{}",
        run.stdout
    );
    let words = words(&run);
    for told in [
        "2023-11-14 22:13:20 UTC to 2023-11-14 22:30:00 UTC, 16 min 40 s",
        "11 lives, which stand for 15 flows: 10 open, 5 reset",
        "events may have been lost of 1 of these lives, so that states are missing",
        "443/tcp 15 6 min 40 s 6 min 40 s 6 min 40 s",
        "12 to 12 entries, 12 on the average, of at most not known; not known buckets; counted meanwhile: drop 7",
        "0 events received, none lost",
        "Silences: 10",
        "tcp_timeout_established 1 d other tcp 10 10 10 ",
        "began: recording",
        "setting: nf_conntrack_tcp_timeout_established 432000 -> 86400",
        &format!("`plimsoll plan --from {}` says which timeouts follow from it.", recorded.path()),
    ] {
        assert!(words.contains(told), "{told}: {}", run.stdout);
    }
}

#[test]
fn the_document_tells_the_same_and_its_keys_are_described() {
    let recorded = recorded();
    let document = shown(&[recorded.path(), "--json"]).json();
    let micros = |secs: f64| json!(rows::at(secs).0);
    for (key, value) in [
        ("schema", json!("plimsoll.recording/1")),
        ("recording", json!(recorded.path())),
        ("kernel", json!(RELEASE)),
        ("host", Value::Null),
        ("from_unix_micros", micros(0.0)),
        ("to_unix_micros", micros(1000.0)),
        ("lives", json!(11)),
        ("flows", json!(15.0)),
        ("gaps", json!(10)),
        ("by_end", json!({"open": 10.0, "reset": 5.0})),
        ("by_sight", json!({"broken": 1, "looks": 1, "whole": 9})),
        ("other_services", json!(0)),
        ("changes_left_out", json!(0)),
    ] {
        assert_eq!(document[key], value, "{key}: {document:#}");
    }
    assert_eq!(document["table"]["counted"], json!({"drop": 7}));
    assert_eq!(document["silences"]["silences"], 10);
    let described = [include_str!("../../../docs/record.md"), include_str!("../../../docs/timeouts.md")].concat();
    let mut keys = Vec::new();
    collect_keys(&document, &mut keys);
    let named = ["open", "reset", "broken", "looks", "whole", "drop"];
    keys.retain(|key| !named.contains(&key.as_str()) && !described.contains(&format!("`{key}`")));
    assert_eq!(keys, Vec::<String>::new(), "neither docs/record.md nor docs/timeouts.md describes these");
}

#[test]
fn the_picture_goes_where_it_is_told_to() {
    let recorded = recorded();
    let printed = shown(&[recorded.path(), "--svg", "-"]).stdout;
    assert!(printed.starts_with("<svg ") && printed.contains("<polyline") && !printed.contains("<script"), "{printed}");
    let folder = Recorded::nothing();
    fs::create_dir(folder.path()).unwrap();
    let file = format!("{}/silences.svg", folder.path());
    let run = shown(&[recorded.path(), "--svg", &file]);
    assert!(run.stdout.contains("Silences"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(&file).unwrap(), printed);
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let (all, silences) = lived();
    let recorded = recorded();
    let no_settings = Recorded::new(gaps(&silences).chain(lives(&all)));
    let empty = Recorded::nothing();
    fs::create_dir(empty.path()).unwrap();
    let inside = format!("{}/x.svg", recorded.path());
    let kept = format!("{}/kept.svg", empty.path());
    for (arguments, names, says) in [
        (&["/nowhere/web.rec"][..], "/nowhere/web.rec", "No such file"),
        (&[empty.path()], empty.path(), "holds no recording"),
        (&[no_settings.path()], no_settings.path(), "its table `changes` is missing"),
        (&[no_settings.path(), "--svg", &kept], no_settings.path(), "its table `changes` is missing"),
        (&[recorded.path(), "--svg", &inside], &inside, "name a file elsewhere"),
        (&[recorded.path(), "--svg", "/nowhere/x.svg"], "/nowhere/x.svg", "No such file"),
        (&[recorded.path(), "--svg", "-", "--json"], "--svg -", "name a file for the picture"),
        (&[], "<DIR>", "required"),
    ] {
        let run = show(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(names) && run.stderr.contains(says), "{arguments:?}: {}", run.stderr);
    }
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "a picture that could not be drawn leaves no file");
}
