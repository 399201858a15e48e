//! What should be refused is refused. Each case runs in a process of its own with one thread, which confines itself: this
//! program, started again with the case's name in the environment. As root, for what an ordinary user may not anyway
//! proves nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test without libtest, for which clippy makes no exception")]

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

use plimsoll_confine::{CapabilitySet, Error, Held, Report, confine};

/// A case gets a folder, in which there is one named `kept`.
type Case = (&'static str, fn(&Path));

const CASES: &[Case] = &[
    ("reading_goes_on", reading_goes_on),
    ("capabilities_are_those_kept", capabilities_are_those_kept),
    ("programs_do_not_get_them_back", programs_do_not_get_them_back),
    ("system_calls_are_refused", system_calls_are_refused),
    ("namespaces_are_still_entered", namespaces_are_still_entered),
    ("threads_are_confined_too", threads_are_confined_too),
    ("it_is_not_done_too_late", it_is_not_done_too_late),
];

/// In the child: which case it is, and its folder.
const CASE: &str = "PLIMSOLL_CONFINED_CASE";
const FOLDER: &str = "PLIMSOLL_CONFINED_FOLDER";

/// As much of libtest's command line as cargo and cargo-nextest use.
fn main() -> ExitCode {
    if let (Ok(name), Some(folder)) = (std::env::var(CASE), std::env::var_os(FOLDER)) {
        let (_, case) = CASES.iter().find(|(known, _)| *known == name).unwrap();
        case(Path::new(&folder));
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag| arguments.iter().any(|argument| argument == flag);
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted =
        |name: &str| filters.iter().all(|filter| if has("--exact") { *filter == name } else { name.contains(*filter) });
    if has("--list") {
        CASES.iter().filter(|_| !has("--ignored")).for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let failed = CASES.iter().filter(|(name, _)| wanted(name) && !passes(name)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(name: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("kept")).unwrap();
    let status =
        Command::new(std::env::current_exe().unwrap()).env(CASE, name).env(FOLDER, folder.path()).status().unwrap();
    println!("test {name} ... {}", if status.success() { "ok" } else { "FAILED" });
    status.success()
}

fn confined(kept: CapabilitySet) -> Report {
    confine(kept).unwrap()
}

fn reading_goes_on(folder: &Path) {
    fs::write(folder.join("file"), "x").unwrap();
    confined(CapabilitySet::empty());
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "x");
    assert!(fs::read_dir("/proc/self/root/").unwrap().count() > 0);
    assert!(Command::new("true").status().unwrap().success());
}

/// A line of `/proc/self/status`, as a number.
fn status(path: &str, field: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

fn capabilities_are_those_kept(folder: &Path) {
    let kept = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
    let report = confined(kept);
    assert_eq!(report.capabilities, Held::Wholly);
    for field in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status("/proc/self/status", field), kept.bits(), "{field}");
    }
    for field in ["CapInh", "CapAmb"] {
        assert_eq!(status("/proc/self/status", field), 0, "{field}");
    }
    assert_eq!(status("/proc/self/status", "NoNewPrivs"), 1);
    // What CAP_CHOWN would allow.
    fs::write(folder.join("kept/file"), "").unwrap();
    let refused = std::os::unix::fs::chown(folder.join("kept/file"), Some(12345), None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
}

fn programs_do_not_get_them_back(folder: &Path) {
    confined(CapabilitySet::empty());
    let output = Command::new("cat").arg("/proc/self/status").output().unwrap();
    let file = folder.join("kept/status");
    fs::write(&file, output.stdout).unwrap();
    for field in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status(file.to_str().unwrap(), field), 0, "{field}");
    }
}

/// With every capability, so that only the filter is left to refuse.
fn system_calls_are_refused(_folder: &Path) {
    let report = confined(CapabilitySet::all());
    assert_eq!(report.system_calls, Held::Wholly);
    assert_eq!(status("/proc/self/status", "Seccomp"), 2);
    let perm = Err(rustix::io::Errno::PERM);
    assert_eq!(rustix::system::sethostname(rustix::system::uname().nodename().to_bytes()), perm);
    assert_eq!(rustix::mount::unmount("/proc/plimsoll-none", rustix::mount::UnmountFlags::empty()), perm);
    assert_eq!(rustix::process::chroot("/"), perm);
    assert_eq!(rustix::system::delete_module(c"plimsoll_none", 0), perm);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    assert_eq!(rustix::time::clock_settime(rustix::time::ClockId::Monotonic, now), perm);
}

fn namespaces_are_still_entered(_folder: &Path) {
    confined(CapabilitySet::SYS_ADMIN);
    let own = fs::File::open("/proc/self/ns/net").unwrap();
    rustix::thread::move_into_link_name_space(own.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network)).unwrap();
}

fn threads_are_confined_too(_folder: &Path) {
    confined(CapabilitySet::empty());
    let of_thread = |field| thread::spawn(move || status("/proc/thread-self/status", field)).join().unwrap();
    assert_eq!((of_thread("CapEff"), of_thread("Seccomp")), (0, 2));
}

fn it_is_not_done_too_late(folder: &Path) {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || ended.recv());
    assert!(matches!(confine(CapabilitySet::empty()), Err(Error::TooLate { threads: 2 })));
    drop(end);
    let _ = other.join().unwrap();
    fs::write(folder.join("new"), "nothing was taken").unwrap();
}
