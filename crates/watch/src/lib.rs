//! Keeps watch over a host's connection-tracking tables.
//!
//! A [`Watcher`] reads the host again and again, keeps a [`History`] of each table, and hands on a [`Status`]: what is known now.
//! From that follow [metrics], documents for the dashboard, and alerts. Nothing is subscribed to and nothing of
//! the kernel is written.

pub mod alerts;
mod board;
mod documents;
mod foreseen;
pub mod history;
pub mod ledger;
pub mod metrics;
mod replace;
mod site;
pub mod status;
pub mod textfile;
pub mod untracked;
mod watcher;

pub use board::{Board, Health};
pub use history::History;
pub use ledger::Ledger;
pub use site::{Pages, STYLE};
pub use status::Status;
pub use watcher::{Told, Watcher};
