//! Histories in memory and across restarts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::path::PathBuf;

use plimsoll_watch::history::{COARSE_SECS, FINE_SECS, History, MOST_COURSES, Point, SPAN_SECS};
use proptest::prelude::*;
use tempfile::TempDir;

const T0: f64 = 1_795_000_000.0;

/// A folder that goes with the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("history.jsonl")
    }
}

fn point(at: f64, entries: u32) -> Point {
    Point { at, entries, limit: Some(1000), new_per_sec: None, lost_per_sec: Some(0.5) }
}

fn add(history: &mut History, namespace: &str, at: f64, entries: u32) {
    history.add(at, [(namespace, point(at, entries))]).unwrap();
}

#[test]
fn an_hour_is_kept_reading_by_reading_and_a_week_in_spans() {
    let mut history = History::in_memory();
    for step in 0..9 * 8640_u32 {
        add(&mut history, "host", T0 + f64::from(step) * 10.0, step / 10);
    }
    let course = history.course("host").unwrap();
    let last = course.points().back().unwrap().at;
    assert!((355..=361).contains(&course.points().len()), "{}", course.points().len());
    assert!(course.points().front().unwrap().at >= last - FINE_SECS);
    assert!(course.spans().front().unwrap().from as f64 >= last - COARSE_SECS);
    assert!((2014..=2017).contains(&course.spans().len()), "{}", course.spans().len());
    let span = course.spans()[100];
    assert_eq!(span.readings, 30);
    assert!((2..=3).contains(&(span.most - span.least)), "{span:?}");
    assert!((f64::from(span.least)..f64::from(span.most)).contains(&span.mean));
}

#[test]
fn what_was_written_is_there_after_a_restart_whoever_is_killed() {
    let folder = Folder::new();
    let mut history = History::in_file(&folder.file(), T0).unwrap();
    for step in 0..1000 {
        let at = T0 + f64::from(step) * 10.0;
        history.add(at, [("host", point(at, step)), ("web \"x\"", point(at, 7))]).unwrap();
    }
    // Nothing says goodbye, and a line is torn.
    let mut torn = fs::read(folder.file()).unwrap();
    torn.extend_from_slice(b"{\"namespace\":\"host\",\"at\":1795");
    fs::write(folder.file(), torn).unwrap();

    let again = History::in_file(&folder.file(), T0 + 9990.0).unwrap();
    for namespace in ["host", "web \"x\""] {
        let (was, is) = (history.course(namespace).unwrap(), again.course(namespace).unwrap());
        assert_eq!(was.points(), is.points());
        // The span that was going on was not written down.
        let whole = was.spans().len() - 1;
        assert!(was.spans().iter().take(whole).eq(is.spans().iter().take(whole)));
    }
}

#[test]
fn a_file_stays_small_and_what_is_no_history_of_ours_is_passed_over() {
    let folder = Folder::new();
    let junk = [b"\xff\xfe\x00 junk\n{}\n[1]\n{\"namespace\":3}\n".to_vec(), vec![b'x'; 100_000]].concat();
    fs::write(folder.file(), junk).unwrap();
    let mut history = History::in_file(&folder.file(), T0).unwrap();
    assert_eq!(fs::metadata(folder.file()).unwrap().len(), 0, "it is written anew without what tells nothing");
    let mut largest = 0;
    for step in 0..40_000 {
        add(&mut history, "host", T0 + f64::from(step) * 10.0, step);
        largest = largest.max(fs::metadata(folder.file()).unwrap().len());
    }
    assert!(largest < 1_200_000, "{largest}");
    assert!(history.course("host").unwrap().spans().len() > 1300);
}

#[test]
fn a_clock_that_is_behind_at_the_start_costs_nothing() {
    let folder = Folder::new();
    let mut history = History::in_file(&folder.file(), T0).unwrap();
    add(&mut history, "host", T0, 5);
    add(&mut history, "host", T0 + 10.0, 6);
    // A day behind, until it is set.
    let mut again = History::in_file(&folder.file(), T0 - 86_400.0).unwrap();
    add(&mut again, "host", T0 - 86_390.0, 7);
    again.shift(86_420.0).unwrap();
    let ago: Vec<String> =
        again.course("host").unwrap().points().iter().map(|point| format!("{:.0}", T0 + 30.0 - point.at)).collect();
    assert_eq!(ago, ["20", "10", "0"]);
}

#[test]
fn a_clock_that_was_ahead_at_the_start_moves_nothing_that_was_before() {
    let folder = Folder::new();
    let mut history = History::in_file(&folder.file(), T0).unwrap();
    add(&mut history, "host", T0, 5);
    let mut again = History::in_file(&folder.file(), T0 + 3620.0).unwrap();
    add(&mut again, "host", T0 + 3630.0, 6);
    again.shift(-3600.0).unwrap();
    let times: Vec<String> =
        again.course("host").unwrap().points().iter().map(|point| format!("{:.0}", point.at - T0)).collect();
    assert_eq!(times.last().map(String::as_str), Some("30"), "{times:?}");
}

#[test]
fn a_clock_that_is_set_behind_what_came_from_the_file_takes_that_along() {
    let folder = Folder::new();
    let mut history = History::in_file(&folder.file(), T0).unwrap();
    add(&mut history, "host", T0, 5);
    let mut again = History::in_file(&folder.file(), T0 + 20.0).unwrap();
    add(&mut again, "host", T0 + 30.0, 6);
    // What is left in the future would be forgotten by nobody for a day, and each reading adds to it.
    again.shift(-86_400.0).unwrap();
    let ahead = |at: f64| T0 - 86_400.0 + at;
    (4..2000_u32).for_each(|number| add(&mut again, "host", ahead(f64::from(number) * 10.0), 7));
    let times: Vec<f64> = again.course("host").unwrap().points().iter().map(|point| point.at - ahead(0.0)).collect();
    assert!(times.is_sorted() && times.len() <= 361, "{} from {:?}", times.len(), times.first());
    // And back.
    let mut again = History::in_file(&folder.file(), ahead(20_000.0)).unwrap();
    again.shift(86_400.0).unwrap();
    assert!(again.course("host").unwrap().points().iter().is_sorted_by(|one, next| one.at < next.at));
}

#[test]
fn a_clock_that_is_set_moves_what_was_before() {
    let folder = Folder::new();
    let mut history = History::in_file(&folder.file(), T0).unwrap();
    add(&mut history, "host", T0, 5);
    history.shift(-3600.0).unwrap();
    add(&mut history, "host", T0 - 3590.0, 6);
    let again = History::in_file(&folder.file(), T0 - 3580.0).unwrap();
    for history in [&history, &again] {
        let ago: Vec<String> =
            history.course("host").unwrap().points().iter().map(|point| format!("{:.0}", T0 - point.at)).collect();
        assert_eq!(ago, ["3600", "3590"]);
    }
}

#[test]
fn namespaces_that_come_and_go_do_not_fill_the_memory_and_one_that_is_gone_makes_room() {
    let mut history = History::in_memory();
    for number in 0..10 * MOST_COURSES {
        add(&mut history, &format!("pod-{number}"), T0, 1);
    }
    assert!(history.course(&format!("pod-{}", MOST_COURSES - 1)).is_some());
    assert!(history.course(&format!("pod-{MOST_COURSES}")).is_none(), "there is no room while the others are there");
    add(&mut history, "new", T0 + FINE_SECS + 10.0, 1);
    assert!(history.course("new").is_some());
}

#[test]
fn a_file_that_cannot_be_written_costs_nothing_of_what_was_and_is_made_good() {
    let folder = Folder::new();
    let mut history = History::in_file(&folder.file(), T0).unwrap();
    add(&mut history, "host", T0, 1);
    // A folder in its place refuses every write, root's too.
    fs::remove_file(folder.file()).unwrap();
    fs::create_dir(folder.file()).unwrap();
    let error = history.add(T0 + 10.0, [("host", point(T0 + 10.0, 2))]).unwrap_err().to_string();
    assert!(error.contains("history.jsonl") && error.contains("Is a directory"), "{error}");
    history.add(T0 + 20.0, [("host", point(T0 + 20.0, 3))]).unwrap_err();
    fs::remove_dir(folder.file()).unwrap();
    add(&mut history, "host", T0 + 30.0, 4);
    let again = History::in_file(&folder.file(), T0 + 30.0).unwrap();
    let entries: Vec<u32> = again.course("host").unwrap().points().iter().map(|point| point.entries).collect();
    assert_eq!(entries, [1, 2, 3, 4]);
}

proptest! {
    #[test]
    fn readings_come_in_order_whatever_times_are_told(times in prop::collection::vec(-20_000.0..20_000.0_f64, 1..200)) {
        let mut history = History::in_memory();
        for at in times {
            let _ = history.add(T0 + at, [("host", point(T0 + at, 1))]);
        }
        if let Some(course) = history.course("host") {
            prop_assert!(course.points().iter().zip(course.points().iter().skip(1)).all(|(one, next)| one.at < next.at));
            prop_assert!(course.spans().iter().zip(course.spans().iter().skip(1)).all(|(one, next)| next.from - one.from >= SPAN_SECS));
        }
    }
}
