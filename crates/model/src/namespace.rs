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

/// What a namespace has its name from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    /// A file under `/run/netns` that is called exactly so: `ip netns exec NAME` works.
    Given,
    /// It is that of process 1: `host`.
    Host,
    /// It is the one that Plimsoll runs in: `this`.
    This,
    /// The id of its container.
    Container,
    /// Docker's file.
    Docker,
    /// The path of a mount elsewhere.
    Mount,
    /// Its inode; also where that had to be added to a given name, or the name had to be escaped.
    Inode,
    /// A process in it.
    Process,
}

/// A process that lives in a namespace, and what its control group says about whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Owner {
    /// Process id, in the pid namespace that Plimsoll sees.
    pub pid: u32,
    /// The process's `comm`.
    pub command: Untrusted,
    /// The systemd unit, where the control group's path names one and no container.
    pub unit: Option<Untrusted>,
    /// Container id, where the control group's path holds one.
    pub container: Option<Untrusted>,
    /// Kubernetes pod uid, where the control group's path holds one.
    pub pod: Option<Untrusted>,
    /// What the container's runtime calls it, where its files tell: `web`, or `default/web-1/nginx` (namespace, pod, container).
    pub called: Option<Untrusted>,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// Name to call it by: that under `/run/netns`, else `host` (that of process 1), else its container, else
    /// Docker's name for it, else where it is mounted, else the inode, else a process in it.
    pub name: Untrusted,
    /// What the name is taken from.
    pub named_by: NamedBy,
    /// Inode; `None` where only `/proc/<pid>/net` tells of it, because no `ns/net` of its processes may be looked at.
    pub inode: Option<Inode>,
    /// Whether it is the one that Plimsoll runs in.
    pub relation: Relation,
    /// The oldest process in it, where there is one that may be seen.
    pub owner: Option<Owner>,
}
