//! Network namespaces and whose they are.

use std::fmt;

use serde::Serialize;

use crate::Untrusted;

/// The inode number of a network namespace, as `/proc/<pid>/ns/net` and the kernel's log show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Inode(pub u64);

impl fmt::Display for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a namespace relates to the one that Plimsoll was started in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The one that Plimsoll runs in.
    Own,
    /// Any other.
    Other,
}

/// A process that lives in a namespace, and what its control group says about whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Process id, in the pid namespace that Plimsoll sees.
    pub pid: u32,
    /// The process's `comm`.
    pub command: Untrusted,
    /// Container id, where the control group's path holds one.
    pub container: Option<Untrusted>,
    /// Kubernetes pod uid, where the control group's path holds one.
    pub pod: Option<Untrusted>,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// Name to call it by: that under `/run/netns`, else `host` (that of process 1), else its container, else the
    /// inode, else a process in it.
    pub name: Untrusted,
    /// Inode; `None` where only `/proc/<pid>/net` tells of it, because no `ns/net` of its processes may be looked at.
    pub inode: Option<Inode>,
    /// Whether it is the one that Plimsoll runs in.
    pub relation: Relation,
    /// The oldest process in it, where there is one that may be seen.
    pub owner: Option<Owner>,
}
