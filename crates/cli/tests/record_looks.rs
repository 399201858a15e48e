//! `plimsoll record --no-events`: by looks alone. Needs root, `ip` and `nft`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;

use plimsoll_lab::{LabNamespace, mixed_entries};
use plimsoll_recording::{Began, End, GapEnd, Sight};
use serde_json::json;
use support::recording::{Folder, Recorder, Rows, listeners, until};

const ENTRIES: u32 = 50_000;
const LOOKED_AT: usize = 2000;

#[test]
fn a_sample_stands_for_the_table_and_nobody_listens() {
    let (namespace, folder) = (LabNamespace::tracking().unwrap(), Folder::new());
    assert_eq!(namespace.fill(mixed_entries(ENTRIES)).unwrap(), u64::from(ENTRIES));
    let to = folder.of("web.rec");
    let looked_at = LOOKED_AT.to_string();
    let mut recorder = Recorder::begin(&[
        "--to",
        &to,
        "--netns",
        namespace.name(),
        "--no-events",
        "--look-at",
        &looked_at,
        "--look-every",
        "1s",
        "--duration",
        "3s",
        "--json",
    ]);
    let mut asked = 0_u32;
    until("its time is up", || {
        assert_eq!(listeners(&namespace), 0);
        asked += 1;
        !recorder.is_running()
    });
    assert!(asked > 10, "{asked}");
    let run = recorder.end();
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.stderr.contains("128 bytes"), "it changes nothing: {}", run.stderr);
    let document = run.json();
    for (key, value) in
        [("sources", json!("looks")), ("events", json!(0)), ("losses", json!(0)), ("dropped_events", json!(null))]
    {
        assert_eq!(document[key], value, "{document:#}");
    }
    // They come unevenly, and the first goes to the end of the table.
    assert!(document["looks"].as_u64().unwrap() >= 2, "{document:#}");

    let rows = Rows::of(&to);
    assert_eq!(rows.lives.len(), LOOKED_AT);
    for life in &rows.lives {
        assert_eq!((life.end, life.sight), (End::Open, Sight::Looks), "{life:#?}");
        assert!(matches!(life.began, Began::Before(_)), "{life:#?}");
    }
    let keys: BTreeSet<_> = rows.lives.iter().map(|life| life.key).collect();
    assert_eq!(keys.len(), LOOKED_AT);
    let weighted: f64 = rows.lives.iter().map(|life| life.weight).sum();
    assert!((weighted - f64::from(ENTRIES)).abs() < 0.005 * f64::from(ENTRIES), "they stand for {weighted}");
    // Half of them wait, of which many are known to have been silent for what it was armed with.
    assert!(rows.gaps.iter().all(|gap| gap.end == GapEnd::StillSilent && keys.contains(&gap.key)), "{:#?}", rows.gaps);
}

#[test]
fn a_table_that_is_looked_at_whole_has_no_weights() {
    const FEW: u32 = 500;
    let (namespace, folder) = (LabNamespace::tracking().unwrap(), Folder::new());
    namespace.fill(mixed_entries(FEW)).unwrap();
    let to = folder.of("web.rec");
    let run = Recorder::begin(&["--to", &to, "--netns", namespace.name(), "--no-events", "--duration", "1s"]).end();
    assert_eq!(run.code, 0, "{run:?}");
    let rows = Rows::of(&to);
    assert_eq!(rows.lives.len(), FEW as usize);
    assert!(rows.lives.iter().all(|life| (life.weight - 1.0).abs() < 1e-9));
}
