//! What undoes a plan, case by case: each folder has what is in force, the plan, and what undoes it as application 7, or
//! why nothing would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::path::Path;

use plimsoll_apply::{Current, Plan, Revert, reverts};
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Reverts(Vec<Revert>),
    Refused(String),
}

#[test]
fn every_case_is_undone_as_its_folder_says() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reverts");
    let mut ran = 0;
    for case in fs::read_dir(cases).unwrap().map(|case| case.unwrap().path()) {
        let read = |name: &str| fs::read_to_string(case.join(name)).unwrap();
        let current: Current = serde_json::from_str(&read("current.json")).unwrap();
        let expected: Expected = serde_json::from_str(&read("revert.json")).unwrap();
        let plan = Plan::from_json(&read("plan.json")).unwrap();
        let found = match reverts(&plan.changes, &current, 7) {
            Ok(reverts) => Expected::Reverts(reverts),
            Err(refused) => Expected::Refused(refused.to_string()),
        };
        assert_eq!(found, expected, "{}", case.display());
        ran += 1;
    }
    assert!(ran >= 10, "only {ran} cases were found");
}
