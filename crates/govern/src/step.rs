//! What a governor is told, and what it wants.

use std::fmt;

use plimsoll_model::{Capacity, Occupancy, Timeout, Timeouts};
use serde::Serialize;

use crate::Scale;

/// What was read of a namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Entries that the kernel counts.
    pub occupancy: Occupancy,
    /// Entries that it may hold.
    pub capacity: Capacity,
    /// The timeouts in force.
    pub timeouts: Timeouts,
    /// Where it leads.
    pub outlook: Outlook,
}

/// Where a table leads with the timeouts that are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// Nothing says that it will be full.
    Room,
    /// It will be full, if nothing is done.
    Saturates,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Timeouts are to be these.
    Set {
        /// From which scale.
        from: Scale,
        /// To which.
        to: Scale,
        /// All that are governed, also those that stay as they are.
        settings: Vec<Setting>,
        /// Why.
        why: Why,
    },
    /// All timeouts are to be what they were.
    Restore {
        /// From which scale.
        from: Scale,
        /// Why.
        why: Why,
    },
    /// Entries that have certainly been silent for longer than these timeouts are to go, or than those in force, where none is named.
    Trim {
        /// Timeouts in seconds.
        as_if: Vec<(Timeout, u32)>,
        /// Why.
        why: Why,
    },
    /// Somebody else has changed a timeout. It is left alone from now on.
    Leave {
        /// Which.
        timeout: Timeout,
        /// What it was set to, in seconds.
        ours_secs: u32,
        /// What was found, in seconds.
        found_secs: u32,
    },
}

/// A timeout that is governed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub timeout: Timeout,
    /// What it was, in seconds.
    pub base_secs: u32,
    /// The least that it may be, in seconds.
    pub floor_secs: u32,
    /// What it is to be now, in seconds.
    pub secs: u32,
}

/// Why something is done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Why {
    /// Occupancy over capacity; `None` without a limit.
    pub utilization: Option<f64>,
    /// Where the table leads.
    pub outlook: Outlook,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.utilization {
            Some(utilization) => write!(f, "the table is {:.0}% full", utilization * 100.0)?,
            None => f.write_str("the table has no limit")?,
        }
        match self.outlook {
            Outlook::Room => Ok(()),
            Outlook::Saturates => f.write_str(", and is going to be full"),
        }
    }
}
