//! What is shown to people's eyes: `top`, in a terminal (Debian's `tmux`). Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod top;
