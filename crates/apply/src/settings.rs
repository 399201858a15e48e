//! What changes are written to, as the rest sees it: so that deciding what to undo needs no kernel.

use plimsoll_model::{Occupancy, Reach, Sysctl, XdpStage};

use crate::Error;
use crate::own_rules::{Armed, OwnRules, RulesName};
use crate::record::Undone;

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
    /// The rules that are in Plimsoll's table.
    fn rules(&self) -> Result<Vec<RulesName>, Error>;
    /// Makes rules.
    fn make(&self, rules: OwnRules<'_>, name: &RulesName, armed: Armed) -> Result<(), Error>;
    /// Changes how long rules match.
    fn rearm(&self, name: &RulesName, armed: Armed) -> Result<(), Error>;
    /// Removes rules.
    fn remove(&self, name: &RulesName) -> Result<(), Error>;
    /// The application that made the shield which is there; `None` where there is none of Plimsoll's.
    fn shield(&self) -> Result<Option<u32>, Error>;
    /// Removes the shield.
    fn remove_shield(&self) -> Result<(), Error>;
    /// Detaches the XDP stage of a shield, if it is that of an application.
    fn detach(&self, stage: &XdpStage, application: u32) -> Result<Undone, Error>;
}
