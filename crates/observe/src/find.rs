//! Namespaces by the names that they go by.

use crate::{Error, Target};
use plimsoll_host::{Found, HostFs, allow_many_open_files};

/// Finds a namespace by its name, its inode, or `this`.
pub fn find(host: &HostFs, name: &str) -> Result<Found, Error> {
    allow_many_open_files();
    named(host.namespaces().found, name)
}

/// Those of the namespaces that are meant.
pub(crate) fn targeted(found: Vec<Found>, target: &Target) -> Result<Vec<Found>, Error> {
    match target {
        Target::All => Ok(found),
        Target::Named(name) => Ok(vec![named(found, name)?]),
    }
}

/// The namespace that goes by a name.
pub(crate) fn named(found: Vec<Found>, name: &str) -> Result<Found, Error> {
    const LISTED: usize = 20;
    let names = found.iter().map(|found| found.namespace.name.to_string());
    let mut known = names.take(LISTED).collect::<Vec<_>>().join(", ");
    if found.len() > LISTED {
        known += &format!(" and {} more; an inode will do too", found.len() - LISTED);
    }
    let goes_by = |found: &Found| found.goes_by(name);
    found.into_iter().find(goes_by).ok_or_else(|| Error::NoSuchNamespace { name: name.to_string(), known })
}
