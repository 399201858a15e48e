//! The search for network namespaces: by their files, and by the processes in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::thread::sleep;
use std::time::Duration;

use plimsoll_model::{Inode, Reading, Relation, Unseen, Untrusted};
use rustix::thread::{CapabilitySet, capabilities};

use crate::named_file::{NameBy, NamedFile};
use crate::namespace_file::open_namespace;
use crate::net_files::NetId;
use crate::{Error, HostFs, in_namespace, monotonic_now};

/// What a search has found.
pub(crate) struct Search<'a> {
    host: &'a HostFs,
    /// Those with a file.
    opened: BTreeMap<Inode, Candidate>,
    /// Those that only `/proc/<pid>/net` tells of.
    unopened: Vec<Candidate>,
    /// Files that may become namespaces, or go, before the search ends, and what is wrong with them.
    unsettled: Vec<(NamedFile, Error)>,
    /// Those whose mount point could not be opened.
    refused_mounts: Vec<(Inode, Error)>,
    pub(crate) unseen: Vec<Unseen>,
}

/// A namespace that was found, before it has a name.
pub(crate) struct Candidate {
    pub(crate) relation: Relation,
    pub(crate) inode: Option<Inode>,
    pub(crate) file: Option<OwnedFd>,
    /// Set where processes had to be placed by it.
    pub(crate) net_id: Option<NetId>,
    pub(crate) given: Option<Vec<u8>>,
    pub(crate) sandbox: Option<Vec<u8>>,
    pub(crate) mount: Option<Vec<u8>>,
    pub(crate) members: Vec<u32>,
}

impl<'a> Search<'a> {
    pub(crate) const fn new(host: &'a HostFs) -> Self {
        Self {
            host,
            opened: BTreeMap::new(),
            unopened: Vec::new(),
            unsettled: Vec::new(),
            refused_mounts: Vec::new(),
            unseen: Vec::new(),
        }
    }

    /// Takes out what was found.
    pub(crate) fn candidates(&mut self) -> Vec<Candidate> {
        let opened = std::mem::take(&mut self.opened).into_values();
        opened.chain(std::mem::take(&mut self.unopened)).collect()
    }

    /// Finds the namespace that Plimsoll runs in.
    pub(crate) fn own(&mut self) {
        match open_namespace(&self.host.path("/proc/self/ns/net")) {
            Ok((inode, file)) => {
                let own = Candidate { relation: Relation::Own, ..Candidate::opened(inode, file) };
                self.opened.insert(inode, own);
            }
            Err(error) => self.unseen.push(error.unseen(Reading::Namespace)),
        }
    }

    /// Finds those that have a name.
    pub(crate) fn named(&mut self) {
        let mut seen = BTreeSet::new();
        for (directory, names) in DIRECTORIES {
            // /var/run is a link to /run almost everywhere.
            match self.host.metadata(directory) {
                Ok(stat) if seen.insert((stat.dev(), stat.ino())) => self.named_in(directory, names),
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => self.unseen.push(error.unseen(Reading::Namespaces)),
            }
        }
    }

    fn named_in(&mut self, directory: &str, names: NameBy) {
        let path = self.host.path(directory);
        let unlisted = |source| Error::System { action: "list", path: path.clone(), source };
        let entries = match path.read_dir().map_err(unlisted) {
            Ok(entries) => entries,
            Err(error) => return self.unseen.push(error.unseen(Reading::Namespaces)),
        };
        for entry in entries {
            match entry.map_err(unlisted) {
                Ok(entry) => {
                    let unsettled = self.look_at(NamedFile { path: entry.path(), names });
                    self.unsettled.extend(unsettled);
                }
                Err(error) => self.unseen.push(error.unseen(Reading::Namespace)),
            }
        }
    }

    /// Finds the namespace of a file. Gives the file back where it is none, but may be one later.
    fn look_at(&mut self, file: NamedFile) -> Option<(NamedFile, Error)> {
        match open_namespace(&file.path) {
            Ok((inode, opened)) => (file.names)(self.candidate(inode, opened), file.name()),
            // Removed since it was listed.
            Err(error) if error.is_absent() => {}
            Err(error) if file.is_surely_no_namespace() => self.unseen.push(error.unseen(Reading::Namespace)),
            Err(error) => return Some((file, error)),
        }
        None
    }

    /// Finds those that are mounted where nobody would look for them. Those among the named ones are passed over: they
    /// were found, or have come since.
    pub(crate) fn mounted(&mut self) {
        let mounts = match self.host.namespace_mounts() {
            Ok(mounts) => mounts,
            // A tree without /proc: that is told of already.
            Err(error) if error.is_absent() => return,
            Err(error) => return self.unseen.push(error.unseen(Reading::Namespaces)),
        };
        for mount in mounts {
            let path = self.host.place_of(&mount.point);
            let is_named = DIRECTORIES.iter().any(|(named, _)| path.parent() == Some(&self.host.path(named)));
            if is_named || self.opened.contains_key(&mount.inode) {
                continue;
            }
            match open_namespace(&path) {
                // Where another was mounted over it, this is the other.
                Ok((inode, file)) => keep_first(&mut self.candidate(inode, file).mount, mount.point.as_os_str()),
                // Unmounted since, or covered.
                Err(error) if error.is_absent() || matches!(error, Error::Malformed { .. }) => {}
                Err(error) => self.refused_mounts.push((mount.inode, error)),
            }
        }
    }

    /// Looks again at what was not a namespace yet, or no longer, until it is one or gone; tells of what is neither.
    pub(crate) fn settle(&mut self) {
        let mut unsettled = std::mem::take(&mut self.unsettled);
        let deadline = monotonic_now() + PATIENCE;
        while !unsettled.is_empty() {
            unsettled = unsettled.into_iter().filter_map(|(file, _)| self.look_at(file)).collect();
            if unsettled.is_empty() || monotonic_now() + PAUSE > deadline {
                break;
            }
            sleep(PAUSE);
        }
        self.unseen.extend(unsettled.iter().map(|(file, error)| file.unseen(error)));
        for (inode, error) in std::mem::take(&mut self.refused_mounts) {
            // A process in it may have been found instead.
            if !self.opened.contains_key(&inode) {
                self.unseen.push(error.unseen(Reading::Namespace));
            }
        }
    }

    /// Finds those that a process is in.
    pub(crate) fn processes(&mut self) {
        let pids = match self.host.process_ids() {
            Ok(pids) => pids,
            Err(error) => return self.unseen.push(error.unseen(Reading::Namespaces)),
        };
        let mut refused: Vec<Error> = Vec::new();
        let mut withheld: Vec<u32> = Vec::new();
        for pid in &pids {
            match self.join(*pid) {
                Ok(()) => {}
                Err(error) if error.is_absent() => {}
                Err(error) if error.is_not_permitted() => withheld.push(*pid),
                Err(error) => refused.push(error),
            }
        }
        refused.extend(self.place(&withheld));
        if let Some(first) = refused.first() {
            let tried = match refused.len() {
                1 => "the network namespace of 1 process".to_owned(),
                number => format!("the network namespaces of {number} processes"),
            };
            let (tried, needs) = (Untrusted::from(tried.as_str()), rights_over_processes().to_owned());
            self.unseen.push(Unseen { tried, needs, ..first.unseen(Reading::Namespaces) });
        }
        if !pids.contains(&1) {
            self.unseen.push(hidden(
                "the processes that /proc leaves out (hidepid)",
                "process 1 is not listed",
                "root",
            ));
        }
    }

    /// Notes a process as a member of its namespace.
    fn join(&mut self, pid: u32) -> Result<(), Error> {
        let inode = self.host.namespace_of(pid)?;
        if let Some(candidate) = self.opened.get_mut(&inode) {
            candidate.members.push(pid);
            return Ok(());
        }
        let (inode, file) = open_namespace(&self.host.path(&network_of(pid)))?;
        self.candidate(inode, file).members.push(pid);
        Ok(())
    }

    /// Notes processes whose `ns/net` may not be looked at as members of the namespaces already found or, where they
    /// are in none of those, of ones without a file. Gives back what was answered where that was refused too.
    fn place(&mut self, withheld: &[u32]) -> Vec<Error> {
        let mut refused = Vec::new();
        let mut groups: BTreeMap<NetId, Vec<u32>> = BTreeMap::new();
        for pid in withheld {
            match self.host.net_id(pid) {
                Ok(net_id) => groups.entry(net_id).or_default().push(*pid),
                Err(error) if error.is_absent() => {}
                Err(error) => refused.push(error),
            }
        }
        for net_id_of in [net_id_by_process as fn(&HostFs, &Candidate) -> Option<NetId>, net_id_by_entering] {
            // Entering takes a thread for each namespace: only those are entered that nothing else tells of, and only
            // while there are processes left to place.
            for candidate in self.opened.values_mut().filter(|candidate| candidate.net_id.is_none()) {
                if groups.is_empty() {
                    return refused;
                }
                candidate.net_id = net_id_of(self.host, candidate);
                let members = candidate.net_id.and_then(|net_id| groups.remove(&net_id));
                candidate.members.extend(members.unwrap_or_default());
            }
        }
        self.unopened = groups.into_iter().map(|(net_id, members)| Candidate::unopened(net_id, members)).collect();
        refused
    }

    fn candidate(&mut self, inode: Inode, file: OwnedFd) -> &mut Candidate {
        self.opened.entry(inode).or_insert_with(|| Candidate::opened(inode, file))
    }
}

impl Candidate {
    fn opened(inode: Inode, file: OwnedFd) -> Self {
        Self { inode: Some(inode), file: Some(file), ..Self::unknown() }
    }

    fn unopened(net_id: NetId, members: Vec<u32>) -> Self {
        Self { net_id: Some(net_id), members, ..Self::unknown() }
    }

    const fn unknown() -> Self {
        Self {
            relation: Relation::Other,
            inode: None,
            file: None,
            net_id: None,
            given: None,
            sandbox: None,
            mount: None,
            members: Vec::new(),
        }
    }

    /// Whether a process is in it: what was a member may have ended, and its number be another's by now.
    pub(crate) fn holds(&self, host: &HostFs, pid: u32) -> bool {
        match self.net_id {
            Some(_) => host.net_id(pid).ok() == self.net_id,
            None => self.inode.is_some() && host.namespace_of(pid).ok() == self.inode,
        }
    }
}

/// By Plimsoll itself, or by a member whose `ns/net` may be looked at.
fn net_id_by_process(host: &HostFs, candidate: &Candidate) -> Option<NetId> {
    if candidate.relation == Relation::Own {
        return host.net_id("self").ok();
    }
    candidate.members.iter().find_map(|pid| {
        let net_id = host.net_id(pid).ok()?;
        candidate.holds(host, *pid).then_some(net_id)
    })
}

/// Where it has a name and no process that may be looked at.
fn net_id_by_entering(host: &HostFs, candidate: &Candidate) -> Option<NetId> {
    in_namespace(candidate.file.as_ref()?, || host.net_id("thread-self")).ok()?.ok()
}

impl HostFs {
    /// The network namespace that a process is in.
    pub fn namespace_of(&self, pid: u32) -> Result<Inode, Error> {
        Ok(Inode(self.metadata(&network_of(pid))?.ino()))
    }
}

fn network_of(pid: u32) -> String {
    format!("/proc/{pid}/ns/net")
}

/// Where namespaces have names.
const DIRECTORIES: [(&str, NameBy); 3] =
    [("/run/netns", name_given), ("/var/run/netns", name_given), ("/run/docker/netns", name_sandbox)];

/// How long a file is waited for that may be just being made or removed, and how long between two looks.
const PATIENCE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(2);

/// The first of several names, so that it does not depend on the order of the directory.
fn keep_first(kept: &mut Option<Vec<u8>>, name: &OsStr) {
    let name = name.as_bytes();
    if kept.as_ref().is_none_or(|before| name < before.as_slice()) {
        *kept = Some(name.to_vec());
    }
}

fn name_given(candidate: &mut Candidate, name: &OsStr) {
    keep_first(&mut candidate.given, name);
}

fn name_sandbox(candidate: &mut Candidate, name: &OsStr) {
    keep_first(&mut candidate.sandbox, name);
}

/// What it takes to look at a process that was refused. `CAP_SYS_PTRACE` outweighs everything but a security module, and
/// counts only in the user namespace of the process and those within (`__ptrace_may_access` in `kernel/ptrace.c`).
fn rights_over_processes() -> &'static str {
    match capabilities(None) {
        Ok(sets) if sets.effective.contains(CapabilitySet::SYS_PTRACE) => {
            "CAP_SYS_PTRACE in the process's own user namespace, and a security module (LSM) that allows it"
        }
        _ => "root, or CAP_SYS_PTRACE",
    }
}

pub(crate) fn hidden(what: &str, because: &str, needs: &str) -> Unseen {
    Unseen {
        reading: Reading::Namespaces,
        namespace: None,
        tried: Untrusted::from(what),
        answered: Untrusted::from(because),
        needs: needs.to_owned(),
    }
}
