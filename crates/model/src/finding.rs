//! What diagnosis says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Range, Untrusted, Whose};

macro_rules! finding_ids {
    ($($(#[$doc:meta])* $id:ident $text:literal,)*) => {
        /// The stable name of a cause. Docs, alerts and scripts use it, so it never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FindingId {
            $($(#[$doc])* $id,)*
        }

        impl FindingId {
            /// Every id.
            pub const ALL: &[Self] = &[$(Self::$id),*];

            /// The id as written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$id => $text,)*
                }
            }
        }
    };
}

finding_ids! {
    /// The table of the namespace that Plimsoll runs in is full, or as good as.
    TableFull "table-full",
    /// A table is on its way there.
    TableFilling "table-filling",
    /// The table of another namespace is full, or as good as.
    NamespaceFull "namespace-full",
    /// Many clients open short-lived connections to one service.
    ConnectionStorm "connection-storm",
    /// One or a few sources open a connection for each request to one backend.
    ReverseProxyChurn "reverse-proxy-churn",
    /// Short-lived connections to a service whose address is translated.
    NatOrServiceChurn "nat-or-service-churn",
    /// The kubelet's probes of this host's pods.
    ProbeChurn "probe-churn",
    /// Half-open connections to one service.
    SynFlood "syn-flood",
    /// One source asks many destinations that do not answer.
    OutboundScan "outbound-scan",
    /// UDP that nobody answers.
    UdpUnreplied "udp-unreplied",
    /// Established connections that have seen no packet for long.
    IdleEstablished "idle-established",
    /// Connections that one side has closed and the other has not.
    HalfClosedLeak "half-closed-leak",
    /// Most of a table that fills is one workload's, or one source's.
    OneTenant "one-tenant",
    /// The ports that source translation may choose from are used up.
    NatPortsExhausted "nat-ports-exhausted",
    /// Entries that a helper's expectations make.
    HelperExpansion "helper-expansion",
    /// The kernel is killing entries to make room.
    EarlyDrop "early-drop",
    /// The kernel's gc is killing closing entries to make room, which no counter shows.
    GcPressure "gc-pressure",
    /// Entries are refused because another one has their tuple.
    InsertClash "insert-clash",
    /// Queries to a resolver behind a translated address clash.
    DnsClash "dns-clash",
    /// Packets that belong to no flow as the tracker sees it.
    InvalidPackets "invalid-packets",
    /// The hash has too few buckets for the entries that it may hold.
    HashTooSmall "hash-too-small",
    /// Entries are refused because their chain is too long, table full or not.
    ChainTooLong "chain-too-long",
    /// The memory that the limit allows to be taken is not there.
    MemoryAtRisk "memory-at-risk",
    /// A timeout in force ends flows that live.
    TimeoutRisky "timeout-risky",
    /// SYN cookies are off.
    SyncookiesOff "syncookies-off",
    /// Settings in force are not those that the next boot sets.
    SettingsNotPersistent "settings-not-persistent",
    /// kube-proxy replaces what files set.
    KubeProxyOwnsSetting "kube-proxy-owns-setting",
    /// Settings are no longer those that Plimsoll applied.
    Drift "drift",
    /// Packets pass and no entry is made.
    NothingTracked "nothing-tracked",
    /// Flows are tracked where Plimsoll does not look.
    TrackedElsewhere "tracked-elsewhere",
    /// Something could not be read.
    CannotSee "cannot-see",
}

/// Not the id of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchFinding;

impl FromStr for FindingId {
    type Err = NoSuchFinding;

    fn from_str(text: &str) -> Result<Self, NoSuchFinding> {
        Self::ALL.iter().copied().find(|id| id.as_str() == text).ok_or(NoSuchFinding)
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

impl<'de> Deserialize<'de> for FindingId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|NoSuchFinding| {
            serde::de::Error::custom(format!("no finding is called \"{}\"", text.escape_default()))
        })
    }
}

/// How bad a finding is. In the order in which one outranks another: what is known to be wrong outranks what is not
/// known, and that outranks what is only worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Entries that the cause holds now; `None` where it is no cause that holds entries.
    #[serde(rename = "holds_entries")]
    pub holds: Option<Range>,
    /// The programs of this machine whose entries these are, those with the most first; none where that is not known.
    pub whose: Vec<Whose>,
    /// One sentence: what is the matter.
    pub title: String,
    /// The numbers.
    pub evidence: Vec<Evidence>,
    /// What it means for those who use the host.
    pub meaning: String,
    /// What helps, most helpful first.
    pub remedies: Vec<Remedy>,
}

impl Finding {
    /// Whether it is about entries, so that it tells more once it is known whose they are.
    pub fn is_of_entries(&self) -> bool {
        self.holds.is_some() || self.id == FindingId::DnsClash
    }
}
