//! What came of confining.

use std::fmt;

/// What holds from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Only what was named can be written.
    pub files: Held,
    /// Only the ports that were named can be listened on and connected to.
    pub ports: Held,
    /// No process that this one did not start can be signalled.
    pub signals: Held,
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
    /// It was not asked for.
    NotAsked,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wholly => f.write_str("confined"),
            Self::Partly(why) => write!(f, "confined in part: {why}"),
            Self::Not(why) => write!(f, "not confined: {why}"),
            Self::NotAsked => f.write_str("not asked for"),
        }
    }
}

/// One line for each.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "files: {}", self.files)?;
        writeln!(f, "ports: {}", self.ports)?;
        writeln!(f, "signals: {}", self.signals)?;
        writeln!(f, "system calls: {}", self.system_calls)?;
        write!(f, "capabilities: {}", self.capabilities)
    }
}
