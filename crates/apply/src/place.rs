//! A network namespace that changes go to, found again by its inode.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use plimsoll_host::{Discovery, Found, HostFs, NetFiles, allow_many_open_files};
use plimsoll_model::{NamedBy, Occupancy, Reading as Looked, Relation, Sysctl, Untrusted};
use plimsoll_observe::Unvisited;

use crate::Error;
use crate::record::{NamespaceKind, Where};

/// A namespace and the way into it.
#[derive(Debug)]
pub struct Place {
    found: Found,
    at: Where,
}

impl Place {
    /// The one that goes by a name: as `check` calls it, its inode, or `this`.
    pub fn named(name: &str) -> Result<Self, Error> {
        Self::find(|found| found.goes_by(name))?.ok_or_else(|| Error::NoNamespace { name: Untrusted::from(name) })
    }

    /// The one of an application; `None` where it is no more.
    pub fn of(at: &Where) -> Result<Option<Self>, Error> {
        match Self::find(|found| found.namespace.inode.is_some_and(|inode| inode.0 == at.inode))? {
            // What cannot be seen from here need not be gone.
            None => all_are_seen(&HostFs::new().namespaces()).map(|()| None),
            found => Ok(found),
        }
    }

    /// The first one that the kernel has, in which alone the host's limits can be set: the caller's own, if it is that, else
    /// that of process 1. `None` where it is out of reach, as it is for root of a user namespace.
    pub(crate) fn initial() -> Option<Self> {
        let found = Self::find(|found| match found.namespace.relation {
            Relation::Own => kind_of_this_thread() == NamespaceKind::Host,
            Relation::Other => found.namespace.named_by == NamedBy::Host,
        });
        found.ok().flatten()
    }

    fn find(matches: impl Fn(&Found) -> bool) -> Result<Option<Self>, Error> {
        allow_many_open_files();
        let found = HostFs::new().namespaces().found.into_iter().find(|found| matches(found));
        found.map(Self::enterable).transpose()
    }

    fn enterable(found: Found) -> Result<Self, Error> {
        let name = found.namespace.name.as_str().to_string();
        let inode = found.namespace.inode.map(|inode| inode.0);
        let inode = inode.ok_or_else(|| Error::NoNamespace { name: found.namespace.name.clone() })?;
        let kind = visit(&found, kind_of_this_thread)?;
        Ok(Self { found, at: Where { name, inode, kind } })
    }

    /// How the journal names it.
    pub const fn at(&self) -> &Where {
        &self.at
    }

    /// Runs a closure in it.
    pub fn visit<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        visit(&self.found, work)
    }
}

fn visit<T: Send>(found: &Found, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    plimsoll_observe::Place::of(found).visit(work).map_err(|unvisited| match unvisited {
        Unvisited::Refused(error) => Error::Host(error),
        Unvisited::NotOpened => Error::NoNamespace { name: found.namespace.name.clone() },
    })
}

/// Only the first namespace shows the limits as writable (`nf_conntrack_standalone_init_sysctl`: 0444 in all others).
fn kind_of_this_thread() -> NamespaceKind {
    let path = format!("/proc/sys/{}", Sysctl::CAPACITY.path());
    match fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o200 != 0 => NamespaceKind::Host,
        _ => NamespaceKind::Other,
    }
}

/// The entries of the fullest namespace of the host. An error where one cannot be asked: what is not known is not 0.
pub(crate) fn fullest() -> Result<Occupancy, Error> {
    allow_many_open_files();
    let host = HostFs::new();
    let discovery = host.namespaces();
    all_are_seen(&discovery)?;
    let mut fullest = Occupancy(0);
    for found in discovery.found {
        match occupancy(&host, &found) {
            Ok(occupancy) => fullest = fullest.max(occupancy),
            // It has ended meanwhile, and its entries with it.
            Err(Error::Host(error)) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(fullest)
}

fn all_are_seen(discovery: &Discovery) -> Result<(), Error> {
    let gap = discovery.unseen.iter().find(|gap| gap.reading == Looked::Namespaces);
    gap.map_or(Ok(()), |gap| {
        Err(Error::Refused(format!("cannot {}: {}; it takes {}", gap.tried, gap.answered, gap.needs)))
    })
}

fn occupancy(host: &HostFs, found: &Found) -> Result<Occupancy, Error> {
    match (&found.file, found.process) {
        (None, Some(process)) => {
            let statistics = host.statistics(NetFiles::OfProcess(process))?;
            statistics.occupancy.ok_or_else(|| Error::NoNamespace { name: found.namespace.name.clone() })
        }
        _ => Ok(visit(found, || host.occupancy())??),
    }
}
