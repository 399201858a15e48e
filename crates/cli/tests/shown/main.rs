//! What is shown to people's eyes: `top`, in a terminal (Debian's `tmux`), and `report`, in Chromium. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod report;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
#[path = "../../../twin/src/testing.rs"]
mod testing;
mod top;
