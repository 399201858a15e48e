//! What undoes an edit: a pure function of the edit and of what is in force before it.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_model::{Buckets, Edit, PolicyProtocol, Sysctl};
use serde::{Deserialize, Serialize};

use crate::plan::Change;
use crate::policy::PolicyName;

/// What is in force, as far as a plan touches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Current {
    /// Sysctls.
    pub sysctls: BTreeMap<Sysctl, u32>,
    /// Services that a policy of Plimsoll's governs.
    #[serde(default)]
    pub policies: BTreeSet<(PolicyProtocol, u16)>,
}

/// What undoes an edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Revert {
    /// A sysctl is written back, if it is still what the edit made of it.
    Sysctl {
        /// Which.
        sysctl: Sysctl,
        /// What it is while it is still ours: what the kernel makes of the value that was written.
        ours: u32,
        /// What it was before.
        back: u32,
    },
    /// A policy is removed, if it is still there under the name that was given to it.
    Policy(PolicyName),
}

/// Why an edit is not made: what would undo it could not be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRevertible {
    /// The value is another than the plan was made for.
    #[error(
        "{sysctl} is {found}, and the plan was made when it was {expected}: somebody has changed it since; make the plan anew"
    )]
    Moved {
        /// Which.
        sysctl: Sysctl,
        /// As the plan has it.
        expected: u32,
        /// As it is.
        found: u32,
    },
    /// The value is not known.
    #[error("{sysctl} could not be read, and what is not known cannot be restored")]
    Unknown {
        /// Which.
        sysctl: Sysctl,
    },
    /// The edit changes nothing, so nothing undoes it.
    #[error("{sysctl} is {value} already")]
    SameAlready {
        /// Which.
        sysctl: Sysctl,
        /// What it is and shall be.
        value: u32,
    },
    /// The value is more than the kernel takes.
    #[error("{sysctl} cannot be {value}: it is more than the kernel takes")]
    TooLarge {
        /// Which.
        sysctl: Sysctl,
        /// What it was to be.
        value: u32,
    },
    /// A policy for the service is in force.
    #[error("a policy of Plimsoll's for {}/{port} is in force already; `plimsoll rollback` removes it", protocol.name())]
    Governed {
        /// The service's protocol.
        protocol: PolicyProtocol,
        /// The service's port.
        port: u16,
    },
}

/// What undoes each change of a plan, in the order of the changes (they are undone from the last to the first).
pub fn reverts(changes: &[Change], current: &Current, application: u32) -> Result<Vec<Revert>, NotRevertible> {
    let mut current = current.clone();
    changes.iter().map(|change| revert(&change.edit, &mut current, application)).collect()
}

/// What undoes one edit; `current` becomes what is in force after it.
fn revert(edit: &Edit, current: &mut Current, application: u32) -> Result<Revert, NotRevertible> {
    match edit {
        Edit::Sysctl { sysctl, from, to } => {
            let (sysctl, value) = (*sysctl, *to);
            let found = *current.sysctls.get(&sysctl).ok_or(NotRevertible::Unknown { sysctl })?;
            if found != *from {
                return Err(NotRevertible::Moved { sysctl, expected: *from, found });
            }
            let ours = in_force(sysctl, value).ok_or(NotRevertible::TooLarge { sysctl, value })?;
            if ours == found {
                return Err(NotRevertible::SameAlready { sysctl, value: found });
            }
            current.sysctls.insert(sysctl, ours);
            Ok(Revert::Sysctl { sysctl, ours, back: found })
        }
        Edit::Policy(policy) => {
            let (protocol, port) = (policy.protocol, policy.port);
            if !current.policies.insert((protocol, port)) {
                return Err(NotRevertible::Governed { protocol, port });
            }
            Ok(Revert::Policy(PolicyName::of(policy, application)))
        }
    }
}

/// What the kernel makes of a value that is written: it rounds buckets up to whole pages. Beyond `i32::MAX` it refuses
/// (`proc_dointvec`).
pub fn in_force(sysctl: Sysctl, written: u32) -> Option<u32> {
    let written = i32::try_from(written).ok().map(|_| written)?;
    if sysctl == Sysctl::BUCKETS { Buckets::in_whole_pages(written).map(|buckets| buckets.0) } else { Some(written) }
}
