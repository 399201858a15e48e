//! Which network namespaces there are.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use plimsoll_model::{Inode, NamedBy, Namespace, Owner, Reading, Relation, Unseen, Untrusted};

use crate::naming::{Names, Tagged, make_unique};
use crate::search::{Candidate, Search, hidden};
use crate::{Error, HostFs};

/// A namespace that was found.
#[derive(Debug)]
pub struct Found {
    /// Which.
    pub namespace: Namespace,
    /// Its file, for [`crate::in_namespace`]. While this is open the namespace cannot vanish. `None` where none could be
    /// opened, for want of rights over its processes: it is known by `/proc/<pid>/net` alone, and cannot be entered.
    pub file: Option<OwnedFd>,
    /// A process in it, for [`crate::NetFiles::OfProcess`]: the owner where there is one. `None` where no process in it
    /// was seen; where there is no file there is a process.
    pub process: Option<u32>,
}

impl Found {
    /// Whether it is called so: by its name, its inode, or as `this`.
    pub fn goes_by(&self, name: &str) -> bool {
        let namespace = &self.namespace;
        namespace.name == Untrusted::from(name)
            // As it is shown, for names that have to be escaped.
            || namespace.name.as_str() == name
            || namespace.inode.is_some_and(|inode| inode.to_string() == name)
            || (name == "this" && namespace.relation == Relation::Own)
    }
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
    /// `/run/docker/netns`: Swarm's `ingress_sbox` has no process), those that are mounted elsewhere, and those that a
    /// process is in.
    ///
    /// A process whose `ns/net` may not be looked at is placed by its `net/dev`, which needs no right. Where a named
    /// namespace may not be entered either (an ordinary user's case), it is found apart from the processes in it, as if
    /// they were two: no file tells that they belong together.
    ///
    /// Not found are those that only a thread is in (of a process, the leader's counts), and those that only an open
    /// file keeps, a mount that another one covers, or one in another mount namespace. A process that ends meanwhile is
    /// passed over. Each namespace costs an open file, each process one stat(2), two where the first is refused, and one
    /// read where it is not in the namespace of process 1. Files among the named ones that are no namespaces cost up to
    /// 20 ms together: they may be just being made or removed.
    pub fn namespaces(&self) -> Discovery {
        let mut search = Search::new(self);
        search.own();
        search.named();
        search.mounted();
        search.processes();
        search.settle();
        let candidates = search.candidates();
        let mut unseen = search.unseen;
        let shows_all = self.shows_all_processes();
        match &shows_all {
            Ok(true) => {}
            Ok(false) => unseen.push(hidden(
                "the processes outside of this pid namespace",
                "/proc shows only those inside",
                "the host's pid namespace (docker run --pid=host, hostPID: true in Kubernetes)",
            )),
            Err(error) => unseen.push(error.unseen(Reading::Namespaces)),
        }
        let process_1 = if matches!(shows_all, Ok(true)) { Process1::OfHost } else { Process1::OfContainer };

        let described = candidates.into_iter().filter_map(|candidate| self.identify(candidate, process_1, &mut unseen));
        let mut described: Vec<Described> = described.collect();
        make_unique(described.iter_mut().map(|described| &mut described.tagged));
        let mut found: Vec<Found> = described.into_iter().map(Described::into_found).collect();
        found.sort_by_cached_key(|Found { namespace, .. }| {
            (namespace.relation == Relation::Other, namespace.name.clone())
        });
        Discovery { found, unseen }
    }

    /// Whether a namespace that was found is still there but for who keeps it open: by the process that was seen in it, by the
    /// file that it was given a name by, or, where neither is left, by looking for it again.
    pub fn is_still_there(&self, found: &Found) -> bool {
        let Found { namespace, process, .. } = found;
        let Some(inode) = namespace.inode else { return true };
        let is_it = |path: &str| self.metadata(path).is_ok_and(|file| file.ino() == inode.0);
        namespace.relation == Relation::Own
            || process.is_some_and(|pid| is_it(&format!("/proc/{pid}/ns/net")))
            || is_it(&format!("/run/netns/{}", namespace.name.as_str()))
            || self.namespaces().found.iter().any(|other| other.namespace.inode == Some(inode))
    }

    /// What a namespace is known by; `None` if all that told of it has ended since.
    fn identify(&self, candidate: Candidate, process_1: Process1, unseen: &mut Vec<Unseen>) -> Option<Described> {
        let owner = self.owner(&candidate, unseen);
        let a_member = || candidate.members.iter().copied().find(|pid| candidate.holds(self, *pid));
        let process = owner.as_ref().map(|owner| owner.pid).or_else(a_member);
        let (tag, tag_is) = match (candidate.inode, process) {
            (Some(inode), _) => (inode.to_string(), NamedBy::Inode),
            (None, Some(process)) => (format!("process {process}"), NamedBy::Process),
            (None, None) => return None,
        };
        let has_process_1 = candidate.members.contains(&1);
        let known_by = Names {
            is_host: candidate.inode == Some(INITIAL_NETWORK_NAMESPACE)
                || (has_process_1 && process_1 == Process1::OfHost),
            is_own: candidate.relation == Relation::Own,
            container: owner.as_ref().and_then(|owner| Some(owner.container.as_ref()?.as_str().into())),
            given: candidate.given.clone(),
            sandbox: candidate.sandbox,
            mount: candidate.mount,
        };
        let (name, named_by) = known_by.best(&tag, tag_is);
        Some(Described {
            tagged: Tagged { tag, name },
            named_by,
            given: candidate.given,
            inode: candidate.inode,
            relation: candidate.relation,
            owner,
            file: candidate.file,
            process,
        })
    }

    /// The oldest process that can be described and is still there.
    fn owner(&self, candidate: &Candidate, unseen: &mut Vec<Unseen>) -> Option<Owner> {
        for pid in self.oldest_first(&candidate.members) {
            match self.describe(pid) {
                Ok(owner) if candidate.holds(self, pid) => return Some(owner),
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => unseen.push(error.unseen(Reading::Namespace)),
            }
        }
        None
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

/// The initial pid namespace's inode (`include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The initial network namespace's, from 6.18 on (`include/uapi/linux/nsfs.h`). Before, it has one of those that are
/// given out from 0xf0000000 on, so this one is nobody else's.
const INITIAL_NETWORK_NAMESPACE: Inode = Inode(0xefff_fff9);

/// Whose first process /proc shows as process 1.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Process1 {
    OfHost,
    /// Or of nobody knows whom.
    OfContainer,
}

/// A namespace and what it would be called if no other were called so.
struct Described {
    tagged: Tagged,
    named_by: NamedBy,
    given: Option<Vec<u8>>,
    inode: Option<Inode>,
    relation: Relation,
    owner: Option<Owner>,
    file: Option<OwnedFd>,
    process: Option<u32>,
}

impl Described {
    fn into_found(self) -> Found {
        let Self { tagged, named_by, given, inode, relation, owner, file, process } = self;
        let name = Untrusted::from_bytes(&tagged.name);
        let named_by = match named_by {
            // With a tag, or escaped, it is no longer the file's name.
            NamedBy::Given if given.as_deref() != Some(name.as_str().as_bytes()) => NamedBy::Inode,
            named_by => named_by,
        };
        Found { namespace: Namespace { name, named_by, inode, relation, owner }, file, process }
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
        assert_eq!((own.namespace.relation, own.namespace.named_by), (Relation::Own, NamedBy::Given));
        let mut bad: Vec<_> = unseen.iter().filter(|unseen| unseen.reading == Reading::Namespace).collect();
        bad.sort_by(|a, b| a.tried.cmp(&b.tried));
        assert_eq!(bad.len(), 2, "{unseen:?}");
        assert!(bad[0].tried.as_str().starts_with("open the network namespace /"), "{bad:?}");
        assert!(bad[0].tried.as_str().ends_with("/run/netns/plain"), "{bad:?}");
        assert!(bad[0].answered.as_str().starts_with("it is a plain file: left over"), "{bad:?}");
        assert!(bad[0].needs.starts_with("`ip netns delete plain` if it is left over; else"), "{bad:?}");
        assert!(bad[1].tried.as_str().ends_with("/run/netns/device"), "{bad:?}");
    }

    #[test]
    fn a_name_that_ip_would_not_find_is_not_given() {
        let tree = live_proc();
        tree.link("run/netns/a\x1bb", "/proc/self/ns/net");
        let own = &tree.host().namespaces().found[0].namespace;
        assert_eq!((own.name.as_str(), own.named_by), ("a\\u{1b}b", NamedBy::Inode));

        let described = |name: &str| Described {
            tagged: Tagged { tag: "5".to_owned(), name: name.into() },
            named_by: NamedBy::Given,
            given: Some(b"blue".to_vec()),
            inode: Some(Inode(5)),
            relation: Relation::Other,
            owner: None,
            file: None,
            process: None,
        };
        assert_eq!(described("blue").into_found().namespace.named_by, NamedBy::Given);
        assert_eq!(described("blue [5]").into_found().namespace.named_by, NamedBy::Inode);
    }

    #[test]
    fn a_namespace_mounted_elsewhere_is_found_by_its_mount_point() {
        // A link to the only namespace that a test may count on stands in for a mount; this /proc has no processes.
        let tree = Tree::new();
        tree.link("srv/a b", "/proc/self/ns/net");
        tree.write("srv/unmounted", "");
        let lines = [
            r"43 42 0:4 net:[7] /srv/a\040b rw shared:2 - nsfs nsfs rw",
            "44 42 0:4 net:[8] /srv/unmounted rw - nsfs nsfs rw",
            "45 42 0:4 net:[9] /srv/gone rw - nsfs nsfs rw",
        ];
        tree.write("proc/self/mountinfo", lines.join("\n"));
        let Discovery { found, unseen } = tree.host().namespaces();
        assert_eq!(found.len(), 1, "{found:?}");
        // From 6.18 on the host's is known by its inode, and that is the better name.
        if found[0].namespace.inode != Some(INITIAL_NETWORK_NAMESPACE) {
            let named = &found[0].namespace;
            assert_eq!((named.name.as_str(), named.named_by), ("/srv/a b", NamedBy::Mount));
        }
        assert!(unseen.iter().all(|unseen| !unseen.tried.as_str().contains("srv")), "{unseen:?}");

        tree.link("run/netns/blue", "/proc/self/ns/net");
        let found = tree.host().namespaces().found;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].namespace.name.as_str(), found[0].namespace.named_by), ("blue", NamedBy::Given));
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
