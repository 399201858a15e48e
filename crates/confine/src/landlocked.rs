//! What Landlock holds: landlock(7). Each kind of restriction is a layer of its own, so that each can be told of alone.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::error::Error;
use crate::report::Held;
use crate::{Ports, Writable};

/// Linux 6.10: every way of writing, device ioctls included.
const FILES: ABI = ABI::V5;

/// Restricts writing.
pub(crate) fn files(writable: &Writable) -> Result<Held, Error> {
    let Writable::Only(writable) = writable else { return Ok(Held::NotAsked) };
    let handled = AccessFs::from_write(FILES);
    let refused = |answer| Error::Landlock { what: "the files that can be written", answer };
    let mut ruleset = Ruleset::default().handle_access(handled).and_then(Ruleset::create).map_err(refused)?;
    for path in writable.iter().map(PathBuf::as_path).chain([Path::new("/dev/null")]) {
        let opened = PathFd::new(path).map_err(|answer| Error::Path { path: path.to_owned(), answer })?;
        // What concerns the entries of a folder cannot be allowed for a file.
        let access = if path.is_dir() { handled } else { handled & AccessFs::from_file(FILES) };
        ruleset = ruleset.add_rule(PathBeneath::new(opened, access)).map_err(refused)?;
    }
    ruleset.restrict_self().map(|status| held(&status, "5.13, 6.2 for truncation, 6.10 for devices")).map_err(refused)
}

/// Restricts TCP.
pub(crate) fn ports(listen: &Ports, connect: &Ports) -> Result<Held, Error> {
    let restricted = [(AccessNet::BindTcp, listen), (AccessNet::ConnectTcp, connect)];
    let mut handled = BitFlags::<AccessNet>::empty();
    let mut rules = Vec::new();
    for (access, ports) in restricted {
        if let Ports::Only(ports) = ports {
            handled |= access;
            rules.extend(ports.iter().map(|port| NetPort::new(*port, access)));
        }
    }
    if handled.is_empty() {
        return Ok(Held::NotAsked);
    }
    let refused = |answer| Error::Landlock { what: "TCP ports", answer };
    let mut ruleset = Ruleset::default().handle_access(handled).and_then(Ruleset::create).map_err(refused)?;
    for rule in rules {
        ruleset = ruleset.add_rule(rule).map_err(refused)?;
    }
    ruleset.restrict_self().map(|status| held(&status, "6.7")).map_err(refused)
}

/// Restricts signals.
pub(crate) fn signals(writable: &Writable) -> Result<Held, Error> {
    if *writable == Writable::Any {
        return Ok(Held::NotAsked);
    }
    Ruleset::default()
        .scope(Scope::Signal)
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map(|status| held(&status, "6.12"))
        .map_err(|answer| Error::Landlock { what: "signals", answer })
}

fn held(status: &RestrictionStatus, since: &str) -> Held {
    match (&status.ruleset, &status.landlock) {
        (RulesetStatus::FullyEnforced, _) => Held::Wholly,
        (_, LandlockStatus::NotImplemented) => Held::Not("this kernel has no Landlock".to_owned()),
        (_, LandlockStatus::NotEnabled) => Held::Not(
            "Landlock is switched off; `lsm=landlock,…` on the kernel's command line switches it on".to_owned(),
        ),
        (RulesetStatus::PartiallyEnforced, _) => Held::Partly(format!("Linux has this since {since}")),
        (RulesetStatus::NotEnforced, _) => Held::Not(format!("Linux has this since {since}")),
    }
}
