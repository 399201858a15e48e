//! `plimsoll report`: the page of files that somebody else wrote, as it is approved (`tests/snapshots`; with `UPDATE_SNAPSHOTS` set it is
//! written anew), and in Chromium.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use plimsoll_model::{Capacity, Occupancy, TcpState, Timeout};
use plimsoll_recording::{IdleGap, Life, Row, TableReading};

use crate::support::recorded::{Recorded, changed, gaps, lives, rows, setting};
use crate::support::{PLIMSOLL, plimsoll};
use crate::testing;

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shown/fixtures").join(name).to_str().unwrap().to_string()
}

/// A page without its style and without what `explain` says, which have tests of their own.
fn told(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let (rest, end) = rest.split_once("<h2>More about these findings</h2>").unwrap_or((rest, ""));
    format!("{head}{rest}{}", end.rsplit_once("</article>").map_or("", |(_, end)| end))
}

/// A table that fills within a thousand seconds, and whose limit is raised meanwhile.
fn recorded() -> Recorded {
    let flows: Vec<_> = (0..30).map(|number| rows::connection(number, 1.0)).collect();
    let held_by = Timeout::Tcp(TcpState::Established);
    let silence = |(flow, number): (&Life, u32)| IdleGap {
        seen_from: Duration::ZERO,
        ..rows::gap(flow, held_by, 10.0, 100.0 + f64::from(number) * 20.0)
    };
    let silences: Vec<_> = flows.iter().zip(0..).map(silence).collect();
    let reading = |n: u32| TableReading {
        at: rows::at(f64::from(n) * 20.0),
        occupancy: Some(Occupancy(1000 + n * 150)),
        capacity: Some(Capacity(if n < 25 { 8192 } else { 16_384 })),
        ..rows::readings().remove(0)
    };
    let readings = (0..50).map(|n| Row::Reading(reading(n)));
    let settings = [setting("tcp_timeout_established", 432_000), changed(rows::at(500.0), "max", Some(8192), 16_384)];
    Recorded::new(lives(&flows).chain(gaps(&silences)).chain(readings).chain(settings))
}

#[test]
fn a_check_and_a_plan_are_a_page_as_approved_and_nothing_in_them_is_taken_for_an_element() {
    let run = plimsoll(&["report", &fixture("check.json"), &fixture("plan.json")]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    testing::is_as_in("report.html", &told(&run.stdout));
    for hostile in ["<script", "<img", "\u{1b}", "http://192.0.2.66/x\""] {
        assert!(!run.stdout.contains(hostile), "{hostile:?}");
    }
    assert!(run.stdout.contains("gw-1&lt;img src=http://192.0.2.66/x onerror=alert(1)&gt;"));
    assert!(run.stdout.contains("<article class=\"explained\" id=\"connection-storm\">"));
}

#[test]
fn a_check_of_now_is_the_page_of_its_document() {
    let run = plimsoll(&["report", "--netns", "this"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.starts_with("<!doctype html>") && run.stdout.contains("checked at"), "{}", run.stdout);
}

#[test]
fn standard_input_is_taken_and_a_recording_has_its_course() {
    let mut command = Command::new(PLIMSOLL);
    command.args(["report", "-"]).stdin(fs::File::open(fixture("plan.json")).unwrap()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("What to change in web on gw-1")
    );

    let recording = recorded();
    let run = plimsoll(&["report", recording.path()]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    for words in [
        "Entries over the time of the recording",
        "1,000 to 8,350",
        "443/tcp",
        "limit 16,384",
        "open: 30",
        "tcp_timeout_established",
    ] {
        assert!(run.stdout.contains(words), "no {words:?} in {}", told(&run.stdout));
    }
}

#[test]
fn what_is_none_of_these_is_refused_and_no_file_that_is_read_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("other.json");
    let path = scratch.to_str().unwrap();
    for (text, said) in [
        ("{}", "does not say what it is"),
        ("{\"schema\": \"plimsoll.trim/1\"}", "plimsoll.trim/1"),
        ("{\"schema\": \"plimsoll.plan/1\", \"namespace\": 7}", "invalid type"),
        ("no", "no JSON"),
    ] {
        fs::write(path, text).unwrap();
        let run = plimsoll(&["report", path]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{text}");
        assert!(run.stderr.contains(said) && run.stderr.contains("plimsoll check --json"), "{text}: {}", run.stderr);
    }
    let plan = fs::read_to_string(fixture("plan.json")).unwrap();
    fs::write(path, &plan).unwrap();
    let run = plimsoll(&["report", path, "-o", path]);
    assert!(run.code == 3 && run.stderr.contains("written over what is read"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(path).unwrap(), plan);
}

#[test]
fn chromium_shows_it_without_an_error_or_a_request_on_phones_and_desks_light_and_dark() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let page = page.to_str().unwrap();
    let recording = recorded();
    let run = plimsoll(&["report", &fixture("check.json"), &fixture("plan.json"), recording.path(), "-o", page]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    let look = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shown/look.py");
    let output = Command::new("python3").arg(look).arg(page).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
