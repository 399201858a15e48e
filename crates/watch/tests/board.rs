//! What is told of a governor.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::time::Duration;

use plimsoll_watch::metrics::{Format, Names};
use plimsoll_watch::{Board, History};

#[test]
fn a_governor_that_is_no_more_is_not_told_of() {
    let board = Board::new(Duration::from_secs(10), Names::Own, History::in_memory());
    board.note_governing("this", 0.6, ["shrink"].into_iter());
    assert!(board.metrics(Format::Prometheus).contains("plimsoll_governor_scale{netns=\"this\"} 0.6"));
    board.forget_governing();
    assert!(!board.metrics(Format::Prometheus).contains("plimsoll_governor"));
}
