//! From a [`Snapshot`] and its [`Finding`]s to a [`Plan`]: what to change, in which order, why, and what it would do. No I/O, no
//! clock: the same snapshot always gives the same plan.
//!
//! What a plan says of the future is rehearsed in the twin, which begins with the entries that were read and goes on with what
//! comes ([`Rehearsal`]). What the entries cannot tell (how long flows are silent that will send again) is bounded by their idle ages.

mod buckets;
mod bypass;
mod changes;
mod demand;
mod growth;
mod measured;
mod memory;
mod notes;
mod others;
mod planned;
mod planning;
mod profile;
mod rails;
mod rehearsal;
mod relief;
mod revert;
mod services;
mod silenced;
mod size;
mod timeouts;
mod workload;

pub use buckets::{BucketChoice, BucketOption};
pub use bypass::{BypassGround, Bypasses};
pub use demand::Demand;
pub use measured::{
    Compared, Guard, MeasureRequest, Measured, MeasuredPolicy, MeasuredService, MeasuredTimeout, Rails, Recommended,
    Replayed, ServiceKind, ServiceValue, Silences, SurvivalPoint, Value, measure, recorded_setup,
};
pub use memory::{Budget, FOUNDING_SHARE};
pub use planned::{PassedOver, Plan, Planned, Risk, Saves, TimeoutsBy};
pub use planning::{Request, Situation, looks_for_bypasses, plan};
pub use plimsoll_survival::{Band, FalseKills, Share};
pub use profile::{NoSuchProfile, Profile};
pub use rails::{Holds, Rail, Role, rails};
pub use rehearsal::{Course, FalseKillsByHarm, Forecast, Moment, Rehearsal};
pub use relief::{Going, Relief, Room, Stale, relief};
pub use silenced::Silenced;
pub use size::{NamespaceDemand, SizeDecision, Sizing};

#[cfg(doc)]
use plimsoll_model::{Finding, Snapshot};
