//! What diagnosis says.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::Untrusted;

/// The stable name of a cause. Docs, alerts and scripts use it, so it never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingId {
    /// The table of the namespace that Plimsoll runs in is full, or as good as.
    TableFull,
    /// A table is on its way there.
    TableFilling,
    /// The table of another namespace is full, or as good as.
    NamespaceFull,
    /// The kernel is killing entries to make room.
    EarlyDrop,
    /// The hash has too few buckets for the entries that it may hold.
    HashTooSmall,
    /// Entries are refused because their chain is too long, table full or not.
    ChainTooLong,
    /// The memory that the limit allows to be taken is not there.
    MemoryAtRisk,
    /// Packets pass and no entry is made.
    NothingTracked,
    /// Flows are tracked where Plimsoll does not look.
    TrackedElsewhere,
    /// Something could not be read.
    CannotSee,
}

impl FindingId {
    /// Every id.
    pub const ALL: [Self; 10] = [
        Self::TableFull,
        Self::TableFilling,
        Self::NamespaceFull,
        Self::EarlyDrop,
        Self::HashTooSmall,
        Self::ChainTooLong,
        Self::MemoryAtRisk,
        Self::NothingTracked,
        Self::TrackedElsewhere,
        Self::CannotSee,
    ];

    /// The id as written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TableFull => "table-full",
            Self::TableFilling => "table-filling",
            Self::NamespaceFull => "namespace-full",
            Self::EarlyDrop => "early-drop",
            Self::HashTooSmall => "hash-too-small",
            Self::ChainTooLong => "chain-too-long",
            Self::MemoryAtRisk => "memory-at-risk",
            Self::NothingTracked => "nothing-tracked",
            Self::TrackedElsewhere => "tracked-elsewhere",
            Self::CannotSee => "cannot-see",
        }
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for FindingId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How bad a finding is. In the order in which one outranks another: what is known to be wrong outranks what is not
/// known, and that outranks what is only worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; no harm.
    Info,
    /// Whether there is harm could not be found out.
    Unknown,
    /// Harm is near.
    Warning,
    /// Packets are being lost, or will be as soon as new flows come.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// The answer to "is this host well?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is wrong.
    Ok,
    /// Something will be.
    Warning,
    /// Something is.
    Critical,
    /// It could not be told.
    Unknown,
}

impl Verdict {
    /// The verdict that a set of findings amounts to.
    pub fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|finding| finding.severity).max() {
            None | Some(Severity::Info) => Self::Ok,
            Some(Severity::Unknown) => Self::Unknown,
            Some(Severity::Warning) => Self::Warning,
            Some(Severity::Critical) => Self::Critical,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        })
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Other explanations are as good.
    Possible,
    /// It follows from estimates whose intervals allow little else.
    Likely,
    /// It was counted or read.
    Certain,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        })
    }
}

/// What a finding rests on, a number wherever it is one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Key for programs: lower case, unit at its end (`drops_per_sec`, `occupancy_entries`).
    pub key: &'static str,
    /// The number; `None` where the evidence is none.
    pub value: Option<f64>,
    /// The same in words, with its interval where it has one.
    pub text: String,
}

/// Something that helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// What to do, and what it does and costs.
    pub action: String,
    /// The command that does it, where one does.
    pub command: Option<String>,
}

/// A cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Which.
    pub id: FindingId,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// In which namespace; `None` where it concerns the host.
    pub namespace: Option<Untrusted>,
    /// One sentence: what is the matter.
    pub title: String,
    /// The numbers.
    pub evidence: Vec<Evidence>,
    /// What it means for those who use the host.
    pub meaning: String,
    /// What helps, most helpful first.
    pub remedies: Vec<Remedy>,
}
