//! Which network namespaces there are.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use plimsoll_model::{Inode, Namespace, Owner, Reading, Relation, Unseen, Untrusted};
use rustix::fs::{Mode, OFlags};

use crate::naming::{Names, make_unique};
use crate::{Error, HostFs};

/// A namespace that was found.
#[derive(Debug)]
pub struct Found {
    /// Which.
    pub namespace: Namespace,
    /// Its file, for [`crate::in_namespace`]. While this is open the namespace cannot vanish.
    pub file: OwnedFd,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Each namespace once: Plimsoll's own first, then by name. No two have the same name.
    pub found: Vec<Found>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

impl HostFs {
    /// Finds the network namespaces: Plimsoll's own, those with a file under `/run/netns` (and Docker's under
    /// `/run/docker/netns`: Swarm's `ingress_sbox` has no process), and those that a process is in.
    ///
    /// Not found are those that only a thread is in (of a process, the leader's counts), and those that only an open
    /// file or a mount elsewhere keeps. A process that ends meanwhile is passed over. Each namespace costs an open
    /// file, each process one stat(2), and one read where it is not in the namespace of process 1.
    pub fn namespaces(&self) -> Discovery {
        let mut search = Search { host: self, candidates: BTreeMap::new(), unseen: Vec::new() };
        let own = search.own();
        search.named();
        search.processes();
        search.finish(own)
    }

    fn inode_of(&self, pid: u32) -> Result<Inode, Error> {
        Ok(Inode(self.metadata(&network_of(pid))?.ino()))
    }

    /// Whether /proc shows the processes of the whole host. Process 1 of that /proc tells; where it may not be looked
    /// at, Plimsoll's own pid namespace stands in.
    fn shows_all_processes(&self) -> Result<bool, Error> {
        let pid_namespace = self.metadata("/proc/1/ns/pid").or_else(|_| self.metadata("/proc/self/ns/pid"));
        match pid_namespace {
            Ok(namespace) => Ok(namespace.ino() == INITIAL_PID_NAMESPACE),
            // A kernel without pid namespaces (CONFIG_PID_NS).
            Err(error) if error.is_absent() => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// `include/uapi/linux/magic.h`.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// The initial pid namespace's inode (`include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The initial network namespace's, from 6.18 on (`include/uapi/linux/nsfs.h`). Before, it has one of those that are
/// given out from 0xf0000000 on, so this one is nobody else's.
const INITIAL_NETWORK_NAMESPACE: Inode = Inode(0xefff_fff9);

/// Opens a namespace's file, and nothing else: a device in its place is not opened.
fn open_namespace(path: &Path) -> Result<(Inode, OwnedFd), Error> {
    let failed =
        |action| move |errno: rustix::io::Errno| Error::System { action, path: path.into(), source: errno.into() };
    let file_system = rustix::fs::statfs(path).map_err(failed("look at"))?;
    if u64::try_from(file_system.f_type) != Ok(NSFS_MAGIC) {
        let problem = "is not a namespace";
        return Err(Error::Malformed { path: path.into(), line: None, item: Vec::new(), problem });
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open"))?;
    let stat = rustix::fs::fstat(&file).map_err(failed("look at"))?;
    Ok((Inode(stat.st_ino), file))
}

fn network_of(pid: u32) -> String {
    format!("/proc/{pid}/ns/net")
}

/// A namespace that was found, before it has a name.
struct Candidate {
    file: OwnedFd,
    given: Option<Vec<u8>>,
    sandbox: Option<Vec<u8>>,
    members: Vec<u32>,
}

impl Candidate {
    const fn new(file: OwnedFd) -> Self {
        Self { file, given: None, sandbox: None, members: Vec::new() }
    }
}

struct Search<'a> {
    host: &'a HostFs,
    candidates: BTreeMap<Inode, Candidate>,
    unseen: Vec<Unseen>,
}

impl Search<'_> {
    fn own(&mut self) -> Option<Inode> {
        match open_namespace(&self.host.path("/proc/self/ns/net")) {
            Ok((inode, file)) => {
                self.candidates.insert(inode, Candidate::new(file));
                Some(inode)
            }
            Err(error) => {
                self.unseen.push(error.unseen(Reading::Namespace));
                None
            }
        }
    }

    fn named(&mut self) {
        let mut seen = BTreeSet::new();
        for (directory, names) in [
            ("/run/netns", name_given as fn(&mut Candidate, &OsStr)),
            ("/var/run/netns", name_given),
            ("/run/docker/netns", name_sandbox),
        ] {
            // /var/run is a link to /run almost everywhere.
            match self.host.metadata(directory) {
                Ok(stat) if seen.insert((stat.dev(), stat.ino())) => self.named_in(directory, names),
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => self.unseen.push(error.unseen(Reading::Namespaces)),
            }
        }
    }

    fn named_in(&mut self, directory: &str, names: fn(&mut Candidate, &OsStr)) {
        let path = self.host.path(directory);
        let unlisted = |source| Error::System { action: "list", path: path.clone(), source };
        let entries = match path.read_dir().map_err(unlisted) {
            Ok(entries) => entries,
            Err(error) => return self.unseen.push(error.unseen(Reading::Namespaces)),
        };
        for entry in entries {
            let found = entry.map_err(unlisted).and_then(|entry| {
                let (inode, file) = open_namespace(&entry.path())?;
                Ok((inode, file, entry.file_name()))
            });
            match found {
                Ok((inode, file, name)) => {
                    names(self.candidates.entry(inode).or_insert_with(|| Candidate::new(file)), &name);
                }
                // Removed since it was listed.
                Err(error) if error.is_absent() => {}
                Err(error) => self.unseen.push(error.unseen(Reading::Namespace)),
            }
        }
    }

    fn processes(&mut self) {
        let pids = match self.host.process_ids() {
            Ok(pids) => pids,
            Err(error) => return self.unseen.push(error.unseen(Reading::Namespaces)),
        };
        let mut refused: Vec<Error> = Vec::new();
        for pid in &pids {
            match self.join(*pid) {
                Ok(()) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => refused.push(error),
            }
        }
        if let Some(first) = refused.first() {
            let tried = match refused.len() {
                1 => "the network namespace of 1 process".to_owned(),
                number => format!("the network namespaces of {number} processes"),
            };
            let needs = "root, or CAP_SYS_PTRACE";
            self.unseen.push(Unseen { tried: Untrusted::from(tried.as_str()), ..unseen_processes(first, needs) });
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
        let inode = self.host.inode_of(pid)?;
        if let Some(candidate) = self.candidates.get_mut(&inode) {
            candidate.members.push(pid);
            return Ok(());
        }
        let (inode, file) = open_namespace(&self.host.path(&network_of(pid)))?;
        self.candidates.entry(inode).or_insert_with(|| Candidate::new(file)).members.push(pid);
        Ok(())
    }

    fn finish(mut self, own: Option<Inode>) -> Discovery {
        let shows_all = self.host.shows_all_processes();
        match &shows_all {
            Ok(true) => {}
            Ok(false) => self.unseen.push(hidden(
                "the processes outside of this pid namespace",
                "/proc shows only those inside",
                "the host's pid namespace (docker run --pid=host, hostPID: true in Kubernetes)",
            )),
            Err(error) => self.unseen.push(error.unseen(Reading::Namespaces)),
        }
        let process_1_is_the_hosts = matches!(shows_all, Ok(true));

        let mut names = BTreeMap::new();
        let mut described = Vec::new();
        for (inode, candidate) in std::mem::take(&mut self.candidates) {
            let owner = self.owner(&candidate.members, inode);
            let has_process_1 = candidate.members.contains(&1);
            let known_by = Names {
                given: candidate.given,
                is_host: inode == INITIAL_NETWORK_NAMESPACE || (has_process_1 && process_1_is_the_hosts),
                is_own: own == Some(inode),
                container: owner.as_ref().and_then(|owner| Some(owner.container.as_ref()?.as_str().into())),
                sandbox: candidate.sandbox,
            };
            names.insert(inode, known_by.best(inode));
            described.push((inode, owner, candidate.file));
        }
        make_unique(&mut names);

        let into_found = |(inode, owner, file)| {
            let relation = if own == Some(inode) { Relation::Own } else { Relation::Other };
            let name = Untrusted::from_bytes(names.get(&inode)?);
            Some(Found { namespace: Namespace { name, inode, relation, owner }, file })
        };
        let mut found: Vec<Found> = described.into_iter().filter_map(into_found).collect();
        found.sort_by_cached_key(|Found { namespace, .. }| {
            (namespace.relation == Relation::Other, namespace.name.clone(), namespace.inode)
        });
        Discovery { found, unseen: self.unseen }
    }

    /// The oldest process that can be described and is still there: its number may be another's by now.
    fn owner(&mut self, members: &[u32], inode: Inode) -> Option<Owner> {
        for pid in self.host.oldest_first(members) {
            match self.host.describe(pid) {
                Ok(owner) if self.host.inode_of(pid).is_ok_and(|now| now == inode) => return Some(owner),
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => self.unseen.push(error.unseen(Reading::Namespace)),
            }
        }
        None
    }
}

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

fn unseen_processes(error: &Error, needs: &str) -> Unseen {
    Unseen { needs: needs.to_owned(), ..error.unseen(Reading::Namespaces) }
}

fn hidden(what: &str, because: &str, needs: &str) -> Unseen {
    Unseen {
        reading: Reading::Namespaces,
        namespace: None,
        tried: Untrusted::from(what),
        answered: Untrusted::from(because),
        needs: needs.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    /// A tree whose /proc is the real one.
    fn live_proc() -> Tree {
        let tree = Tree::new();
        tree.link("proc", "/proc");
        tree
    }

    #[test]
    fn a_file_that_is_no_namespace_is_named_and_the_rest_is_found() {
        let tree = live_proc();
        tree.link("run/netns/mine", "/proc/self/ns/net");
        tree.link("run/netns/also mine", "/proc/self/ns/net");
        tree.link("run/netns/gone", "/proc/self/ns/none");
        tree.write("run/netns/plain", "");
        tree.link("run/netns/device", "/dev/zero");
        let Discovery { found, unseen } = tree.host().namespaces();
        let own = found.first().unwrap();
        assert_eq!(own.namespace.name.as_str(), "also mine");
        assert_eq!(own.namespace.relation, Relation::Own);
        let mut bad: Vec<_> = unseen.iter().filter(|unseen| unseen.reading == Reading::Namespace).collect();
        bad.sort_by(|a, b| a.tried.cmp(&b.tried));
        assert_eq!(bad.len(), 2, "{unseen:?}");
        assert!(bad[0].tried.as_str().ends_with("run/netns/device") && bad[1].tried.as_str().ends_with("plain"));
    }

    #[test]
    fn the_same_directory_under_two_names_is_read_once() {
        let tree = live_proc();
        tree.write("run/netns/plain", "");
        tree.link("var/run", "../run");
        let unseen = tree.host().namespaces().unseen;
        assert_eq!(unseen.iter().filter(|unseen| unseen.reading == Reading::Namespace).count(), 1, "{unseen:?}");
    }

    #[test]
    fn dockers_names_are_the_last_resort() {
        let tree = live_proc();
        tree.link("run/docker/netns/default", "/proc/self/ns/net");
        let found = tree.host().namespaces().found;
        assert_ne!(found[0].namespace.name.as_str(), "default");
    }

    #[test]
    fn a_tree_without_proc_has_gaps_and_no_namespaces() {
        let tree = Tree::new();
        let Discovery { found, unseen } = tree.host().namespaces();
        assert!(found.is_empty());
        assert_eq!(unseen.len(), 2, "{unseen:?}");
    }

    #[test]
    fn hidden_processes_and_refused_ones_are_told() {
        let tree = Tree::new();
        tree.write("proc/7/ns/net", "not a namespace");
        tree.write("proc/8/ns/net", "not a namespace");
        tree.write("proc/not a pid/ns/net", "");
        tree.write("proc/99999999999/ns/net", "");
        let unseen = tree.host().namespaces().unseen;
        let tried: Vec<_> = unseen.iter().map(|unseen| unseen.tried.as_str()).collect();
        assert!(tried.contains(&"the network namespaces of 2 processes"), "{tried:?}");
        assert!(tried.contains(&"the processes that /proc leaves out (hidepid)"), "{tried:?}");
    }
}
