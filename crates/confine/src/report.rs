//! What came of confining.

use std::fmt;

/// What holds from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// System calls that a tool for one host never needs are refused.
    pub system_calls: Held,
    /// Only the capabilities that were named are there, for this process and what it starts.
    pub capabilities: Held,
}

/// Whether something holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Yes.
    Wholly,
    /// In part, and why no more.
    Partly(String),
    /// No, and why.
    Not(String),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wholly => f.write_str("confined"),
            Self::Partly(why) => write!(f, "confined in part: {why}"),
            Self::Not(why) => write!(f, "not confined: {why}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system calls: {}; capabilities: {}", self.system_calls, self.capabilities)
    }
}
