//! Namespaces by the names that they go by.

use plimsoll_host::{Found, HostFs, allow_many_open_files};
use plimsoll_model::{Relation, Untrusted};

use crate::Error;

/// Finds a namespace by its name, its inode, or `this`.
pub fn find(host: &HostFs, name: &str) -> Result<Found, Error> {
    allow_many_open_files();
    named(host.namespaces().found, name)
}

/// The namespace that goes by a name.
pub(crate) fn named(found: Vec<Found>, name: &str) -> Result<Found, Error> {
    const LISTED: usize = 20;
    let names = found.iter().map(|found| found.namespace.name.to_string());
    let mut known = names.take(LISTED).collect::<Vec<_>>().join(", ");
    if found.len() > LISTED {
        known += &format!(" and {} more; an inode will do too", found.len() - LISTED);
    }
    let asked = Untrusted::from(name);
    let goes_by = |found: &Found| {
        let namespace = &found.namespace;
        namespace.name == asked
            // As it is shown, for names that have to be escaped.
            || namespace.name.as_str() == name
            || namespace.inode.is_some_and(|inode| inode.to_string() == name)
            || (name == "this" && namespace.relation == Relation::Own)
    };
    found.into_iter().find(goes_by).ok_or_else(|| Error::NoSuchNamespace { name: name.to_string(), known })
}
