//! The live view of a host's connection-tracking tables.
//!
//! An [`App`] is what is known and what is looked at. Readings ([`Told`]) and keys ([`Press`]) change it, [`draw`] shows it. All are
//! functions of what they are given: no I/O, no clock, so that every screen can be tested.

mod app;
mod draw;
mod held;
mod known;
mod look;
mod order;

pub use app::{App, Next, Press, View, Words};
pub use draw::draw;
pub use known::{Checked, Told};
pub use look::Look;
