//! What the program is packaged in: the unit for systemd, the container image.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod image;
#[path = "../support/mod.rs"]
mod support;
mod unit;
