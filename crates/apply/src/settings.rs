//! What changes are written to, as the rest sees it: so that deciding what to undo needs no kernel.

use plimsoll_model::{Occupancy, Reach, ServicePolicy, Sysctl};

use crate::Error;
use crate::policy::{Armed, PolicyName};

/// The settings in force where an application's changes go.
pub trait Settings {
    /// Whether what has this reach is still there: a namespace may be gone, and what was set in it.
    fn holds(&self, reach: Reach) -> bool;
    /// A sysctl's value.
    fn read(&self, sysctl: Sysctl) -> Result<u32, Error>;
    /// Sets a sysctl.
    fn write(&self, sysctl: Sysctl, value: u32) -> Result<(), Error>;
    /// The entries of the fullest network namespace of the host.
    fn fullest(&self) -> Result<Occupancy, Error>;
    /// The policies that are in Plimsoll's table.
    fn policies(&self) -> Result<Vec<PolicyName>, Error>;
    /// Makes a policy.
    fn make(&self, policy: &ServicePolicy, name: &PolicyName, armed: Armed) -> Result<(), Error>;
    /// Changes how long a policy matches.
    fn rearm(&self, name: &PolicyName, armed: Armed) -> Result<(), Error>;
    /// Removes a policy.
    fn remove(&self, name: &PolicyName) -> Result<(), Error>;
}
