//! The running kernel: needs root, `ip`, `unshare`, `nsenter` and `nft`. Whatever a test makes is removed when it ends, failed or not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests, too, fail by panicking")]

#[path = "support/names.rs"]
mod names;

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_host::{Discovery, Error, Found, HostFs, NetFiles, Subsystem, in_namespace, monotonic_now};
use plimsoll_model::{Answer, Inode, ModuleState, NamedBy, Occupancy, Reading, Relation};
use rustix::fs::{Gid, Uid};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use rustix::thread::{
    CapabilitySet, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use tempfile::TempDir;

/// A process in another network namespace, or in this one.
struct Inhabitant(Child);

/// Shows that it is there, and waits for the test's end.
const WAITS: &str = "echo ready; exec cat";

/// Loopback up, packets tracked.
const TRACKS: &str = "ip link set lo up
    nft 'table inet t { chain c { type filter hook output priority 0; ct state invalid counter; }; }'
    echo ready; exec cat";

impl Inhabitant {
    /// In a namespace of its own.
    fn new() -> Self {
        Self::start("unshare", &["--net", "sh", "-c", WAITS])
    }

    /// In a namespace of its own, in which packets are tracked.
    fn tracking() -> Self {
        Self::start("unshare", &["--net", "sh", "-c", TRACKS])
    }

    /// In the namespace of a file.
    fn within(file: &str) -> Self {
        Self::start("nsenter", &[&format!("--net={file}"), "sh", "-c", WAITS])
    }

    /// In this namespace.
    fn here() -> Self {
        Self::start("sh", &["-c", WAITS])
    }

    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut inhabitant = Self(command.spawn().expect("unshare(1) and nsenter(1) are needed"));
        let mut line = String::new();
        BufReader::new(inhabitant.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "a network namespace takes root");
        inhabitant
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn inode(&self) -> Inode {
        Inode(std::fs::metadata(format!("/proc/{}/ns/net", self.pid())).unwrap().ino())
    }

    fn find(&self) -> Found {
        let inode = self.inode();
        let found = HostFs::new().namespaces().found;
        found.into_iter().find(|found| found.namespace.inode == Some(inode)).expect("not found")
    }

    /// Runs something in its namespace, with root's rights.
    fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        in_namespace(self.find().file.unwrap(), work).unwrap()
    }

    /// Ends it, and leaves it unwaited for.
    fn become_zombie(&mut self) {
        self.0.kill().unwrap();
        let stat = format!("/proc/{}/stat", self.pid());
        let deadline = monotonic_now() + Duration::from_secs(10);
        while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
            assert!(monotonic_now() < deadline, "it does not end");
            thread::yield_now();
        }
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
        let named = Self(names::own(purpose));
        let status = Command::new("ip").args(["netns", "add", &named.0]).status().expect("ip(8) is needed");
        assert!(status.success(), "ip netns add takes root");
        named
    }

    fn file(&self) -> String {
        format!("/run/netns/{}", self.0)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.0]).status().ok();
    }
}

/// A tree whose /proc is one of its own, which shows of others' processes what `hidepid` says: mounted nowhere, so that it
/// is gone when its file is closed.
struct HidingProc {
    _mount: OwnedFd,
    root: TempDir,
}

impl HidingProc {
    fn new(hidepid: &str) -> Self {
        let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).expect("it takes root");
        fsconfig_set_string(&context, "hidepid", hidepid).unwrap();
        fsconfig_create(&context).unwrap();
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
        let root = tempfile::tempdir().unwrap();
        let link = format!("/proc/self/fd/{}", mount.as_raw_fd());
        std::os::unix::fs::symlink(link, root.path().join("proc")).unwrap();
        Self { _mount: mount, root }
    }

    fn host(&self) -> HostFs {
        HostFs::at(self.root.path())
    }
}

fn network_of_this_thread() -> Inode {
    Inode(std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino())
}

/// Runs something in a thread of its own that has given up rights first.
fn after<T: Send>(giving_up: impl FnOnce() + Send, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            giving_up();
            work()
        });
        thread.join().unwrap()
    })
}

/// Without some of root's capabilities.
fn without<T: Send>(rights: CapabilitySet, work: impl FnOnce() -> T + Send) -> T {
    let giving_up = || {
        let mut sets = capabilities(None).unwrap();
        assert!(sets.effective.contains(CapabilitySet::SYS_PTRACE | CapabilitySet::SYS_ADMIN), "it takes root");
        sets.effective.remove(rights);
        set_capabilities(None, sets).unwrap();
    };
    after(giving_up, work)
}

/// Without any capability.
fn without_rights<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    without(CapabilitySet::all(), work)
}

/// As the user `nobody`: the system calls behind these change the calling thread alone.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let giving_up = || {
        let (user, group) = (Uid::from_raw(65534), Gid::from_raw(65534));
        set_thread_groups(&[]).expect("it takes root");
        set_thread_res_gid(group, group, group).unwrap();
        set_thread_res_uid(user, user, user).unwrap();
        assert!(capabilities(None).unwrap().effective.is_empty());
    };
    after(giving_up, work)
}

/// The one namespace that a process was found to be in as owner.
fn owned_by(discovery: &Discovery, pid: u32) -> &Found {
    let is_owner = |found: &&Found| found.namespace.owner.as_ref().is_some_and(|owner| owner.pid == pid);
    let found: Vec<_> = discovery.found.iter().filter(is_owner).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

fn assert_every_process_is_placed(discovery: &Discovery) {
    let gap = discovery.unseen.iter().find(|unseen| unseen.tried.as_str().starts_with("the network namespace"));
    assert_eq!(gap, None);
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
    let statistics = host.statistics(NetFiles::OfThread).unwrap();
    assert!(statistics.occupancy.is_some() && statistics.unknown.is_empty(), "{statistics:?}");
    assert!(host.slab().unwrap().object_bytes >= 200);
    host.packets(NetFiles::OfThread).unwrap();
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
    assert_eq!(found.namespace.named_by, NamedBy::Given);
    assert_eq!(found.namespace.owner, None);
    assert_eq!(found.process, None);
    drop(named);
    let entered = in_namespace(found.file.unwrap(), network_of_this_thread).unwrap();
    assert_eq!(Some(entered), found.namespace.inode, "the open file keeps it");
}

#[test]
fn a_namespace_that_is_just_being_made_or_removed_is_no_gap() {
    // What is neither is waited for for 20 ms, less a pause or two. A busy machine may keep ip(8) between its steps for longer.
    const PATIENCE: Duration = Duration::from_millis(15);
    let (done, is_done) = (AtomicBool::new(false), |done: &AtomicBool| done.load(Ordering::Relaxed));
    let name = names::own("hasty");
    // When each making and each removal began.
    let steps = Mutex::new(Vec::new());
    let note = || steps.lock().unwrap().push(monotonic_now());
    thread::scope(|scope| {
        let haste = scope.spawn(|| {
            while !is_done(&done) {
                note();
                let named = Named::new("hasty");
                note();
                drop(named);
            }
        });
        let look = || {
            for _ in 0..200 {
                let from = monotonic_now();
                let unseen = HostFs::new().namespaces().unseen;
                let gap = unseen.into_iter().find(|unseen| unseen.tried.as_str().contains(&name));
                let until = monotonic_now();
                let moments: Vec<_> = steps.lock().unwrap().iter().copied().chain([until]).collect();
                let meanwhile = moments.windows(2).filter(|step| step[1] >= from);
                let longest = meanwhile.map(|step| step[1].saturating_sub(step[0])).max();
                assert!(gap.is_none() || longest > Some(PATIENCE), "{gap:?}");
            }
        };
        let looked = catch_unwind(AssertUnwindSafe(look));
        done.store(true, Ordering::Relaxed);
        haste.join().unwrap();
        looked.unwrap();
    });
}

/// Set where the test below has started itself again, in a mount namespace of its own.
const MOUNTED_AT: &str = "PLIMSOLL_TEST_MOUNTED_AT";

/// The mount is made in a mount namespace that tells no other of it, and goes with its last process.
#[test]
fn a_namespace_that_is_mounted_elsewhere_is_found_by_its_mount_point() {
    if let Ok(file) = std::env::var(MOUNTED_AT) {
        return the_one_mounted_at_is_found(&file);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a namespace");
    std::fs::write(&file, "").unwrap();
    let script = format!(r#"unshare --net="${MOUNTED_AT}" true && exec "$@""#);
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_namespace_that_is_mounted_elsewhere_is_found_by_its_mount_point"])
        .env(MOUNTED_AT, &file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn the_one_mounted_at_is_found(file: &str) {
    let inode = Inode(std::fs::metadata(file).unwrap().ino());
    let Discovery { found, unseen } = HostFs::new().namespaces();
    let found = found.into_iter().find(|found| found.namespace.inode == Some(inode)).unwrap();
    assert_eq!((found.namespace.name.as_str(), found.namespace.named_by), (file, NamedBy::Mount));
    assert_eq!(found.process, None);
    assert!(unseen.iter().all(|unseen| !unseen.tried.as_str().contains(file)), "{unseen:?}");
    assert_eq!(in_namespace(found.file.unwrap(), network_of_this_thread).unwrap(), inode);
}

#[test]
fn names_are_unique_and_the_own_namespace_comes_first() {
    let (_a, _b) = (Inhabitant::new(), Inhabitant::new());
    let found = HostFs::new().namespaces().found;
    let own = &found[0].namespace;
    assert_eq!((own.relation, own.inode), (Relation::Own, Some(network_of_this_thread())));
    assert!(found[1..].iter().all(|found| found.namespace.relation == Relation::Other));
    let mut names: Vec<_> = found.iter().map(|found| &found.namespace.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), found.len());
}

#[test]
fn what_is_done_in_a_namespace_sees_that_one_and_the_caller_stays() {
    let inhabitant = Inhabitant::new();
    let before = network_of_this_thread();
    let (inside, packets, statistics, occupancy) = inhabitant.enter(|| {
        let host = HostFs::new();
        let (packets, statistics) = (host.packets(NetFiles::OfThread), host.statistics(NetFiles::OfThread));
        (network_of_this_thread(), packets, statistics, host.occupancy())
    });
    assert_eq!(inside, inhabitant.inode());
    assert_eq!(network_of_this_thread(), before);
    assert_eq!(packets.unwrap(), 0, "its loopback is down");
    assert_eq!(statistics.unwrap().occupancy, Some(occupancy.unwrap()));
}

#[test]
fn a_panic_in_a_namespace_goes_on_in_the_caller() {
    let inhabitant = Inhabitant::new();
    let panic = catch_unwind(AssertUnwindSafe(|| inhabitant.enter(|| panic!("on purpose")))).unwrap_err();
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
    let file = inhabitant.find().file.unwrap();
    let refused = without_rights(|| in_namespace(&file, || ())).unwrap_err();
    assert!(matches!(refused, Error::Enter { .. }) && refused.is_not_permitted());
    assert!(refused.to_string().contains("CAP_SYS_ADMIN"), "{refused}");

    let trackers = without_rights(|| HostFs::new().elsewhere());
    assert!(trackers.unseen.iter().any(|unseen| unseen.needs == "CAP_SYS_ADMIN"), "{trackers:?}");
}

#[test]
fn many_namespaces_are_each_found() {
    let inhabitants: Vec<_> = (0..20).map(|_| Inhabitant::new()).collect();
    let found = HostFs::new().namespaces().found;
    for inhabitant in &inhabitants {
        assert!(found.iter().any(|found| found.namespace.inode == Some(inhabitant.inode())));
    }
}

#[test]
fn root_places_every_process_even_where_a_security_module_keeps_it_from_looking() {
    assert!(capabilities(None).unwrap().effective.contains(CapabilitySet::SYS_PTRACE), "it takes root");
    let discovery = HostFs::new().namespaces();
    assert_every_process_is_placed(&discovery);
    assert!(discovery.found.iter().all(|found| found.file.is_some()), "{discovery:?}");
}

#[test]
fn nobody_recognises_the_own_namespace_in_processes_that_may_not_be_looked_at() {
    let resident = Inhabitant::here();
    let as_root = HostFs::new().namespaces();
    let discovery = as_nobody(|| {
        let refused = std::fs::metadata(format!("/proc/{}/ns/net", resident.pid())).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
        HostFs::new().namespaces()
    });
    assert_every_process_is_placed(&discovery);
    let own = &discovery.found[0];
    assert_eq!(own.namespace.relation, Relation::Own);
    assert_eq!(own.namespace, as_root.found[0].namespace, "whose it is, too, can be told without rights");
    assert!(own.process.is_some() && own.file.is_some());
    assert!(discovery.found[1..].iter().all(|other| other.process != Some(resident.pid())));
}

#[test]
fn nobody_tells_another_namespace_apart_and_reads_it_through_its_process() {
    let inhabitant = Inhabitant::tracking();
    let housemate = Inhabitant::within(&format!("/proc/{}/ns/net", inhabitant.pid()));
    let other = Inhabitant::new();
    inhabitant.enter(|| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for port in 1..=7 {
            // The answer to an earlier packet, that nobody listens there, may come as the error of a later one.
            socket.send_to(b"x", (Ipv4Addr::LOCALHOST, port)).ok();
        }
    });
    let entries = inhabitant.enter(|| HostFs::new().occupancy()).unwrap();
    assert!(entries > Occupancy(0), "nothing is tracked: is nft(8) there?");

    let discovery = as_nobody(|| HostFs::new().namespaces());
    assert_every_process_is_placed(&discovery);
    let found = owned_by(&discovery, inhabitant.pid());
    assert_eq!((found.namespace.relation, found.namespace.inode), (Relation::Other, None));
    assert!(found.file.is_none());
    assert_eq!(found.process, Some(inhabitant.pid()));
    assert_eq!(found.namespace.name.as_str(), format!("net:[process {}]", inhabitant.pid()));
    assert!(discovery.found.iter().all(|found| found.process != Some(housemate.pid())), "{discovery:?}");

    let through = NetFiles::OfProcess(inhabitant.pid());
    let (statistics, packets) = as_nobody(|| (HostFs::new().statistics(through), HostFs::new().packets(through)));
    assert_eq!(statistics.unwrap().occupancy, Some(entries));
    assert_eq!(packets.unwrap(), inhabitant.enter(|| HostFs::new().packets(NetFiles::OfThread)).unwrap());

    let through = NetFiles::OfProcess(owned_by(&discovery, other.pid()).process.unwrap());
    let statistics = as_nobody(|| HostFs::new().statistics(through)).unwrap();
    assert_eq!(statistics.occupancy, Some(Occupancy(0)), "it is not the other's table");
}

#[test]
fn root_without_ptrace_rights_places_processes_in_named_namespaces() {
    let named = Named::new("placed");
    let inhabitant = Inhabitant::within(&named.file());
    let discovery = without(CapabilitySet::SYS_PTRACE, || HostFs::new().namespaces());
    assert_every_process_is_placed(&discovery);
    let found = owned_by(&discovery, inhabitant.pid());
    assert_eq!(found.namespace.name.as_str(), named.0);
    assert_eq!(found.namespace.inode, Some(inhabitant.inode()));
    assert_eq!(found.process, Some(inhabitant.pid()));
    assert!(found.file.is_some());
}

#[test]
fn a_process_that_has_ended_is_absent_and_leaves_no_namespace() {
    let mut inhabitant = Inhabitant::new();
    let pid = inhabitant.pid();
    let read = || {
        let host = HostFs::new();
        let (statistics, packets) = (host.statistics(NetFiles::OfProcess(pid)), host.packets(NetFiles::OfProcess(pid)));
        (statistics.map_err(|error| error.is_absent()), packets.map_err(|error| error.is_absent()))
    };
    assert!(matches!(as_nobody(read), (Ok(_), Ok(_))));
    inhabitant.become_zombie();
    assert_eq!(as_nobody(read), (Err(true), Err(true)));
    let discovery = as_nobody(|| HostFs::new().namespaces());
    assert_every_process_is_placed(&discovery);
    assert!(discovery.found.iter().all(|found| found.process != Some(pid)));
    drop(inhabitant);
    assert_eq!(as_nobody(read), (Err(true), Err(true)));
}

#[test]
fn processes_that_proc_does_not_let_nobody_near_are_unseen() {
    let inhabitant = Inhabitant::new();
    let tree = HidingProc::new("noaccess");
    let Discovery { found, unseen } = as_nobody(|| tree.host().namespaces());
    assert_eq!(found[0].namespace.relation, Relation::Own);
    assert!(found.iter().all(|found| found.process != Some(inhabitant.pid())));
    let gap = unseen.iter().find(|unseen| unseen.tried.as_str().starts_with("the network namespaces of")).unwrap();
    assert_eq!((gap.reading, gap.needs.as_str()), (Reading::Namespaces, "root, or CAP_SYS_PTRACE"));
}

#[test]
fn processes_that_proc_does_not_list_are_unseen() {
    let inhabitant = Inhabitant::new();
    let tree = HidingProc::new("invisible");
    let Discovery { found, unseen } = as_nobody(|| tree.host().namespaces());
    assert!(found.iter().all(|found| found.process != Some(inhabitant.pid())));
    let gap = unseen.iter().find(|unseen| unseen.reading == Reading::Namespaces).unwrap();
    assert_eq!(gap.tried.as_str(), "the processes that /proc leaves out (hidepid)");
}
