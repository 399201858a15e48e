//! `plimsoll explain`, as its users run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_model::FindingId;
use support::plimsoll;

#[test]
fn every_finding_is_listed_in_a_line() {
    let run = plimsoll(&["explain"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(run.stdout.lines().count(), FindingId::ALL.len() + 1, "{}", run.stdout);
    for id in FindingId::ALL {
        assert!(run.stdout.lines().any(|line| line.starts_with(&format!("  {id} "))), "{id}: {}", run.stdout);
    }
    let document = plimsoll(&["explain", "--json"]).json();
    let ids: Vec<_> =
        document["findings"].as_array().unwrap().iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, FindingId::ALL.iter().map(|id| id.as_str()).collect::<Vec<_>>());
    assert!(document["findings"].as_array().unwrap().iter().all(|line| line["title"].is_string()));
}

#[test]
fn every_page_fits_a_terminal_and_shows_no_marks() {
    for id in FindingId::ALL {
        let run = plimsoll(&["explain", id.as_str()]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{id}");
        assert!(run.stdout.starts_with(&format!("{id}: ")), "{}", run.stdout);
        assert!(run.stdout.contains("\nThe common mistake\n  "), "{}", run.stdout);
        assert_eq!(run.stdout.lines().find(|line| line.chars().count() > 100), None, "{id}");
        for mark in ["`", "](", ".md)", "**", "\n#", "\x1b", "\n\n\n"] {
            assert!(!run.stdout.contains(mark), "{id} shows {mark:?}:\n{}", run.stdout);
        }
    }
}

#[test]
fn headings_are_bold_where_colour_is_wanted() {
    let coloured = plimsoll(&["explain", "syn-flood", "--color", "always"]).stdout;
    assert!(coloured.contains("\x1b[1mWhat helps\x1b[0m\n"), "{coloured}");
}

#[test]
fn the_document_holds_the_page() {
    let document = plimsoll(&["explain", "syn-flood", "--json"]).json();
    assert_eq!((&document["schema"], &document["id"]), (&"plimsoll.explain/1".into(), &"syn-flood".into()));
    assert_eq!(document["title"], "half-open connections to one service");
    let sections = document["sections"].as_array().unwrap();
    assert_eq!(sections.len(), 5);
    assert_eq!(sections[2]["heading"], "What helps");
    let text = sections[2]["text"].as_str().unwrap();
    assert!(text.contains("```text\ntable inet guard {") && !text.contains("## "), "{text}");
    let described = include_str!("../../../docs/json.md");
    for key in ["plimsoll.explain/1", "title", "sections", "heading", "text", "findings", "error", "near"] {
        assert!(described.contains(&format!("`{key}`")), "docs/json.md does not describe {key}");
    }
}

#[test]
fn a_wrong_id_is_an_error_that_helps() {
    let run = plimsoll(&["explain", "syn-floods"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.contains("syn-flood") && run.stderr.contains("`plimsoll explain` lists them all"), "{run:?}");
    let run = plimsoll(&["explain", "xyzzy", "--json"]);
    assert_eq!(run.code, 3);
    assert!(run.json()["error"].as_str().unwrap().contains("xyzzy"), "{run:?}");
    assert_eq!(run.json()["near"], serde_json::json!([]));
    for arguments in [&["explain", ""][..], &["explain", "a", "b"], &["explain", "Table-Full\n"]] {
        let run = plimsoll(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    }
}
