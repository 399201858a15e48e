//! The running kernel: needs root, `ip` and `unshare`. Whatever a test makes is removed when it ends, failed or not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests, too, fail by panicking")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use plimsoll_host::{Discovery, Error, Found, HostFs, Subsystem, in_namespace, monotonic_now};
use plimsoll_model::{Answer, ModuleState, Reading, Relation};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// A process in a network namespace of its own.
struct Inhabitant(Child);

impl Inhabitant {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo ready; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut inhabitant = Self(command.spawn().expect("unshare(1) is needed"));
        let mut line = String::new();
        BufReader::new(inhabitant.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "a network namespace takes root");
        inhabitant
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn inode(&self) -> u64 {
        std::fs::metadata(format!("/proc/{}/ns/net", self.pid())).unwrap().ino()
    }

    fn find(&self) -> Found {
        let inode = self.inode();
        let found = HostFs::new().namespaces().found;
        found.into_iter().find(|found| found.namespace.inode.0 == inode).expect("not found")
    }
}

impl Drop for Inhabitant {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A namespace under `/run/netns`, with no process.
struct Named(String);

impl Named {
    fn new(purpose: &str) -> Self {
        let named = Self(format!("plimsoll-host-{}-{purpose}", std::process::id()));
        let status = Command::new("ip").args(["netns", "add", &named.0]).status().expect("ip(8) is needed");
        assert!(status.success(), "ip netns add takes root");
        named
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.0]).status().ok();
    }
}

fn network_of_this_thread() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
}

/// Runs something in a thread that has no capabilities.
fn without_rights<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective = CapabilitySet::empty();
            set_capabilities(None, sets).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn this_kernels_table_is_read() {
    let host = HostFs::new();
    assert_ne!(host.module_state().unwrap(), ModuleState::Absent);
    let occupancy = host.occupancy().unwrap();
    let capacity = host.capacity().unwrap();
    assert!(capacity.limit().is_none_or(|limit| occupancy.0 <= limit));
    assert!(host.buckets().unwrap().0 > 0 && host.expect_max().unwrap() > 0);
    host.expectations().unwrap();
    let timeouts = host.timeouts();
    assert!(timeouts.errors.is_empty(), "{:?}", timeouts.errors);
    let statistics = host.statistics().unwrap();
    assert!(statistics.occupancy.is_some() && statistics.unknown.is_empty(), "{statistics:?}");
    assert!(host.slab().unwrap().object_bytes >= 200);
    host.packets().unwrap();
    let machine = host.host();
    assert!(machine.errors.is_empty(), "{:?}", machine.errors);
    assert!(machine.read.ram_bytes > machine.read.available_bytes);
    host.kernel_log(monotonic_now()).unwrap();
}

#[test]
fn what_is_there_or_cannot_be_loaded_may_be_asked() {
    let loads_modules = Path::new("/proc/modules").exists();
    for subsystem in [Subsystem::Nfnetlink, Subsystem::ConntrackNetlink, Subsystem::NfTables, Subsystem::OpenVswitch] {
        let is_loaded = Path::new("/sys/module").join(subsystem.module()).exists();
        if is_loaded || !loads_modules {
            assert_eq!(HostFs::new().asking_loads_nothing(subsystem), Answer::Yes, "{subsystem:?}");
        }
    }
    // A test of netfilter has at least this one.
    assert_eq!(HostFs::new().asking_loads_nothing(Subsystem::Nfnetlink), Answer::Yes);
}

#[test]
fn a_namespace_is_found_by_its_process() {
    let inhabitant = Inhabitant::new();
    let Found { namespace, .. } = inhabitant.find();
    assert_eq!(namespace.relation, Relation::Other);
    let owner = namespace.owner.unwrap();
    assert_eq!(owner.pid, inhabitant.pid());
    // Its shell may not have become cat yet.
    assert!(["cat", "sh"].contains(&owner.command.as_str()), "{owner:?}");
}

#[test]
fn a_namespace_without_a_process_is_found_by_its_name() {
    let named = Named::new("name");
    let Discovery { found, .. } = HostFs::new().namespaces();
    let found = found.into_iter().find(|found| found.namespace.name.as_str() == named.0).unwrap();
    assert_eq!(found.namespace.owner, None);
    let inode = found.namespace.inode.0;
    drop(named);
    assert_eq!(in_namespace(&found.file, network_of_this_thread).unwrap(), inode, "the open file keeps it");
}

#[test]
fn names_are_unique_and_the_own_namespace_comes_first() {
    let (_a, _b) = (Inhabitant::new(), Inhabitant::new());
    let found = HostFs::new().namespaces().found;
    let own = &found[0].namespace;
    assert_eq!((own.relation, own.inode.0), (Relation::Own, network_of_this_thread()));
    assert!(found[1..].iter().all(|found| found.namespace.relation == Relation::Other));
    let mut names: Vec<_> = found.iter().map(|found| &found.namespace.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), found.len());
}

#[test]
fn what_is_done_in_a_namespace_sees_that_one_and_the_caller_stays() {
    let inhabitant = Inhabitant::new();
    let found = inhabitant.find();
    let before = network_of_this_thread();
    let (inside, packets, statistics, occupancy) = in_namespace(&found.file, || {
        let host = HostFs::new();
        (network_of_this_thread(), host.packets(), host.statistics(), host.occupancy())
    })
    .unwrap();
    assert_eq!(inside, inhabitant.inode());
    assert_eq!(network_of_this_thread(), before);
    assert_eq!(packets.unwrap(), 0, "its loopback is down");
    assert_eq!(statistics.unwrap().occupancy, Some(occupancy.unwrap()));
}

#[test]
fn a_panic_in_a_namespace_goes_on_in_the_caller() {
    let inhabitant = Inhabitant::new();
    let found = inhabitant.find();
    let panic = catch_unwind(AssertUnwindSafe(|| in_namespace(&found.file, || panic!("on purpose")))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
}

#[test]
fn what_is_no_network_namespace_is_not_entered() {
    let other_kind = std::fs::File::open("/proc/self/ns/mnt").unwrap();
    let error = in_namespace(&other_kind, || ()).unwrap_err();
    assert!(error.to_string().contains("not a network namespace"), "{error}");
}

#[test]
fn without_rights_the_answer_names_the_right() {
    let inhabitant = Inhabitant::new();
    let found = inhabitant.find();
    let refused = without_rights(|| in_namespace(&found.file, || ())).unwrap_err();
    assert!(matches!(refused, Error::Enter { .. }) && refused.is_not_permitted());
    assert!(refused.to_string().contains("CAP_SYS_ADMIN"), "{refused}");

    let Discovery { found, unseen } = without_rights(|| HostFs::new().namespaces());
    assert!(found.iter().all(|found| found.namespace.inode.0 != inhabitant.inode()), "it takes CAP_SYS_PTRACE");
    assert_eq!(found[0].namespace.relation, Relation::Own);
    let gap = unseen.iter().find(|unseen| unseen.reading == Reading::Namespaces).unwrap();
    assert_eq!(gap.needs, "root, or CAP_SYS_PTRACE");

    let trackers = without_rights(|| HostFs::new().elsewhere());
    assert!(trackers.unseen.iter().any(|unseen| unseen.needs == "CAP_SYS_ADMIN"), "{trackers:?}");
}

#[test]
fn many_namespaces_are_each_found() {
    let inhabitants: Vec<_> = (0..20).map(|_| Inhabitant::new()).collect();
    let found = HostFs::new().namespaces().found;
    for inhabitant in &inhabitants {
        assert!(found.iter().any(|found| found.namespace.inode.0 == inhabitant.inode()));
    }
}
