//! What undoes an edit: a pure function of the edit and of what is in force before it.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_model::{Buckets, Edit, PolicyProtocol, Sysctl, XdpStage};
use serde::{Deserialize, Serialize};

use crate::own_rules::{OwnRules, RulesKind, RulesName};
use crate::plan::Change;

/// What is in force, as far as a plan touches it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Current {
    /// Sysctls.
    pub sysctls: BTreeMap<Sysctl, u32>,
    /// Services that rules of Plimsoll's are for.
    #[serde(default)]
    pub rules: BTreeSet<(RulesKind, PolicyProtocol, u16)>,
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
    /// Rules are removed, if they are still there under the name that was given to them.
    Rules(RulesName),
    /// The table of a shield is removed, if it is still the one of this application.
    Shield {
        /// Its number.
        application: u32,
    },
    /// The XDP stage of a shield is detached, if it is the one of this application.
    XdpStage {
        /// Where it is.
        stage: XdpStage,
        /// Its number.
        application: u32,
    },
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
    /// The same is in force for the service.
    #[error("rules of Plimsoll's for {}/{port} ({does}) are in force already; `plimsoll rollback` removes them", protocol.name())]
    Governed {
        /// What the rules do.
        does: RulesKind,
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
        Edit::Policy(policy) => of_rules(OwnRules::Policy(policy), current, application),
        Edit::Bypass(bypass) => of_rules(OwnRules::Bypass(bypass), current, application),
        Edit::Shield(_) => Ok(Revert::Shield { application }),
        Edit::XdpStage(stage) => Ok(Revert::XdpStage { stage: stage.clone(), application }),
    }
}

fn of_rules(rules: OwnRules<'_>, current: &mut Current, application: u32) -> Result<Revert, NotRevertible> {
    let name = rules.name(application);
    let (does, protocol, port) = (name.does, name.protocol, name.port);
    if current.rules.insert((does, protocol, port)) {
        Ok(Revert::Rules(name))
    } else {
        Err(NotRevertible::Governed { does, protocol, port })
    }
}

/// What the kernel makes of a value that is written: it rounds buckets up to whole pages. Beyond `i32::MAX` it refuses
/// (`proc_dointvec`).
pub fn in_force(sysctl: Sysctl, written: u32) -> Option<u32> {
    let written = i32::try_from(written).ok().map(|_| written)?;
    if sysctl == Sysctl::BUCKETS { Buckets::in_whole_pages(written).map(|buckets| buckets.0) } else { Some(written) }
}
