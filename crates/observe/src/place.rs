//! The way into a namespace.

use std::os::fd::OwnedFd;

use plimsoll_host::{Found, in_namespace};
use plimsoll_model::{Namespace, Reading, Relation, Unseen, Untrusted};

/// A namespace, and the ways to it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub(crate) namespace: &'a Namespace,
    file: Option<&'a OwnedFd>,
    /// A process in it, which shows its counters to anybody.
    pub(crate) process: Option<u32>,
}

impl<'a> Place<'a> {
    /// That of a namespace which was found.
    pub fn of(found: &'a Found) -> Self {
        Self { namespace: &found.namespace, file: found.file.as_ref(), process: found.process }
    }

    /// Runs a closure in the namespace. Plimsoll's own needs no right to be entered: it is there already.
    pub fn visit<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Unvisited> {
        match (self.namespace.relation, self.file) {
            (Relation::Own, _) => Ok(work()),
            (Relation::Other, Some(file)) => Ok(in_namespace(file, work)?),
            (Relation::Other, None) => Err(Unvisited::NotOpened),
        }
    }
}

/// Why a namespace was not entered.
#[derive(Debug, thiserror::Error)]
pub enum Unvisited {
    /// The system refused.
    #[error(transparent)]
    Refused(#[from] plimsoll_host::Error),
    /// There is no file to enter it by.
    #[error("its file may not be opened")]
    NotOpened,
}

impl Unvisited {
    /// What it takes.
    pub const NEEDS: &str = "root, or CAP_SYS_ADMIN and CAP_SYS_PTRACE";

    /// The gap that this leaves.
    pub(crate) fn unseen(&self, reading: Reading, namespace: &Namespace) -> Unseen {
        Unseen {
            reading,
            namespace: Some(namespace.name.clone()),
            tried: Untrusted::from("enter the network namespace"),
            answered: Untrusted::from(self.to_string().as_str()),
            needs: Self::NEEDS.to_string(),
        }
    }
}
