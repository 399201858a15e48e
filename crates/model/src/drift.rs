//! Values that have gone away from what was meant.

use serde::Serialize;

use crate::{Sysctl, Untrusted};

/// A sysctl whose value in force, in files and as Plimsoll last applied it are not one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Which.
    pub sysctl: Sysctl,
    /// In which way.
    pub kind: DriftKind,
    /// The value in force.
    pub in_force: u32,
    /// What files set at the next boot; `None` where none does.
    pub configured: Option<Configured>,
    /// What Plimsoll applied last; `None` where it never did.
    pub applied: Option<u32>,
    /// Who is known to set the value in force.
    pub suspects: Vec<Suspect>,
}

/// What a file makes of a sysctl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Configured {
    /// The value that it will have.
    pub value: u32,
    /// The file.
    pub file: Untrusted,
}

/// In which way values differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// Somebody has set another value since Plimsoll applied its own.
    SetSince,
    /// What was applied is in force, and the next boot will not have it.
    NotLasting,
    /// Plimsoll has not applied it; files set another value than the one in force.
    NotInForce,
}

/// Where a value may come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Suspect {
    /// A program sets it.
    Writer {
        /// Which, with what shows it.
        name: Untrusted,
        /// Where it has the value from.
        from: Untrusted,
    },
    /// A file sets it, which another one overrides.
    File {
        /// Which.
        file: Untrusted,
    },
    /// It is what the kernel begins with: the module has been loaded again, or nobody has set anything since the boot.
    Kernel,
}
