//! A plan: changes, each with its reasons.

use plimsoll_model::{Edit, Overwrite, Range, Untrusted};
use serde::Serialize;

use crate::{BucketChoice, Forecast, Profile, Rail, Role, Silenced, Sizing};

/// What is to be changed in a namespace, in which order, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The namespace.
    pub namespace: Untrusted,
    /// What the host is to its flows.
    pub role: Role,
    /// What was asked of timeouts.
    pub timeouts: TimeoutsBy,
    /// The limit.
    pub sizing: Sizing,
    /// The buckets; `None` where they were not read.
    pub buckets: Option<BucketChoice>,
    /// The changes: the most helpful for the least risk first.
    pub changes: Vec<Planned>,
    /// What all of them do together; `None` where there are none, or nothing could be rehearsed.
    pub together: Option<Forecast>,
    /// What was considered and is not proposed.
    pub passed_over: Vec<PassedOver>,
    /// What else whoever carries it out must know.
    pub notes: Vec<String>,
}

/// Where timeouts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutsBy {
    /// What this host's own flows ask for.
    Auto,
    /// The founding guide's, for a kind of host.
    Profile(Profile),
    /// A recording's: see [`crate::Situation::measured`].
    Recording,
    /// They stay as they are.
    Keep,
}

/// A change.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// What is written.
    pub edit: Edit,
    /// Why, in a sentence.
    pub why: String,
    /// How the value was worked out.
    pub derivation: String,
    /// What the twin says that it does by itself; `None` where it changes nothing that the twin knows.
    pub forecast: Option<Forecast>,
    /// Flows that are silent for longer than a new timeout; `None` where the change is no timeout.
    pub silenced: Option<Silenced>,
    /// What need not be among the entries any more; `None` where the change is no bypass.
    pub saves: Option<Saves>,
    /// When it takes effect.
    pub takes_effect: &'static str,
    /// What it costs.
    pub cost: String,
    /// How much harm it can do.
    pub risk: Risk,
    /// Which.
    pub risk_because: String,
    /// Values below which harm is known that it goes below.
    pub prices: Vec<Rail>,
    /// Who will not leave it so, and when; `None` where it is not known what else sets it.
    pub overwritten: Option<Vec<Overwrite>>,
    /// How to undo it.
    pub revert: String,
}

/// What a service that is left untracked does not take any more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Saves {
    /// Entries that it holds now.
    pub entries: Range,
    /// Entries that it makes a second; `None` where that is not known.
    pub per_sec: Option<f64>,
}

/// How much harm a change can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// None that is known.
    None,
    /// To few flows, and they recover.
    Low,
    /// Flows may be reset or stall.
    Medium,
}

/// What was considered and is not proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// What.
    pub what: String,
    /// Why not.
    pub because: String,
}
