//! Files by which monitoring systems use Plimsoll: alerting rules, a dashboard, checks, a template. They stand in `packaging`;
//! here they are in the program, so that a host needs nothing else. Nothing here reads or writes anything.
//!
//! `docs/monitoring.md` says how each is used, and describes every alert and every metric.

mod kind;

pub use kind::{Kind, NoSuchKind};
